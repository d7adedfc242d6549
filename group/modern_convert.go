package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/log"
)

// Upgrade returns a group of consumers as one of the consumer protocol, with its members, who stay what they are, and what they
// have. It changes nothing: who goes on with the other one calls Retire. ErrGroupKind is why it cannot be: the rules forbid it,
// the members are no consumers or too many, or what they have cannot be read.
func (g *Group) Upgrade(now time.Time, rules ModernRules, topics Topics) (*Modern, error) {
	refuse := func(why string) (*Modern, error) {
		return nil, fmt.Errorf("group %s: %w: it is a classic group, and %s", g.name, log.ErrGroupKind, why)
	}
	n := NewModern(g.name, rules)
	switch {
	case g.state == Dead:
		return nil, g.wrap("", log.ErrUnknownGroup)
	case g.state == Empty:
		return n, nil
	case !rules.Upgrade:
		return refuse("it may not become another")
	case g.protocolType != consumerType:
		return refuse("its members are no consumers")
	case rules.MaxMembers > 0 && len(g.members) > rules.MaxMembers:
		return refuse(fmt.Sprintf("it has %d members, a consumer group at most %d", len(g.members), rules.MaxMembers))
	}
	for _, m := range g.members {
		if err := n.adopt(now, m, g, topics); err != nil {
			return refuse(err.Error())
		}
	}
	n.epoch, n.targetOf = g.generation, g.generation
	n.resolve(topics) // its first member of the new protocol raises the epoch
	return n, nil
}

// Retire ends a group that has become another: calls that wait are answered with ErrRebalanceInProgress.
func (g *Group) Retire(now time.Time) Effects {
	t := turn{now: now}
	for _, m := range g.members {
		g.refuse(&t, m, m.id, log.ErrRebalanceInProgress)
	}
	g.state = Dead
	return t.effects
}

// adopt makes a member of a classic group one of n.
func (g *Modern) adopt(now time.Time, m *member, from *Group, topics Topics) error {
	protocol := from.protocolName
	if !m.supports(protocol) {
		protocol = m.protocols[0].Name // before there was any generation
	}
	sub, err := DecodeSubscription(m.metadata(protocol))
	if err != nil {
		return fmt.Errorf("member %s: %w", m.id, err)
	}
	assigned, err := DecodeAssignment(m.assignment)
	if err != nil {
		return fmt.Errorf("member %s: %w", m.id, err)
	}
	g.joined++
	n := &modernMember{
		id: m.id, instance: m.instance, nth: g.joined, clientID: m.clientID, clientHost: m.clientHost, rebalance: m.rebalance,
		topics: nameSet(sub.Topics), rack: sub.Rack,
		classic:  &classicPart{session: m.session, protocols: m.protocols, local: m.local},
		deadline: now.Add(m.session),
	}
	has := epochs.Current[PartitionID]{Epoch: from.generation, Previous: from.generation, Assigned: make(map[PartitionID]int32)}
	for p := range g.identify(assigned, topics) {
		name, _ := topics.TopicName(p.Topic)
		if _, partitions, err := topics.TopicID(name); err == nil && p.Index < partitions && !g.taken(n, p) {
			has.Assigned[p] = from.generation
		}
	}
	g.hold(n, has)
	g.target[n.id] = make(epochs.Set[PartitionID])
	for p := range has.Assigned {
		g.target[n.id][p] = struct{}{}
	}
	g.members[n.id] = n
	if n.instance != "" {
		g.byInstance[n.instance] = n
	}
	return nil
}

// downgradable reports whether the group would have, without one of its members, members of the classic protocol only, and some,
// and may become a classic group. Without nil is the group as it is.
func (g *Modern) downgradable(without *modernMember) bool {
	if !g.rules.Downgrade || len(g.members) == 0 || g.rules.MaxClassic > 0 && len(g.members) > g.rules.MaxClassic || without != nil && without.classic != nil {
		return false
	}
	for _, m := range g.members {
		if m != without && m.classic == nil {
			return false
		}
	}
	return true
}

// becomeClassic makes a classic group of this one, which is of no more use. Its members are told to join again if rejoin.
func (g *Modern) becomeClassic(t *modernTurn, topics Topics, rejoin bool) Effects {
	c := NewGroup(g.name, Rules{})
	c.generation, c.protocolType, c.state = g.epoch, consumerType, Stable
	for _, m := range g.inOrder() {
		n := &member{
			id: m.id, instance: m.instance, clientID: m.clientID, clientHost: m.clientHost,
			session: m.classic.session, rebalance: m.rebalance, protocols: m.classic.protocols, local: m.classic.local, told: true,
			assignment: EncodeAssignment(byName(sortPartitions(g.target[m.id]), topics)),
		}
		n.alive(t.now)
		c.members = append(c.members, n)
		c.byID[n.id] = n
		if n.static() {
			c.byInstance[n.instance] = n
		}
		t.touch(m.id)
	}
	c.leader = c.members[0].id
	c.protocolName = c.selectProtocol()
	g.dead = true
	if rejoin {
		c.prepare(&t.turn)
	}
	s := c.Snapshot()
	effects := t.end(g)
	effects.Classic, effects.Persist = c, &s
	return effects
}

// joinClassic is the Join of a static member of the classic protocol that takes the place of the last one of the consumer
// protocol: the group becomes a classic one. If all have what they should have, that stands; else all join again.
func (g *Modern) joinClassic(t *modernTurn, old *modernMember, req JoinRequest, sub Subscription, topics Topics) Effects {
	m := g.enter(t, old, req.MemberID, req.InstanceID, true)
	before := *m
	m.updateClassic(req, sub)
	changed := !slices.Equal(m.topics, before.topics) || m.regex != before.regex
	g.survey(topics, changed)
	g.reconcile(t, m, g.identify(sub.Owned, topics), changed, topics)
	t.why = "member " + m.id + " takes the place of " + old.id
	if g.State() == Stable {
		t.joined(JoinResponse{
			Ticket: req.Ticket, MemberID: m.id, Generation: g.epoch, ProtocolType: consumerType, ProtocolName: m.classic.protocols[0].Name,
		})
		return g.becomeClassic(t, topics, false)
	}
	effects := g.becomeClassic(t, topics, true)
	c := effects.Classic
	c.byID[m.id].join = req.Ticket
	next := turn{now: t.now, persist: true, effects: effects}
	c.rebalance(&next)
	return next.end(c)
}

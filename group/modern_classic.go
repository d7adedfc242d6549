package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/log"
)

// Join brings a member of the classic protocol into the group, and a step towards what it should have: what SyncGroup tells it.
// Nobody leads, and nobody is waited for. Errors are those of Group.Join, and ErrInconsistentProtocol if the rules allow no such
// members. The session timeout was checked.
func (g *Modern) Join(now time.Time, req JoinRequest, topics Topics) Effects {
	t := &modernTurn{turn: turn{now: now}}
	refuse := func(id string, err error) Effects {
		t.joined(JoinResponse{Ticket: req.Ticket, Err: err, MemberID: id})
		return t.end(g)
	}
	joins := req.MemberID == ""
	sub, err := g.checkJoin(req)
	if err != nil {
		return refuse("", err)
	}
	if joins && req.InstanceID == "" && req.RequireKnownMember {
		return refuse(req.NewMemberID, g.wrap(req.NewMemberID, log.ErrMemberIDRequired))
	}
	// A dynamic member that is not there is let in: it was given its id, which nobody has remembered.
	old, err := g.admit(req.MemberID, req.InstanceID, joins || req.InstanceID == "", true)
	if err != nil {
		return refuse("", err)
	}
	if joins {
		req.MemberID = req.NewMemberID
	}
	if old != nil && joins && req.InstanceID != "" && g.downgradable(old) {
		return g.joinClassic(t, old, req, sub, topics)
	}
	m := g.enter(t, old, req.MemberID, req.InstanceID, joins)
	before := *m
	m.updateClassic(req, sub)
	t.touch(m.id)
	changed := !slices.Equal(m.topics, before.topics) || m.regex != before.regex
	g.follow(t, m, changed, false, g.identify(sub.Owned, topics), topics)
	m.revokeBy, m.joinBy = time.Time{}, time.Time{}
	m.deadline, m.syncBy = now.Add(m.classic.session), now.Add(m.rebalance)
	t.joined(JoinResponse{
		Ticket: req.Ticket, MemberID: m.id, Generation: m.Epoch, ProtocolType: consumerType, ProtocolName: m.classic.protocols[0].Name,
	})
	return t.end(g)
}

// checkJoin checks a Join, and returns what the member subscribes to.
func (g *Modern) checkJoin(req JoinRequest) (sub Subscription, err error) {
	switch {
	case g.dead:
		return sub, g.wrap(req.MemberID, log.ErrUnknownGroup)
	case !g.rules.Upgrade && !g.rules.Downgrade:
		return sub, fmt.Errorf("%w: the group is one of the consumer protocol", g.wrap(req.MemberID, log.ErrInconsistentProtocol))
	case !readable(req):
		return sub, fmt.Errorf("%w: ids and protocol names are to be UTF-8", g.wrap(req.MemberID, log.ErrInvalidOption))
	case req.metadata() > maxSubscription:
		return sub, fmt.Errorf("%w: %d bytes of metadata, at most %d", g.wrap(req.MemberID, log.ErrInvalidOption), req.metadata(), maxSubscription)
	case !g.speaks(req):
		return sub, fmt.Errorf("%w: %s", g.wrap(req.MemberID, log.ErrInconsistentProtocol), describe(req))
	}
	if sub, err = DecodeSubscription(req.Protocols[0].Metadata); err != nil {
		err = fmt.Errorf("group %s: %w", g.name, err)
	}
	return sub, err
}

// speaks says whether the request has a protocol that all members of the classic protocol support.
func (g *Modern) speaks(req JoinRequest) bool {
	return req.ProtocolType == consumerType && len(req.Protocols) <= maxProtocols && slices.ContainsFunc(req.Protocols, func(p Protocol) bool {
		for _, m := range g.members {
			if m.classic != nil && m.id != req.MemberID && !m.classic.supports(p.Name) {
				return false
			}
		}
		return true
	})
}

func (c *classicPart) supports(protocol string) bool {
	return slices.ContainsFunc(c.protocols, func(p Protocol) bool { return p.Name == protocol })
}

// updateClassic takes over what the member says about itself.
func (m *modernMember) updateClassic(req JoinRequest, sub Subscription) {
	m.clientID, m.clientHost, m.rack = req.ClientID, req.ClientHost, sub.Rack
	m.topics, m.regex, m.assignor = nameSet(sub.Topics), "", ""
	if m.rebalance = req.RebalanceTimeout; m.rebalance <= 0 {
		m.rebalance = req.SessionTimeout
	}
	m.classic = &classicPart{session: req.SessionTimeout, protocols: slices.Clone(req.Protocols), local: req.Local}
}

// identify returns partitions that are told by name; never nil.
func (g *Modern) identify(owned map[string][]int32, topics Topics) epochs.Set[PartitionID] {
	set := make(epochs.Set[PartitionID])
	for name, indexes := range owned {
		if id, _, err := topics.TopicID(name); err == nil {
			for _, i := range indexes {
				set[PartitionID{id, i}] = struct{}{}
			}
		}
	}
	return set
}

// Sync tells a member of the classic protocol what it is assigned.
func (g *Modern) Sync(now time.Time, req SyncRequest, topics Topics) Effects {
	t := &modernTurn{turn: turn{now: now}}
	m, err := g.classicMember(req.MemberID, req.InstanceID, req.Generation)
	switch {
	case err != nil:
	case req.ProtocolType != "" && req.ProtocolType != consumerType,
		req.ProtocolName != "" && req.ProtocolName != m.classic.protocols[0].Name:
		err = g.wrap(m.id, log.ErrInconsistentProtocol)
	case g.targetOf > m.Epoch && m.State != epochs.Unrevoked:
		g.callIn(now, m)
		err = g.wrap(m.id, log.ErrRebalanceInProgress)
	}
	if err != nil {
		t.synced(SyncResponse{Ticket: req.Ticket, Err: err})
		return t.end(g)
	}
	m.syncBy = time.Time{}
	m.deadline = now.Add(m.classic.session)
	t.synced(SyncResponse{
		Ticket: req.Ticket, ProtocolType: consumerType, ProtocolName: m.classic.protocols[0].Name,
		Assignment: EncodeAssignment(byName(sortPartitions(m.Assigned), topics)),
	})
	return t.end(g)
}

// byName returns partitions by the names of their topics, as far as there are such topics.
func byName(ps []PartitionID, topics Topics) Assignment {
	a := Assignment{}
	for _, p := range ps {
		if name, ok := topics.TopicName(p.Topic); ok {
			a[name] = append(a[name], p.Index)
		}
	}
	return a
}

// HeartbeatClassic is the heartbeat of a member of the classic protocol. ErrRebalanceInProgress asks it to join again: it is to
// give something up, or to get something. The caller asks NextDeadline afterwards.
func (g *Modern) HeartbeatClassic(now time.Time, memberID, instanceID string, generation int32) error {
	m, err := g.classicMember(memberID, instanceID, generation)
	if err != nil {
		return err
	}
	m.deadline = now.Add(m.classic.session)
	if m.Epoch < g.targetOf || m.State == epochs.Unrevoked || m.State == epochs.Unreleased && !g.waits(m) {
		g.callIn(now, m)
		return g.wrap(m.id, log.ErrRebalanceInProgress)
	}
	return nil
}

// callIn notes that a member was told to join again.
func (g *Modern) callIn(now time.Time, m *modernMember) {
	if m.joinBy.IsZero() {
		m.joinBy = now.Add(m.rebalance)
	}
}

// classicMember finds a member of the classic protocol, in its generation.
func (g *Modern) classicMember(id, instance string, generation int32) (*modernMember, error) {
	m, err := g.find(id, instance)
	switch {
	case err != nil:
		return nil, err
	case m.classic == nil:
		return nil, fmt.Errorf("%w: it speaks the consumer protocol", g.wrap(id, log.ErrUnknownMember))
	case generation != m.Epoch:
		return nil, fmt.Errorf("%w: %d, the member is at %d", g.wrap(id, log.ErrIllegalGeneration), generation, m.Epoch)
	}
	return m, nil
}

// Leave takes members out of the group, of whatever protocol. The errors are those of the members, in their order.
func (g *Modern) Leave(now time.Time, members []LeaveMember, topics Topics) ([]error, Effects) {
	t := &modernTurn{turn: turn{now: now}}
	errs := make([]error, len(members))
	var out []*modernMember
	for i, l := range members {
		m := g.byInstance[l.InstanceID]
		if l.InstanceID == "" || m == nil || l.MemberID != "" {
			if m, errs[i] = g.find(l.MemberID, l.InstanceID); errs[i] != nil {
				continue
			}
		}
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return errs, g.putOut(t, topics, "leaves", out...)
}

package group

import (
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group/epochs"
)

// machine is a group of whatever protocol, as its entry drives it.
type machine interface {
	State() State
	Generation() int32 // or epoch
	EmptySince() (time.Time, bool)
	Subscribed() (func(topic string) bool, error)
	Describe() Description
	NextDeadline() (time.Time, bool)
	Expire(now time.Time) Effects
	Cancel(now time.Time, ticket Ticket) Effects
	Join(now time.Time, req JoinRequest) Effects
	Sync(now time.Time, req SyncRequest) Effects
	Heartbeat(now time.Time, memberID, instanceID string, generation int32) error
	Leave(now time.Time, members []LeaveMember) ([]error, Effects)
	Delete() error
	notEmpty() error
	checkCommit(now time.Time, req CommitRequest) error
	expireMembers(now time.Time, ids []string) Effects
	client(memberID string) string
	size() int
}

// machine returns the group. The caller holds en.mu, until it has done with it.
func (en *entry) machine() machine {
	if en.modern != nil {
		return live{en.modern, en.c.topics}
	}
	return en.group
}

func (g *Group) checkCommit(now time.Time, req CommitRequest) error {
	if req.owner != "" {
		return g.CheckTxnCommit(req.MemberID, req.InstanceID, req.Generation)
	}
	return g.CheckCommit(now, req.MemberID, req.InstanceID, req.Generation)
}

func (g *Group) client(memberID string) string {
	if m := g.byID[memberID]; m != nil {
		return m.clientID
	}
	return ""
}

func (g *Group) size() int { return len(g.members) }

// live is a Modern with the topics as they are.
type live struct {
	*Modern
	topics Topics
}

func (l live) Generation() int32            { return l.epoch }
func (l live) Expire(now time.Time) Effects { return l.Modern.Expire(now, l.topics) }

// Cancel implements machine. No call waits.
func (l live) Cancel(time.Time, Ticket) Effects { return Effects{} }

func (l live) Join(now time.Time, req JoinRequest) Effects { return l.Modern.Join(now, req, l.topics) }
func (l live) Sync(now time.Time, req SyncRequest) Effects { return l.Modern.Sync(now, req, l.topics) }

func (l live) Heartbeat(now time.Time, memberID, instanceID string, generation int32) error {
	return l.HeartbeatClassic(now, memberID, instanceID, generation)
}

func (l live) Leave(now time.Time, members []LeaveMember) ([]error, Effects) {
	return l.Modern.Leave(now, members, l.topics)
}

func (l live) checkCommit(_ time.Time, req CommitRequest) error {
	if req.owner != "" {
		return l.CheckTxnCommit(req)
	}
	return l.CheckCommit(req)
}

func (l live) expireMembers(now time.Time, ids []string) Effects {
	t := &modernTurn{turn: turn{now: now}}
	var out []*modernMember
	for _, id := range ids {
		out = append(out, l.members[id])
	}
	return l.putOut(t, l.topics, "gave no sign of life", out...)
}

func (l live) client(memberID string) string {
	if m := l.members[memberID]; m != nil {
		return m.clientID
	}
	return ""
}

func (l live) size() int { return len(l.members) }

// Describe implements machine: what members subscribe to and have is in the bytes that classic consumers have for it.
func (l live) Describe() Description {
	d := Description{
		Kind: Consumer, State: l.State(), ProtocolType: consumerType, ProtocolName: l.assignor().Name(), Generation: l.epoch,
	}
	for _, m := range l.inOrder() {
		d.Members = append(d.Members, MemberDescription{
			ID: m.id, InstanceID: m.instance, ClientID: m.clientID, ClientHost: m.clientHost,
			Metadata:   EncodeSubscription(Subscription{Topics: l.wanted(m), Generation: m.Epoch, Rack: m.rack}),
			Assignment: EncodeAssignment(byName(sortPartitions(m.Assigned), l.topics)),
		})
	}
	return d
}

// ModernDescription is a group of the consumer protocol at an instant.
type ModernDescription struct {
	State              State
	Epoch, TargetEpoch int32
	Assignor           string
	Members            []ModernMember // the longest-standing first
}

// ModernMember is a member of such a group at an instant.
type ModernMember struct {
	ID, InstanceID, Rack, ClientID, ClientHost string
	Epoch                                      int32
	Topics                                     []string
	Regex                                      string
	Classic                                    bool // it speaks the classic protocol
	// Assigned is what it has, what it is to give up included; Target what it should have.
	Assigned, Target []PartitionID
}

// Describe returns the group as it is.
func (g *Modern) Describe() ModernDescription {
	d := ModernDescription{State: g.State(), Epoch: g.epoch, TargetEpoch: g.targetOf, Assignor: g.assignor().Name()}
	for _, m := range g.inOrder() {
		has := make(epochs.Set[PartitionID])
		for _, some := range []map[PartitionID]int32{m.Assigned, m.Revoking} {
			for p := range some {
				has[p] = struct{}{}
			}
		}
		d.Members = append(d.Members, ModernMember{
			ID: m.id, InstanceID: m.instance, Rack: m.rack, ClientID: m.clientID, ClientHost: m.clientHost, Epoch: m.Epoch,
			Topics: m.topics, Regex: m.regex, Classic: m.classic != nil,
			Assigned: sortPartitions(has), Target: sortPartitions(g.target[m.id]),
		})
	}
	return d
}

// join passes a Join to the group. One of the consumer protocol that has no members becomes a classic one. The caller holds en.mu.
func (en *entry) join(now time.Time, req JoinRequest) Effects {
	if en.modern == nil {
		return en.group.Join(now, req)
	}
	rules := en.c.Rules()
	if err := rules.checkSession(req.SessionTimeout); err != nil {
		return Effects{Joins: []JoinResponse{{Ticket: req.Ticket, Err: en.modern.wrap(req.MemberID, err), MemberID: req.MemberID}}}
	}
	if en.modern.State() != Empty {
		en.modern.SetRules(en.c.modernRules(en.name)) // as a heartbeat does: they may be others since
		return en.machine().Join(now, req)
	}
	classic := NewGroup(en.name, rules)
	effects := classic.Join(now, req)
	if len(classic.members)+len(classic.pending) > 0 {
		en.convert(classic, nil)
	}
	return effects
}

// convert puts the group that another has become in its place. The caller holds en.mu.
func (en *entry) convert(classic *Group, modern *Modern) {
	en.group, en.modern, en.changed = classic, modern, true
	kind := Consumer
	if classic != nil {
		kind = Classic
		classic.SetRules(en.c.Rules())
	}
	en.c.names.become(en.name, kind)
	en.c.opts.Logger.Info("group has changed its protocol", zap.String("group", en.name), zap.Stringer("kind", kind))
}

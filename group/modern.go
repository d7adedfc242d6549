package group

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/log"
)

// PartitionID is a partition of the topic that has an identity: another topic of the same name has another.
type PartitionID struct {
	Topic [16]byte
	Index int32
}

// ModernRules are the settings of a group whose partitions the broker assigns.
type ModernRules struct {
	SessionTimeout     time.Duration // without a heartbeat the member is out; members of the classic protocol bring their own
	HeartbeatInterval  time.Duration // what members are told, unless a target is due sooner
	AssignmentInterval time.Duration // between two targets, for members who come one after the other
	MaxMembers         int           // 0 means any number
	MaxClassic         int           // and of a classic group, which one that has more does not become
	Upgrade            bool          // a classic group becomes one of these when a member of the new protocol joins it
	Downgrade          bool          // and the reverse, when only members of the classic protocol are left
	Assignors          []string      // of ServerAssignors, those that are offered, the default first; empty for all
}

// DefaultModernRules returns the rules that hold where nothing else is set, those of Kafka.
func DefaultModernRules() ModernRules {
	return ModernRules{
		SessionTimeout: 45 * time.Second, HeartbeatInterval: 5 * time.Second, AssignmentInterval: time.Second,
		Upgrade: true, Downgrade: true,
	}
}

// Modern is the members of one group of Kafka's consumer protocol (KIP-848), and what they have: the broker's side. Members
// send heartbeats, and the group tells each what to give up and what to take; see package epochs. Members of the classic
// protocol are among them while a group changes over: to these, the epoch of a member is its generation.
//
// Like Group it is a value without goroutines, clock, lock or disk, and calls on one must not overlap. Time comes in with each
// call and never runs backwards. Nothing ends by itself: who drives the group calls Expire when NextDeadline has passed.
type Modern struct {
	name  string
	rules ModernRules

	epoch    int32     // rises when members, what they want, or their topics change; never falls; firstEpoch at least
	targetOf int32     // the epoch of the target; <= epoch
	targetAt time.Time // when the target was found; zero for long ago

	members    map[string]*modernMember
	byInstance map[string]*modernMember           // those that are static
	joined     uint64                             // counts those that ever joined
	target     map[string]epochs.Set[PartitionID] // by member; disjoint
	owners     map[PartitionID]string             // by whom it is assigned or being revoked: of each partition one
	regexes    map[string]*regex                  // that members subscribe with
	visible    map[string]func(topic string) bool // what who has last come with a regular expression may know of; all without
	shape      uint64                             // of what they subscribe to, as it was when epoch was last raised
	seen       uint64                             // the version of the topics that shape is of
	looked     bool                               // whether seen counts
	emptySince time.Time                          // zero if there are members, or never were any
	dead       bool                               // deleted, or another now: this value is of no more use
	unstored   bool                               // nothing of it is stored yet
}

// modernMember is a member of such a group.
type modernMember struct {
	id, instance         string // instance is "" for a dynamic member
	nth                  uint64 // by the time of joining
	rack                 string
	clientID, clientHost string
	rebalance            time.Duration
	topics               []string // in order, each once
	regex                string   // "" for none
	assignor             string   // that the member prefers, "" for none
	classic              *classicPart

	epochs.Current[PartitionID]

	deadline time.Time // ends the session; zero while the member is away
	revokeBy time.Time // zero but for members of the new protocol that are to give up something
	joinBy   time.Time // zero but for members of the classic protocol that were told to join again
	syncBy   time.Time // and those that have joined and not synced
}

// classicPart is what only a member of the classic protocol has.
type classicPart struct {
	session   time.Duration
	protocols []Protocol // never empty
	local     bool
}

// firstEpoch is that of a group that nobody has joined yet: there is no target of it.
const firstEpoch = 1

// NewModern returns a group without members.
func NewModern(name string, rules ModernRules) *Modern {
	return &Modern{
		name: name, rules: rules, unstored: true, epoch: firstEpoch,
		members:    make(map[string]*modernMember),
		byInstance: make(map[string]*modernMember),
		target:     make(map[string]epochs.Set[PartitionID]),
		owners:     make(map[PartitionID]string),
		regexes:    make(map[string]*regex),
		visible:    make(map[string]func(string) bool),
	}
}

// SetRules changes the rules for what comes.
func (g *Modern) SetRules(rules ModernRules) { g.rules = rules }

// Name returns the group's name.
func (g *Modern) Name() string { return g.name }

// State returns where the group stands: Empty, Assigning, Reconciling, Stable or Dead.
func (g *Modern) State() State {
	switch {
	case g.dead:
		return Dead
	case len(g.members) == 0:
		return Empty
	case g.epoch > g.targetOf:
		return Assigning
	}
	for _, m := range g.members {
		if !m.ReconciledTo(g.targetOf) {
			return Reconciling
		}
	}
	return Stable
}

// Epoch returns the epoch of the group.
func (g *Modern) Epoch() int32 { return g.epoch }

// EmptySince returns when the last member has gone; false if there are members, or never were any.
func (g *Modern) EmptySince() (time.Time, bool) {
	return g.emptySince, len(g.members) == 0 && !g.emptySince.IsZero()
}

// Delete makes an empty group Dead, or fails with ErrGroupNotEmpty. A Dead group answers everything with ErrUnknownGroup.
func (g *Modern) Delete() error {
	switch {
	case g.dead:
		return g.wrap("", log.ErrUnknownGroup)
	case len(g.members) > 0:
		return g.notEmpty()
	}
	g.dead = true
	return nil
}

func (g *Modern) notEmpty() error {
	return fmt.Errorf("group %s: %w: it is %s with %d members", g.name, log.ErrGroupNotEmpty, g.State(), len(g.members))
}

// Subscribed returns a function that says whether members of the group subscribe to a topic.
func (g *Modern) Subscribed() (func(topic string) bool, error) {
	if g.dead {
		return nil, g.wrap("", log.ErrUnknownGroup)
	}
	topics := make(map[string]bool)
	for _, m := range g.members {
		for _, topic := range g.wanted(m) {
			topics[topic] = true
		}
	}
	return func(topic string) bool { return topics[topic] }, nil
}

// NextDeadline returns when Expire has something to do, or false if nothing is to come unless somebody calls.
func (g *Modern) NextDeadline() (time.Time, bool) {
	var next time.Time
	for _, m := range g.members {
		for _, at := range []time.Time{m.deadline, m.revokeBy, m.joinBy, m.syncBy} {
			if !at.IsZero() && (next.IsZero() || at.Before(next)) {
				next = at
			}
		}
	}
	return next, !next.IsZero()
}

// CheckCommit says whether offsets may be committed for the group, as Group.CheckCommit does. A member may in its present
// epoch, and in an older one for partitions that it had in it and still has (KIP-1251). Who commits by a version of the request
// that has no member epochs is a member of the classic protocol, or ErrUnsupported.
func (g *Modern) CheckCommit(req CommitRequest) error {
	switch {
	case g.dead:
		return g.wrap(req.MemberID, log.ErrUnknownGroup)
	case req.Generation < 0 && len(g.members) == 0:
		return nil
	}
	m := g.members[req.MemberID]
	switch {
	case m == nil:
		return g.wrap(req.MemberID, log.ErrUnknownMember)
	case req.owner == "" && m.classic == nil && req.Epochless:
		return fmt.Errorf("%w: a member of the consumer protocol commits by version 9 of OffsetCommit or later", g.wrap(m.id, log.ErrUnsupported))
	}
	for tp, o := range req.Offsets {
		err := m.CheckCommit(req.Generation, PartitionID{o.TopicID, tp.Partition})
		switch {
		case err != nil && m.classic != nil:
			return fmt.Errorf("%w: %s: %s", g.wrap(m.id, log.ErrIllegalGeneration), tp, err.Error())
		case err != nil:
			return fmt.Errorf("group %s: member %s: %s: %w", g.name, m.id, tp, err)
		}
	}
	return nil
}

// CheckTxnCommit is CheckCommit for a transaction: see Group.CheckTxnCommit.
func (g *Modern) CheckTxnCommit(req CommitRequest) error {
	if !g.dead && req.Generation == -1 && req.MemberID == "" && req.InstanceID == "" {
		return nil
	}
	return g.CheckCommit(req)
}

// CheckFetch says whether a member may fetch offsets in an epoch: only in its present one.
func (g *Modern) CheckFetch(memberID string, epoch int32) error {
	m := g.members[memberID]
	switch {
	case m == nil:
		return g.wrap(memberID, log.ErrUnknownMember)
	case epoch == m.Epoch:
		return nil
	case m.classic != nil:
		return fmt.Errorf("%w: it says %d, and is in %d", g.wrap(memberID, log.ErrIllegalGeneration), epoch, m.Epoch)
	}
	return fmt.Errorf("%w: it says %d, and is in %d", g.wrap(memberID, log.ErrStaleMemberEpoch), epoch, m.Epoch)
}

// wrap names the group and the member that err concerns.
func (g *Modern) wrap(memberID string, err error) error {
	if memberID == "" {
		return fmt.Errorf("group %s: %w", g.name, err)
	}
	return fmt.Errorf("group %s: member %s: %w", g.name, memberID, err)
}

// inOrder returns the members, the longest-standing first.
func (g *Modern) inOrder() []*modernMember {
	return slices.SortedFunc(maps.Values(g.members), func(a, b *modernMember) int {
		if a.nth != b.nth {
			return int(int64(a.nth) - int64(b.nth))
		}
		return strings.Compare(a.id, b.id)
	})
}

// taken says whether somebody else than m has p.
func (g *Modern) taken(m *modernMember, p PartitionID) bool {
	owner, ok := g.owners[p]
	return ok && owner != m.id
}

// hold gives m what it has from now on, and reports whether that is new.
func (g *Modern) hold(m *modernMember, now epochs.Current[PartitionID]) bool {
	if m.Equal(now) {
		return false
	}
	g.release(m)
	m.Current = now
	for p := range now.Assigned {
		g.owners[p] = m.id
	}
	for p := range now.Revoking {
		g.owners[p] = m.id
	}
	return true
}

// release frees what m has.
func (g *Modern) release(m *modernMember) {
	for _, some := range []map[PartitionID]int32{m.Assigned, m.Revoking} {
		for p := range some {
			if g.owners[p] == m.id {
				delete(g.owners, p)
			}
		}
	}
}

// remove puts m out. The epoch is up to the caller.
func (g *Modern) remove(m *modernMember) {
	g.release(m)
	delete(g.members, m.id)
	delete(g.target, m.id)
	if m.instance != "" && g.byInstance[m.instance] == m {
		delete(g.byInstance, m.instance)
	}
}

func (m *modernMember) session(rules ModernRules) time.Duration {
	if m.classic != nil {
		return m.classic.session
	}
	return rules.SessionTimeout
}

// sortPartitions returns partitions by topic and index.
func sortPartitions[V any](of map[PartitionID]V) []PartitionID {
	return slices.SortedFunc(maps.Keys(of), func(a, b PartitionID) int {
		if c := bytes.Compare(a.Topic[:], b.Topic[:]); c != 0 {
			return c
		}
		return int(a.Index) - int(b.Index)
	})
}

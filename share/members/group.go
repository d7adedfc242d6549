// Package members is the membership of share groups (KIP-932): who is in a group, and which partitions each is to read.
// Members share partitions, so nothing has to be revoked before another gets it, and there are no static members. What
// becomes of records is package share's. Users import the module root.
package members

import (
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Partition is a partition of a topic that exists or existed.
type Partition struct {
	Topic string
	ID    [16]byte // of the topic
	Index int32
}

// Topics tells what there is of a topic; false for nothing.
type Topics func(name string) (id [16]byte, partitions int32, ok bool)

// Rules are the limits of a group: its configs, as they are now.
type Rules struct {
	Session    time.Duration // a member that is silent for so long is gone
	Assignment time.Duration // the least time between two assignments
	MaxMembers int
}

// Group is the membership of one share group. It is a value: no clock, no lock, no disk. Each change of who is in it, of
// what they subscribe to, and of those topics makes a new epoch. The members are assigned their partitions as of the
// first heartbeat of a new epoch, though not more often than Rules.Assignment.
//
//	a member's epoch <= assigned <= epoch
type Group struct {
	name     string
	epoch    int32
	assigned int32     // the epoch that target is of
	at       time.Time // of that assignment; zero before the first
	metadata uint64    // of the topics, as of epoch
	members  map[string]*member
	target   map[string][]Partition
}

// member is a member. Its partitions are sorted.
type member struct {
	id, rack, clientID, clientHost string

	topics          []string // sorted
	epoch, previous int32
	partitions      []Partition
	deadline        time.Time
}

// Heartbeat is what a member says.
type Heartbeat struct {
	MemberID             string
	Epoch                int32 // 0 joins, Leave leaves
	Rack                 string
	ClientID, ClientHost string
	Topics               []string // to which it subscribes; nil for those of before
}

// Leave is the epoch of a member that leaves.
const Leave = -1

// Answer is what a member is told.
type Answer struct {
	Epoch int32
	// Partitions are those that it is to read, if Told; else they are as it was told before.
	Partitions []Partition
	Told       bool
	// Due is how long the next assignment, which somebody waits for, has to wait; 0 if nobody does. A member that is heard of
	// then, and not with its usual next heartbeat, has its partitions at once.
	Due time.Duration
}

// Effects are what has to happen besides: what Persist has is stored before the answer is given. Assigned says that
// there is a new assignment, and Gone names members that are no more.
type Effects struct {
	Persist  *Snapshot
	Assigned bool
	Gone     []string
}

// New returns a group that nobody is in.
func New(name string) *Group { return Restore(name, Snapshot{}) }

// Restore returns a group as it comes out of the store: members join it anew.
func Restore(name string, s Snapshot) *Group {
	return &Group{name: name, epoch: s.Epoch, assigned: s.Epoch, members: make(map[string]*member), target: make(map[string][]Partition)}
}

// Snapshot is what is stored of a group.
type Snapshot struct {
	Epoch int32
}

// Snapshot returns what is to be stored.
func (g *Group) Snapshot() Snapshot { return Snapshot{g.epoch} }

// Empty reports whether nobody is in the group.
func (g *Group) Empty() bool { return len(g.members) == 0 }

// Heartbeat is what a member says of itself, and what it is told. An error changes nothing: ErrInvalidHeartbeat,
// ErrGroupFull, ErrUnknownMember, ErrFencedMemberEpoch.
func (g *Group) Heartbeat(now time.Time, rules Rules, topics Topics, h Heartbeat) (Answer, Effects, error) {
	if h.Epoch == Leave {
		return g.leave(h.MemberID)
	}
	var m *member
	var joins bool
	err := h.check()
	if err == nil {
		m, joins, err = g.admit(rules, h)
	}
	if err != nil {
		return Answer{}, Effects{}, fmt.Errorf("group %s: %w", g.name, err)
	}
	before := m.partitions
	changed := m.learn(h)
	m.deadline = now.Add(rules.Session)
	g.members[m.id] = m
	var e Effects
	if metadata := g.fingerprint(topics); joins || changed || metadata != g.metadata {
		g.metadata = metadata
		g.advance(&e)
	}
	if g.assigned < g.epoch && (g.at.IsZero() || !now.Before(g.at.Add(rules.Assignment))) {
		g.assign(now, topics)
		e.Assigned = true
	}
	m.follow(g.assigned, g.target[m.id])
	a := Answer{Epoch: m.epoch, Partitions: m.partitions, Told: h.Epoch == 0 || h.Topics != nil || !slices.Equal(before, m.partitions)}
	if g.assigned < g.epoch {
		a.Due = g.at.Add(rules.Assignment).Sub(now)
	}
	return a, e, nil
}

// check refuses what no member can say.
func (h Heartbeat) check() error {
	switch {
	case h.MemberID == "":
		return fmt.Errorf("%w: the id of a member must not be empty", log.ErrInvalidHeartbeat)
	case h.Epoch < Leave:
		return fmt.Errorf("%w: the epoch of a member is %d, want -1 or more", log.ErrInvalidHeartbeat, h.Epoch)
	case h.Epoch == 0 && len(h.Topics) == 0:
		return fmt.Errorf("%w: who joins says to which topics it subscribes", log.ErrInvalidHeartbeat)
	case h.size() > maxSubscription:
		return fmt.Errorf("%w: names of %d bytes, at most %d", log.ErrInvalidHeartbeat, h.size(), maxSubscription)
	}
	return nil
}

// maxSubscription bounds what a member says of itself, in bytes: the group keeps it.
const maxSubscription = 1 << 20

// size returns how much the member says of itself, in bytes.
func (h Heartbeat) size() int {
	n := len(h.MemberID) + len(h.Rack) + len(h.ClientID)
	for _, name := range h.Topics {
		n += len(name)
	}
	return n
}

// admit returns the member that a heartbeat is of, which may be a new one.
func (g *Group) admit(rules Rules, h Heartbeat) (m *member, joins bool, err error) {
	m = g.members[h.MemberID]
	switch {
	case m == nil && len(g.members) >= rules.MaxMembers:
		return nil, false, fmt.Errorf("%w: it has %d members", log.ErrGroupFull, len(g.members))
	case m == nil && h.Epoch != 0:
		return nil, false, fmt.Errorf("%w: %q", log.ErrUnknownMember, h.MemberID)
	case m == nil:
		return &member{id: h.MemberID}, true, nil
	case h.Epoch > m.epoch:
		return nil, false, fmt.Errorf("%w: %d of member %q, which is in %d", log.ErrFencedMemberEpoch, h.Epoch, m.id, m.epoch)
	case h.Epoch != 0 && h.Epoch < m.epoch && h.Epoch != m.previous:
		return nil, false, fmt.Errorf("%w: %d of member %q, which is in %d and was in %d", log.ErrFencedMemberEpoch, h.Epoch, m.id, m.epoch, m.previous)
	}
	return m, false, nil
}

// learn takes over what a member says of itself, and reports whether it subscribes to something else.
func (m *member) learn(h Heartbeat) bool {
	m.clientID, m.clientHost = h.ClientID, h.ClientHost
	if h.Rack != "" {
		m.rack = h.Rack
	}
	if h.Topics == nil {
		return false
	}
	topics := slices.Compact(slices.Sorted(slices.Values(h.Topics)))
	changed := !slices.Equal(topics, m.topics)
	m.topics = topics
	return changed
}

// follow brings a member to the assignment of an epoch, without what it does not subscribe to any more.
func (m *member) follow(epoch int32, target []Partition) {
	if epoch != m.epoch {
		m.previous, m.epoch = m.epoch, epoch
	}
	m.partitions = slices.DeleteFunc(slices.Clone(target), func(p Partition) bool {
		_, ok := slices.BinarySearch(m.topics, p.Topic)
		return !ok
	})
}

// leave takes a member out.
func (g *Group) leave(id string) (Answer, Effects, error) {
	if g.members[id] == nil {
		return Answer{}, Effects{}, fmt.Errorf("group %s: %w: %q", g.name, log.ErrUnknownMember, id)
	}
	var e Effects
	g.remove(id, &e)
	return Answer{Epoch: Leave}, e, nil
}

// Expire takes out whose sessions are over.
func (g *Group) Expire(now time.Time) Effects {
	var e Effects
	for _, id := range slices.Sorted(maps.Keys(g.members)) {
		if !now.Before(g.members[id].deadline) {
			g.remove(id, &e)
		}
	}
	return e
}

// NextDeadline is when the first session is over; false without members.
func (g *Group) NextDeadline() (next time.Time, ok bool) {
	for _, m := range g.members {
		if !ok || m.deadline.Before(next) {
			next, ok = m.deadline, true
		}
	}
	return next, ok
}

func (g *Group) remove(id string, e *Effects) {
	delete(g.members, id)
	delete(g.target, id)
	e.Gone = append(e.Gone, id)
	g.advance(e)
	if len(g.members) == 0 {
		g.assigned, g.at = g.epoch, time.Time{}
	}
}

// advance makes a new epoch.
func (g *Group) advance(e *Effects) {
	g.epoch++
	s := g.Snapshot()
	e.Persist = &s
}

// fingerprint returns a number for what there is of the topics that somebody subscribes to.
func (g *Group) fingerprint(topics Topics) uint64 {
	h := fnv.New64a()
	for _, name := range g.subscribed() {
		if id, n, ok := topics(name); ok {
			_, _ = fmt.Fprintf(h, "%x %d ", id, n)
		}
	}
	return h.Sum64()
}

// subscribed returns all topics that somebody subscribes to, sorted.
func (g *Group) subscribed() []string {
	all := make(map[string]bool)
	for _, m := range g.members {
		for _, name := range m.topics {
			all[name] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// Assigned returns all partitions that somebody is to read, sorted.
func (g *Group) Assigned() []Partition {
	var all []Partition
	for _, ps := range g.target {
		all = append(all, ps...)
	}
	slices.SortFunc(all, compare)
	return slices.Compact(all)
}

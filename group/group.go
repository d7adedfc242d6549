// Package group lets consumers share the partitions of topics: a group's members, its
// generations, who is assigned what, and the offsets it has committed. Users import the module root.
//
// Group is the state machine of Kafka's classic group protocol, the broker's side: a value
// without goroutines, clock, lock or disk. Calls on one Group must not overlap.
package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Rules are the broker's limits on groups.
type Rules struct {
	MaxMembers        int           // 0 means any number
	MinSessionTimeout time.Duration // 0 means any above 0
	MaxSessionTimeout time.Duration // 0 means any
	// InitialDelay is how long the first join of an empty group waits for more members, and
	// again after each interval that brought one (group.initial.rebalance.delay.ms); but only
	// if a member that is not Local takes part.
	InitialDelay time.Duration
}

// Group is the members of one group and what they have agreed upon.
//
// Time comes in with each call and never runs backwards. Nothing ends by itself: who drives
// the group calls Expire when NextDeadline has passed, and until then a late sign of life
// still counts. Bytes given to a Group are kept, not copied; bytes it gives out are not
// to be changed.
type Group struct {
	name  string
	rules Rules
	state State

	generation   int32  // grows by 1 with each join phase that ends; never falls
	protocolType string // spoken by all members; stays when the last has left
	protocolName string // of the generation, "" in Empty; in Stable all members support it
	leader       string // len(members) == 0 ? "" : the id of one of them

	members    []*member            // by the time of joining; empty if and only if state is Empty or Dead
	byID       map[string]*member   // the same
	byInstance map[string]*member   // those that are static
	pending    map[string]time.Time // ids given out with ErrMemberIDRequired and not joined with, and when they lapse

	// joinDeadline ends the join phase, whoever is missing. Zero but in PreparingRebalance.
	joinDeadline time.Time
	// initial marks the join phase of a group that was empty, which lasts for InitialDelay
	// and is prolonged, up to initialEnd, if the group has grown in it.
	initial, grown bool
	initialEnd     time.Time
	// syncDeadline is when members that are due are put out. Zero in PreparingRebalance, and
	// when none is due.
	syncDeadline time.Time
	emptySince   time.Time // in Empty; zero if no time has been heard of yet
	why          string    // the last join phase has begun, for people
}

// NewGroup returns a group without members.
func NewGroup(name string, rules Rules) *Group {
	return &Group{
		name:       name,
		rules:      rules,
		byID:       make(map[string]*member),
		byInstance: make(map[string]*member),
		pending:    make(map[string]time.Time),
	}
}

// SetRules changes the rules for what comes. Members that are in stay in, until they join again
// and the rules do not let them.
func (g *Group) SetRules(rules Rules) { g.rules = rules }

// Name returns the group's name.
func (g *Group) Name() string { return g.name }

// State returns where the group stands.
func (g *Group) State() State { return g.state }

// Generation returns the number of the current generation, 0 before the first.
func (g *Group) Generation() int32 { return g.generation }

// EmptySince returns when the last member has gone; false if there are members, or never
// were any.
func (g *Group) EmptySince() (time.Time, bool) {
	return g.emptySince, g.state == Empty && !g.emptySince.IsZero()
}

// Heartbeat is a sign of life. ErrRebalanceInProgress asks the member to join again. It only
// moves deadlines away, so that a timer need not be set anew for it.
func (g *Group) Heartbeat(now time.Time, memberID, instanceID string, generation int32) error {
	m, err := g.current(memberID, instanceID, generation)
	if err != nil {
		return err
	}
	m.alive(now)
	if g.state == PreparingRebalance {
		return g.wrap(memberID, log.ErrRebalanceInProgress)
	}
	return nil
}

// CheckCommit says whether offsets may be committed for the group by this member in this
// generation, or, with generation -1, by somebody who is no member, whatever the ids: that only
// while the group is empty. It is a sign of life. Members may commit while the group prepares
// a rebalance, for what they are about to lose; not while it completes one.
func (g *Group) CheckCommit(now time.Time, memberID, instanceID string, generation int32) error {
	if generation < 0 && g.state == Empty {
		return nil
	}
	m, err := g.current(memberID, instanceID, generation)
	if err != nil {
		return err
	}
	m.alive(now)
	if g.state == CompletingRebalance {
		return g.wrap(memberID, log.ErrRebalanceInProgress)
	}
	return nil
}

// Subscribed returns a function that says whether consumers of the group subscribe to a topic,
// under any of their protocols; whose metadata cannot be read may subscribe to all. Members that
// are no consumers read nobody knows what: ErrGroupNotEmpty.
func (g *Group) Subscribed() (func(topic string) bool, error) {
	switch {
	case g.state == Dead:
		return nil, g.wrap("", log.ErrUnknownGroup)
	case g.state != Empty && g.protocolType != consumerType:
		return nil, g.notEmpty()
	}
	topics, unknown := make(map[string]bool), false
	for _, m := range g.members {
		for _, p := range m.protocols {
			s, err := DecodeSubscription(p.Metadata)
			unknown = unknown || err != nil
			for _, topic := range s.Topics {
				topics[topic] = true
			}
		}
	}
	return func(topic string) bool { return unknown || topics[topic] }, nil
}

// Delete makes an empty group Dead, or fails with ErrGroupNotEmpty. A Dead group answers
// everything with ErrUnknownGroup.
func (g *Group) Delete() error {
	switch g.state {
	case Dead:
		return g.wrap("", log.ErrUnknownGroup)
	case Empty:
		g.state = Dead
		clear(g.pending)
		return nil
	default:
		return g.notEmpty()
	}
}

func (g *Group) notEmpty() error {
	return fmt.Errorf("group %s: %w: it is %s with %d members", g.name, log.ErrGroupNotEmpty, g.state, len(g.members))
}

// NextDeadline returns when Expire has something to do, or false if nothing is to come
// unless somebody calls.
func (g *Group) NextDeadline() (time.Time, bool) {
	var next time.Time
	sooner := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	sooner(g.joinDeadline)
	sooner(g.syncDeadline)
	for _, at := range g.pending {
		sooner(at)
	}
	for _, m := range g.members {
		if !m.waiting() {
			sooner(m.deadline)
		}
	}
	return next, !next.IsZero()
}

// Description is a group at an instant.
type Description struct {
	Kind                       Kind
	State                      State
	ProtocolType, ProtocolName string
	Generation                 int32
	Leader                     string
	Members                    []MemberDescription // the longest-standing first
	Rebalances                 int64               // since Open, told by the coordinator
}

// MemberDescription is a member at an instant.
type MemberDescription struct {
	ID, InstanceID, ClientID, ClientHost string
	Metadata                             []byte // under the group's protocol, if there is one
	Assignment                           []byte // of the last generation that got one, until the next begins
}

// Describe returns the group as it is.
func (g *Group) Describe() Description {
	d := Description{
		State:        g.state,
		ProtocolType: g.protocolType,
		ProtocolName: g.protocolName,
		Generation:   g.generation,
		Leader:       g.leader,
	}
	for _, m := range g.members {
		d.Members = append(d.Members, MemberDescription{
			ID:         m.id,
			InstanceID: m.instance,
			ClientID:   m.clientID,
			ClientHost: m.clientHost,
			Metadata:   m.metadata(g.protocolName),
			Assignment: m.assignment,
		})
	}
	return d
}

// find returns the member of that id, which, if an instance id is given, must be the one
// that has it now.
func (g *Group) find(memberID, instanceID string) (*member, error) {
	if g.state == Dead {
		return nil, g.wrap(memberID, log.ErrUnknownGroup)
	}
	if instanceID != "" {
		m := g.byInstance[instanceID]
		if m != nil && m.id != memberID {
			return nil, fmt.Errorf("%w: instance %s is %s now", g.wrap(memberID, log.ErrFencedInstance), instanceID, m.id)
		}
		if m == nil {
			return nil, g.wrap(memberID, log.ErrUnknownMember)
		}
	}
	m := g.byID[memberID]
	if m == nil {
		return nil, g.wrap(memberID, log.ErrUnknownMember)
	}
	return m, nil
}

// current is find for a request that belongs to a generation.
func (g *Group) current(memberID, instanceID string, generation int32) (*member, error) {
	m, err := g.find(memberID, instanceID)
	if err == nil && generation != g.generation {
		err = fmt.Errorf("%w: %d, the group is at %d", g.wrap(memberID, log.ErrIllegalGeneration), generation, g.generation)
	}
	return m, err
}

// wrap names the group and the member that err concerns.
func (g *Group) wrap(memberID string, err error) error {
	if memberID == "" {
		return fmt.Errorf("group %s: %w", g.name, err)
	}
	return fmt.Errorf("group %s: member %s: %w", g.name, memberID, err)
}

// selectProtocol lets each member vote for the first of its protocols that all support.
// Between equals the vote of the longest-standing member decides.
func (g *Group) selectProtocol() string {
	common := slices.DeleteFunc(slices.Clone(g.members[0].protocols), func(p Protocol) bool {
		return !g.allSupport(p.Name, nil)
	})
	votes := make(map[string]int)
	var order []string
	for _, m := range g.members {
		i := slices.IndexFunc(m.protocols, func(p Protocol) bool {
			return slices.ContainsFunc(common, func(c Protocol) bool { return c.Name == p.Name })
		})
		if i < 0 {
			panic("group: members without a common protocol") // Join lets none in
		}
		name := m.protocols[i].Name
		if votes[name]++; votes[name] == 1 {
			order = append(order, name)
		}
	}
	best := ""
	for _, name := range order {
		if votes[name] > votes[best] {
			best = name
		}
	}
	return best
}

// allSupport says whether all members, without the one given, support the protocol.
func (g *Group) allSupport(protocol string, without *member) bool {
	for _, m := range g.members {
		if m != without && !m.supports(protocol) {
			return false
		}
	}
	return true
}

// rebalanceTimeout returns the longest that a member asks for.
func (g *Group) rebalanceTimeout() time.Duration {
	var longest time.Duration
	for _, m := range g.members {
		longest = max(longest, m.rebalance)
	}
	return longest
}

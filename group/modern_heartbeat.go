package group

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/internal/pattern"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// MemberHeartbeat is what a member of the consumer protocol says. What it leaves out is as it was.
type MemberHeartbeat struct {
	MemberID   string // that the member has chosen; "" has NewMemberID be it, when it joins
	InstanceID string // of a static member, else ""
	Epoch      int32  // 0 to join, LeaveEpoch to leave, epochs.AwayEpoch to leave and come back, else the member's

	NewMemberID          string
	ClientID, ClientHost string

	Rack             *string
	RebalanceTimeout time.Duration // what the member may take to give something up; negative leaves it out
	Topics           []string      // nil leaves them out
	Regex            *string       // RE2, of whole names; "" for none
	// Visible says which topics a regular expression may find, nil for all: what the member may know of. It is asked when the
	// topics or subscriptions have changed.
	Visible  func(topic string) bool
	Assignor *string // one of ServerAssignors
	Owned    epochs.Set[PartitionID]
}

// LeaveEpoch is the epoch of a member that leaves.
const LeaveEpoch = -1

// MemberAnswer answers a MemberHeartbeat.
type MemberAnswer struct {
	Err      error
	MemberID string
	Epoch    int32
	Interval time.Duration // until the next heartbeat; 0 for one that has left
	// Assigned is what the member is to have, by topic and index: it gives up what is not there. It counts if Told.
	Assigned []PartitionID
	Told     bool
}

// validate checks what needs no group.
func (h MemberHeartbeat) validate(rules ModernRules) error {
	first := h.Epoch == 0
	switch {
	case h.MemberID == "" && !first && h.Epoch != epochs.AwayEpoch:
		return fmt.Errorf("%w: no member id", log.ErrInvalidHeartbeat)
	case h.Rack != nil && *h.Rack == "":
		return fmt.Errorf("%w: the rack is empty", log.ErrInvalidHeartbeat)
	case first && h.RebalanceTimeout < 0:
		return fmt.Errorf("%w: who joins says how long it may take to give something up", log.ErrInvalidHeartbeat)
	case first && (h.Owned == nil || len(h.Owned) > 0):
		return fmt.Errorf("%w: who joins owns nothing, and says so", log.ErrInvalidHeartbeat)
	case first && h.Topics == nil && h.Regex == nil:
		return fmt.Errorf("%w: who joins says to which topics it subscribes", log.ErrInvalidHeartbeat)
	case h.Epoch == epochs.AwayEpoch && h.InstanceID == "":
		return fmt.Errorf("%w: only a static member leaves to come back", log.ErrInvalidHeartbeat)
	case h.Epoch < epochs.AwayEpoch:
		return fmt.Errorf("%w: epoch %d", log.ErrInvalidHeartbeat, h.Epoch)
	case h.Assignor != nil && !slices.ContainsFunc(rules.offered(), func(a Assignor) bool { return a.Name() == *h.Assignor }):
		return fmt.Errorf("%w: %q, there are %s", log.ErrUnsupportedAssignor, *h.Assignor, names(rules.offered()))
	case len(h.MemberID) > store.MaxMemberID || len(h.InstanceID) > store.MaxMemberID:
		return fmt.Errorf("%w: an id of %d bytes, at most %d", log.ErrInvalidHeartbeat, max(len(h.MemberID), len(h.InstanceID)), store.MaxMemberID)
	case h.size() > maxSubscription:
		return fmt.Errorf("%w: names of %d bytes, at most %d", log.ErrInvalidHeartbeat, h.size(), maxSubscription)
	case !utf8.ValidString(h.MemberID + h.InstanceID + h.NewMemberID + h.ClientID + strings.Join(h.Topics, "")),
		h.Rack != nil && !utf8.ValidString(*h.Rack), h.Regex != nil && !utf8.ValidString(*h.Regex):
		return fmt.Errorf("%w: ids and names are to be UTF-8", log.ErrInvalidHeartbeat)
	}
	return nil
}

// maxSubscription bounds what a member says of itself, in bytes. It is stored as one value, which may be some times as long.
const maxSubscription = 1 << 20

// size returns how much the member says of itself, in bytes.
func (h MemberHeartbeat) size() int {
	n := len(h.ClientID) + len(h.ClientHost)
	if h.Rack != nil {
		n += len(*h.Rack)
	}
	for _, name := range h.Topics {
		n += len(name) + 4
	}
	return n
}

func names(of []Assignor) string {
	words := make([]string, len(of))
	for i, a := range of {
		words[i] = a.Name()
	}
	return strings.Join(words, ", ")
}

// Heartbeat is a sign of life, and a step of the member towards what it should have. An error has changed nothing. The
// answer is released when the effects are stored.
//
// Errors are ErrInvalidHeartbeat, ErrUnsupportedAssignor, ErrInvalidRegex, ErrGroupFull, ErrUnknownMember,
// ErrFencedMemberEpoch, ErrFencedInstance and ErrUnreleasedInstance.
func (g *Modern) Heartbeat(now time.Time, h MemberHeartbeat, topics Topics) (MemberAnswer, Effects) {
	t := &modernTurn{turn: turn{now: now}}
	refuse := func(err error) (MemberAnswer, Effects) {
		return MemberAnswer{Err: err, MemberID: h.MemberID}, Effects{}
	}
	if err := h.validate(g.rules); err != nil {
		return refuse(g.wrap(h.MemberID, err))
	}
	if g.dead {
		return refuse(g.wrap(h.MemberID, log.ErrUnknownGroup))
	}
	if h.Epoch < 0 {
		return g.leave(t, h, topics)
	}
	joins := h.Epoch == 0
	old, err := g.admit(h.MemberID, h.InstanceID, joins, false)
	if err == nil && old != nil {
		if err = old.Check(h.Epoch, h.Owned); err != nil {
			err = g.wrap(h.MemberID, err)
		}
	}
	if err == nil && h.Regex != nil && *h.Regex != "" && g.regexes[*h.Regex] == nil {
		if _, err = pattern.Whole(*h.Regex); err != nil {
			err = g.wrap(h.MemberID, err)
		}
	}
	if err != nil {
		return refuse(err)
	}
	if h.MemberID == "" {
		h.MemberID = h.NewMemberID
	}
	m := g.enter(t, old, h.MemberID, h.InstanceID, joins)
	before, assigned := *m, m.Assigned
	m.update(h)
	if g.visible[m.regex] = h.Visible; h.Visible == nil {
		delete(g.visible, m.regex)
	}
	if !m.same(&before) || old == nil {
		t.touch(m.id)
	}
	changed := !slices.Equal(m.topics, before.topics) || m.regex != before.regex
	g.follow(t, m, changed, m.assignor != before.assignor, h.Owned, topics)
	m.deadline, m.joinBy, m.syncBy = now.Add(m.session(g.rules)), time.Time{}, time.Time{}
	answer := MemberAnswer{MemberID: m.id, Epoch: m.Epoch, Interval: g.interval(now)}
	full := h.RebalanceTimeout >= 0 && (h.Topics != nil || h.Regex != nil) && h.Owned != nil
	if answer.Told = joins || full || !maps.Equal(assigned, m.Assigned); answer.Told {
		answer.Assigned = sortPartitions(m.Assigned)
	}
	return answer, t.end(g)
}

// interval returns when a member is to be heard of next: as usual, or when a target may be found that is due, if that is sooner.
// A member that has joined just after another one has its partitions at once then.
func (g *Modern) interval(now time.Time) time.Duration {
	if due := g.targetAt.Add(g.rules.AssignmentInterval).Sub(now); g.targetOf < g.epoch && due > 0 {
		return min(due, g.rules.HeartbeatInterval)
	}
	return g.rules.HeartbeatInterval
}

// admit returns the member that somebody is or takes the place of, nil for a new one. Joins is false for who must be in;
// classic says that the classic protocol is spoken, which knows no member that is away.
func (g *Modern) admit(id, instance string, joins, classic bool) (*modernMember, error) {
	m, static := g.members[id], g.byInstance[instance]
	if static == nil && m == nil && g.rules.MaxMembers > 0 && len(g.members) >= g.rules.MaxMembers {
		return nil, fmt.Errorf("%w: at most %d members", g.wrap(id, log.ErrGroupFull), g.rules.MaxMembers)
	}
	switch {
	case instance == "" && m == nil && !joins, instance != "" && static == nil && !joins:
		return nil, g.wrap(id, log.ErrUnknownMember)
	case instance == "":
		return m, nil
	case static == nil:
		return m, nil // it is a dynamic one until now, if it is one at all
	case !joins && static.id != id:
		return nil, fmt.Errorf("%w: instance %s is %s now", g.wrap(id, log.ErrFencedInstance), instance, static.id)
	case joins && !classic && static.classic == nil && static.Epoch != epochs.AwayEpoch:
		return nil, fmt.Errorf("%w: instance %s is %s, which has not left", g.wrap(id, log.ErrUnreleasedInstance), instance, static.id)
	}
	return static, nil
}

// enter returns the member of that id: the old one, or if a static one joins again one in its place that has what it had, or
// without an old one a new one.
func (g *Modern) enter(t *modernTurn, old *modernMember, id, instance string, joins bool) *modernMember {
	m := old
	switch {
	case old == nil:
		g.joined++
		m = &modernMember{id: id, nth: g.joined}
		t.touch(id)
	case joins && instance != "" && old.instance == instance:
		m = g.replace(t, old, id)
	}
	if instance != "" && m.instance != instance {
		delete(g.byInstance, m.instance)
		m.instance = instance
	}
	if m.instance != "" {
		g.byInstance[m.instance] = m
	}
	g.members[id] = m
	if !g.emptySince.IsZero() {
		g.emptySince, t.header = time.Time{}, true
	}
	return m
}

// replace puts a member of another id, and in epoch 0, in the place of a static one.
func (g *Modern) replace(t *modernTurn, old *modernMember, id string) *modernMember {
	m, has, target := *old, old.Current, g.target[old.id]
	g.remove(old)
	t.touch(old.id)
	if other := g.members[id]; other != nil { // who had the id under no or another instance id
		g.remove(other)
	}
	m.id, m.Current = id, epochs.Current[PartitionID]{}
	has.Epoch, has.Previous = 0, 0
	g.hold(&m, has)
	g.target[id] = target
	t.touch(id)
	return &m
}

// update takes over what the member says about itself.
func (m *modernMember) update(h MemberHeartbeat) {
	m.clientID, m.clientHost, m.classic = h.ClientID, h.ClientHost, nil
	if h.Rack != nil {
		m.rack = *h.Rack
	}
	if h.RebalanceTimeout >= 0 {
		m.rebalance = h.RebalanceTimeout
	}
	if h.Topics != nil {
		m.topics = nameSet(h.Topics)
	}
	if h.Regex != nil {
		m.regex = *h.Regex
	}
	if h.Assignor != nil {
		m.assignor = *h.Assignor
	}
}

// same reports whether two states of a member are the same, apart from what it has and time.
func (m *modernMember) same(o *modernMember) bool {
	return m.instance == o.instance && m.rack == o.rack && m.clientID == o.clientID && m.clientHost == o.clientHost &&
		m.rebalance == o.rebalance && slices.Equal(m.topics, o.topics) && m.regex == o.regex && m.assignor == o.assignor &&
		m.classic == o.classic
}

// follow has the group, and the member, take account of what is new.
func (g *Modern) follow(t *modernTurn, m *modernMember, changed, prefers bool, owned epochs.Set[PartitionID], topics Topics) {
	if g.survey(topics, changed || prefers) {
		t.header = true
		if t.effects.Rebalanced = "topics have changed"; changed {
			t.effects.Rebalanced = "member " + m.id + " subscribes"
		}
	}
	g.aim(t, topics)
	g.reconcile(t, m, owned, changed, topics)
}

// leave takes a member out, or notes that it is away.
func (g *Modern) leave(t *modernTurn, h MemberHeartbeat, topics Topics) (MemberAnswer, Effects) {
	m, err := g.find(h.MemberID, h.InstanceID)
	if err != nil {
		return MemberAnswer{Err: err, MemberID: h.MemberID}, Effects{}
	}
	answer := MemberAnswer{MemberID: h.MemberID, Epoch: h.Epoch}
	if h.Epoch == LeaveEpoch {
		return answer, g.putOut(t, topics, "leaves", m)
	}
	if g.hold(m, m.Away()) {
		t.touch(m.id)
	}
	m.revokeBy = time.Time{} // the session goes on: it has so long to come back
	return answer, t.end(g)
}

// find returns the member of that id, which, if an instance id is given, must be the one that has it now.
func (g *Modern) find(id, instance string) (*modernMember, error) {
	m := g.members[id]
	if instance != "" {
		if m = g.byInstance[instance]; m != nil && m.id != id {
			return nil, fmt.Errorf("%w: instance %s is %s now", g.wrap(id, log.ErrFencedInstance), instance, m.id)
		}
	}
	if m == nil {
		return nil, g.wrap(id, log.ErrUnknownMember)
	}
	return m, nil
}

// putOut removes members. If only members of the classic protocol are left, and the rules allow it, the group becomes a
// classic one, whose members are told to join.
func (g *Modern) putOut(t *modernTurn, topics Topics, why string, members ...*modernMember) Effects {
	if len(members) == 0 {
		return t.end(g)
	}
	for _, m := range members {
		t.touch(m.id)
		g.remove(m)
	}
	t.why = "member " + members[0].id + " " + why
	t.effects.Rebalanced = t.why
	if g.downgradable(nil) {
		return g.becomeClassic(t, topics, true)
	}
	g.survey(topics, true)
	t.header = true
	if len(g.members) == 0 {
		g.targetOf, g.targetAt, g.emptySince = g.epoch, time.Time{}, t.now
	}
	return t.end(g)
}

// Expire does what time brings: it ends sessions, and puts out who takes too long to give up, to join again or to sync. Called
// too early it does nothing.
func (g *Modern) Expire(now time.Time, topics Topics) Effects {
	t := &modernTurn{turn: turn{now: now}}
	var late []*modernMember
	for _, m := range g.inOrder() {
		if passed(m.deadline, now) || passed(m.revokeBy, now) || passed(m.joinBy, now) || passed(m.syncBy, now) {
			late = append(late, m)
		}
	}
	return g.putOut(t, topics, "gave no sign of life, or took too long", late...)
}

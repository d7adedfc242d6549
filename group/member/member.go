// Package member is a consumer's part in its group, as a value: it has no goroutine, clock, lock
// or connection. Who runs it tells it what happens, and does what it answers. Users import the
// module root.
//
// Three have to do with a member, and take turns under one lock:
//
//   - Poll, and in the end Close: the only ones that call the program back, and that begin and end
//     the reading of partitions. Next and Last say what to do.
//   - The keeper, who gives signs of life: Tick.
//   - A round, one at a time, which joins the group and fetches the assignment: Begin, Request,
//     Joined, Synced, Retry, Fail. It may take long, and Poll goes on reading meanwhile.
package member

import (
	"errors"
	"slices"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// Options say how the member takes part in its group.
type Options struct {
	InstanceID, ClientID string
	Assignors            []group.Assignor // that it offers, the most wanted first
	SessionTimeout       time.Duration
	HeartbeatInterval    time.Duration
	MaxPollInterval      time.Duration
	AutoCommitInterval   time.Duration // 0 leaves commits to the program
}

// Member is a consumer's part in its group. Methods that are told what happens may be called in
// any order.
type Member struct {
	opts        Options
	cooperative bool // keeps what it owns during a round

	life life
	// id and generation are what the group knows the member by.
	//
	//	generation < 0 => it is not in the group, and owned is empty
	//	generation >= 0 => id != ""
	id         string
	generation int32

	// round is the number of the last round, which phase is about. Of earlier ones nothing counts.
	//
	//	phase != idle => round > 0
	//	phase is synced or adopting => generation >= 0
	//	phase == failed => err != nil
	round int
	phase phase
	// rejoin asks for a round, once there is none.
	//
	//	generation < 0 && phase == idle => rejoin
	rejoin     bool
	subscribed []string // as told when the round began, sorted

	// owned is what the consumer reads as a member of the group, lost what it reads still and others
	// may have already. It reads nothing else, but for what a step is about.
	//
	//	owned and lost have nothing in common
	owned, lost []log.TopicPartition
	assigned    []log.TopicPartition // by the round, while it is synced or adopting
	dead        []log.TopicPartition // of owned, while adopting: what is assigned is another topic of that name
	last        []log.TopicPartition // assigned by the last round that was adopted, even if given up since
	lastIn      int32                // the generation of last; -1 without

	err error // for Poll; it stays if it is one for ever

	polledAt time.Time // the end of the last Poll; zero while one is under way
	returns  uint64    // see Tick
	beatAt   time.Time
	commitAt time.Time // zero without auto-commit
	failures int       // of auto-commits, in a row
}

// life is how far the end is. It only rises.
type life int

const (
	open    life = iota
	closing      // no steps but the last ones
	closed       // nothing can be committed any more
)

// phase is how far the round is.
type phase int

const (
	idle     phase = iota // there is none
	joining               // the group has been asked for the next generation
	syncing               // and for the assignment
	synced                // the assignment waits for Poll
	adopting              // which revokes what is not in it, and then takes what is new
	failed                // err waits for Poll, which leaves the group
)

// New returns a member that is in no group: the first step begins a round. No Poll is under way.
func New(now time.Time, opts Options) Member {
	m := Member{opts: opts, cooperative: true, generation: -1, lastIn: -1, rejoin: true, polledAt: now, beatAt: now.Add(opts.HeartbeatInterval)}
	for _, a := range opts.Assignors {
		m.cooperative = m.cooperative && a.Cooperative()
	}
	if opts.AutoCommitInterval > 0 {
		m.commitAt = now.Add(opts.AutoCommitInterval)
	}
	return m
}

// ID returns the member's id, "" when the group does not know it.
func (m *Member) ID() string { return m.id }

// in reports whether the member is in the group, and reads nothing that it has lost.
func (m *Member) in() bool { return m.generation >= 0 && len(m.lost) == 0 }

// Lost reports whether the consumer reads a partition that others may have already.
func (m *Member) Lost(tp log.TopicPartition) bool { return slices.Contains(m.lost, tp) }

// Over reports whether the member will never be in the group again. What ends a round does not count
// before Poll has left the group for it.
func (m *Member) Over() bool { return m.phase != failed && forEver(m.err) }

func forEver(err error) bool {
	return errors.Is(err, log.ErrFencedInstance) || errors.Is(err, log.ErrClosed) || errors.Is(err, log.ErrFailed)
}

// Settled reports whether the member is in the group and no round is to be expected.
func (m *Member) Settled() bool { return m.generation >= 0 && m.phase == idle && !m.rejoin }

// Enter says that Poll was called.
func (m *Member) Enter() { m.polledAt = time.Time{} }

// Leave says that Poll returns.
func (m *Member) Leave(now time.Time) { m.polledAt = now }

// NextDeadline returns when Tick is to be called.
func (m *Member) NextDeadline() time.Time {
	if !m.commitAt.IsZero() && m.commitAt.Before(m.beatAt) {
		return m.commitAt
	}
	return m.beatAt
}

// Actions are the keeper's.
type Actions struct {
	Late      string // the id to leave the group with, for it was not polled for MaxPollInterval; else ""
	Heartbeat bool   // of MemberID and Generation; the answer is for Heard
	Commit    bool   // what is processed; the outcome is for Saved

	MemberID   string
	Generation int32
}

// Tick is called at NextDeadline, and when something has happened to the group. returns counts how
// often a loop over records has come back for more, which is as good as a Poll.
func (m *Member) Tick(now time.Time, returns uint64) (act Actions) {
	polling := m.polledAt.IsZero()
	if returns != m.returns {
		m.returns = returns
		if !polling {
			m.polledAt = now
		}
	}
	if m.generation >= 0 && !polling && now.Sub(m.polledAt) >= m.opts.MaxPollInterval {
		act.Late = m.id
		m.Lose()
	}
	able := m.generation >= 0 && !m.Running(m.round) // a commit during a round might have to wait for it
	due(&m.beatAt, m.opts.HeartbeatInterval, now)
	act.Commit = due(&m.commitAt, m.opts.AutoCommitInterval, now) && able
	act.Heartbeat, act.MemberID, act.Generation = able, m.id, m.generation
	return act
}

// due reports whether a time has come, and moves it to the next one, which keeps the beat.
func due(at *time.Time, interval time.Duration, now time.Time) bool {
	if at.IsZero() || now.Before(*at) {
		return false
	}
	*at = at.Add((now.Sub(*at)/interval + 1) * interval)
	return true
}

// Heard takes what the group says to a member of that generation. What happens to a member during a
// round, the round gets to know.
func (m *Member) Heard(generation int32, err error) {
	if err == nil || m.generation < 0 || m.generation != generation || m.Running(m.round) {
		return
	}
	switch {
	case errors.Is(err, log.ErrRebalanceInProgress):
		m.rejoin = true
	case errors.Is(err, log.ErrFencedInstance):
		m.Lose()
		m.err = err
	case errors.Is(err, log.ErrUnknownMember), errors.Is(err, log.ErrIllegalGeneration):
		m.Lose()
	}
}

// Lose is for a member that the group does not have any more. Its round, if there is one, ends
// without effect: only a Poll begins another one.
func (m *Member) Lose() {
	if m.phase == failed {
		m.err = nil
	}
	m.phase, m.assigned = idle, nil
	m.rejoin = true
	m.out()
}

// out notes that the group does not have the member, nor the member its partitions.
func (m *Member) out() {
	m.id, m.generation = "", -1
	m.lost = append(m.lost, m.owned...)
	m.owned, m.last, m.lastIn = nil, nil, -1
}

// Topics takes the topics that are wanted now, sorted, and whether one that the leader has assigned
// is not what it was. If that changes anything it asks for a round.
func (m *Member) Topics(names []string, reshaped bool) {
	if m.Settled() && (reshaped || !slices.Equal(names, m.subscribed)) {
		m.rejoin = true
	}
}

// Forget says that an owned topic was deleted: if there is a new one of that name, it is to be read.
func (m *Member) Forget() { m.rejoin = true }

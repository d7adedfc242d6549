package consumer

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/log"
)

// membership runs a member.Member, where all is decided, over the coordinator. Poll's caller does the
// steps, the keeper gives signs of life and commits, and each round has a goroutine. Close waits for
// the step that is under way, and then does the last ones itself.
type membership struct {
	c          *Consumer
	opts       member.Options
	wants      *subscription
	waiter     *engine.Waiter  // wakes the keeper
	ctx        context.Context // ends when the consumer is closed
	cancel     context.CancelFunc
	callbacks  map[member.Kind]func(context.Context, []log.TopicPartition) // by the step that they belong to
	committing turns.Turn                                                  // held by who commits, so that commits do not pass each other

	mu     sync.Mutex // guards what follows; not held while calling out
	state  member.Member
	round  *round        // the last one; nil before the first
	lead   lead          // of the group, as of the last round
	acting chan struct{} // closed when the step under way is done; nil without one
	caller uint64        // the goroutine of that step, on which callbacks run
}

func newMembership(c *Consumer) *membership {
	o := c.opts
	m := &membership{
		c: c, opts: o.Member, wants: newSubscription(c.b.Topics, c.opts), waiter: engine.NewWaiter(), committing: turns.New(),
		callbacks: map[member.Kind]func(context.Context, []log.TopicPartition){
			member.Lose: o.OnLost, member.Revoke: o.OnRevoked, member.Assign: o.OnAssigned,
		},
		state: member.New(time.Now(), o.Member), lead: lead{topics: c.b.Topics},
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// start begins to look after the membership. The group is joined by the first Poll.
func (m *membership) start() error {
	if err := m.c.b.Coordinator.Watch(m.c.opts.Group, m.waiter); err != nil {
		return err
	}
	m.c.b.Topics.Watch(m.waiter)
	m.c.wg.Go(m.keep)
	return nil
}

// tell tells the state what has happened, and the others what has come of it.
func (m *membership) tell(event func(state *member.Member)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	event(&m.state)
	if m.round != nil && !m.state.Running(m.round.number) {
		m.round.cancel()
	}
	if m.state.Due() {
		m.c.ready.Wake()
	}
}

// keep is the keeper's goroutine.
func (m *membership) keep() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-m.waiter.C():
		case <-m.ctx.Done():
			return
		}
		timer.Reset(time.Until(m.tick()))
	}
}

// tick does what the keeper has to, and returns when it has to again.
func (m *membership) tick() (next time.Time) {
	var act member.Actions
	returns := m.c.returned()
	m.tell(func(state *member.Member) { act = state.Tick(time.Now(), returns) })
	if act.Late != "" {
		m.c.b.Logger.Warn("consumer was not polled for MaxPollInterval and leaves its group",
			zap.String("group", m.c.opts.Group), zap.String("member", act.Late), zap.Duration("interval", m.opts.MaxPollInterval))
		m.quit(act.Late)
	}
	if act.Heartbeat {
		err := m.c.b.Coordinator.Heartbeat(m.ctx, m.c.opts.Group, act.MemberID, m.opts.InstanceID, act.Generation)
		m.tell(func(state *member.Member) { state.Heard(act.Generation, err) })
	}
	m.c.place(m.ctx)
	topics := m.wants.names()
	m.tell(func(state *member.Member) {
		state.Topics(topics, m.lead.reshaped(state.Settled()))
		next = state.NextDeadline()
	})
	if act.Commit {
		m.autoCommit()
	}
	return next
}

// enter and leave enclose a call of Poll.
func (m *membership) enter() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.acting != nil && m.caller == callback.Goroutine() {
		return fmt.Errorf("%w: a callback", log.ErrInCallback)
	}
	m.state.Enter()
	return nil
}

func (m *membership) leave() { m.tell(func(state *member.Member) { state.Leave(time.Now()) }) }

// over reports whether the consumer will never be in the group again.
func (m *membership) over() (over bool) {
	m.tell(func(state *member.Member) { over = state.Over() })
	return over
}

// lost reports whether a partition is to be given up, as others may have it already.
func (m *membership) lost(tp log.TopicPartition) (lost bool) {
	m.tell(func(state *member.Member) { lost = state.Lost(tp) })
	return lost
}

// callsOn reports whether a callback runs on that goroutine.
func (m *membership) callsOn(goroutine uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return goroutine != 0 && m.acting != nil && m.caller == goroutine
}

// step does, inside Poll, what is to be done for the group.
func (m *membership) step(ctx context.Context) error {
	for {
		s := m.next((*member.Member).Next)
		if s.Kind == member.Nothing || s.Kind == member.Fail {
			return s.Err
		}
		m.act(ctx, s)
	}
}

// next asks what to do, and has Close wait for it.
func (m *membership) next(ask func(*member.Member) member.Step) (s member.Step) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s = ask(&m.state); s.Kind != member.Nothing && s.Kind != member.Fail {
		m.acting, m.caller = make(chan struct{}), 0
		if m.callbacks[s.Kind] != nil {
			m.caller = callback.Goroutine()
		}
	}
	return s
}

// act does a step.
func (m *membership) act(ctx context.Context, s member.Step) {
	defer func() { // even if a callback panics
		m.mu.Lock()
		defer m.mu.Unlock()
		close(m.acting)
		m.acting = nil
	}()
	call := func(about []log.TopicPartition) {
		if fn := m.callbacks[s.Kind]; fn != nil {
			fn(ctx, about)
		}
	}
	switch s.Kind {
	case member.Lose:
		m.c.quiesce(s.Partitions, true)
		m.release(s.Partitions)
		call(s.Partitions)
	case member.Examine:
		dead := m.c.dead(s.Partitions)
		m.tell(func(state *member.Member) { state.Examined(dead) })
	case member.Revoke:
		m.c.quiesce(s.Partitions, false)
		call(s.Partitions)
		m.save(ctx, s.Partitions)
		m.release(s.Partitions)
	case member.Assign:
		refused := m.c.acquire(ctx, s.Partitions)
		m.tell(func(state *member.Member) { s.Partitions = state.Assigned(s.Partitions, refused) })
		m.waiter.Wake() // the keeper looks at what happened during the round
		call(s.Partitions)
	case member.Rejoin:
		m.begin()
	case member.Quit:
		m.quit(s.MemberID)
	}
}

func (m *membership) release(tps []log.TopicPartition) {
	m.c.release(tps)
	m.tell(func(state *member.Member) { state.Released(tps) })
}

// quit has the group forget a member, if it has an id.
func (m *membership) quit(memberID string) {
	if memberID == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), m.opts.SessionTimeout) // when that is over, the group knows
	defer cancel()
	_ = m.c.b.Coordinator.Leave(ctx, m.c.opts.Group, []group.LeaveMember{{MemberID: memberID, InstanceID: m.opts.InstanceID}})
}

// end leaves the group, inside Close, after what is done was committed. A static member
// stays: it may come back. Callbacks are given a context that ends with ctx. Others get the partitions even if
// one never returns: when nobody waits for it any more, and not before the time that Close gives it.
func (m *membership) end(ctx context.Context) {
	leave := sync.OnceFunc(m.leaveGroup)
	defer leave() // even if a callback panics
	defer time.AfterFunc(callback.CloseLimit, func() { context.AfterFunc(ctx, leave) }).Stop()
	var acting chan struct{}
	m.tell(func(state *member.Member) { state.Close(); acting = m.acting })
	if acting != nil {
		<-acting
	}
	// A round may be under way: until it is cancelled a commit can wait for it.
	ctx, cancel := context.WithTimeout(ctx, m.opts.SessionTimeout)
	defer cancel()
	last := (*member.Member).Last
	for s := m.next(last); s.Kind != member.Nothing; s = m.next(last) {
		m.act(ctx, s)
	}
}

// leaveGroup is the end of the membership.
func (m *membership) leaveGroup() {
	m.cancel()
	var r *round
	m.tell(func(*member.Member) { r = m.round })
	if r != nil {
		<-r.done // it has joined, or never will
	}
	var id string
	m.tell(func(state *member.Member) { id = state.Closed() })
	m.quit(id)
	m.c.b.Coordinator.Unwatch(m.c.opts.Group, m.waiter)
	m.c.b.Topics.Unwatch(m.waiter)
}

package consumer

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/member"
)

// round is one run of join and sync, which counts while the state has it running.
type round struct {
	number int // see member.Member
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when the state knows the outcome
}

// begin starts a round.
func (m *membership) begin() {
	topics := m.wants.names()
	m.mu.Lock()
	defer m.mu.Unlock()
	number, ok := m.state.Begin(topics)
	if !ok {
		return
	}
	r := &round{number: number, done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(m.ctx)
	m.round = r
	m.c.wg.Go(func() { m.run(r) })
}

// errAssignorLeft is for an assignor that ends the goroutine of the round (runtime.Goexit).
var errAssignorLeft = errors.New("an assignor did not return")

// run is the goroutine of a round. It starts over when the group moves on meanwhile, and ends with
// the consumer.
func (m *membership) run(r *round) {
	var err error
	defer func() {
		if p := (*member.Panic)(nil); errors.As(err, &p) {
			m.c.b.Logger.Error("an assignor panicked", zap.String("group", m.c.opts.Group), zap.Error(err), zap.ByteString("stack", p.Stack))
		}
		m.tell(func(state *member.Member) { state.Fail(r.number, err) })
		r.cancel()
		close(r.done)
	}()
	for again := true; again; {
		var id string
		err = errAssignorLeft // unless try returns
		id, err = m.try(r)
		m.tell(func(state *member.Member) { again = r.ctx.Err() == nil && state.Retry(r.number, id, err) })
	}
}

// try joins the group with what the member wants and owns, assigns if it is the leader, and fetches
// the assignment. With ErrMemberIDRequired comes the id to join with.
func (m *membership) try(r *round) (id string, err error) {
	name := m.c.opts.Group
	_ = m.c.b.Coordinator.Watch(name, m.waiter) // the group may be another one of that name
	var standing member.Standing
	m.tell(func(state *member.Member) { standing = state.Standing() })
	req, err := standing.Request()
	if err != nil {
		return "", err
	}
	resp := m.c.b.Coordinator.Join(r.ctx, name, req)
	if resp.Err != nil {
		return resp.MemberID, resp.Err
	}
	joined := false
	m.tell(func(state *member.Member) { joined = state.Joined(r.number, resp.MemberID, resp.Generation) })
	if !joined {
		return "", member.ErrNotIn // lost meanwhile
	}
	led, err := member.NewLead(resp, m.opts.Assignors, m.lead.shape, func() []group.MemberDescription {
		d, _ := m.c.b.Coordinator.Describe(r.ctx, name)
		return d.Members
	})
	for id, err := range led.Unread {
		m.c.b.Logger.Warn("a member of the group sent a subscription that cannot be read, and gets nothing",
			zap.String("group", name), zap.String("member", id), zap.Error(err))
	}
	if err != nil {
		return "", err
	}
	m.tell(func(state *member.Member) {
		if state.Running(r.number) {
			m.lead.began(led.Shapes)
		}
	})
	synced := m.c.b.Coordinator.Sync(r.ctx, name, group.SyncRequest{
		MemberID: resp.MemberID, InstanceID: m.opts.InstanceID, Generation: resp.Generation,
		ProtocolType: resp.ProtocolType, ProtocolName: resp.ProtocolName, Assignments: led.Assignments,
	})
	if synced.Err != nil {
		return "", synced.Err
	}
	assignment, err := group.DecodeAssignment(synced.Assignment)
	if err == nil {
		m.tell(func(state *member.Member) { state.Synced(r.number, member.Partitions(assignment)) })
	}
	return "", err
}

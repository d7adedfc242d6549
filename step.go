package samsa

import (
	"context"
	"errors"
	"slices"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
)

// step does, inside Poll, what has to be done for the group: it gives up what was lost,
// adopts a new assignment, begins a round. It does not wait for the round.
func (m *member) step(ctx context.Context) error {
	for {
		act, err := m.next()
		if act == nil {
			return err
		}
		m.act(ctx, act)
	}
}

// next chooses what to do, nil if there is nothing, and has Close wait for it.
func (m *member) next() (act func(context.Context), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.round
	switch {
	case m.ended:
		return nil, ErrClosed
	case m.lost:
		act = m.giveUp
	case m.err != nil:
		err = m.err
		if !m.overLocked() {
			m.err = nil // the next Poll tries again
		}
		return nil, err
	case r.running():
		return nil, nil
	case r != nil && r.err != nil:
		m.err = r.err
		act = m.quit
	case r != nil:
		act = func(ctx context.Context) { m.adopt(ctx, r) }
	case m.rejoin:
		act = m.begin
	default:
		return nil, nil
	}
	m.actLocked()
	return act, nil
}

// actLocked says that the calling goroutine is about to act.
func (m *member) actLocked() { m.acting, m.caller = make(chan struct{}), goroutine() }

func (m *member) act(ctx context.Context, act func(context.Context)) {
	defer func() { // even if a callback panics
		m.mu.Lock()
		defer m.mu.Unlock()
		close(m.acting)
		m.acting = nil
	}()
	act(ctx)
}

// over reports whether the consumer will never be in the group again.
func (m *member) over() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.overLocked()
}

func (m *member) overLocked() bool {
	return errors.Is(m.err, ErrFencedInstance) || errors.Is(m.err, ErrClosed) || errors.Is(m.err, ErrFailed)
}

// quit is for a member that cannot take part in the group.
func (m *member) quit(context.Context) {
	m.mu.Lock()
	id := m.id
	m.loseLocked()
	m.mu.Unlock()
	if id != "" && m.opts.InstanceID == "" {
		_ = m.c.b.groups.Leave(m.c.opts.Group, []group.LeaveMember{{MemberID: id}})
	}
}

// giveUp ends the reading of partitions that the group has given to others already.
func (m *member) giveUp(ctx context.Context) {
	m.mu.Lock()
	lost := m.owned
	m.owned, m.last, m.lastIn, m.lost = nil, nil, -1, false
	m.mu.Unlock()
	m.c.release(lost)
	if len(lost) > 0 && m.opts.OnLost != nil {
		m.opts.OnLost(ctx, m.c, lost)
	}
}

// revoke gives partitions up in good order: what is done is committed first, even when
// ctx, which is Poll's, ends.
func (m *member) revoke(ctx context.Context, tps []TopicPartition) {
	if len(tps) == 0 {
		return
	}
	if m.opts.OnRevoked != nil {
		m.opts.OnRevoked(ctx, m.c, tps)
	}
	if !m.opts.ManualCommit {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.opts.SessionTimeout)
		defer cancel()
		if err := m.commit(ctx, func() (map[TopicPartition]group.Offset, error) { return m.c.unsaved(tps) }); err != nil {
			m.c.b.logger.Warn("auto-commit before revocation failed: records will be delivered again",
				zap.String("group", m.c.opts.Group), zap.Error(err))
		}
	}
	m.c.release(tps)
	m.mu.Lock()
	m.owned = without(m.owned, tps)
	m.mu.Unlock()
}

// adopt takes the assignment of a finished round.
func (m *member) adopt(ctx context.Context, r *round) {
	m.mu.Lock()
	owned := m.owned
	m.mu.Unlock()
	revoked := without(owned, r.assigned)
	dead := without(m.c.dead(owned), revoked) // but assigned: of a topic that was created anew
	kept := without(without(owned, revoked), dead)
	added := without(r.assigned, kept)
	m.revoke(ctx, append(slices.Clone(revoked), dead...))
	refused := m.c.acquire(added)
	m.mu.Lock()
	if m.round == r {
		m.round = nil
	}
	m.owned = without(r.assigned, refused)
	m.last, m.lastIn = r.assigned, r.generation
	// What was revoked can go to others only now (KIP-429).
	m.rejoin = m.rejoin || m.cooperative && len(revoked) > 0
	m.mu.Unlock()
	m.waiter.Wake() // the keeper looks at what happened during the round
	if m.opts.OnAssigned != nil {
		m.opts.OnAssigned(ctx, m.c, without(added, refused))
	}
}

// begin starts a round. Eager members have given everything up before it.
func (m *member) begin(ctx context.Context) {
	m.mu.Lock()
	owned := m.owned
	m.mu.Unlock()
	if !m.cooperative {
		m.revoke(ctx, owned)
	}
	topics := m.wants.names()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lost {
		return
	}
	r := &round{done: make(chan struct{})}
	r.ctx, r.cancel = context.WithCancel(m.ctx)
	m.round, m.rejoin, m.subscribed = r, false, topics
	m.c.wg.Go(func() { m.run(r, topics) })
}

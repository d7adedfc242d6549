package group

import (
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Sync asks for the member's assignment, which comes once the leader has synced. The
// leader's Sync makes the group Stable. A newer Sync of a member ends the one that
// waits with ErrRebalanceInProgress.
func (g *Group) Sync(now time.Time, req SyncRequest) Effects {
	t := turn{now: now}
	m, err := g.current(req.MemberID, req.InstanceID, req.Generation)
	switch {
	case err != nil:
	case g.state == PreparingRebalance:
		m.alive(now)
		err = g.wrap(m.id, log.ErrRebalanceInProgress)
	case req.ProtocolType != "" && req.ProtocolType != g.protocolType,
		req.ProtocolName != "" && req.ProtocolName != g.protocolName:
		err = g.wrap(m.id, log.ErrInconsistentProtocol)
	case req.assignments() > maxGroupAssignments:
		err = fmt.Errorf("%w: assignments of %d bytes, at most %d", g.wrap(m.id, log.ErrInvalidOption), req.assignments(), maxGroupAssignments)
	}
	if err != nil {
		t.synced(SyncResponse{Ticket: req.Ticket, Err: err})
		return t.end(g)
	}
	g.refuse(&t, m, m.id, log.ErrRebalanceInProgress)
	m.due, m.sync = false, req.Ticket
	if !slices.ContainsFunc(g.members, func(m *member) bool { return m.due }) {
		g.syncDeadline = time.Time{}
	}
	if g.state == CompletingRebalance && m.id == g.leader {
		for _, m := range g.members {
			m.assignment = req.Assignments[m.id]
		}
		g.state = Stable
		t.persist = true
	}
	if g.state == Stable {
		g.assign(&t)
	}
	return t.end(g)
}

// assignments returns how much the leader assigns, in bytes.
func (r SyncRequest) assignments() (n int) {
	for _, a := range r.Assignments {
		n += len(a)
	}
	return n
}

// assign answers every Sync that waits.
func (g *Group) assign(t *turn) {
	for _, m := range g.members {
		if m.sync == 0 {
			continue
		}
		t.synced(SyncResponse{
			Ticket:       m.sync,
			ProtocolType: g.protocolType,
			ProtocolName: g.protocolName,
			Assignment:   m.assignment,
		})
		m.sync = 0
		m.alive(t.now)
	}
}

// Leave takes members out of the group. The errors are those of the members, in their order.
func (g *Group) Leave(now time.Time, members []LeaveMember) ([]error, Effects) {
	t := turn{now: now}
	errs := make([]error, len(members))
	before := len(g.members)
	for i, l := range members {
		if _, ok := g.pending[l.MemberID]; ok {
			delete(g.pending, l.MemberID)
			continue
		}
		m := g.byInstance[l.InstanceID]
		if m == nil || l.MemberID != "" {
			if m, errs[i] = g.find(l.MemberID, l.InstanceID); errs[i] != nil {
				continue
			}
		}
		t.because(m, "leaves")
		g.remove(&t, m)
	}
	g.settle(&t, len(g.members) < before)
	return errs, t.end(g)
}

// Cancel drops a call whose caller has gone: it gets no answer. The member stays until its
// session ends, and may call again; but not if it never got to know its id.
func (g *Group) Cancel(now time.Time, ticket Ticket) Effects {
	t := turn{now: now}
	i := slices.IndexFunc(g.members, func(m *member) bool { return ticket != 0 && (m.join == ticket || m.sync == ticket) })
	if i < 0 {
		return t.end(g)
	}
	m := g.members[i]
	m.due = m.sync != 0
	m.join, m.sync = 0, 0
	m.alive(now)
	if !m.told && !m.static() {
		t.because(m, "has gone while it joined")
		g.remove(&t, m)
		g.settle(&t, true)
	}
	return t.end(g)
}

// Expire does what time brings: ends sessions, and join and sync phases that took too long.
// Called too early it does nothing.
func (g *Group) Expire(now time.Time) Effects {
	t := turn{now: now}
	for id, lapses := range g.pending {
		if !now.Before(lapses) {
			delete(g.pending, id)
		}
	}
	late := passed(g.syncDeadline, now)
	before := len(g.members)
	for _, m := range slices.Clone(g.members) {
		if m.expired(now) || late && m.due {
			t.because(m, "gave no sign of life")
			g.remove(&t, m)
		}
	}
	g.settle(&t, len(g.members) < before)
	if passed(g.joinDeadline, now) {
		g.joinTimeout(&t)
	}
	return t.end(g)
}

func passed(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// settle follows the removal of members, or of ids that were awaited.
func (g *Group) settle(t *turn, removed bool) {
	if g.state == PreparingRebalance || removed {
		g.rebalance(t)
	}
}

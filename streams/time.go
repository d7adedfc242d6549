package streams

import (
	"fmt"
	"time"

	"github.com/samsa-go/samsa/log"
)

// leave takes a member out, or has a static one keep its place until it comes back or its session ends.
func (g *Group) leave(now time.Time, req Heartbeat) (Answer, Effects, error) {
	m := g.members[req.MemberID]
	if req.InstanceID != "" {
		switch m = g.members[g.static[req.InstanceID]]; {
		case m == nil:
			return Answer{}, Effects{}, g.wrap(req.MemberID, fmt.Errorf("%w: instance %q", log.ErrUnknownMember, req.InstanceID))
		case m.id != req.MemberID:
			return Answer{}, Effects{}, g.wrap(req.MemberID, fmt.Errorf("%w: %q is %q", log.ErrFencedInstance, req.InstanceID, m.id))
		}
	}
	if m == nil {
		return Answer{}, Effects{}, g.wrap(req.MemberID, log.ErrUnknownMember)
	}
	if req.Shutdown && g.shutdown == "" {
		g.shutdown = m.id
	}
	answer := Answer{MemberID: m.id, Epoch: req.Epoch}
	if req.Epoch != leftForNow {
		return answer, g.remove(now, m), nil
	}
	away := *m
	away.epoch, away.revoking, away.has = leftForNow, newTasks(), m.has.clone()
	for t := range away.has[Active] {
		away.has[Active][t] = 0 // what it is given of them when it comes back is as old as its first epoch
	}
	g.put(&away)
	g.live[m.id].revokeBy = time.Time{}
	s := g.Snapshot()
	return answer, Effects{Persist: &s}, nil
}

// remove takes a member out of the group.
func (g *Group) remove(now time.Time, m *member) Effects {
	g.drop(m.id)
	g.epoch++
	if len(g.members) == 0 {
		g.assignmentEpoch, g.assignedAt, g.emptySince = g.epoch, time.Time{}, now
	}
	s := g.Snapshot()
	return Effects{Persist: &s}
}

// Expire does what time brings: it makes the first target when its delay is over, and takes out members that are not
// heard of any more, or take too long to give up tasks. Called too early it does nothing. Gone names who was taken
// out, and why.
func (g *Group) Expire(now time.Time) (gone []Gone, e Effects) {
	if passed(g.delayUntil, now) {
		g.delayUntil = time.Time{}
		if len(g.members) > 0 && g.epoch > g.assignmentEpoch && g.configured != nil {
			g.retarget(now, g.offsets)
			s := g.Snapshot()
			e = Effects{Persist: &s, Rebalanced: "the initial delay is over"}
		}
	}
	for _, id := range sortedMembers(g.members) {
		switch l := g.live[id]; {
		case passed(l.expires, now):
			gone = append(gone, Gone{id, "its session has ended"})
		case passed(l.revokeBy, now):
			gone = append(gone, Gone{id, "it has not given up tasks in time"})
		default:
			continue
		}
		e.Persist = g.remove(now, g.members[id]).Persist
	}
	return gone, e
}

// Gone is a member that was taken out.
type Gone struct{ MemberID, Reason string }

func passed(deadline, now time.Time) bool { return !deadline.IsZero() && !now.Before(deadline) }

// EmptySince returns when the last member has gone; zero if there never was one. It is false if there are members.
func (g *Group) EmptySince() (time.Time, bool) { return g.emptySince, len(g.members) == 0 }

// NextDeadline returns when Expire has something to do.
func (g *Group) NextDeadline() (next time.Time, ok bool) {
	sooner := func(d time.Time) {
		if !d.IsZero() && (!ok || d.Before(next)) {
			next, ok = d, true
		}
	}
	sooner(g.delayUntil)
	for _, l := range g.live {
		sooner(l.expires)
		sooner(l.revokeBy)
	}
	return next, ok
}

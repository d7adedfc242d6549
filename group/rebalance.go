package group

import (
	"slices"
	"time"

	"github.com/samsa-go/samsa/log"
)

// rebalance begins a join phase, unless one is under way, and ends it if nobody is missing.
func (g *Group) rebalance(t *turn) {
	if g.state != PreparingRebalance {
		g.prepare(t)
	}
	if g.complete() {
		g.nextGeneration(t)
	}
}

// prepare begins a join phase. Assignments stay until it ends: members own what they have
// until they join.
func (g *Group) prepare(t *turn) {
	for _, m := range g.members {
		if m.sync != 0 {
			m.alive(t.now)
			t.synced(SyncResponse{Ticket: m.sync, Err: g.wrap(m.id, log.ErrRebalanceInProgress)})
			m.sync = 0
		}
	}
	g.syncDeadline = time.Time{}
	g.joinDeadline = t.now.Add(g.rebalanceTimeout())
	if g.initial = g.state == Empty; g.initial {
		g.grown = false
		g.initialEnd = g.joinDeadline
		g.joinDeadline = t.now.Add(g.rules.InitialDelay)
	}
	g.state, g.why = PreparingRebalance, t.why
	g.emptySince = time.Time{}
}

// complete says whether the join phase has nobody to wait for.
func (g *Group) complete() bool {
	switch {
	case len(g.members) == 0:
		return true
	case g.initial:
		return g.rules.InitialDelay <= 0 || len(g.pending) == 0 && !slices.ContainsFunc(g.members, func(m *member) bool { return !m.local })
	default:
		return len(g.pending) == 0 && !slices.ContainsFunc(g.members, func(m *member) bool { return m.join == 0 })
	}
}

// joinTimeout is due when joinDeadline has passed.
func (g *Group) joinTimeout(t *turn) {
	if g.initial && g.grown && t.now.Before(g.initialEnd) {
		g.grown = false
		g.joinDeadline = t.now.Add(g.rules.InitialDelay)
		if g.joinDeadline.After(g.initialEnd) {
			g.joinDeadline = g.initialEnd
		}
		return
	}
	g.nextGeneration(t)
}

// nextGeneration ends the join phase without those who did not join. Static members stay
// though, until their sessions end.
func (g *Group) nextGeneration(t *turn) {
	for _, m := range slices.Clone(g.members) {
		if m.join == 0 && !m.static() {
			g.remove(t, m)
		}
	}
	g.initial = false
	if !g.electLeader() {
		g.joinDeadline = t.now.Add(g.rebalanceTimeout()) // nobody could assign
		return
	}
	g.joinDeadline = time.Time{}
	g.generation++
	t.persist, t.effects.Rebalanced = true, g.why
	if len(g.members) == 0 {
		g.state, g.protocolName, g.emptySince = Empty, "", t.now
		return
	}
	g.state, g.protocolName = CompletingRebalance, g.selectProtocol()
	g.syncDeadline = t.now.Add(g.rebalanceTimeout())
	for _, m := range g.members {
		m.assignment = nil
		if m.due = m.join != 0; m.due {
			g.tell(t, m, m.join)
		}
	}
}

// electLeader keeps the leader if it has joined, else takes the longest-standing member
// that has. It fails if there are members and none has.
func (g *Group) electLeader() bool {
	if len(g.members) == 0 || g.byID[g.leader].join != 0 {
		return true
	}
	i := slices.IndexFunc(g.members, func(m *member) bool { return m.join != 0 })
	if i >= 0 {
		g.leader = g.members[i].id
	}
	return i >= 0
}

// remove puts a member out. A rebalance is up to the caller.
func (g *Group) remove(t *turn, m *member) {
	g.refuse(t, m, m.id, log.ErrUnknownMember)
	delete(g.byID, m.id)
	if m.static() {
		delete(g.byInstance, m.instance)
		t.persist = true // or it would be back after a restart of the broker
	}
	g.members = slices.DeleteFunc(g.members, func(other *member) bool { return other == m })
	if g.leader == m.id {
		g.leader = ""
		if len(g.members) > 0 {
			g.leader = g.members[0].id
		}
	}
}

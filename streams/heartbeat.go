package streams

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// turn is one heartbeat on its way. Nothing of the group changes until all is checked.
type turn struct {
	now      time.Time
	req      Heartbeat
	env      Surroundings
	before   *member // the member as it was; a new one, or a copy of the one it replaces, when it joins
	member   *member // as it is to be
	replaces string  // the static member whose place it takes, "" for nobody
	topology *Topology
	statuses []Status
	due      time.Duration // until an assignment may be made that waits; 0 if none does

	configured  *Configured
	fingerprint uint64
	validated   int32
	why         string // the epoch rises; "" if it does not
	changed     bool   // something is to be stored
}

func (t *turn) tell(code StatusCode, format string, args ...any) {
	t.statuses = append(t.statuses, Status{code, fmt.Sprintf(format, args...)})
}

// because notes why the epoch rises. The first reason counts.
func (t *turn) because(why string) {
	if t.why == "" {
		t.why = why
	}
}

// Heartbeat takes what a member says of itself, and answers what it has and is to have. With an error the group is as it
// was:
//
//   - ErrGroupFull, ErrFencedInstance, ErrUnreleasedInstance of who joins;
//   - ErrUnknownMember, ErrFencedMemberEpoch: it gives up all tasks and joins anew;
//   - ErrInvalidHeartbeat, ErrInvalidTopology: it says what cannot be.
func (g *Group) Heartbeat(now time.Time, req Heartbeat, env Surroundings) (Answer, Effects, error) {
	if req.Epoch < joinEpoch {
		return g.leave(now, req)
	}
	t := &turn{now: now, req: req, env: env, validated: noTopology}
	if err := g.admit(t); err != nil {
		return Answer{}, Effects{}, err
	}
	g.update(t)
	err := t.checkSize()
	if err == nil {
		err = g.chooseTopology(t)
	}
	if err == nil {
		err = g.configure(t)
	}
	if err == nil {
		err = t.checkTasks()
	}
	if err != nil {
		return Answer{}, Effects{}, g.wrap(req.MemberID, err)
	}
	return g.apply(t)
}

// admit finds the member, or makes one.
func (g *Group) admit(t *turn) error {
	req, joins := t.req, t.req.Epoch == joinEpoch
	static := g.members[g.static[req.InstanceID]]
	known := g.members[req.MemberID]
	most := maxMembers
	if configured := t.env.Config.MaxMembers; configured > 0 {
		most = min(most, configured)
	}
	if joins && static == nil && known == nil && len(g.members) >= most {
		return g.wrap(req.MemberID, fmt.Errorf("%w: %d members", log.ErrGroupFull, most))
	}
	if req.InstanceID != "" {
		switch {
		case joins && static != nil && static.epoch != leftForNow:
			return g.wrap(req.MemberID, fmt.Errorf("%w: %q is %q", log.ErrUnreleasedInstance, req.InstanceID, static.id))
		case joins && static != nil:
			again := *static
			again.id, again.epoch, again.previous = req.MemberID, 0, 0
			t.before, t.replaces, t.changed = &again, static.id, true
			return nil
		case !joins && static == nil:
			return g.wrap(req.MemberID, fmt.Errorf("%w: instance %q", log.ErrUnknownMember, req.InstanceID))
		case !joins && static.id != req.MemberID:
			return g.wrap(req.MemberID, fmt.Errorf("%w: %q is %q", log.ErrFencedInstance, req.InstanceID, static.id))
		}
	}
	if t.before = known; known == nil {
		if !joins {
			return g.wrap(req.MemberID, log.ErrUnknownMember)
		}
		t.before = &member{id: req.MemberID, topologyEpoch: noTopology, has: newTasks(), revoking: newTasks(), target: newTasks()}
	}
	return g.checkEpoch(known, req)
}

// checkEpoch refuses who has missed something, or was another member. One whose last answer was lost may repeat its
// epoch before, if it has no more than it was given.
func (g *Group) checkEpoch(m *member, req Heartbeat) error {
	if req.Epoch == joinEpoch || req.Epoch == m.epoch {
		return nil
	}
	if req.Epoch == m.previous && req.Epoch < m.epoch && req.Owned != nil && m.has.holds(*req.Owned) {
		return nil
	}
	return g.wrap(m.id, fmt.Errorf("%w: it says %d and has %d", log.ErrFencedMemberEpoch, req.Epoch, m.epoch))
}

// update makes the member what it says of itself. A member that is not static moves the epoch with every change, a
// static one with what counts for its tasks.
func (g *Group) update(t *turn) {
	req, m := t.req, *t.before
	set := func(s *string, to string) {
		if to != "" {
			*s = to
		}
	}
	set(&m.instance, req.InstanceID)
	set(&m.rack, req.RackID)
	set(&m.process, req.ProcessID)
	m.clientID, m.clientHost = req.ClientID, req.ClientHost
	if req.RebalanceTimeout > 0 {
		m.rebalance = req.RebalanceTimeout
	}
	if req.Topology != nil {
		m.topologyEpoch = req.Topology.Epoch
	}
	if req.Tags != nil {
		m.tags = req.Tags
	}
	switch {
	case req.Endpoint != nil:
		m.endpoint = *req.Endpoint
	case req.Epoch == joinEpoch:
		m.endpoint = Endpoint{}
	}
	b := t.before
	t.member = b
	counts := m.topologyEpoch != b.topologyEpoch || m.rack != b.rack || m.process != b.process || !maps.Equal(m.tags, b.tags)
	if counts || m.clientID != b.clientID || m.clientHost != b.clientHost || m.rebalance != b.rebalance || m.endpoint != b.endpoint || m.instance != b.instance {
		t.changed, t.member = true, &m
		if counts || req.InstanceID == "" {
			t.because("a member is new or another: " + m.id)
		}
	}
}

// checkSize refuses a member that says too much of itself.
func (t *turn) checkSize() error {
	m := t.member
	if len(m.id) > store.MaxMemberID {
		return fmt.Errorf("%w: an id of %d bytes, at most %d", log.ErrInvalidHeartbeat, len(m.id), store.MaxMemberID)
	}
	n := len(m.id) + len(m.instance) + len(m.rack) + len(m.clientID) + len(m.process) + len(m.endpoint.Host)
	for key, value := range m.tags {
		n += len(key) + len(value)
	}
	if n > maxMemberBytes {
		return fmt.Errorf("%w: %d bytes of names and tags, at most %d", log.ErrInvalidHeartbeat, n, maxMemberBytes)
	}
	if n := max(len(t.req.Offsets), len(t.req.Ends)); n > maxTasks {
		return fmt.Errorf("%w: offsets of %d tasks, at most %d", log.ErrInvalidHeartbeat, n, maxTasks)
	}
	return nil
}

// chooseTopology finds the topology of the group, which the first member brings.
func (g *Group) chooseTopology(t *turn) error {
	given := t.req.Topology
	t.topology = g.topology
	switch {
	case given == nil && t.req.Epoch == joinEpoch:
		return fmt.Errorf("%w: who joins has a topology", log.ErrInvalidHeartbeat)
	case g.topology == nil:
		t.topology, t.changed = given, true
		return nil
	case given != nil && given.Epoch >= g.topology.Epoch && !given.equal(g.topology):
		return fmt.Errorf("%w: topology updates are not supported, the group has one of epoch %d", log.ErrInvalidHeartbeat, g.topology.Epoch)
	}
	if has := t.member.topologyEpoch; has < g.topology.Epoch {
		t.tell(StaleTopology, "The member's topology epoch %d is behind the group's topology epoch %d.", has, g.topology.Epoch)
	}
	return nil
}

// configure looks whether the topics have changed, and what that makes of the topology.
func (g *Group) configure(t *turn) error {
	t.fingerprint = t.env.print(t.topology.required())
	t.configured = g.configured
	if moved := t.fingerprint != g.fingerprint; moved || g.configured == nil || g.topology == nil {
		if moved {
			t.because("topics have changed")
		}
		c, err := Configure(t.topology, t.env.topics)
		if err != nil {
			return err
		}
		t.configured = &c
	}
	if t.configured.Problem == nil {
		t.validated = t.topology.Epoch
	}
	if t.validated != g.validated {
		t.because("the topology can be assigned, or no more")
	}
	if c := t.env.Config; c.Standbys != g.standbys || !slices.Equal(c.RackAwareTags, g.tags) {
		t.because("configs have changed")
	}
	return nil
}

// checkTasks refuses tasks that there are not.
func (t *turn) checkTasks() error {
	if t.req.Owned == nil || t.configured.Problem != nil {
		return nil
	}
	for _, s := range t.req.Owned {
		for _, id := range s.Sorted() {
			sub := t.configured.find(id.Subtopology)
			if sub == nil {
				return fmt.Errorf("%w: the topology has no subtopology %q", log.ErrInvalidHeartbeat, id.Subtopology)
			}
			if id.Partition < 0 || id.Partition >= sub.Tasks {
				return fmt.Errorf("%w: task %s, subtopology %q has %d", log.ErrInvalidHeartbeat, id, sub.ID, sub.Tasks)
			}
		}
	}
	return nil
}

// apply changes the group, and answers.
func (g *Group) apply(t *turn) (Answer, Effects, error) {
	wasEmpty, holders := len(g.members) == 0, g.holdersFor(t)
	g.topology, g.configured = t.topology, t.configured
	if t.why != "" {
		t.changed = true
		g.epoch++
		g.fingerprint, g.validated = t.fingerprint, t.validated
		g.standbys, g.tags = t.env.Config.Standbys, slices.Clone(t.env.Config.RackAwareTags)
	}
	if delay := t.env.Config.InitialDelay; wasEmpty && delay > 0 && g.delayUntil.IsZero() {
		g.delayUntil = t.now.Add(delay)
	}
	if t.replaces != "" {
		offsets := g.live[t.replaces]
		g.drop(t.replaces)
		g.live[t.member.id] = offsets
	}
	g.put(t.member)
	g.emptySince = time.Time{}
	g.noteOffsets(t)
	target, retargeted := g.target(t)
	m := g.members[t.req.MemberID]
	if !m.reconciled(g.assignmentEpoch) {
		r := reconciling{m: m, target: target, epoch: g.assignmentEpoch, owned: t.req.Owned, holders: holders}
		if next := r.next(); next != m {
			t.changed = true
			g.put(next)
			m = next
		}
	}
	g.alive(t, m)
	if t.req.Shutdown && g.shutdown == "" {
		g.shutdown = m.id
	}
	answer := g.answer(t, m)
	var e Effects
	if retargeted {
		e.Rebalanced = t.why
	}
	if t.changed {
		s := g.Snapshot()
		e.Persist = &s
	}
	return answer, e, nil
}

// holdersFor returns who has tasks before the heartbeat, if the member may have to know it.
func (g *Group) holdersFor(t *turn) (h [roles]map[TaskID][]string) {
	if t.why == "" && g.epoch == g.assignmentEpoch && t.before.reconciled(g.assignmentEpoch) {
		return h
	}
	return g.holders()
}

func (g *Group) noteOffsets(t *turn) {
	l := g.live[t.member.id]
	if t.req.Offsets != nil {
		l.offsets = t.req.Offsets
	}
	if t.req.Ends != nil {
		l.ends = t.req.Ends
	}
}

// target returns what the member is to have, after it has made a new target if it is the time for that.
func (g *Group) target(t *turn) (target Tasks, retargeted bool) {
	if t.now.Before(g.delayUntil) {
		t.due = g.delayUntil.Sub(t.now)
		t.tell(AssignmentDelayed, "Assignment delayed due to the configured initial rebalance delay.")
		return newTasks(), false
	}
	g.delayUntil = time.Time{}
	if g.epoch > g.assignmentEpoch {
		if interval := t.env.Config.AssignmentInterval; !g.assignedAt.IsZero() && t.now.Before(g.assignedAt.Add(interval)) {
			t.due = g.assignedAt.Add(interval).Sub(t.now)
			t.tell(AssignmentDelayed, "Assignment delayed due to the configured assignment interval.")
		} else {
			g.retarget(t.now, g.offsets)
			t.changed, retargeted = true, true
			t.because("a member has gone, or its change was waiting")
		}
	}
	return g.members[t.req.MemberID].target, retargeted
}

// alive notes that the member is there.
func (g *Group) alive(t *turn, m *member) {
	l := g.live[m.id]
	l.expires = t.now.Add(t.env.Config.SessionTimeout)
	switch {
	case m.state != unrevoked:
		l.revokeBy = time.Time{}
	case l.revokeBy.IsZero() || m.epoch != t.before.epoch || t.before.state != unrevoked:
		l.revokeBy = t.now.Add(m.rebalance)
	}
}

// answer makes what the member is told of m, which is what it is now.
func (g *Group) answer(t *turn, m *member) Answer {
	joins := t.req.Epoch == joinEpoch
	a := Answer{MemberID: m.id, Epoch: m.epoch, Due: t.due}
	moved := !m.has.equal(t.before.has)
	if joins || moved {
		tasks := m.has.clone()
		a.Tasks = &tasks
	}
	if m.endpoint != t.before.endpoint || moved && m.endpoint != (Endpoint{}) {
		g.endpointEpoch++
	}
	if a.EndpointEpoch = g.endpointEpoch; a.EndpointEpoch != t.req.EndpointEpoch {
		a.TellEndpoints, a.Endpoints = true, g.endpoints(t.env.topics)
	}
	if p := g.configured.Problem; p != nil {
		t.statuses = append(t.statuses, *p)
		a.Create = g.configured.Create
	}
	if g.shutdown != "" {
		t.tell(ShutdownApplication, "Streams group member %s encountered a fatal error and requested a shutdown for the entire application.", g.shutdown)
	}
	if lacks := g.lacking(m); t.req.CheckTags && len(lacks) > 0 {
		t.tell(MissingClientTags, "Missing required client tags for rack-aware standby assignment: [%s]. "+
			"Configure them via 'client.tag.<tagKey>' in your Streams config.", strings.Join(lacks, ", "))
	}
	a.Statuses = t.statuses
	return a
}

// lacking returns the tags that the config wants and the member has not.
func (g *Group) lacking(m *member) (tags []string) {
	for _, tag := range g.tags {
		if _, ok := m.tags[tag]; !ok {
			tags = append(tags, tag)
		}
	}
	return tags
}

package streams

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// AssignorName is the name of the only assignor that there is.
const AssignorName = "sticky"

// assignMember is a member as the assignor sees it.
type assignMember struct {
	id, process string
	has         Tasks            // what it has now
	offsets     map[TaskID]int64 // how much it has of the state of tasks, as it has told: those that lie on its disk too
}

// assign says which tasks each member is to have: all are active somewhere, those with a state have so many standbys
// beside, as far as there are processes that have not the task yet. What counts, in this order:
//
//   - members have equally many active tasks, but for one, and are given no more while others have fewer;
//   - a task stays where it is active; else it goes to one who has it as a standby, or its state on disk, the
//     most of it first;
//   - what is left goes to the member with the fewest tasks.
//
// Standbys are placed in the same way, where the task has been active before first. The result depends on nothing but the
// arguments.
func assign(members []assignMember, subs []ConfiguredSubtopology, standbys int) map[string]Tasks {
	a := newAssigning(members, subs, standbys)
	a.assignActive(subs)
	if standbys > 0 {
		a.assignStandbys(subs, standbys)
	}
	result := make(map[string]Tasks, len(members))
	for _, m := range a.members {
		result[m.id] = m.gets
	}
	return result
}

type assigning struct {
	members     []*assignee // by id
	active      map[TaskID]*assignee
	copies      map[TaskID][]*assignee // who has a standby or state on disk, the best first
	activeQuota quota
	quota       quota
}

// assignee is a member that is given tasks.
type assignee struct {
	*assignMember
	at   *process
	gets Tasks
	n    int // tasks it gets
}

// process is the members that share a disk: a task has one role there.
type process struct {
	members int
	tasks   map[TaskID]struct{}
	n       int // tasks its members get
}

// load is tasks a member.
func (p *process) load() float64 { return float64(p.n) / float64(p.members) }

func (p *process) has(t TaskID) bool {
	_, ok := p.tasks[t]
	return ok
}

// quota is how many tasks a member gets at most: an equal share of what is left among those who have not theirs.
type quota struct{ tasks, members, each int }

func newQuota(tasks, members int) quota {
	q := quota{tasks: tasks, members: members}
	q.share()
	return q
}

func (q *quota) share() {
	q.each = 0
	if q.members > 0 {
		q.each = (q.tasks + q.members - 1) / q.members
	}
}

// given notes that a member has n tasks now.
func (q *quota) given(n int) {
	if n == q.each {
		q.members, q.tasks = q.members-1, q.tasks-n
		q.share()
	}
}

func newAssigning(members []assignMember, subs []ConfiguredSubtopology, standbys int) *assigning {
	a := &assigning{active: make(map[TaskID]*assignee), copies: make(map[TaskID][]*assignee)}
	active, all := 0, 0
	for i := range subs {
		active += int(subs[i].Tasks)
		all += int(subs[i].Tasks)
		if subs[i].stateful() {
			all += int(subs[i].Tasks) * standbys
		}
	}
	a.activeQuota, a.quota = newQuota(active, len(members)), newQuota(all, len(members))
	byProcess := make(map[string]*process)
	for i := range members {
		m := &assignee{assignMember: &members[i], gets: newTasks()}
		p := byProcess[m.process]
		if p == nil {
			p = &process{tasks: make(map[TaskID]struct{})}
			byProcess[m.process] = p
		}
		m.at = p
		p.members++
		a.members = append(a.members, m)
	}
	slices.SortFunc(a.members, func(a, b *assignee) int { return strings.Compare(a.id, b.id) })
	a.remember()
	return a
}

// remember finds who has tasks or their state now.
func (a *assigning) remember() {
	for _, m := range a.members {
		for t := range m.has[Active] {
			a.active[t] = m
		}
		for t := range m.has[Standby] {
			a.copies[t] = append(a.copies[t], m)
		}
		for t := range m.offsets {
			if !m.has[Standby].has(t) {
				a.copies[t] = append(a.copies[t], m)
			}
		}
	}
	for t, ms := range a.copies {
		slices.SortStableFunc(ms, func(a, b *assignee) int {
			if as, bs := a.has[Standby].has(t), b.has[Standby].has(t); as != bs {
				if as {
					return -1
				}
				return 1
			}
			return cmp.Compare(b.offsets[t], a.offsets[t])
		})
	}
}

// give gives a task to a member.
func (a *assigning) give(m *assignee, t TaskID, role Role) {
	m.gets[role][t] = 0
	m.at.tasks[t] = struct{}{}
	m.n++
	m.at.n++
	if role == Active {
		a.activeQuota.given(m.n)
	}
	a.quota.given(m.n)
}

// tasksOf returns the tasks of all subtopologies, or of those with a state, by partition.
func tasksOf(subs []ConfiguredSubtopology, stateful bool) []TaskID {
	var all []TaskID
	for i := range subs {
		if stateful && !subs[i].stateful() {
			continue
		}
		for n := range subs[i].Tasks {
			all = append(all, TaskID{subs[i].ID, n})
		}
	}
	slices.SortFunc(all, byPartition)
	return all
}

func byPartition(a, b TaskID) int {
	return cmp.Or(cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Subtopology, b.Subtopology))
}

func (a *assigning) assignActive(subs []ConfiguredSubtopology) {
	tasks := slices.DeleteFunc(tasksOf(subs, false), func(t TaskID) bool {
		return a.giveWithin(a.activeQuota, a.active[t], t, Active)
	})
	tasks = slices.DeleteFunc(tasks, func(t TaskID) bool {
		return a.giveWithin(a.activeQuota, idlestOf(a.copies[t], func(*process) bool { return true }), t, Active)
	})
	slices.SortFunc(tasks, compareTasks)
	for _, t := range tasks {
		if m := a.idlest(func(*process) bool { return true }); m != nil {
			a.give(m, t, Active)
		}
	}
}

// giveWithin gives a task to a member, nil for none, that has not its share yet.
func (a *assigning) giveWithin(q quota, m *assignee, t TaskID, role Role) bool {
	if m == nil || m.n >= q.each {
		return false
	}
	a.give(m, t, role)
	return true
}

// idlestOf returns the first of ms, whose process satisfies may, but for a later one of which the process and the member
// have less to do; nil when there is none.
func idlestOf(ms []*assignee, may func(*process) bool) (idlest *assignee) {
	for _, m := range ms {
		if may(m.at) && (idlest == nil || m.at.load() < idlest.at.load() && m.n < idlest.n) {
			idlest = m
		}
	}
	return idlest
}

// idlest returns the member with the fewest tasks of those whose process satisfies may, of several the one whose process has
// the fewest a member; nil when there is none. Kafka's asks for the process first, and then members that have nothing
// stay so beside others that have two.
func (a *assigning) idlest(may func(*process) bool) (idlest *assignee) {
	for _, m := range a.members {
		if may(m.at) && (idlest == nil || m.n < idlest.n || m.n == idlest.n && m.at.load() < idlest.at.load()) {
			idlest = m
		}
	}
	return idlest
}

func (a *assigning) assignStandbys(subs []ConfiguredSubtopology, standbys int) {
	tasks := tasksOf(subs, true)
	slices.Reverse(tasks)
	left := make(map[TaskID]int)
	for _, t := range tasks {
		lacks := func(p *process) bool { return !p.has(t) }
		left[t] = standbys
		for left[t] > 0 {
			before := a.active[t]
			if before != nil && !lacks(before.at) {
				before = nil
			}
			if !a.giveWithin(a.quota, before, t, Standby) && !a.giveWithin(a.quota, idlestOf(a.copies[t], lacks), t, Standby) {
				break
			}
			left[t]--
		}
	}
	slices.SortFunc(tasks, func(a, b TaskID) int { return compareTasks(b, a) })
	for _, t := range tasks {
		for ; left[t] > 0; left[t]-- {
			m := a.idlest(func(p *process) bool { return !p.has(t) })
			if m == nil {
				break // there are fewer processes than copies
			}
			a.give(m, t, Standby)
		}
	}
}

// sortedMembers returns ids in their order.
func sortedMembers[M any](m map[string]M) []string { return slices.Sorted(maps.Keys(m)) }

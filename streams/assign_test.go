package streams

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// readTask reads a0, which is task 0 of subtopology a.
func readTask(text string) TaskID {
	n, err := strconv.Atoi(text[1:])
	if err != nil {
		panic(err)
	}
	return TaskID{text[:1], int32(n)}
}

// readMembers reads "m1@p1 a0 a1 / a2 ! a3=100, m2@p2": active tasks, standbys behind the slash, and then the offsets of
// states on disk.
func readMembers(text string) []assignMember {
	var members []assignMember
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Fields(part)
		id, process, _ := strings.Cut(words[0], "@")
		m := assignMember{id: id, process: process, has: newTasks(), offsets: make(map[TaskID]int64)}
		role, disk := Active, false
		for _, w := range words[1:] {
			switch {
			case w == "/":
				role = Standby
			case w == "!":
				disk = true
			case disk:
				t, offset, _ := strings.Cut(w, "=")
				n, err := strconv.ParseInt(offset, 10, 64)
				if err != nil {
					panic(err)
				}
				m.offsets[readTask(t)] = n
			default:
				m.has[role][readTask(w)] = 1
			}
		}
		members = append(members, m)
	}
	return members
}

// readSubs reads "a3 B2": subtopology a has 3 tasks, and b, which is stateful, 2.
func readSubs(text string) []ConfiguredSubtopology {
	var subs []ConfiguredSubtopology
	for w := range strings.FieldsSeq(text) {
		t := readTask(w)
		s := ConfiguredSubtopology{Subtopology: Subtopology{ID: strings.ToLower(t.Subtopology)}, Tasks: t.Partition}
		if s.ID != t.Subtopology {
			s.Changelogs = []InternalTopic{{Name: s.ID + "-changelog"}}
		}
		subs = append(subs, s)
	}
	return subs
}

// tellTasks is the opposite of readMembers, for tasks: active ones, and standbys behind a slash.
func tellTasks(t Tasks) string {
	var words []string
	for role, mark := range []string{"", "/", "~"} {
		if len(t[role]) > 0 && mark != "" {
			words = append(words, mark)
		}
		for _, id := range t[role].Sorted() {
			words = append(words, fmt.Sprint(id.Subtopology, id.Partition))
		}
	}
	return strings.Join(words, " ")
}

func tellAssignment(given map[string]Tasks) string {
	var parts []string
	for _, id := range sortedMembers(given) {
		parts = append(parts, strings.TrimSpace(id+" "+tellTasks(given[id])))
	}
	return strings.Join(parts, ", ")
}

// The cases are those of Kafka's own tests of its assignor, and what they ask for is true of each answer here. Where Kafka
// has a choice that depends on the order of a hash map, ours is that of the names.
func TestAssign(t *testing.T) {
	for _, c := range []struct {
		name, members, subs string
		standbys            int
		want                string
	}{
		{"as many tasks as processes", "m1@1, m2@2, m3@3", "a3", 0, "m1 a0, m2 a1, m3 a2"},
		{"two threads a process", "m1@1, m2@1, m3@2, m4@2, m5@3, m6@3", "a3 b3", 0, "m1 a0, m2 b0, m3 a1, m4 b1, m5 a2, m6 b2"},
		{"two threads a process, standbys", "m1@1, m2@1, m3@2, m4@2, m5@3, m6@3", "A3 B3", 1,
			"m1 a0 / b2, m2 b0 / a2, m3 a1 / b0, m4 b1 / a0, m5 a2 / b1, m6 b2 / a1"},
		{"nothing moves to others", "m1@1 a0, m2@2 a1", "a3", 0, "m1 a0 a2, m2 a1"},
		{"nor when members are others", "m2@2 a1, m3@1 a2", "a3", 0, "m2 a0 a1, m3 a2"},
		{"a new process gets what is too much", "m1@1 a0 a2, m2@2 a1, m3@3", "a3", 0, "m1 a0, m2 a1, m3 a2"},
		{"capacity", "m1@1, m2@2, m3@2", "a3", 0, "m1 a0, m2 a1, m3 a2"},
		{"unequal subtopologies", "m1@1 a0 a1 a2 a3 a4 a5 b0, m2@2", "a6 b1", 0, "m1 a0 a1 a2 b0, m2 a3 a4 a5"},
		{"more members than tasks", "m1@1 a0, m2@2 a2, m3@3 a1, m4@4, m5@5", "a3", 0, "m1 a0, m2 a2, m3 a1, m4, m5"},
		{"and others have them", "m1@1, m2@2 a0, m3@3, m4@4 a2, m5@5 a1", "a3", 0, "m1, m2 a0, m3, m4 a2, m5 a1"},
		{"standbys become active", "m1@1 / a2, m2@2 / a1, m3@3 / a0", "a3", 0, "m1 a2, m2 a1, m3 a0"},
		{"and others their standbys", "m1@1 / a0, m2@2 / a1", "A2", 1, "m1 a0 / a1, m2 a1 / a0"},
		{"standbys of who has enough", "m1@1 a0 / a1, m2@2 a2 / a1, m3@2", "a3", 0, "m1 a0, m2 a2, m3 a1"},
		{"standbys are elsewhere", "m1@1 a0, m2@2 a1, m3@3 a2, m4@4 a3", "A4", 1, "m1 a0 / a3, m2 a1 / a2, m3 a2 / a1, m4 a3 / a0"},
		{"several standbys", "m1@1 a0, m2@2 a1, m3@3 a2", "A3", 2, "m1 a0 / a1 a2, m2 a1 / a0 a2, m3 a2 / a0 a1"},
		{"nowhere for a standby", "m1@1", "A1", 1, "m1 a0"},
		{"standbys from nothing", "m1@1, m2@2, m3@3", "A3", 1, "m1 a0 / a2, m2 a1 / a0, m3 a2 / a1"},
		{"one for each process", "m1@1, m2@1, m3@1, m4@2, m5@3", "a3", 0, "m1 a0, m2, m3, m4 a1, m5 a2"},
		{"more processes than tasks", "m1@1, m2@2, m3@3, m4@4, m5@5, m6@6", "a3", 0, "m1 a0, m2 a1, m3 a2, m4, m5, m6"},
		{"standbys go to who has nothing", "m1@1, m2@2, m3@3, m4@4, m5@5, m6@6", "A3", 1, "m1 a0, m2 a1, m3 a2, m4 / a2, m5 / a1, m6 / a0"},
		{"more for more threads", "m1@1, m2@2, m3@2", "a3 b3 c3 d3", 0, "m1 a0 b0 c0 d0, m2 a1 b1 c1 d1, m3 a2 b2 c2 d2"},
		{"one has all", "m1@1, m2@2, m3@3 a0 a1 a2 a3, m4@4", "a4", 0, "m1 a1, m2 a2, m3 a0, m4 a3"},
		{"one has all, and there are fewer", "m1@1, m2@2, m3@3 a0 a1 a2 a3", "a4", 0, "m1 a2, m2 a3, m3 a0 a1"},
		{"by capacity", "m2@2 a0 a2 a3, m3@3, m4@3", "a3", 0, "m2 a0, m3 a1, m4 a2"},
		{"as few as possible move", "m1@1 a0 a2, m2@2 a1 a3, m3@3", "a4", 0, "m1 a0 a2, m2 a1, m3 a3"},
		{"new tasks", "m1@1 a0 a1, m2@2 a2 a3", "a6", 0, "m1 a0 a1 a4, m2 a2 a3 a5"},
		{"new tasks and a new member", "m1@1 a1 a2, m2@2 a0 a3, m3@3", "a6", 0, "m1 a1 a2, m2 a0 a3, m3 a4 a5"},
		{"who had the standbys of what is left", "m1@1 a1 b2 b3 / a0 b1 c0 c1 c3, m2@2 a0 b1 c2 / a1 a2 a3 b0 b2 b3 c0 c1 c3," +
			"m3@3 c0 c1 c3 / a2 b2, m4@4 / a0 a1 a2 a3 b0 b1 b2 b3 c0 c1 c2 c3", "a4 b4 c4", 0, "m1 a1 b2 b3, m2 a0 b1 c2, m3 c0 c1 c3, m4 a2 a3 b0"},
		{"two that come back", "m1@1 a1 b2 b3 / a0 b1 c0 c1 c3, m2@2 a0 b1 c2 / a1 a2 a3 b0 b2 b3 c0 c1 c3, m3@3 / c0 c1 c3, m4@4 / a2 a3 b0", "a4 b4 c4", 0,
			"m1 a1 b2 b3, m2 a0 b1 c2, m3 c0 c1 c3, m4 a2 a3 b0"},
		{"nobody swaps", "m1@1 a0 a1 a2, m2@2 a3 a4 a5, m3@3", "a6", 0, "m1 a0 a1, m2 a3 a4, m3 a2 a5"},
		{"nor with one that comes back", "m1@1 a0 a1 a2 a6, m2@2 / a3 a4 a5, m3@3", "a7", 0, "m1 a0 a1 a2, m2 a3 a4, m3 a5 a6"},
		{"one member", "m1@1", "A4", 3, "m1 a0 a1 a2 a3"},
		{"more standbys than processes", "m1@1, m2@2", "A4", 5, "m1 a0 a2 / a1 a3, m2 a1 a3 / a0 a2"},
		{"a third member, with standbys", "m1@1 a0 a1 / a2 a3, m2@2 a2 a3 / a0 a1, m3@3", "A4", 1, "m1 a0 a1 / a2, m2 a2 / a1 a3, m3 a3 / a0"},
		{"ranges, when it grows", "m1@1 a0 a1 b0 b1, m2@2", "A2 B2", 1, "m1 a0 b0 / a1 b1, m2 a1 b1 / a0 b0"},
		{"ranges, from nothing", "m1@1, m2@2", "A2 B2", 1, "m1 a0 b0 / a1 b1, m2 a1 b1 / a0 b0"},
		{"a standby stays below the quota", "m1@1 a0 / a1, m2@2 a1, m3@3", "A2", 1, "m1 a0 / a1, m2 a1, m3 / a0"},
		{"a standby becomes active, the other stays", "m1@1 / a2, m2@2 a0 / a2, m3@3 a1, m4@4", "A3", 1, "m1 a2 / a0, m2 a0 / a2, m3 a1, m4 / a1"},
		{"states on disk", "m1@1 ! a0=100 a1=100, m2@2 ! a2=100 a3=100", "A4", 0, "m1 a0 a1, m2 a2 a3"},
		{"states on disk of two threads", "m1@1 ! a0=100 a1=100, m2@1 ! a0=100 a1=100, m3@2 ! a2=100 a3=100, m4@2 ! a2=100 a3=100", "A4", 0, "m1 a0, m2 a1, m3 a2, m4 a3"},
		{"active, then standby, then the most on disk", "m1@1 a0, m2@2 / a0 a1, m3@3 ! a0=1000000 a1=1000000 a2=100, m4@4 ! a2=50", "A4", 0, "m1 a0, m2 a1, m3 a2, m4 a3"},
		{"standbys away from states on disk", "m1@1 ! a0=100, m2@2 ! a1=100", "A2", 1, "m1 a0 / a1, m2 a1 / a0"},
		{"nobody", "m1@1", "", 1, "m1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			members, subs := readMembers(c.members), readSubs(c.subs)
			given := assign(members, subs, c.standbys)
			if got := tellAssignment(given); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			checkAssignment(t, members, subs, c.standbys, given)
			slices.Reverse(members)
			if got := tellAssignment(assign(members, subs, c.standbys)); got != c.want {
				t.Errorf("in another order of members: %s", got)
			}
		})
	}
}

// errorer is a *testing.T or a *rapid.T.
type errorer interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// checkAssignment checks what must be true of every assignment.
func checkAssignment(t errorer, members []assignMember, subs []ConfiguredSubtopology, standbys int, given map[string]Tasks) {
	t.Helper()
	processes := make(map[string]map[TaskID]bool)
	active, copies := make(map[TaskID]int), make(map[TaskID]int)
	least, most := 1<<30, 0
	for _, m := range members {
		if processes[m.process] == nil {
			processes[m.process] = make(map[TaskID]bool)
		}
		g := given[m.id]
		least, most = min(least, len(g[Active])), max(most, len(g[Active]))
		for role := range roles {
			for id := range g[role] {
				if processes[m.process][id] {
					t.Errorf("process %s has %s twice", m.process, id)
				}
				processes[m.process][id] = true
				if role == Active {
					active[id]++
				} else {
					copies[id]++
				}
			}
		}
	}
	n := 0
	for _, id := range tasksOf(subs, false) {
		n++
		if active[id] != 1 {
			t.Errorf("%s is active %d times", id, active[id])
		}
	}
	for _, id := range tasksOf(subs, true) {
		if want := min(standbys, len(processes)-1); copies[id] != want {
			t.Errorf("%s has %d standbys, want %d", id, copies[id], want)
		}
	}
	if len(active) != n || len(given) != len(members) {
		t.Errorf("%d tasks are active, there are %d; %d of %d members", len(active), n, len(given), len(members))
	}
	if most > least+1 {
		t.Errorf("a member has %d active tasks, another one %d", least, most)
	}
}

// Random groups: all tasks are somewhere, and what was assigned stays where it is unless it can be divided better.
func TestAssignProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		subs := []ConfiguredSubtopology{}
		for i := range rapid.IntRange(1, 4).Draw(t, "subtopologies") {
			s := ConfiguredSubtopology{Subtopology: Subtopology{ID: fmt.Sprint(i)}, Tasks: int32(rapid.IntRange(1, 6).Draw(t, "tasks"))}
			if rapid.Bool().Draw(t, "stateful") {
				s.Changelogs = []InternalTopic{{Name: "log"}}
			}
			subs = append(subs, s)
		}
		standbys := rapid.IntRange(0, 3).Draw(t, "standbys")
		all := tasksOf(subs, false)
		n := rapid.IntRange(1, 8).Draw(t, "members")
		var members []assignMember
		for i := range n {
			process := fmt.Sprint("p", rapid.IntRange(0, n-1).Draw(t, "process"))
			members = append(members, assignMember{id: fmt.Sprint("m", i), process: process, has: newTasks(), offsets: make(map[TaskID]int64)})
		}
		for _, id := range all { // what they have now is nothing in particular
			if i := rapid.IntRange(-1, n-1).Draw(t, "active"); i >= 0 {
				members[i].has[Active][id] = 1
			}
			if i := rapid.IntRange(-1, n-1).Draw(t, "standby"); i >= 0 {
				members[i].has[Standby][id] = 1
			}
			if i := rapid.IntRange(-1, n-1).Draw(t, "disk"); i >= 0 {
				members[i].offsets[id] = rapid.Int64Range(0, 100).Draw(t, "offset")
			}
		}
		given := assign(members, subs, standbys)
		checkAssignment(t, members, subs, standbys, given)
		for i := range members {
			members[i].has, members[i].offsets = given[members[i].id], nil
		}
		again := assign(members, subs, standbys)
		checkAssignment(t, members, subs, standbys, again)
		moved, before, after := false, 0, 0
		for id, tasks := range again {
			moved = moved || !tasks[Active].holds(given[id][Active])
			before, after = before+len(given[id][Active])*len(given[id][Active]), after+len(tasks[Active])*len(tasks[Active])
		}
		if moved && after >= before {
			t.Fatalf("active tasks move, and are not divided better:\n%s\n%s", tellAssignment(given), tellAssignment(again))
		}
	})
}

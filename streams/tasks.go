package streams

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// TaskID names a task: a part of the topology, over one partition number of the topics that it reads.
type TaskID struct {
	Subtopology string
	Partition   int32
}

// String is subtopology-partition, as Kafka prints it.
func (t TaskID) String() string { return fmt.Sprintf("%s-%d", t.Subtopology, t.Partition) }

// compareTasks orders tasks by subtopology and partition.
func compareTasks(a, b TaskID) int {
	return cmp.Or(cmp.Compare(a.Subtopology, b.Subtopology), cmp.Compare(a.Partition, b.Partition))
}

// TaskSet is tasks of one role, each with the epoch of the group in which the member was given it; 0 where that is
// of no interest.
type TaskSet map[TaskID]int32

// Sorted returns the tasks in their order.
func (s TaskSet) Sorted() []TaskID { return slices.SortedFunc(maps.Keys(s), compareTasks) }

// has reports whether t is among the tasks.
func (s TaskSet) has(t TaskID) bool {
	_, ok := s[t]
	return ok
}

// holds reports whether all of other are among the tasks.
func (s TaskSet) holds(other TaskSet) bool {
	for t := range other {
		if !s.has(t) {
			return false
		}
	}
	return true
}

// Role is what a member does with a task.
type Role int

// The roles.
const (
	Active  Role = iota // processes records; one member at a time
	Standby             // keeps a copy of the state, to take over from
	Warmup              // builds up the state, to become active when it has it
	roles
)

// String is the role's name.
func (r Role) String() string {
	return [...]string{"active", "standby", "warmup"}[r]
}

// Tasks are the tasks of a member, by role. A nil TaskSet is an empty one that is not written to.
type Tasks [roles]TaskSet

// newTasks returns no tasks, in sets that may be written to.
func newTasks() Tasks { return Tasks{{}, {}, {}} }

// clone returns a copy that shares nothing.
func (t Tasks) clone() Tasks {
	c := newTasks()
	for r, s := range t {
		maps.Copy(c[r], s)
	}
	return c
}

// empty reports whether there are none.
func (t Tasks) empty() bool { return t.len() == 0 }

// len returns their number.
func (t Tasks) len() (n int) {
	for _, s := range t {
		n += len(s)
	}
	return n
}

// add adds those of other.
func (t Tasks) add(other Tasks) {
	for r, s := range other {
		maps.Copy(t[r], s)
	}
}

// holds reports whether all of other are among them, in the same role.
func (t Tasks) holds(other Tasks) bool {
	for r, s := range t {
		if !s.holds(other[r]) {
			return false
		}
	}
	return true
}

// meets reports whether one of other is among them, in the same role.
func (t Tasks) meets(other Tasks) bool {
	for r, s := range t {
		for id := range other[r] {
			if s.has(id) {
				return true
			}
		}
	}
	return false
}

// equal reports whether they are the same tasks, of the same epochs.
func (t Tasks) equal(other Tasks) bool {
	for r, s := range t {
		if !maps.Equal(s, other[r]) {
			return false
		}
	}
	return true
}

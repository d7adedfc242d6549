package member

import (
	"fmt"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// Shape is what the leader looks at to see whether a topic has to be assigned anew.
type Shape struct {
	ID         [16]byte
	Partitions int32 // 0 when there is no such topic
}

// Panic is what a function of an assignor has panicked with: Poll meets somebody with it, a round
// only the whole process.
type Panic struct {
	text  string
	Stack []byte
}

func (p *Panic) Error() string { return p.text }

// ask calls a function of the assignor a, whose panic is an error.
func ask(a group.Assignor, what string, fn func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &Panic{fmt.Sprintf("assignor %s: %s panicked: %v", a.Name(), what, p), debug.Stack()}
		}
	}()
	fn()
	return nil
}

// Read returns what the members of a generation have said to the leader, and the shapes of their
// topics. Who has sent what cannot be read gets nothing, and is in unread.
func Read(resp group.JoinResponse, shape func(topic string) Shape) (members []group.AssignMember, shapes map[string]Shape, unread map[string]error) {
	shapes, unread = make(map[string]Shape), make(map[string]error)
	for _, jm := range resp.Members {
		sub, err := group.DecodeSubscription(jm.Metadata)
		if err != nil {
			unread[jm.ID] = err
		}
		members = append(members, group.AssignMember{ID: jm.ID, InstanceID: jm.InstanceID, Subscription: sub})
		for _, name := range sub.Topics {
			shapes[name] = shape(name)
		}
	}
	return members, shapes, unread
}

// AsAssigned sets the numbers of partitions to what the members have: a topic may have grown since it
// was assigned, while the leader was away.
func AsAssigned(shapes map[string]Shape, members []group.MemberDescription) {
	assigned := make(map[string]int32)
	for _, md := range members {
		a, _ := group.DecodeAssignment(md.Assignment)
		for name, ps := range a {
			assigned[name] += int32(len(ps))
		}
	}
	for name, s := range shapes {
		s.Partitions = assigned[name]
		shapes[name] = s
	}
}

// Divide divides the partitions of all subscribed topics among the members, with the assignor of
// that name. The result is what SyncRequest carries; nil without such an assignor.
func Divide(assignors []group.Assignor, name string, members []group.AssignMember, shapes map[string]Shape) (encoded map[string][]byte, err error) {
	i := slices.IndexFunc(assignors, func(a group.Assignor) bool { return a.Name() == name })
	if i < 0 {
		return nil, nil // the group chose a protocol that this member did not offer
	}
	known := make(map[string]int32, len(shapes))
	for topic, s := range shapes {
		if s.Partitions > 0 {
			known[topic] = s.Partitions
		}
	}
	encoded = make(map[string][]byte, len(members))
	err = ask(assignors[i], "Assign", func() {
		for id, a := range assignors[i].Assign(members, known) {
			encoded[id] = group.EncodeAssignment(a)
		}
	})
	return encoded, err
}

// Partitions returns the partitions of an assignment, in order.
func Partitions(a map[string][]int32) []log.TopicPartition {
	var tps []log.TopicPartition
	for _, name := range slices.Sorted(maps.Keys(a)) {
		for _, p := range slices.Sorted(slices.Values(a[name])) {
			tps = append(tps, log.TopicPartition{Topic: name, Partition: p})
		}
	}
	return tps
}

func byTopic(tps []log.TopicPartition) map[string][]int32 {
	a := make(map[string][]int32)
	for _, tp := range tps {
		a[tp.Topic] = append(a[tp.Topic], tp.Partition)
	}
	return a
}

// without returns the elements of a that are not in b, in a slice of its own.
func without(a, b []log.TopicPartition) []log.TopicPartition {
	var rest []log.TopicPartition
	not := make(map[log.TopicPartition]bool, len(b))
	for _, tp := range b {
		not[tp] = true
	}
	for _, tp := range a {
		if !not[tp] {
			rest = append(rest, tp)
		}
	}
	return rest
}

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

// Lead is the part of a generation's leader.
type Lead struct {
	Assignments map[string][]byte // as SyncRequest carries them; nil if they stand, and of who does not lead
	Shapes      map[string]Shape  // of the topics that are assigned; nil of who does not lead
	Unread      map[string]error  // who has sent what cannot be read, and gets nothing
}

// NewLead does what the leader has to do with the answer to its join, and nothing for others. shape returns
// what a topic is now, and standing the members as they are, which a static leader asks for when it comes
// back and the assignments stand. The error is that of an assignor that has panicked.
func NewLead(resp group.JoinResponse, assignors []group.Assignor, shape func(topic string) Shape, standing func() []group.MemberDescription) (Lead, error) {
	if resp.Leader != resp.MemberID {
		return Lead{}, nil
	}
	l := Lead{Shapes: make(map[string]Shape), Unread: make(map[string]error)}
	members := make([]group.AssignMember, 0, len(resp.Members))
	for _, jm := range resp.Members {
		sub, err := group.DecodeSubscription(jm.Metadata)
		if err != nil {
			l.Unread[jm.ID] = err
		}
		members = append(members, group.AssignMember{ID: jm.ID, InstanceID: jm.InstanceID, Subscription: sub})
		for _, name := range sub.Topics {
			l.Shapes[name] = shape(name)
		}
	}
	if resp.SkipAssignment {
		l.asAssigned(standing())
		return l, nil
	}
	err := l.assign(resp.ProtocolName, assignors, members)
	return l, err
}

// asAssigned sets the numbers of partitions to what the members have: a topic may have grown since it
// was assigned, while the leader was away.
func (l *Lead) asAssigned(members []group.MemberDescription) {
	assigned := make(map[string]int32)
	for _, md := range members {
		a, _ := group.DecodeAssignment(md.Assignment)
		for name, ps := range a {
			assigned[name] += int32(len(ps))
		}
	}
	for name, s := range l.Shapes {
		s.Partitions = assigned[name]
		l.Shapes[name] = s
	}
}

// assign divides the partitions of all subscribed topics among the members, with the assignor of that
// name.
func (l *Lead) assign(name string, assignors []group.Assignor, members []group.AssignMember) error {
	i := slices.IndexFunc(assignors, func(a group.Assignor) bool { return a.Name() == name })
	if i < 0 {
		return nil // the group chose a protocol that this member did not offer
	}
	known := make(map[string]int32, len(l.Shapes))
	for topic, s := range l.Shapes {
		if s.Partitions > 0 {
			known[topic] = s.Partitions
		}
	}
	l.Assignments = make(map[string][]byte, len(members))
	return ask(assignors[i], "Assign", func() {
		for id, a := range assignors[i].Assign(members, known) {
			l.Assignments[id] = group.EncodeAssignment(a)
		}
	})
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
	in := func(tp log.TopicPartition) bool { return slices.Contains(b, tp) }
	if len(a) > 0 && len(b) > few {
		set := make(map[log.TopicPartition]bool, len(b))
		for _, tp := range b {
			set[tp] = true
		}
		in = func(tp log.TopicPartition) bool { return set[tp] }
	}
	var rest []log.TopicPartition
	for _, tp := range a {
		if !in(tp) {
			rest = append(rest, tp)
		}
	}
	return rest
}

// few are faster compared one by one.
const few = 16

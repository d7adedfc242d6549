package samsatest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/partition"
)

// patience is how long the kit waits for what a test waits for: long enough for a machine that
// is busy. In a bubble of testing/synctest it is over as soon as nothing else can happen.
const patience = 30 * time.Second

// WaitRecords waits until a topic, which may not exist yet, has n records or more, and returns
// them as Drain does. When that takes too long the test fails.
func WaitRecords(t TB, b *samsa.Broker, topic string, n int) []samsa.Record {
	t.Helper()
	in := samsa.Inside(b)
	w := partition.NewWaiter()
	in.Catalogue.Watch(w)
	defer in.Catalogue.Unwatch(w)
	watched := make(map[*partition.Partition]bool)
	defer func() {
		for p := range watched {
			p.Unwatch(w)
		}
	}()
	await(t, b, w, func() (string, bool) {
		known, err := in.Catalogue.Get(topic)
		if err != nil {
			return err.Error(), false
		}
		var have int64
		for _, p := range known.Partitions() {
			if !watched[p] {
				watched[p] = true
				p.Watch(w)
			}
			have += p.HighWatermark() - p.LogStart()
		}
		return fmt.Sprintf("topic %s has %d records, want %d", topic, have, n), have >= int64(n)
	})
	return Drain(t, b, topic)
}

// WaitCommitted waits until the committed offsets of a group add up to n or more over the
// partitions of a topic: the group has committed n records, if all logs begin at offset 0.
// When that takes too long the test fails.
func WaitCommitted(t TB, b *samsa.Broker, group, topic string, n int) {
	t.Helper()
	in := samsa.Inside(b)
	await(t, b, partition.NewWaiter(), func() (string, bool) {
		offsets, err := in.Groups.Fetch(group)
		if err != nil {
			return err.Error(), false
		}
		var sum int64
		for tp, o := range offsets {
			if tp.Topic == topic {
				sum += o.Offset
			}
		}
		return fmt.Sprintf("group %s has committed %d in topic %s, want %d", group, sum, topic, n), sum >= int64(n)
	})
}

// WaitStable waits until a group has so many members and is at rest: every partition of the
// topics that they want is assigned to one of them. The members have to be polled meanwhile.
// When it takes too long the test fails.
func WaitStable(t TB, b *samsa.Broker, group string, members int) {
	t.Helper()
	in := samsa.Inside(b)
	await(t, b, partition.NewWaiter(), func() (string, bool) {
		d, err := in.Groups.Describe(group)
		if err != nil {
			return err.Error(), false
		}
		missing := unassigned(in, d)
		state := fmt.Sprintf("group %s is %s with %d members, want %d", group, d.State, len(d.Members), members)
		if missing > 0 {
			state += fmt.Sprintf("; %d partitions are not assigned", missing)
		}
		return state, d.State.String() == samsa.GroupStable.String() && len(d.Members) == members && missing == 0
	})
}

// unassigned counts the partitions that the members of a group want and nobody has.
func unassigned(in inside.Broker, d group.Description) int {
	wanted := make(map[samsa.TopicPartition]bool)
	for _, m := range d.Members {
		sub, err := group.DecodeSubscription(m.Metadata)
		if err != nil {
			continue // of another protocol: there is no telling what it wants
		}
		for _, name := range sub.Topics {
			_, partitions, _ := in.Catalogue.TopicID(name)
			for p := range partitions {
				wanted[samsa.TopicPartition{Topic: name, Partition: p}] = true
			}
		}
	}
	for _, m := range d.Members {
		for _, tp := range assigned(m.Assignment) {
			delete(wanted, tp)
		}
	}
	return len(wanted)
}

// assigned returns the partitions of an assignment as Kafka encodes it, in order.
func assigned(encoded []byte) []samsa.TopicPartition {
	a, err := group.DecodeAssignment(encoded)
	if err != nil {
		return nil
	}
	var tps []samsa.TopicPartition
	for _, name := range slices.Sorted(maps.Keys(a)) {
		for _, p := range slices.Sorted(slices.Values(a[name])) {
			tps = append(tps, samsa.TopicPartition{Topic: name, Partition: p})
		}
	}
	return tps
}

// await calls done, at once and whenever w is woken, until it says yes. What it says besides
// is the message when that takes too long.
func await(t TB, b *samsa.Broker, w *partition.Waiter, done func() (string, bool)) {
	t.Helper()
	c := controlOf(b)
	c.watch(w)
	defer c.unwatch(w)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		state, ok := done()
		if ok {
			return
		}
		select {
		case <-w.C():
		case <-timer.C:
			t.Fatalf("samsatest: waited for %s: %s", patience, strings.TrimSpace(state))
			return
		}
	}
}

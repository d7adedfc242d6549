package samsatest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// patience is how long the kit waits for what a test waits for: long enough for a machine that
// is busy. In a bubble of testing/synctest it is over as soon as nothing else can happen.
const patience = 30 * time.Second

// WaitRecords waits until a topic, which may not exist yet, has n records or more, and returns
// them as Drain does. When that takes too long the test fails.
func WaitRecords(t TB, b *samsa.Broker, topic string, n int) []samsa.Record {
	t.Helper()
	in := partsOf(b)
	w := partition.NewWaiter()
	in.Catalogue.Watch(w)
	defer in.Catalogue.Unwatch(w)
	watched := make(map[*partition.Partition]bool)
	defer func() {
		for p := range watched {
			p.Unwatch(w)
		}
	}()
	var have []samsa.Record
	var failed error
	await(t, b, w, func() (string, bool) {
		known, err := in.Catalogue.Get(topic)
		if err != nil {
			return err.Error(), false
		}
		for _, p := range known.Partitions() {
			if !watched[p] {
				watched[p] = true
				p.Watch(w)
			}
		}
		found, err := count(known.Partitions(), n, (*partition.Partition).LastStable)
		if err == nil && found >= n {
			have, failed = drainAll(known.Partitions())
			found = len(have)
		}
		return fmt.Sprintf("topic %s has %d records, want %d%s", topic, found, n, because(err)), found >= n || failed != nil
	})
	if failed != nil {
		t.Fatalf("samsatest: %v", failed)
	}
	return have
}

// WaitCommitted waits until a group has committed offsets behind n or more of the records that are
// in a topic. Records that retention, compaction or a trim have removed do not count. When that takes
// too long the test fails. Queues have WaitDone.
func WaitCommitted(t TB, b *samsa.Broker, group, topic string, n int) {
	t.Helper()
	in := partsOf(b)
	await(t, b, partition.NewWaiter(), func() (string, bool) {
		offsets, err := in.Groups.Fetch(group)
		if err != nil {
			return err.Error(), false
		}
		known, err := in.Catalogue.Get(topic)
		if err != nil {
			return err.Error(), false
		}
		found, err := count(known.Partitions(), n, func(p *partition.Partition) int64 { return offsets[p.TopicPartition()].Offset })
		return fmt.Sprintf("group %s has committed %d records of topic %s, want %d%s", group, found, topic, n, because(err)), found >= n
	})
}

// WaitDone waits until n or more of the records that are in a topic are done with the group of a queue, or a share group: they
// were acknowledged, rejected, or delivered too often. When that takes too long the test fails.
func WaitDone(t TB, b *samsa.Broker, group, topic string, n int) {
	t.Helper()
	in := partsOf(b)
	await(t, b, partition.NewWaiter(), func() (string, bool) {
		all, err := in.Shares.Describe(context.Background(), group)
		if err != nil {
			return err.Error(), false
		}
		known, err := in.Catalogue.Get(topic)
		if err != nil {
			return err.Error(), false
		}
		ends, lag := make(map[samsa.TopicPartition]int64), 0
		for _, p := range all {
			if p.Topic == topic {
				ends[p.TopicPartition] = p.End
				lag += int(p.Lag)
			}
		}
		found, err := count(known.Partitions(), n+lag, func(p *partition.Partition) int64 { return ends[p.TopicPartition()] })
		found = max(0, found-lag)
		return fmt.Sprintf("group %s has done %d records of topic %s, want %d%s", group, found, topic, n, because(err)), found >= n
	})
}

// count counts the records, those of transactions if they were committed, from the start of each log to an offset of it, without those that
// cannot be read, or says at least that there are fewer than want. Offsets are not records: a
// compacted log has fewer of these, and one that was trimmed does not begin with 0.
func count(partitions []*partition.Partition, want int, to func(*partition.Partition) int64) (found int, err error) {
	var offsets int64
	for _, p := range partitions {
		offsets += max(0, to(p)-p.LogStart())
	}
	if offsets < int64(want) {
		return int(offsets), nil
	}
	for _, p := range partitions {
		n, err := countTo(p, to(p))
		if err != nil {
			return found, err
		}
		found += n
	}
	return found, nil
}

// countTo is count for one partition.
func countTo(p *partition.Partition, to int64) (found int, err error) {
	start := p.LogStart()
	var failed error
	_, err = p.Log().ReadCommitted(start, nil, func(sb log.StoredBatch) bool {
		if sb.Err != nil {
			return sb.LastOffset < to
		}
		batch := sb.Batch
		if batch.Control() || sb.Aborted {
			return batch.LastOffset() < to
		}
		if batch.BaseOffset() >= start && batch.LastOffset() < to {
			found += batch.Records()
			return true
		}
		var records []samsa.Record // of which some count
		records, failed = decode(nil, batch, p.TopicPartition(), start)
		for _, r := range records {
			if r.Offset < to {
				found++
			}
		}
		return failed == nil && batch.LastOffset() < to
	})
	if failed != nil {
		err = failed
	}
	return found, err
}

// because is the reason behind a message, "" for none.
func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// WaitStable waits until a group has so many members and is at rest: every partition of the
// topics that they want is assigned to one of them. The members have to be polled meanwhile.
// When it takes too long the test fails.
func WaitStable(t TB, b *samsa.Broker, group string, members int) {
	t.Helper()
	in := partsOf(b)
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
	over, end := limit(t)
	defer end()
	began := time.Now()
	for {
		state, ok := done()
		if ok {
			return
		}
		select {
		case <-w.C():
		case <-over:
			t.Fatalf("samsatest: waited for %s: %s", time.Since(began).Round(time.Millisecond), strings.TrimSpace(state))
			return
		}
	}
}

// limit returns what tells that a wait has taken too long. A TB that is no test, but a broker that is controlled from outside, says
// itself when that is (internal/fake).
func limit(t TB) (over <-chan struct{}, end context.CancelFunc) {
	ctx := context.Background()
	if f, ok := t.(interface{ Until() context.Context }); ok {
		return f.Until().Done(), func() {}
	}
	ctx, end = context.WithTimeout(ctx, patience)
	return ctx.Done(), end
}

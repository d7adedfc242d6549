package sweep

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
)

// A sweep with nothing to do costs nothing, however many topics there are and however many
// groups have read them; the one of every interval looks at each partition, and no more.
func TestIdleSweepCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		allocs := func(topics, groups int, full bool) float64 {
			k := begin(t)
			k.idle(topics, groups)
			return testing.AllocsPerRun(10, func() { k.sweep(full) })
		}
		if n := allocs(100, 20, false); n > 3 {
			t.Errorf("%.0f allocations", n)
		}
		if few, many := allocs(5, 2, true), allocs(100, 20, true); many > few+10 {
			t.Errorf("full sweep: %.0f allocations, and %.0f with more topics and groups", few, many)
		}
	})
}

// idle makes topics with a batch in each that all groups have read, and sweeps.
func (k *kit) idle(topics, groups int) {
	k.t.Helper()
	offsets := make(map[log.TopicPartition]group.Offset)
	for i := range topics {
		name := fmt.Sprint("t", i)
		k.create(name, topic.Config{Partitions: 1})
		k.put(name, 0, "v")
		offsets[log.TopicPartition{Topic: name}] = group.Offset{Offset: 1}
	}
	for i := range groups {
		k.read(fmt.Sprint("g", i), offsets)
	}
	k.sweep(true)
}

// wantJobs checks which partitions a sweep would look at, when the sweeper sleeps.
func (k *kit) wantJobs(when string, full bool, want string) {
	k.t.Helper()
	synctest.Wait()
	topics := k.topics.List()
	if !full {
		topics = nil
	}
	var words []string
	for _, j := range k.jobs(full, topics) {
		words = append(words, j.p.TopicPartition().String())
	}
	if got := strings.Join(words, " "); got != want {
		k.t.Errorf("%s, full=%t: looks at %q, want %q", when, full, got, want)
	}
}

// A sweep looks at a partition when something has happened that may let records go, and not
// otherwise.
func TestSweepLooksWhereRecordsMayGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := begin(t)
		for name, config := range map[string]topic.Config{
			"limited":   {Partitions: 2, RetentionBytes: 1600},
			"by-time":   {Partitions: 2, Retention: time.Hour},
			"queue":     {Partitions: 1, CleanupPolicy: topic.Consumed},
			"compacted": {Partitions: 1, CleanupPolicy: topic.Compact},
		} {
			k.create(name, config)
		}
		k.put("limited", 0, "a")
		k.put("by-time", 0, "a")
		k.put("queue", 0, "a", "b")
		all := "by-time/0 by-time/1 compacted/0 limited/0 limited/1 queue/0"
		k.wantJobs("at first", true, all)
		k.sweep(true)
		k.wantJobs("when nothing has happened", true, "")
		k.wantJobs("when nothing has happened", false, "")

		k.put("limited", 1, strings.Repeat("v", 100))
		k.put("by-time", 1, "a")
		k.wantJobs("after writes", false, "limited/1")
		k.wantJobs("after writes", true, "by-time/1 limited/1")
		k.sweep(false)
		k.wantJobs("after a sweep of what is limited", true, "by-time/1")
		k.sweep(true)

		time.Sleep(time.Hour + time.Millisecond)
		k.wantJobs("when the oldest batch is due", true, "by-time/0 by-time/1")
		k.sweep(true)
		k.wantJobs("when it has gone", true, "")

		read := func(topic string) {
			k.read("g", map[log.TopicPartition]group.Offset{{Topic: topic}: {Offset: 1}})
		}
		read("by-time")
		k.wantJobs("when a group has read elsewhere", true, "")
		read("queue")
		k.wantJobs("when a group has read of the queue", true, "queue/0")
		k.sweep(true)

		if err := k.DeleteBefore(k.ctx, k.partition("limited", 0), 1); err != nil {
			t.Fatal(err)
		}
		k.wantJobs("when records were deleted by hand", true, "limited/0")
		k.sweep(true)
		k.wantJobs("in the end", true, "")
	})
}

// A topic that is changed is swept at once, and the data of a deleted one goes, without a look
// at the others.
func TestChangedTopicIsSweptAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := begin(t)
		for _, name := range []string{"a", "b", "gone"} {
			k.create(name, topic.Config{Partitions: 1})
			for range 5 {
				k.put(name, 0, strings.Repeat("v", 100))
			}
		}
		k.sweep(true)
		k.put("b", 0, "v")
		time.Sleep(time.Minute)
		before := k.stats()

		limit := func(c *topic.Config) error { c.RetentionBytes = 1; return nil }
		if err := k.topics.Change(k.ctx, "a", limit); err != nil {
			t.Fatal(err)
		}
		if err := k.topics.Delete(k.ctx, "gone"); err != nil {
			t.Fatal(err)
		}
		k.Wake()
		synctest.Wait()
		after := k.stats()
		if start := k.partition("a", 0).LogStart(); start != 4 || k.topics.Doomed() {
			t.Errorf("a begins at %d; deleted data is there: %t", start, k.topics.Doomed())
		}
		if !after.LastSweep.Equal(before.LastSweep) {
			t.Error("all topics were swept")
		}
		k.wantJobs("then", true, "b/0")
	})
}

// BenchmarkIdleSweep is a sweep that has nothing to do, of topics with a batch in each that all
// groups have read: the one after so many bytes were written, and the one of every interval.
func BenchmarkIdleSweep(b *testing.B) {
	for _, c := range []struct{ topics, groups int }{{60, 10}, {600, 100}, {4000, 10}} {
		for _, full := range []bool{false, true} {
			b.Run(fmt.Sprintf("topics=%d/groups=%d/full=%t", c.topics, c.groups, full), func(b *testing.B) {
				k := begin(b)
				k.idle(c.topics, c.groups)
				b.ReportAllocs()
				for b.Loop() {
					k.sweep(full)
				}
			})
		}
	}
}

package samsa

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/group"
)

// A sweep with nothing to do costs nothing, however many topics there are and however many
// groups have read them; the one of every interval looks at each partition, and no more.
func TestIdleSweepCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		allocs := func(topics, groups int, full bool) float64 {
			k := inMemory(t, Options{})
			offsets := make(map[TopicPartition]group.Offset)
			for i := range topics {
				name := fmt.Sprint("t", i)
				k.create(name, 1)
				k.write(name, "v")
				offsets[TopicPartition{Topic: name}] = group.Offset{Offset: 1}
			}
			for i := range groups {
				if err := k.groups.Commit(k.ctx, fmt.Sprint("g", i), group.CommitRequest{Generation: -1, Offsets: offsets}); err != nil {
					t.Fatal(err)
				}
			}
			k.sweep(true)
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

// sweep sweeps as the compactor does, which must be asleep.
func (k *kit) sweep(full bool) {
	k.t.Helper()
	if _, err := k.compactor.sweep(k.ctx, full); err != nil {
		k.t.Fatal(err)
	}
}

// wantJobs checks which partitions a sweep would look at, when the compactor sleeps.
func (k *kit) wantJobs(when string, full bool, want string) {
	k.t.Helper()
	synctest.Wait()
	topics := k.catalogue.List()
	if !full {
		topics = nil
	}
	var words []string
	for _, j := range k.compactor.jobs(full, topics) {
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
		k := inMemory(t, Options{RetentionInterval: 1000 * time.Hour})
		for name, config := range map[string]TopicConfig{
			"limited":   {Partitions: 2, RetentionBytes: 1600},
			"by-time":   {Partitions: 2, Retention: time.Hour},
			"queue":     {Partitions: 1, CleanupPolicy: CleanupConsumed},
			"compacted": {Partitions: 1, CleanupPolicy: CleanupCompact},
		} {
			if err := k.Topics().Create(k.ctx, name, config); err != nil {
				t.Fatal(err)
			}
		}
		k.put("limited", 0, "a")
		k.put("by-time", 0, "a")
		k.write("queue", "a", "b")
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
			if err := k.Groups().Reset(k.ctx, "g", To(AtOffset(1)), TopicPartition{Topic: topic}); err != nil {
				t.Fatal(err)
			}
		}
		read("by-time")
		k.wantJobs("when a group has read elsewhere", true, "")
		read("queue")
		k.wantJobs("when a group has read of the queue", true, "queue/0")
		k.sweep(true)

		k.deleteBefore("limited", 1)
		k.wantJobs("when records were deleted by hand", true, "limited/0")
		k.sweep(true)
		k.wantJobs("in the end", true, "")
	})
}

// A topic that is changed is swept at once, and the data of a deleted one goes, without a look
// at the others.
func TestChangedTopicIsSweptAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, Options{RetentionInterval: 1000 * time.Hour})
		for _, name := range []string{"a", "b", "gone"} {
			k.create(name, 1)
			for range 5 {
				k.write(name, strings.Repeat("v", 100))
			}
		}
		k.sweep(true)
		k.write("b", "v")
		time.Sleep(time.Minute)
		before := k.retentionStats()

		limit := func(c *TopicConfig) error { c.RetentionBytes = 1; return nil }
		if err := k.Topics().Alter(k.ctx, "a", limit); err != nil {
			t.Fatal(err)
		}
		if err := k.Topics().Delete(k.ctx, "gone"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		after := k.retentionStats()
		if k.logStart("a") != 4 || k.catalogue.Doomed() {
			t.Errorf("a begins at %d; deleted data is there: %t", k.logStart("a"), k.catalogue.Doomed())
		}
		if !after.LastSweep.Equal(before.LastSweep) {
			t.Error("all topics were swept")
		}
		k.wantJobs("then", true, "b/0")
	})
}

func (k *kit) retentionStats() RetentionStats {
	k.t.Helper()
	stats, err := k.RetentionStats(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	return stats
}

// BenchmarkIdleSweep is a sweep that has nothing to do, of topics with a batch in each that all
// groups have read: the one after so many bytes were written, and the one of every interval.
func BenchmarkIdleSweep(b *testing.B) {
	for _, c := range []struct{ topics, groups int }{{60, 10}, {600, 100}, {4000, 10}} {
		for _, full := range []bool{false, true} {
			b.Run(fmt.Sprintf("topics=%d/groups=%d/full=%t", c.topics, c.groups, full), func(b *testing.B) {
				broker := openBench(b, "", Options{InMemory: true})
				defer closeBench(b, broker)
				offsets := make(map[TopicPartition]group.Offset)
				for i := range c.topics {
					name := fmt.Sprint("t", i)
					err := broker.Topics().Create(b.Context(), name, TopicConfig{Partitions: 1})
					if err == nil {
						_, err = broker.Produce(b.Context(), Record{Topic: name, Value: []byte("v")})
					}
					if err != nil {
						b.Fatal(err)
					}
					offsets[TopicPartition{Topic: name}] = group.Offset{Offset: 1}
				}
				for i := range c.groups {
					err := broker.groups.Commit(b.Context(), fmt.Sprint("g", i), group.CommitRequest{Generation: -1, Offsets: offsets})
					if err != nil {
						b.Fatal(err)
					}
				}
				if _, err := broker.compactor.sweep(b.Context(), true); err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				for b.Loop() {
					if _, err := broker.compactor.sweep(b.Context(), full); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

package samsatest_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// What was committed is counted in records: where a log begins and how many offsets of it have lost
// their record makes no difference.
func TestWaitCommittedCountsRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 2),
			samsatest.Options(samsa.Options{Produce: samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}}))
		for _, r := range inPartition(0, "0", "1", "2", "3", "4") {
			if _, err := b.Produce(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Topics().DeleteRecords(ctx, "t", map[int32]int64{0: 3}); err != nil {
			t.Fatal(err)
		}
		commit(t, b, samsa.TopicPartition{Topic: "t"}, 4)
		samsatest.WaitCommitted(t, b, "g", "t", 1)
		missing := func(n int, state string) {
			t.Helper()
			runFake(func(ft *fakeTest) { samsatest.WaitCommitted(ft, b, "g", "t", n) }).wantErrs(t, state)
		}
		missing(2, "group g has committed 1 records of topic t, want 2")
		go func() {
			time.Sleep(time.Second)
			commit(t, b, samsa.TopicPartition{Topic: "t"}, 5)
		}()
		samsatest.WaitCommitted(t, b, "g", "t", 2)

		// Five records in one batch, of which a trim takes two and the commit has not reached one.
		if _, err := b.Produce(ctx, inPartition(1, "0", "1", "2", "3", "4")...); err != nil {
			t.Fatal(err)
		}
		if err := b.Topics().DeleteRecords(ctx, "t", map[int32]int64{1: 2}); err != nil {
			t.Fatal(err)
		}
		commit(t, b, samsa.TopicPartition{Topic: "t", Partition: 1}, 4)
		samsatest.WaitCommitted(t, b, "g", "t", 4)
		missing(5, "group g has committed 4 records of topic t, want 5")
	})
}

// Nor is an offset that compaction has emptied a record.
func TestWaitsDoNotCountCompactedOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.TopicWith("t", samsa.TopicConfig{Partitions: 1, CleanupPolicy: samsa.CleanupCompact}))
		for _, text := range []string{"k=1", "k=2", "k=3", "l=4"} {
			samsatest.Produce(t, b, "t", text)
		}
		if _, err := b.Sweep(ctx); err != nil {
			t.Fatal(err)
		}
		commit(t, b, samsa.TopicPartition{Topic: "t"}, 3)
		samsatest.Equal(t, b, "t", []string{"k=3", "l=4"})
		samsatest.WaitCommitted(t, b, "g", "t", 1)
		for state, wait := range map[string]func(*fakeTest){
			"group g has committed 1 records of topic t, want 2": func(ft *fakeTest) { samsatest.WaitCommitted(ft, b, "g", "t", 2) },
			"topic t has 2 records, want 3":                      func(ft *fakeTest) { samsatest.WaitRecords(ft, b, "t", 3) },
		} {
			ft := runFake(wait)
			if len(ft.errs) != 1 || !strings.Contains(ft.errs[0], state) {
				t.Errorf("got %q, want %q", ft.errs, state)
			}
		}
		if got := samsatest.Texts(samsatest.WaitRecords(t, b, "t", 2)); len(got) != 2 {
			t.Errorf("got %q", got)
		}
	})
}

// A batch that nobody can read keeps no test waiting for what was committed behind it.
func TestWaitCommittedBehindADamagedBatch(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", "damaged")
	samsatest.Produce(t, b, "t", "good")
	samsatest.Corrupt(t, b, "t", 0, 0)
	commit(t, b, samsa.TopicPartition{Topic: "t"}, 2)
	samsatest.WaitCommitted(t, b, "g", "t", 1)
}

func inPartition(partition int32, values ...string) []samsa.Record {
	records := make([]samsa.Record, len(values))
	for i, v := range values {
		records[i] = samsa.Record{Topic: "t", Partition: partition, Value: []byte(v)}
	}
	return records
}

// commit moves group g, which has no members.
func commit(t *testing.T, b *samsa.Broker, tp samsa.TopicPartition, offset int64) {
	t.Helper()
	if err := b.Groups().AlterOffsets(ctx, "g", samsa.To(samsa.AtOffset(offset)), tp); err != nil {
		t.Error(err)
	}
}

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// start returns the log start offset of t/0.
func (k *kit) logStart(topic string) int64 {
	k.t.Helper()
	offsets, err := k.ListOffsets(k.ctx, topic, samsa.Earliest())
	if err != nil {
		k.t.Fatal(err)
	}
	return offsets[0].Offset
}

// all reads partition 0 of a topic from its first record to its last.
func (k *kit) all(topic string) []string {
	k.t.Helper()
	from, err := k.ListOffsets(k.ctx, topic, samsa.Earliest())
	if err != nil {
		k.t.Fatal(err)
	}
	to, err := k.ListOffsets(k.ctx, topic, samsa.Latest())
	if err != nil {
		k.t.Fatal(err)
	}
	var values []string
	if from[0].Offset == to[0].Offset {
		return nil
	}
	c := k.consumer(samsa.ConsumerOptions{Partitions: map[string][]int32{topic: {0}}})
	defer func() { _ = c.Close() }()
	tp := samsa.TopicPartition{Topic: topic}
	for {
		for _, r := range k.poll(c) {
			values = append(values, fmt.Sprintf("%d:%s", r.Offset, r.Value))
		}
		if at, err := c.Position(tp); err != nil || at >= to[0].Offset {
			return values
		}
	}
}

func (k *kit) deleteBefore(topic string, offset int64) {
	k.t.Helper()
	if err := k.Topics().DeleteRecords(k.ctx, topic, map[int32]int64{0: offset}); err != nil {
		k.t.Fatal(err)
	}
}

func TestDeleteRecords(t *testing.T) {
	for _, memory := range []bool{true, false} {
		dir := ""
		if !memory {
			dir = t.TempDir()
		}
		k := open(t, dir, samsa.Options{InMemory: memory})
		k.create("t", 2)
		for _, v := range []string{"a", "b", "c", "d"} {
			k.put("t", 0, v+"1", v+"2")
		}
		k.put("t", 1, "other")
		k.deleteBefore("t", 3)
		want := []string{"3:b2", "4:c1", "5:c2", "6:d1", "7:d2"}
		for range 2 {
			if got := k.all("t"); !slices.Equal(got, want) {
				t.Errorf("memory %v: %v is left", memory, got)
			}
			if n := k.logStart("t"); n != 3 {
				t.Errorf("log start %d", n)
			}
			if memory {
				break
			}
			k.close()
			k = open(t, dir, samsa.Options{})
		}
		k.deleteBefore("t", 1) // before the log start: nothing changes
		k.deleteBefore("t", -1)
		if n := k.logStart("t"); n != 8 {
			t.Errorf("log start %d after everything was deleted", n)
		}
		k.put("t", 0, "e")
		if !memory {
			k.close()
			k = open(t, dir, samsa.Options{})
		}
		c := k.consumer(samsa.ConsumerOptions{Partitions: map[string][]int32{"t": {0}}})
		if got := texts(k.read(c, 1)); got[0] != "t/0@8=e" {
			t.Errorf("memory %v: %v", memory, got)
		}
	}
}

func TestDeleteRecordsRefuses(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 2)
	k.put("t", 0, "a", "b")
	for _, tc := range []struct {
		topic  string
		before map[int32]int64
		want   error
		says   string
	}{
		{"no", map[int32]int64{0: 1}, samsa.ErrUnknownTopic, "no"},
		{"t", map[int32]int64{0: 1, 2: 0}, samsa.ErrUnknownPartition, "t/2"},
		{"t", map[int32]int64{0: 1, 1: 1}, samsa.ErrOffsetOutOfRange, "t/1"},
		{"t", map[int32]int64{0: -2}, samsa.ErrOffsetOutOfRange, "-2"},
	} {
		err := k.Topics().DeleteRecords(k.ctx, tc.topic, tc.before)
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%v: %v", tc.before, err)
		}
	}
	if n := k.logStart("t"); n != 0 {
		t.Errorf("a refused deletion moved the log start to %d", n)
	}
}

// Readers that stand where records were removed go on as their option says; the others
// notice nothing.
func TestReadersOfDeletedRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		for i := range 10 {
			k.write("t", fmt.Sprint(i))
		}
		tp := samsa.TopicPartition{Topic: "t"}
		reset := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollRecords: 1})
		strict := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollRecords: 1, OutOfRange: samsa.ResetError})
		if err := reset.Pause(); err != nil { // it has read nothing ahead
			t.Fatal(err)
		}
		if err := strict.Pause(); err != nil {
			t.Fatal(err)
		}
		ahead := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
		synctest.Wait() // ahead holds all ten
		k.deleteBefore("t", 6)
		for _, c := range []*samsa.Consumer{reset, strict} {
			if err := c.Resume(); err != nil {
				t.Fatal(err)
			}
		}
		if got := values(k.poll(reset)); got[0] != "6" {
			t.Errorf("the reader with a reset goes on at %s", got)
		}
		if _, err := strict.Poll(k.ctx); !errors.Is(err, samsa.ErrOffsetOutOfRange) {
			t.Errorf("the strict reader got %v", err)
		}
		if got := len(k.poll(ahead)); got != 10 {
			t.Errorf("what was read ahead has %d records, want 10", got)
		}
		if lag, err := reset.Lag(tp); err != nil || lag != 3 {
			t.Errorf("lag %d, %v", lag, err)
		}
		offsets, err := k.ListOffsets(k.ctx, "t", samsa.AtTime(time.Unix(0, 0)))
		if err != nil || offsets[0].Offset != 6 {
			t.Errorf("the first record by time is %v, %v", offsets, err)
		}
	})
}

// The log start in the middle of a batch hides the batch's first records.
func TestDeleteRecordsInTheMiddleOfABatch(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir, samsa.Options{})
	k.create("t", 1)
	k.write("t", "a", "b", "c", "d")
	k.deleteBefore("t", 2)
	k.close()
	k = open(t, dir, samsa.Options{})
	if got := k.all("t"); !slices.Equal(got, []string{"2:c", "3:d"}) {
		t.Errorf("%v is left", got)
	}
}

// A week passes, and exactly the batches go whose newest record is older than that.
func TestRetentionByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("week", 1)
		if err := k.Topics().Create(k.ctx, "hour", samsa.TopicConfig{Retention: time.Hour}); err != nil {
			t.Fatal(err)
		}
		if err := k.Topics().Create(k.ctx, "ever", samsa.TopicConfig{Retention: samsa.Unlimited}); err != nil {
			t.Fatal(err)
		}
		for day := range 10 {
			for _, topic := range []string{"week", "hour", "ever"} {
				k.write(topic, fmt.Sprint("day", day), "and more")
			}
			time.Sleep(24 * time.Hour)
		}
		// Day n was written n*24 h after the start, and 240 h have passed: 168 h back is day 3,
		// which went, with the sweep, five minutes ago at the latest or goes with the next.
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got := k.all("week"); len(got) != 12 || got[0] != "8:day4" {
			t.Errorf("of the last week there is %v", got)
		}
		if got := k.all("hour"); len(got) != 0 {
			t.Errorf("of the last hour there is %v", got)
		}
		if got := k.all("ever"); len(got) != 20 {
			t.Errorf("%d of 20 records are left for ever", len(got))
		}
		stats, err := k.RetentionStats(k.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if stats.Removed.Records != 8+20 || stats.Removed.Batches != 4+10 || len(stats.Partitions) != 3 {
			t.Errorf("%+v", stats)
		}
		if week := stats.Partitions[2]; week.Topic != "week" || !week.NextDue.After(time.Now()) || time.Until(week.NextDue) > 24*time.Hour {
			t.Errorf("%+v at %s", week, time.Now())
		}
	})
}

// The newest record of a batch decides: a late old one goes with its batch.
func TestRetentionGoesByRecordTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		if err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{Retention: time.Hour}); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-2 * time.Hour)
		k.produce(samsa.Record{Topic: "t", Value: []byte("old"), Timestamp: old})
		k.produce(samsa.Record{Topic: "t", Value: []byte("old"), Timestamp: old}, samsa.Record{Topic: "t", Value: []byte("new")})
		k.produce(samsa.Record{Topic: "t", Value: []byte("old but behind"), Timestamp: old})
		c, err := k.Sweep(k.ctx)
		if err != nil || c.Records != 1 || c.Batches != 1 {
			t.Errorf("%+v, %v", c, err)
		}
		if got := k.all("t"); len(got) != 3 || got[0] != "1:old" {
			t.Error(got)
		}
	})
}

func TestRetentionBySize(t *testing.T) {
	k := open(t, t.TempDir(), samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
	if err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{RetentionBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	value := strings.Repeat("x", 100_000)
	for range 100 {
		k.write("t", value)
	}
	if _, err := k.Sweep(k.ctx); err != nil {
		t.Fatal(err)
	}
	stats, err := k.RetentionStats(k.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if live := stats.Partitions[0].BytesLive; live < 1<<20 || live > 1<<20+200_000 {
		t.Errorf("%d bytes are live, want 1 MiB and at most a batch more", live)
	}
	if n := len(k.all("t")); n != 11 {
		t.Errorf("%d records are left", n)
	}
	if err := k.Topics().Alter(k.ctx, "t", func(c *samsa.TopicConfig) error { c.RetentionBytes = 300_000; return nil }); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sweep(k.ctx); err != nil {
		t.Fatal(err)
	}
	if n := len(k.all("t")); n != 3 {
		t.Errorf("%d records are left after the limit was lowered", n)
	}
}

// The queue of point-to-point messaging: what every group has taken is gone.
func TestRetentionByConsumption(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	if err := k.Topics().Create(k.ctx, "jobs", samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed}); err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		k.write("jobs", fmt.Sprint(i))
	}
	tp := samsa.TopicPartition{Topic: "jobs"}
	left := func(want int) {
		t.Helper()
		if _, err := k.Sweep(k.ctx); err != nil {
			t.Fatal(err)
		}
		if n := len(k.all("jobs")); n != want {
			t.Errorf("%d records are left, want %d", n, want)
		}
	}
	left(6) // no group: nothing goes
	reset := func(group string, offset int64) {
		t.Helper()
		if err := k.Groups().AlterOffsets(k.ctx, group, samsa.To(samsa.AtOffset(offset)), tp); err != nil {
			t.Fatal(err)
		}
	}
	reset("a", 4)
	left(2)
	reset("b", 4) // another group comes, at the first record there is
	reset("a", 6)
	left(2)
	reset("b", 5)
	left(1)
	if err := k.Groups().Delete(k.ctx, "b"); err != nil {
		t.Fatal(err)
	}
	left(0)
}

func TestCompactedTopicsRequireKeys(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	if err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}); err != nil {
		t.Fatal(err)
	}
	p := k.producer(samsa.ProducerOptions{})
	for _, err := range []error{
		second(k.Produce(k.ctx, samsa.Record{Topic: "t", Key: []byte("k")}, samsa.Record{Topic: "t", Value: []byte("v")})),
		second(p.ProduceSync(k.ctx, samsa.Record{Topic: "t", Value: []byte("v")})),
	} {
		if !errors.Is(err, samsa.ErrInvalidRecord) || !strings.Contains(err.Error(), "key") {
			t.Errorf("a record without a key: %v", err)
		}
	}
	k.nothingStored("t")
	k.produce(samsa.Record{Topic: "t", Key: []byte{}, Value: []byte("an empty key is a key")})
}

// Of each key the latest record stays, at its offset; a tombstone goes after its time.
func TestCompaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact, DeleteRetention: time.Hour, MinCompactionLag: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		set := func(key, value string) {
			t.Helper()
			r := samsa.Record{Topic: "t", Key: []byte(key), Value: []byte(value)}
			if value == "" {
				r.Value = nil
			}
			k.produce(r)
		}
		set("a", "1")
		set("b", "1")
		set("a", "2")
		set("b", "")
		set("c", "1")
		compact := func(want string) {
			t.Helper()
			if _, err := k.Sweep(k.ctx); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(k.all("t"), " "); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		compact("0:1 1:1 2:2 3: 4:1") // nothing is old enough
		time.Sleep(2 * time.Minute)
		compact("2:2 3: 4:1")
		time.Sleep(time.Hour)
		compact("2:2 4:1") // the tombstone of b has gone
		set("a", "3")
		time.Sleep(2 * time.Minute)
		set("z", "1")
		compact("4:1 5:3 6:1")
		if n := k.logStart("t"); n != 0 {
			t.Errorf("log start %d: offsets never change", n)
		}
		stats, err := k.RetentionStats(k.ctx)
		if err != nil || stats.Removed.Records != 4 {
			t.Errorf("%+v, %v", stats, err)
		}
	})
}

// A tombstone has its time from the first sweep that keeps it, however old it says it is: a
// consumer can see it. That time stands with it, across a restart and a change of the config.
func TestTombstoneOfLongAgo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		k := open(t, dir, samsa.Options{RetentionInterval: 1000 * time.Hour})
		err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact, DeleteRetention: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		longAgo := time.Now().Add(-30 * 24 * time.Hour)
		k.produce(samsa.Record{Topic: "t", Key: []byte("k"), Value: []byte("1"), Timestamp: longAgo})
		k.produce(samsa.Record{Topic: "t", Key: []byte("k"), Timestamp: longAgo.Add(time.Second)})
		k.produce(samsa.Record{Topic: "t", Key: []byte("z"), Value: []byte("newest")})
		compact := func(want string) {
			t.Helper()
			if _, err := k.Sweep(k.ctx); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(k.all("t"), " "); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		compact("1: 2:newest")
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
		if r := k.read(c, 2)[0]; r.Value != nil || !r.Timestamp.Equal(longAgo.Add(time.Second)) {
			t.Errorf("got %+v, its time was %s", r, longAgo.Add(time.Second))
		}
		offsets, err := k.ListOffsets(k.ctx, "t", samsa.AtTime(longAgo.Add(2*time.Second)))
		if err != nil || offsets[0].Offset != 2 {
			t.Errorf("behind it in time: %v, %v", offsets, err)
		}
		var snapshot bytes.Buffer
		if err := k.Snapshot(k.ctx, &snapshot); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Minute)
		k.close()
		k = open(t, dir, samsa.Options{RetentionInterval: 1000 * time.Hour})
		err = k.Topics().Alter(k.ctx, "t", func(c *samsa.TopicConfig) error { c.DeleteRetention = 24 * time.Hour; return nil })
		if err != nil {
			t.Fatal(err)
		}
		compact("1: 2:newest")
		time.Sleep(20 * time.Minute)
		compact("2:newest")
		b, err := samsa.Restore(k.ctx, "", &snapshot, samsa.Options{InMemory: true})
		if err != nil {
			t.Fatal(err)
		}
		k.close()
		k.Broker = b
		compact("2:newest")
		k.close()
	})
}

// A record from the future is not let in. Where the bound was taken away it keeps all behind it
// for as long as it lasts itself, as in Kafka.
func TestRecordFromTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		for name, after := range map[string]time.Duration{"bounded": 0, "unbounded": samsa.Unlimited} {
			if err := k.Topics().Create(k.ctx, name, samsa.TopicConfig{Retention: time.Hour, TimestampAfterMax: after}); err != nil {
				t.Fatal(err)
			}
			future := samsa.Record{Topic: name, Value: []byte("future"), Timestamp: time.Now().Add(24 * time.Hour)}
			if _, err := k.Produce(k.ctx, future); (after == 0) != errors.Is(err, samsa.ErrInvalidTimestamp) {
				t.Errorf("%s: %v", name, err)
			}
			k.write(name, "now")
		}
		left := func(want string) {
			t.Helper()
			if _, err := k.Sweep(k.ctx); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(k.all("bounded"), k.all("unbounded")); got != want {
				t.Errorf("%s is left, want %s", got, want)
			}
		}
		left("[0:now] [0:future 1:now]")
		time.Sleep(2 * time.Hour)
		left("[] [0:future 1:now]")
		time.Sleep(24 * time.Hour)
		left("[] []")
	})
}

// A consumer that reads while compaction runs sees each key's latest record, in order.
func TestCompactionBesideReaders(t *testing.T) {
	k := open(t, t.TempDir(), samsa.Options{})
	if err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}); err != nil {
		t.Fatal(err)
	}
	const keys, rounds = 50, 40
	p := k.producer(samsa.ProducerOptions{BatchBytes: 500})
	for i := range keys * rounds {
		p.Produce(k.ctx, samsa.Record{Topic: "t", Key: fmt.Append(nil, i%keys), Value: fmt.Append(nil, i)}, nil)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	compacted := make(chan error, 1)
	go func() {
		_, err := k.Sweep(k.ctx)
		compacted <- err
	}()
	for range 3 {
		latest := map[string]string{}
		last := int64(-1)
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollRecords: 100})
		for last < keys*rounds-1 {
			for _, r := range k.poll(c) {
				if r.Offset <= last {
					t.Fatalf("offset %d after %d", r.Offset, last)
				}
				last = r.Offset
				latest[string(r.Key)] = string(r.Value)
			}
		}
		for i := range keys {
			if want := fmt.Sprint(keys*(rounds-1) + i); latest[fmt.Sprint(i)] != want {
				t.Errorf("key %d is %s, want %s", i, latest[fmt.Sprint(i)], want)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-compacted; err != nil {
		t.Fatal(err)
	}
	if n := len(k.all("t")); n >= 2*keys {
		t.Errorf("%d records are left of %d keys", n, keys)
	}
}

// once is a context that ends when it was looked at n times.
type once struct {
	context.Context
	n int
}

func (c *once) Err() error {
	if c.n--; c.n < 0 {
		return context.Canceled
	}
	return nil
}

// What an interrupted removal has left is not counted twice when it goes.
func TestStatsAfterAnInterruptedRemoval(t *testing.T) {
	k := inMemory(t, samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
	k.create("t", 1)
	for range 20 {
		k.produce(samsa.Record{Topic: "t", Value: make([]byte, 10_000)})
	}
	live := func() int64 {
		t.Helper()
		stats, err := k.RetentionStats(k.ctx)
		if err != nil {
			t.Fatal(err)
		}
		return stats.BytesLive
	}
	all := live()
	if err := k.Topics().DeleteRecords(&once{k.ctx, 2}, "t", map[int32]int64{0: 10}); err != nil {
		t.Fatalf("the removal is stored, and the context ended behind that: %v", err)
	}
	for range 2 {
		if got := live(); got != all/2 {
			t.Errorf("%d bytes live, want %d", got, all/2)
		}
		if _, err := k.Sweep(k.ctx); err != nil {
			t.Fatal(err)
		}
	}
}

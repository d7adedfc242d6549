package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

func TestTopicsLifeCycle(t *testing.T) {
	for _, memory := range []bool{true, false} {
		dir := ""
		if !memory {
			dir = t.TempDir()
		}
		k := open(t, dir, samsa.Options{InMemory: memory})
		topics := k.Topics()
		if err := topics.Create(k.ctx, "orders", samsa.TopicConfig{Partitions: 3}); err != nil {
			t.Fatal(err)
		}
		if err := topics.Create(k.ctx, "orders", samsa.TopicConfig{}); !errors.Is(err, samsa.ErrTopicExists) {
			t.Errorf("second creation: %v", err)
		}
		if err := topics.Create(k.ctx, "or/ders", samsa.TopicConfig{}); !errors.Is(err, samsa.ErrInvalidTopic) {
			t.Errorf("bad name: %v", err)
		}
		if err := topics.Create(k.ctx, "other", samsa.TopicConfig{Partitions: -1, MaxMessageBytes: 5}); !errors.Is(err, samsa.ErrInvalidConfig) || !errors.Is(err, samsa.ErrInvalidPartitions) {
			t.Errorf("bad config: %v", err)
		}
		k.write("orders", "a", "b")
		info, err := topics.Describe(k.ctx, "orders")
		if err != nil {
			t.Fatal(err)
		}
		want := samsa.TopicConfig{
			Partitions: 3, Retention: 168 * time.Hour, RetentionBytes: samsa.Unlimited, MaxMessageBytes: 1 << 20,
			CleanupPolicy: samsa.CleanupDelete, DeleteRetention: 24 * time.Hour, Replicas: 1,
			TimestampBeforeMax: samsa.Unlimited, TimestampAfterMax: time.Hour,
		}
		if info.Config != want || len(info.Partitions) != 3 {
			t.Errorf("%+v", info)
		}
		total := int64(0)
		for _, p := range info.Partitions {
			total += p.HighWatermark - p.LogStart
		}
		if total != 2 {
			t.Errorf("%d records by Describe, want 2", total)
		}
		if err := topics.AddPartitions(k.ctx, "orders", 2); !errors.Is(err, samsa.ErrInvalidPartitions) {
			t.Errorf("fewer partitions: %v", err)
		}
		if err := topics.AddPartitions(k.ctx, "orders", 5); err != nil {
			t.Error(err)
		}
		if err := topics.Delete(k.ctx, "orders"); err != nil {
			t.Error(err)
		}
		for _, err := range []error{
			topics.Delete(k.ctx, "orders"),
			topics.AddPartitions(k.ctx, "orders", 9),
			second(topics.Describe(k.ctx, "orders")),
			second(k.Produce(k.ctx, samsa.Record{Topic: "orders"})),
		} {
			if !errors.Is(err, samsa.ErrUnknownTopic) {
				t.Errorf("deleted topic: %v", err)
			}
		}
		if err := topics.Create(k.ctx, "orders", samsa.TopicConfig{}); err != nil {
			t.Fatal(err)
		}
		again, err := topics.Describe(k.ctx, "orders")
		if err != nil || again.ID == info.ID || again.Partitions[0].HighWatermark != 0 {
			t.Errorf("the new topic is %+v, %v; the old one was %s", again, err, info.ID)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestAlterAtRunTime(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir, samsa.Options{})
	k.create("t", 1)
	topics := k.Topics()
	p := k.producer(samsa.ProducerOptions{})
	if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "t", Value: make([]byte, 5000)}); err != nil {
		t.Fatal(err)
	}
	if err := topics.Alter(k.ctx, "t", func(c *samsa.TopicConfig) error { return c.SetConfig("max.message.bytes", "1000") }); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		second(p.ProduceSync(k.ctx, samsa.Record{Topic: "t", Value: make([]byte, 5000)})),
		second(k.Produce(k.ctx, samsa.Record{Topic: "t", Value: make([]byte, 5000)})),
	} {
		if !errors.Is(err, samsa.ErrRecordTooLarge) {
			t.Errorf("record above the new limit: %v", err)
		}
	}
	boom := errors.New("boom")
	for _, edit := range []func(*samsa.TopicConfig) error{
		func(c *samsa.TopicConfig) error { c.MaxMessageBytes = 2000; return boom },
		func(c *samsa.TopicConfig) error { return c.SetConfig("retention.ms", "soon") },
		func(c *samsa.TopicConfig) error { return c.SetConfig("no.such", "1") },
		func(c *samsa.TopicConfig) error { c.Retention = -5; return nil },
	} {
		if err := topics.Alter(k.ctx, "t", edit); !errors.Is(err, boom) && !errors.Is(err, samsa.ErrInvalidConfig) {
			t.Errorf("bad edit: %v", err)
		}
	}
	if err := topics.Alter(k.ctx, "t", func(c *samsa.TopicConfig) error { c.Retention = time.Hour; c.LogAppendTime = true; return nil }); err != nil {
		t.Fatal(err)
	}
	want := samsa.TopicConfig{
		Partitions: 1, Retention: time.Hour, RetentionBytes: samsa.Unlimited, MaxMessageBytes: 1000, LogAppendTime: true,
		CleanupPolicy: samsa.CleanupDelete, DeleteRetention: 24 * time.Hour, Replicas: 1,
		TimestampBeforeMax: samsa.Unlimited, TimestampAfterMax: time.Hour,
	}
	for range 2 {
		if info, err := topics.Describe(k.ctx, "t"); err != nil || info.Config != want {
			t.Errorf("%+v, %v, want %+v", info.Config, err, want)
		}
		k.close()
		k = open(t, dir, samsa.Options{})
		topics = k.Topics()
	}
}

// The space of a deleted topic comes back while the rest of the broker goes on.
func TestDeletedTopicGivesSpaceBack(t *testing.T) {
	k := open(t, t.TempDir(), samsa.Options{Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
	k.create("large", 2)
	k.create("small", 1)
	value := make([]byte, 60_000)
	for range 80 { // 240 MB
		records := make([]samsa.Record, 50)
		for i := range records {
			records[i] = samsa.Record{Topic: "large", Key: fmt.Append(nil, i), Value: value}
		}
		k.produce(records...)
	}
	k.write("small", "a")
	full, err := k.Stats(k.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Topics().Delete(k.ctx, "large"); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Sweep(k.ctx); err != nil {
		t.Fatal(err)
	}
	after, err := k.Stats(k.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if full.DiskBytes < 200<<20 || after.DiskBytes > 70<<20 { // one file of 64 MiB is being written
		t.Errorf("%d MB on disk before and %d after", full.DiskBytes>>20, after.DiskBytes>>20)
	}
	k.write("small", "b")
	if got := values(k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"small"}}), 2)); !slices.Equal(got, []string{"a", "b"}) {
		t.Error(got)
	}
}

// What an edit sets to zero is what the broker's options say, and not Kafka's default; what
// has zero for a value has it.
func TestAlterToZero(t *testing.T) {
	defaults := samsa.TopicConfig{
		Partitions: 2, Retention: time.Hour, RetentionBytes: 1000, MaxMessageBytes: 2000, LogAppendTime: true,
		CleanupPolicy: samsa.CleanupDelete | samsa.CleanupCompact, DeleteRetention: time.Minute, MinCompactionLag: time.Second,
		TimestampBeforeMax: 48 * time.Hour, TimestampAfterMax: time.Minute,
	}
	k := open(t, "", samsa.Options{InMemory: true, TopicDefaults: defaults})
	own := samsa.TopicConfig{
		Partitions: 3, Retention: 2 * time.Hour, RetentionBytes: 5000, MaxMessageBytes: 6000,
		CleanupPolicy: samsa.CleanupConsumed, DeleteRetention: time.Hour, MinCompactionLag: time.Minute,
		TimestampBeforeMax: samsa.Unlimited, TimestampAfterMax: samsa.Unlimited,
	}
	if err := k.Topics().Create(k.ctx, "orders", own); err != nil {
		t.Fatal(err)
	}
	if err := k.Topics().Alter(k.ctx, "orders", func(c *samsa.TopicConfig) error { *c = samsa.TopicConfig{}; return nil }); err != nil {
		t.Fatal(err)
	}
	want := defaults
	want.Partitions, want.Replicas, want.LogAppendTime, want.MinCompactionLag = 3, 1, false, 0
	if info, err := k.Topics().Describe(k.ctx, "orders"); err != nil || info.Config != want {
		t.Errorf("got  %+v, %v\nwant %+v", info.Config, err, want)
	}
}

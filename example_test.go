package samsa_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa"
)

// must ends an example that went wrong.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// memory opens a broker with the topic "orders" of one partition.
func memory() *samsa.Broker {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	must(err)
	must(b.Topics().Create(context.Background(), "orders", samsa.TopicConfig{}))
	return b
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "samsa")
	must(err)
	defer os.RemoveAll(dir)
	ctx := context.Background()

	b, err := samsa.Open(dir, samsa.Options{})
	must(err)
	must(b.Topics().Create(ctx, "orders", samsa.TopicConfig{Partitions: 3}))
	_, err = samsa.Open(dir, samsa.Options{})
	fmt.Println("a second owner is refused:", errors.Is(err, samsa.ErrLocked))
	must(b.Close())

	b, err = samsa.Open(dir, samsa.Options{})
	must(err)
	names, err := b.Topics().List(ctx)
	must(err)
	fmt.Println("after reopening:", names)
	must(b.Close())
	// Output:
	// a second owner is refused: true
	// after reopening: [orders]
}

func ExampleBroker_Produce() {
	b := memory()
	defer b.Close()
	// Both or none: one call is one transaction.
	recs, err := b.Produce(context.Background(),
		samsa.Record{Topic: "orders", Key: []byte("7"), Value: []byte("paid")},
		samsa.Record{Topic: "orders", Key: []byte("7"), Value: []byte("shipped")},
	)
	must(err)
	for _, r := range recs {
		fmt.Printf("%s/%d offset %d\n", r.Topic, r.Partition, r.Offset)
	}
	// Output:
	// orders/0 offset 0
	// orders/0 offset 1
}

func ExampleBroker_NewProducer() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{Compression: samsa.CompressionZstd})
	must(err)
	for i := range 3 {
		p.Produce(ctx, samsa.Record{Topic: "orders", Value: fmt.Append(nil, i)}, func(r samsa.Record, err error) {
			must(err)
			fmt.Println("stored at offset", r.Offset)
		})
	}
	must(p.Flush(ctx))
	// Output:
	// stored at offset 0
	// stored at offset 1
	// stored at offset 2
}

func ExampleProducer_ProduceSync() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{Acks: samsa.AckSynced})
	must(err)
	recs, err := p.ProduceSync(ctx, samsa.Record{Topic: "orders", Value: []byte("survives a power cut")})
	must(err)
	fmt.Println("offset", recs[0].Offset)
	// Output: offset 0
}

func ExampleConsumer_Poll() {
	b := memory()
	defer b.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("a")}, samsa.Record{Topic: "orders"})
	must(err)

	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.Earliest()})
	must(err)
	recs, err := c.Poll(ctx) // sleeps until there is something
	must(err)
	for _, r := range recs {
		fmt.Printf("offset %d: %q, tombstone: %v\n", r.Offset, r.Value, r.Value == nil)
	}
	// Output:
	// offset 0: "a", tombstone: false
	// offset 1: "", tombstone: true
}

func ExampleConsumer_Records() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("a")}, samsa.Record{Topic: "orders", Value: []byte("stop")})
	must(err)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	for rec, err := range c.Records(ctx) {
		must(err)
		fmt.Printf("%s\n", rec.Value)
		if string(rec.Value) == "stop" {
			break
		}
	}
	// Output:
	// a
	// stop
}

func ExampleConsumer_RecordsUntil() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("a")}, samsa.Record{Topic: "orders", Value: []byte("b")})
	must(err)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	for rec, err := range c.RecordsUntil(ctx) {
		must(err)
		fmt.Printf("%s\n", rec.Value)
		_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("later")}) // for the next loop
		must(err)
	}
	// Output:
	// a
	// b
}

func ExampleConsumer_SeekLast() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	for _, v := range []string{"a", "b", "c", "d"} {
		_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte(v)})
		must(err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	must(c.SeekLast(ctx, 2))
	for rec, err := range c.RecordsUntil(ctx) {
		must(err)
		fmt.Printf("%s\n", rec.Value)
	}
	// Output:
	// c
	// d
}

func ExampleBroker_Backward() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	for _, v := range []string{"ok", "failed", "ok", "ok"} {
		_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte(v)})
		must(err)
	}
	for rec, err := range b.Backward(ctx, samsa.TopicPartition{Topic: "orders"}, samsa.Latest()) {
		must(err)
		if string(rec.Value) == "failed" {
			fmt.Println("failed last at offset", rec.Offset)
			break
		}
	}
	// Output: failed last at offset 1
}

func ExampleConsumer_SeekTime() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	began := time.Now().Add(-3 * time.Hour)
	for hour, v := range []string{"zero", "one", "two"} {
		_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte(v), Timestamp: began.Add(time.Duration(hour) * time.Hour)})
		must(err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.Latest()})
	must(err)
	must(c.SeekTime(ctx, began.Add(time.Minute)))
	tp := samsa.TopicPartition{Topic: "orders", Partition: 0}
	position, err := c.Position(tp)
	must(err)
	lag, err := c.Lag(tp)
	must(err)
	fmt.Println("position", position, "lag", lag)
	// Output: position 1 lag 2
}

func ExampleBroker_ListOffsets() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders"}, samsa.Record{Topic: "orders"})
	must(err)
	ends, err := b.ListOffsets(ctx, "orders", samsa.Latest())
	must(err)
	fmt.Println(ends)
	// Output: [{0 2}]
}

// A program that starts has its topic, whether or not it was there.
func ExampleTopics_Ensure() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	for range 2 {
		created, err := b.Topics().Ensure(ctx, "receipts", samsa.TopicConfig{Partitions: 3})
		must(err)
		fmt.Println("created:", created)
	}
	_, err := b.Topics().Ensure(ctx, "receipts", samsa.TopicConfig{Partitions: 5, Retention: time.Hour})
	fmt.Println(errors.Is(err, samsa.ErrTopicExists), err)
	// Output:
	// created: true
	// created: false
	// true ensure topic: topic already exists: "receipts" has partitions=3 instead of 5, retention.ms=604800000 instead of 3600000
}

func ExampleTopics_Alter() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Alter(ctx, "orders", func(c *samsa.TopicConfig) error {
		c.Retention = time.Hour
		return c.SetConfig("message.timestamp.type", "LogAppendTime")
	}))
	info, err := b.Topics().Describe(ctx, "orders")
	must(err)
	fmt.Println(info.Config.Configs()["retention.ms"], info.Config.LogAppendTime)
	err = b.Topics().Alter(ctx, "orders", func(c *samsa.TopicConfig) error { return c.SetConfig("retention.ms", "soon") })
	fmt.Println(err)
	// Output:
	// 3600000 true
	// topic orders: invalid config: retention.ms="soon": want a whole number from -1 to 9223372036854
}

func ExamplePartitionerFunc() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().AddPartitions(ctx, "orders", 2))
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{Partitioner: samsa.PartitionerFunc(func(r *samsa.Record, n int) int {
		return len(r.Value) % n
	})})
	must(err)
	recs, err := p.ProduceSync(ctx, samsa.Record{Topic: "orders", Value: []byte("odd")}, samsa.Record{Topic: "orders", Value: []byte("even")})
	must(err)
	fmt.Println(recs[0].Partition, recs[1].Partition)
	// Output: 1 0
}

func ExampleBroker_ProduceWith() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().AddPartitions(ctx, "orders", 2))
	recs, err := b.ProduceWith(ctx, samsa.ProduceOptions{
		Acks:        samsa.AckSynced,
		Partitioner: samsa.PartitionerByTopic(map[string]samsa.Partitioner{"orders": samsa.ManualPartitioner()}, nil),
	}, samsa.Record{Topic: "orders", Partition: 1, Value: []byte("paid")})
	must(err)
	fmt.Println(recs[0].Partition)
	// Output: 1
}

func ExampleBroker_Sync() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders"}) // stored: survives kill -9
	must(err)
	must(b.Sync(ctx)) // and from here on a power cut
	s, err := b.Stats(ctx)
	must(err)
	fmt.Println(s.Records, "record,", s.Syncs, "fsync")
	// Output: 1 record, 1 fsync
}

func ExampleConsumer_Commit() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("a")}, samsa.Record{Topic: "orders", Value: []byte("b")})
	must(err)

	billing := samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}, Member: samsa.MemberOptions{ManualCommit: true}}
	c, err := b.NewConsumer(ctx, billing)
	must(err)
	recs, err := c.Poll(ctx) // joins the group
	must(err)
	must(c.CommitRecords(ctx, recs[0])) // only the first is done
	must(c.Close())

	c, err = b.NewConsumer(ctx, billing) // somebody else goes on
	must(err)
	recs, err = c.Poll(ctx)
	must(err)
	fmt.Printf("%s\n", recs[0].Value)
	// Output: b
}

func ExampleGroups_Describe() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders"}, samsa.Record{Topic: "orders"})
	must(err)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}})
	must(err)
	_, err = c.Poll(ctx)
	must(err)
	must(c.CommitOffsets(ctx, map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "orders"}: {Offset: 1, Metadata: "half"}}))
	info, err := b.Groups().Describe(ctx, "billing")
	must(err)
	p := info.Partitions[0]
	fmt.Println(info.State, len(info.Members), "member, committed", p.Committed, p.Metadata, "lag", p.Lag)
	// Output: Stable 1 member, committed 1 half lag 1
}

func ExampleGroups_AlterOffsets() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders"}, samsa.Record{Topic: "orders"}, samsa.Record{Topic: "orders"})
	must(err)
	tp := samsa.TopicPartition{Topic: "orders"}
	must(b.Groups().AlterOffsets(ctx, "billing", samsa.To(samsa.Latest()), tp))
	must(b.Groups().AlterOffsets(ctx, "billing", samsa.Shift(-1)))
	offsets, err := b.Groups().Committed(ctx, "billing")
	must(err)
	fmt.Println(offsets[tp].Offset)
	// Output: 2
}

// A program that was killed in the middle of its work begins again from the start.
func ExampleProducerOptions_replay() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	lines := []string{"first", "second", "third"}
	load := func(lines []string) {
		p, err := b.NewProducer(ctx, samsa.ProducerOptions{ID: "import/lines.txt", Replay: true})
		must(err)
		for _, line := range lines {
			p.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte(line)}, func(_ samsa.Record, err error) { must(err) })
		}
		must(p.Close())
	}
	load(lines[:2]) // and then it was killed
	load(lines)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	for range lines {
		records, err := c.Poll(ctx)
		must(err)
		for _, r := range records {
			fmt.Printf("%d %s\n", r.Offset, r.Value)
		}
		if records[len(records)-1].Offset == 2 {
			break
		}
	}
	// Output:
	// 0 first
	// 1 second
	// 2 third
}

// The keys of a prefix from one of them on, and backwards from the last.
func ExampleReadTx_ScanWith() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Update(ctx, func(tx *samsa.Tx) error {
		for _, day := range []string{"2026-03-01", "2026-03-02", "2026-03-04", "2026-03-05"} {
			if err := tx.Set([]byte("sold/"+day), []byte("7")); err != nil {
				return err
			}
		}
		return nil
	}))
	must(b.View(ctx, func(tx *samsa.ReadTx) error {
		for kv, err := range tx.ScanWith(samsa.ScanOptions{Prefix: []byte("sold/"), Start: []byte("sold/2026-03-03")}) {
			must(err)
			fmt.Printf("since the 3rd: %s\n", kv.Key)
		}
		for kv, err := range tx.ScanWith(samsa.ScanOptions{Prefix: []byte("sold/"), Reverse: true}) {
			must(err)
			fmt.Printf("the last: %s\n", kv.Key)
			break
		}
		return nil
	}))
	// Output:
	// since the 3rd: sold/2026-03-04
	// since the 3rd: sold/2026-03-05
	// the last: sold/2026-03-05
}

func ExampleBroker_Update() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Create(ctx, "receipts", samsa.TopicConfig{}))
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Key: []byte("alice"), Value: []byte("3 books")})
	must(err)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Group: "shop", Topics: []string{"orders"}, Member: samsa.MemberOptions{ManualCommit: true},
	})
	must(err)
	in, err := c.Poll(ctx)
	must(err)
	// The receipt, what is known of alice, and the offset: all or nothing.
	must(b.Update(ctx, func(tx *samsa.Tx) error {
		for _, r := range in {
			if err := tx.Produce(samsa.Record{Topic: "receipts", Key: r.Key}); err != nil {
				return err
			}
			if err := tx.Set(append([]byte("last/"), r.Key...), r.Value); err != nil {
				return err
			}
		}
		return tx.CommitRecords(c, in...)
	}))
	must(b.View(ctx, func(tx *samsa.ReadTx) error {
		for kv, err := range tx.Scan([]byte("last/")) {
			must(err)
			fmt.Printf("%s: %s\n", kv.Key, kv.Value)
		}
		offsets, err := tx.Committed("shop")
		fmt.Println(offsets)
		return err
	}))
	// Output:
	// last/alice: 3 books
	// map[orders/0:{1 }]
}

// A snapshot goes from a running broker into any other store: a file of test data, say, into
// memory.
func ExampleRestore() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")})
	must(err)
	var file bytes.Buffer
	must(b.Snapshot(ctx, &file))
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("after the snapshot")})
	must(err)

	restored, err := samsa.Restore(ctx, "", &file, samsa.Options{InMemory: true})
	must(err)
	defer restored.Close()
	c, err := restored.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	records, err := c.Poll(ctx)
	must(err)
	fmt.Println(len(records), string(records[0].Value))
	// Output: 1 tea
}

// Of three prices the first goes: the second supersedes it. The third is in the newest batch, which does
// not take part yet.
func Example_compaction() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Create(ctx, "prices", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
	for _, price := range []string{"3", "4", "5"} {
		_, err := b.Produce(ctx, samsa.Record{Topic: "prices", Key: []byte("tea"), Value: []byte(price)})
		must(err)
	}
	done, err := b.Sweep(ctx) // now, and not within 5 minutes
	must(err)
	fmt.Println("removed:", done.Records)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"prices"}})
	must(err)
	recs, err := c.Poll(ctx)
	must(err)
	for _, r := range recs {
		fmt.Printf("offset %d: %s=%s\n", r.Offset, r.Key, r.Value)
	}
	// Output:
	// removed: 1
	// offset 1: tea=4
	// offset 2: tea=5
}

// A call is a commit, whatever it holds.
func Example_batches() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	var records []samsa.Record
	for i := range 1000 {
		records = append(records, samsa.Record{Topic: "orders", Value: fmt.Append(nil, i)})
	}
	before, err := b.Stats(ctx)
	must(err)
	_, err = b.Produce(ctx, records...)
	must(err)
	one, err := b.Stats(ctx)
	must(err)
	for _, r := range records {
		_, err = b.Produce(ctx, r)
		must(err)
	}
	many, err := b.Stats(ctx)
	must(err)
	fmt.Println("one call:", one.Commits-before.Commits, "commit,", one.Batches-before.Batches, "batch")
	fmt.Println("1000 calls:", many.Commits-one.Commits, "commits,", many.Batches-one.Batches, "batches")
	// Output:
	// one call: 1 commit, 1 batch
	// 1000 calls: 1000 commits, 1000 batches
}

func Example_operating() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelWarn}))
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true, Slog: log})
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")})
	must(err)
	s, err := b.Stats(ctx)
	must(err)
	fmt.Println(s.Topics, "topic,", s.Records, "record,", s.Failed, "failures,", s.Resets, "resets")
	r, err := b.RetentionStats(ctx)
	must(err)
	fmt.Println("alive:", r.BytesLive > 0, "removed:", r.Removed.Records)
	if err := b.Shutdown(ctx); errors.Is(err, samsa.ErrCutOff) {
		fmt.Println("a callback is stuck:", err)
	}
	// Output:
	// 1 topic, 1 record, 0 failures, 0 resets
	// alive: true removed: 0
}

// How far a group is behind, in records and in time.
func ExampleBroker_Metrics() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")}, samsa.Record{Topic: "orders", Value: []byte("milk")})
	must(err)
	must(b.Groups().AlterOffsets(ctx, "mailer", samsa.To(samsa.AtOffset(1)), samsa.TopicPartition{Topic: "orders"}))

	m, err := b.Metrics(ctx, samsa.MetricsOptions{})
	must(err)
	for _, g := range m.Groups {
		fmt.Println(g.Group, "has", g.Members, "members and is", g.Lag, "record behind, less than a minute:", g.LagTime < time.Minute)
	}
	for _, t := range m.Topics {
		fmt.Println(t.Topic, "has", t.Count, "partition and", t.Offsets, "records")
	}
	fmt.Println(m.Broker.Commits > 0, m.LeftOut == samsa.MetricsLeftOut{})
	// Output:
	// mailer has 0 members and is 1 record behind, less than a minute: true
	// orders has 1 partition and 2 records
	// true true
}

// A hook hears of records that were produced, and of the context of who did it.
func ExampleHook_interceptors() {
	sealed := []byte("sealed ")
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true, Hooks: []samsa.Hook{{
		Name: "seal",
		BeforeProduce: func(_ context.Context, records []samsa.Record) (int, error) {
			for i := range records {
				records[i].Value = slices.Concat(sealed, records[i].Value)
			}
			return len(records), nil
		},
		BeforeDeliver: func(_ context.Context, records []samsa.Record) (int, error) {
			for i := range records {
				value, ok := bytes.CutPrefix(records[i].Value, sealed)
				if !ok {
					return i, errors.New("the seal is missing")
				}
				records[i].Value = value
			}
			return len(records), nil
		},
	}}})
	must(err)
	defer b.Close()
	ctx := context.Background()
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")})
	must(err)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	records, err := c.Poll(ctx)
	must(err)
	fmt.Printf("%s\n", records[0].Value)
	// Output: tea
}

func ExampleOptions_hooks() {
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true, Hooks: []samsa.Hook{{
		Name: "audit",
		Produce: func(_ context.Context, e samsa.ProduceEvent) {
			for _, batch := range e.Batches {
				fmt.Println(batch.Records, "records in", batch.TopicPartition, "from offset", batch.Offset, "on, error:", e.Err)
			}
		},
		Deliver: func(_ context.Context, e samsa.DeliverEvent) {
			fmt.Println(len(e.Records), "records for the program")
		},
	}}})
	must(err)
	defer b.Close()
	ctx := context.Background()
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")}, samsa.Record{Topic: "orders", Value: []byte("milk")})
	must(err)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	_, err = c.Poll(ctx)
	must(err)
	// Output:
	// 2 records in orders/0 from offset 0 on, error: <nil>
	// 2 records for the program
}

// A program that has been told to end gives its callbacks some time, and ends.
func ExampleBroker_Shutdown() {
	b := memory()
	p, err := b.NewProducer(context.Background(), samsa.ProducerOptions{ClientID: "mailer"})
	must(err)
	forever := make(chan struct{})
	defer close(forever)
	p.Produce(context.Background(), samsa.Record{Topic: "orders"}, func(samsa.Record, error) { <-forever })
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err = b.Shutdown(ctx)
	fmt.Println(errors.Is(err, samsa.ErrCutOff), errors.Is(err, context.DeadlineExceeded))
	fmt.Println(err)
	// Output:
	// true true
	// samsa: close: cut off: a producer (client "mailer") has not ended, nor returned from what it calls of the program's: context deadline exceeded
}

// Two programs look into what a third one has left. Nothing of it changes.
func ExampleOptions_readOnly() {
	dir, err := os.MkdirTemp("", "samsa")
	must(err)
	defer os.RemoveAll(dir)
	ctx := context.Background()
	owner, err := samsa.Open(dir, samsa.Options{AutoCreateTopics: true})
	must(err)
	_, err = owner.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")})
	must(err)
	must(owner.Close())

	b, err := samsa.Open(dir, samsa.Options{ReadOnly: true})
	must(err)
	defer b.Close()
	beside, err := samsa.Open(dir, samsa.Options{ReadOnly: true})
	must(err)
	defer beside.Close()
	c, err := beside.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	in, err := c.Poll(ctx)
	must(err)
	fmt.Printf("%s\n", in[0].Value)
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("milk")})
	fmt.Println(errors.Is(err, samsa.ErrReadOnly))
	// Output:
	// tea
	// true
}

func ExampleRetriable() {
	dir, err := os.MkdirTemp("", "samsa")
	must(err)
	defer os.RemoveAll(dir)
	ctx := context.Background()
	before, err := samsa.Open(dir, samsa.Options{})
	must(err)
	b, err := samsa.Open(dir, samsa.Options{})
	for samsa.Retriable(err) {
		fmt.Println("locked:", errors.Is(err, samsa.ErrLocked))
		must(before.Close()) // which another process does in its own time
		b, err = samsa.Open(dir, samsa.Options{})
	}
	must(err)
	defer b.Close()
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders"})
	fmt.Println(err)
	fmt.Println("unknown:", errors.Is(err, samsa.ErrUnknown), "retriable:", samsa.Retriable(err))
	// Output:
	// locked: true
	// produce: record 0: unknown topic: "orders"
	// unknown: true retriable: false
}

func ExampleTopicConfig() {
	config := samsa.TopicConfig{Partitions: 3, Retention: time.Hour, CleanupPolicy: samsa.CleanupCompact | samsa.CleanupDelete}
	must(config.SetConfig("min.insync.replicas", "2")) // has nothing to work on here, and is told back
	text, err := json.Marshal(config)
	must(err)
	fmt.Println(string(text))
	err = json.Unmarshal([]byte(`{"configs":{"retention.hours":"1"}}`), &config)
	fmt.Println(errors.Is(err, samsa.ErrInvalidConfig))
	// Output:
	// {"partitions":3,"configs":{"cleanup.policy":"compact,delete","min.insync.replicas":"2","retention.ms":"3600000"}}
	// true
}

// save writes a snapshot of b into a file, which is there whole or not at all.
func save(ctx context.Context, b *samsa.Broker, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "snapshot")
	if err != nil {
		return err
	}
	if err := errors.Join(b.Snapshot(ctx, f), f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return os.Rename(f.Name(), path)
}

func Example_backup() {
	b := memory()
	defer b.Close()
	dir, err := os.MkdirTemp("", "samsa")
	must(err)
	defer os.RemoveAll(dir)
	ctx := context.Background()
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("tea")})
	must(err)
	must(save(ctx, b, filepath.Join(dir, "today")))

	f, err := os.Open(filepath.Join(dir, "today"))
	must(err)
	defer f.Close()
	again, err := samsa.Restore(ctx, filepath.Join(dir, "data"), f, samsa.Options{})
	must(err)
	ends, err := again.ListOffsets(ctx, "orders", samsa.Latest())
	must(err)
	fmt.Println(ends)
	must(again.Close())
	// Output: [{0 1}]
}

func ExampleConsumer_Collect() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	for i := range 5 {
		_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: fmt.Append(nil, i)})
		must(err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	collect := func(n int, within time.Duration) {
		lag, err := c.TotalLag(ctx)
		must(err)
		recs, err := c.Collect(ctx, n, within)
		must(err)
		fmt.Println("lag", lag, "collected", len(recs))
	}
	collect(3, time.Minute) // does not wait so long: there are enough
	collect(2, time.Minute)
	collect(3, time.Millisecond) // does, and there are none
	// Output:
	// lag 5 collected 3
	// lag 2 collected 2
	// lag 0 collected 0
}

func ExampleConsumer_Work() {
	b := memory()
	defer b.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, order := range []string{"tea", "milk", "soap", "rope"} {
		_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Key: []byte(order), Value: []byte(order)})
		must(err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "shipping", Topics: []string{"orders"}, OrderByKey: true})
	must(err)
	defer c.Close()
	var shipped atomic.Int64
	err = c.Work(ctx, 8, func(ctx context.Context, r samsa.Record) error { // 8 at once
		if shipped.Add(1) == 4 {
			cancel()
		}
		return nil
	})
	fmt.Println(errors.Is(err, context.Canceled))
	committed, err := b.Groups().Committed(context.Background(), "shipping")
	fmt.Println(committed, err)
	// Output:
	// true
	// map[orders/0:{4 }] <nil>
}

func ExampleConsumer_PollRecords() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	_, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("a")}, samsa.Record{Topic: "orders", Value: []byte("b")})
	must(err)
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	for range 2 {
		recs, err := c.PollRecords(ctx, 1)
		must(err)
		fmt.Printf("%s\n", recs[0].Value)
	}
	// Output:
	// a
	// b
}

package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
)

// kit is a broker under test and the steps that most tests are made of. What goes wrong
// in a step ends the test.
type kit struct {
	*samsa.Broker
	t   *testing.T
	ctx context.Context
}

// inMemory opens a broker in memory that is closed with the test.
func inMemory(t *testing.T, opts samsa.Options) *kit {
	t.Helper()
	opts.InMemory = true
	return open(t, "", opts)
}

// open opens a broker that is closed with the test, if not before.
func open(t *testing.T, dir string, opts samsa.Options) *kit {
	t.Helper()
	b, err := samsa.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{Broker: b, t: t, ctx: context.Background()}
	t.Cleanup(k.close)
	return k
}

// inside returns the parts of the broker.
func (k *kit) inside() inside.Broker { return inside.Of(k.Broker) }

func (k *kit) close() {
	k.t.Helper()
	if err := k.Close(); err != nil {
		k.t.Error(err)
	}
}

func (k *kit) create(topic string, partitions int) {
	k.t.Helper()
	if err := k.Topics().Create(k.ctx, topic, samsa.TopicConfig{Partitions: partitions}); err != nil {
		k.t.Fatal(err)
	}
}

// write produces each value to the topic, without a key, in one call.
func (k *kit) write(topic string, values ...string) []samsa.Record {
	k.t.Helper()
	records := make([]samsa.Record, len(values))
	for i, v := range values {
		records[i] = samsa.Record{Topic: topic, Value: []byte(v)}
	}
	return k.produce(records...)
}

func (k *kit) produce(records ...samsa.Record) []samsa.Record {
	k.t.Helper()
	out, err := k.Produce(k.ctx, records...)
	if err != nil {
		k.t.Fatal(err)
	}
	return out
}

// put produces each value to that partition, a batch each.
func (k *kit) put(topic string, partition int32, values ...string) {
	k.t.Helper()
	p := k.producer(samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
	for _, v := range values {
		if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: topic, Partition: partition, Value: []byte(v)}); err != nil {
			k.t.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) producer(opts samsa.ProducerOptions) *samsa.Producer {
	k.t.Helper()
	p, err := k.NewProducer(k.ctx, opts)
	if err != nil {
		k.t.Fatal(err)
	}
	return p
}

func (k *kit) consumer(opts samsa.ConsumerOptions) *samsa.Consumer {
	k.t.Helper()
	c, err := k.NewConsumer(k.ctx, opts)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = c.Close() })
	return c
}

// read polls until n records came.
func (k *kit) read(c *samsa.Consumer, n int) []samsa.Record {
	k.t.Helper()
	var records []samsa.Record
	for len(records) < n {
		more, err := c.Poll(k.ctx)
		if err != nil {
			k.t.Fatal(err)
		}
		records = append(records, more...)
	}
	if len(records) > n {
		k.t.Fatalf("%d records came, want %d", len(records), n)
	}
	return records
}

// texts renders records as topic/partition@offset=value.
func texts(records []samsa.Record) []string {
	s := make([]string, len(records))
	for i, r := range records {
		s[i] = fmt.Sprintf("%s/%d@%d=%s", r.Topic, r.Partition, r.Offset, r.Value)
	}
	return s
}

func values(records []samsa.Record) []string {
	s := make([]string, len(records))
	for i, r := range records {
		s[i] = string(r.Value)
	}
	return s
}

// patience is a guard against tests that hang; nothing is measured against it.
const patience = 5 * time.Minute

// patient returns a context that ends with the test, or when it hangs.
func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// mustOpen opens a broker that the end of the test closes, if nobody has done so.
func mustOpen(t testing.TB, dir string, opts samsa.Options) *samsa.Broker {
	t.Helper()
	b, err := samsa.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustClose(t, b) })
	return b
}

func mustClose(t rapid.TB, c interface{ Close() error }) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatalf("close: %v", err)
	}
}

func mustCreate(t testing.TB, b *samsa.Broker, name string, partitions int) {
	t.Helper()
	if err := b.Topics().Create(patient(t), name, samsa.TopicConfig{Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
}

// ends returns the high watermark of every partition there is.
func ends(t testing.TB, b *samsa.Broker) map[samsa.TopicPartition]int64 {
	t.Helper()
	ctx := patient(t)
	names, err := b.Topics().List(ctx)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[samsa.TopicPartition]int64)
	for _, name := range names {
		offsets, err := b.ListOffsets(ctx, name, samsa.Latest())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range offsets {
			all[samsa.TopicPartition{Topic: name, Partition: o.Partition}] = o.Offset
		}
	}
	return all
}

// readRange reads every partition of to from its offset in from, or 0, up to that in
// to. It gives fn the records, and the errors of Poll with an empty record.
func readRange(t testing.TB, b *samsa.Broker, from, to map[samsa.TopicPartition]int64, fn func(samsa.Record, error)) {
	t.Helper()
	readRangeOf(t, b, samsa.ResetError, from, to, fn)
}

// readRangeOf is readRange that meets what has gone as reset says.
func readRangeOf(t testing.TB, b *samsa.Broker, reset samsa.ResetPolicy, from, to map[samsa.TopicPartition]int64, fn func(samsa.Record, error)) {
	t.Helper()
	opts := samsa.ConsumerOptions{Partitions: make(map[string][]int32), OutOfRange: reset}
	for tp, end := range to {
		if from[tp] < end {
			opts.Partitions[tp.Topic] = append(opts.Partitions[tp.Topic], tp.Partition)
		}
	}
	if len(opts.Partitions) == 0 {
		return
	}
	c, err := b.NewConsumer(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, c)
	for _, tp := range c.Assigned() {
		if err := c.Seek(t.Context(), tp, from[tp]); err != nil {
			t.Fatal(err)
		}
	}
	ctx := patient(t)
	for !reached(t, c, to) {
		records, err := c.Poll(ctx)
		if ctx.Err() != nil {
			t.Fatalf("nothing to read, before the end: %v", err)
		}
		if err != nil {
			fn(samsa.Record{}, err)
		}
		for _, r := range records {
			if r.Offset < to[samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}] {
				fn(r, nil)
			}
		}
	}
}

func reached(t testing.TB, c *samsa.Consumer, to map[samsa.TopicPartition]int64) bool {
	t.Helper()
	for _, tp := range c.Assigned() {
		at, err := c.Position(tp)
		if err != nil {
			t.Fatal(err)
		}
		if at < to[tp] {
			return false
		}
	}
	return true
}

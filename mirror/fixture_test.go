package mirror

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/log"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kit is two brokers in memory, and the steps that tests are made of. What goes wrong in a step ends the test.
type kit struct {
	t        *testing.T
	ctx      context.Context
	from, to *samsa.Broker
}

func newKit(t *testing.T) *kit {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return &kit{t: t, ctx: ctx, from: open(t), to: open(t)}
}

func open(t *testing.T) *samsa.Broker {
	t.Helper()
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func (k *kit) ok(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) fails(err, want error) {
	k.t.Helper()
	if !errors.Is(err, want) {
		k.t.Fatalf("error is %v, want %v", err, want)
	}
}

func (k *kit) want(got, want any) {
	k.t.Helper()
	if !reflect.DeepEqual(got, want) {
		k.t.Fatalf("got  %v\nwant %v", got, want)
	}
}

func (k *kit) create(b *samsa.Broker, name string, c samsa.TopicConfig) {
	k.t.Helper()
	k.ok(b.Topics().Create(k.ctx, name, c))
}

// put stores values in a partition, one by one.
func (k *kit) put(b *samsa.Broker, name string, partition int32, values ...string) {
	k.t.Helper()
	for _, v := range values {
		k.produce(b, samsa.ProduceOptions{}, samsa.Record{Topic: name, Partition: partition, Key: []byte("k" + v), Value: []byte(v)})
	}
}

// produce stores records in the partitions that they name.
func (k *kit) produce(b *samsa.Broker, opts samsa.ProduceOptions, records ...samsa.Record) {
	k.t.Helper()
	opts.Partitioner = samsa.ManualPartitioner()
	_, err := b.ProduceWith(k.ctx, opts, records...)
	k.ok(err)
}

// mirror returns the mirror from one broker to the other, until now.
func (k *kit) mirror(opts Options) *Mirror {
	k.t.Helper()
	return k.between(k.from, k.to, opts)
}

func (k *kit) between(from, to *samsa.Broker, opts Options) *Mirror {
	k.t.Helper()
	opts.UntilNow = true
	m, err := New(from, to, opts)
	k.ok(err)
	return m
}

// run has a new mirror copy what there is.
func (k *kit) run(opts Options) *Mirror {
	k.t.Helper()
	m := k.mirror(opts)
	k.ok(m.Run(k.ctx))
	return m
}

// records returns the records of what is committed in a partition, as text.
func (k *kit) records(b *samsa.Broker, name string, partition int32) (all []string) {
	k.t.Helper()
	for _, r := range k.read(b, name, partition) {
		all = append(all, fmt.Sprintf("%d:%s", r.Offset, r.Value))
	}
	return all
}

func (k *kit) read(b *samsa.Broker, name string, partition int32) (all []log.Record) {
	k.t.Helper()
	p := k.partition(b, name, partition)
	end, err := edge(k.ctx, p)
	k.ok(err)
	for from := p.LogStart(); from < end; {
		before := from
		_, err := p.Fetch(k.ctx, "", log.ReadCommitted, from, nil, func(sb log.StoredBatch) bool {
			from = sb.LastOffset + 1
			k.ok(sb.Err)
			if sb.Batch.Control() || sb.Aborted {
				return true
			}
			_, err := eachRecord(sb.Batch, nil, func(r *log.Record) error {
				c := *r
				c.Key, c.Value, c.Headers = slices.Clone(r.Key), slices.Clone(r.Value), slices.Clone(r.Headers)
				all = append(all, c)
				return nil
			})
			k.ok(err)
			return true
		})
		k.ok(err)
		if from == before {
			break
		}
	}
	return all
}

func (k *kit) partition(b *samsa.Broker, name string, i int32) engine.Partition {
	k.t.Helper()
	t, err := inside.Of(b).Parts.Topics.Find(k.ctx, name, false)
	k.ok(err)
	p, err := t.Partition(i)
	k.ok(err)
	return p
}

// same checks that a partition is the same in both, offsets too.
func (k *kit) same(name string, partition int32) {
	k.t.Helper()
	k.want(k.read(k.to, name, partition), k.read(k.from, name, partition))
	k.want(k.partition(k.to, name, partition).HighWatermark(), k.partition(k.from, name, partition).HighWatermark())
}

// commit commits an offset of a group without members.
func (k *kit) commit(b *samsa.Broker, group, name string, partition int32, offset int64) {
	k.t.Helper()
	tp := samsa.TopicPartition{Topic: name, Partition: partition}
	k.ok(b.Groups().SetOffsets(k.ctx, group, map[samsa.TopicPartition]samsa.CommittedOffset{tp: {Offset: offset}}))
}

// committed returns the committed offset of a group, -1 without one.
func (k *kit) committed(b *samsa.Broker, group, name string, partition int32) int64 {
	k.t.Helper()
	tp := samsa.TopicPartition{Topic: name, Partition: partition}
	found, err := b.Groups().Committed(k.ctx, group, tp)
	k.ok(err)
	if o, ok := found[tp]; ok {
		return o.Offset
	}
	return -1
}

package read

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
)

// TestMain fails the package when goroutines are left after its tests.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kit is a broker in memory behind its wire door, the topics as they are seen through it, and the steps that tests are made
// of. What goes wrong in a step ends the test.
type kit struct {
	t   *testing.T
	ctx context.Context
	*samsa.Broker
	srv    *kafka.Server
	topics *Topics
	reads  consumer.Broker
}

func start(t *testing.T) *kit {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	k := &kit{t: t, ctx: ctx}
	var err error
	if k.Broker, err = samsa.Open("", samsa.Options{InMemory: true, Produce: samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	if k.srv, err = kafka.Listen(k.Broker, "127.0.0.1:0", kafka.Options{}); err != nil {
		t.Fatal(err)
	}
	l, err := link.Open(link.Options{Seeds: []string{k.srv.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	if k.topics, err = Open(ctx, l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.topics.Close)
	k.reads = consumer.Broker{
		Topics: k.topics, Logger: zap.NewNop(), Clients: new(callback.Clients), Resets: new(consumer.ResetStats), Passed: new(atomic.Int64),
	}
	return k
}

func (k *kit) create(name string, partitions int) {
	k.t.Helper()
	if err := k.Topics().Create(k.ctx, name, samsa.TopicConfig{Partitions: partitions}); err != nil {
		k.t.Fatal(err)
	}
}

// put stores values in a partition, a batch each.
func (k *kit) put(name string, partition int32, values ...string) {
	k.t.Helper()
	for _, v := range values {
		if _, err := k.Produce(k.ctx, samsa.Record{Topic: name, Partition: partition, Value: []byte(v)}); err != nil {
			k.t.Fatal(err)
		}
	}
}

// consumer returns one that is closed with the test.
func (k *kit) consumer(opts consumer.Options) *consumer.Consumer {
	k.t.Helper()
	if opts.MaxPollRecords == 0 {
		opts.MaxPollRecords, opts.MaxPollBytes = 4096, 4<<20
	}
	opts.Member = member.Options{
		Assignors: []group.Assignor{group.CooperativeSticky()}, SessionTimeout: 45 * time.Second,
		HeartbeatInterval: 3 * time.Second, MaxPollInterval: 5 * time.Minute,
	}
	c, err := consumer.New(k.ctx, &k.reads, opts)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = c.Close() })
	return c
}

// read polls until n records came, and returns their values by partition.
func (k *kit) read(c *consumer.Consumer, n int) map[int32][]string {
	k.t.Helper()
	got := make(map[int32][]string)
	for n > 0 {
		records, err := c.Poll(k.ctx)
		if err != nil {
			k.t.Fatal(err)
		}
		for _, r := range records {
			got[r.Partition] = append(got[r.Partition], string(r.Value))
		}
		n -= len(records)
	}
	return got
}

func (k *kit) want(got, want any) {
	k.t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		k.t.Fatalf("got %v, want %v", got, want)
	}
}

func (k *kit) wantError(err, want error) {
	k.t.Helper()
	if !errors.Is(err, want) {
		k.t.Fatalf("got %v, want %v", err, want)
	}
}

func (k *kit) partition(name string, i int32) engine.Partition {
	k.t.Helper()
	t, err := k.topics.Find(k.ctx, name, false)
	if err != nil {
		k.t.Fatal(err)
	}
	p, err := t.Partition(i)
	if err != nil {
		k.t.Fatal(err)
	}
	return p
}

func fetched(p engine.Partition, from int64) (values []string, err error) {
	_, err = p.Fetch(context.Background(), "", log.ReadCommitted, from, nil, func(sb log.StoredBatch) bool {
		values = append(values, fmt.Sprint(sb.Batch.BaseOffset()))
		return true
	})
	return values, err
}

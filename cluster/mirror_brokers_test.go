package cluster_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/mirror"
)

// Brokers are killed, each in turn, and started again, while records are written to the source and a mirror copies them, each way. With three of them,
// and three replicas of which two are waited for, it goes on while one is dead. In the end each record is there once, in its order, and a group goes on where it
// was. NODES says how many brokers there are, KILLS how often one is killed.
func TestMirrorWhileBrokersAreKilled(t *testing.T) {
	kafkatest.Need(t)
	nodes := howMany("NODES", 1)
	c := kafkatest.New(t, kafkatest.Options{Nodes: nodes})
	for _, way := range []string{"there", "back"} {
		t.Run(way, func(t *testing.T) {
			d := newMirrorDrill(t, c, way)
			kills := howMany("KILLS", 1)
			for i := range kills {
				id := i%nodes + 1
				c.Kill(id)
				if nodes > 1 {
					d.goesOn("with a dead one")
				}
				if err := c.Restart(id); err != nil {
					t.Fatal(err)
				}
				if err := c.Ready(d.Ctx); err != nil {
					t.Fatal(err)
				}
				d.goesOn("with all")
			}
			d.finish()
			t.Logf("%d brokers, %d kills, %d records; %+v", nodes, kills, d.written.Load(), d.m.Stats())
		})
	}
}

// mirrorDrill is a mirror that runs, and who writes to its source.
type mirrorDrill struct {
	*mirrors
	from, to *samsa.Broker
	topic    string
	m        *mirror.Mirror

	written atomic.Int64
	stop    context.CancelFunc // who writes
	writes  sync.WaitGroup
	end     context.CancelFunc // the mirror
	ended   chan error
}

// mostAhead is how many records who writes is ahead of the mirror at most.
const mostAhead = 20_000

func newMirrorDrill(t *testing.T, c *kafkatest.Cluster, way string) *mirrorDrill {
	t.Helper()
	d := &mirrorDrill{mirrors: &mirrors{Kit: &kit.Kit{T: t, Ctx: t.Context()}}, topic: way, ended: make(chan error, 1)}
	local, err := samsa.Open(t.TempDir(), samsa.Options{})
	d.ok(err)
	far, err := cluster.Open(d.Ctx, cluster.Options{Seeds: c.Seeds()})
	d.ok(err)
	if d.from, d.to = local, far; way == "back" {
		d.from, d.to = far, local
	}
	d.ok(d.from.Topics().Create(d.Ctx, d.topic, samsa.TopicConfig{Partitions: killsPartitions}))
	d.m, err = mirror.New(d.from, d.to, mirror.Options{Name: way, Topics: []string{d.topic}, Groups: []string{way}})
	d.ok(err)
	writing, stop := context.WithCancel(context.Background())
	running, end := context.WithCancel(context.Background())
	d.stop, d.end = stop, end
	d.writes.Go(func() { d.write(writing) })
	go func() { d.ended <- d.m.Run(running) }()
	t.Cleanup(func() {
		stop()
		end()
		d.writes.Wait()
		d.ok(errors.Join(local.Close(), far.Close()))
	})
	d.goesOn("at the beginning")
	return d
}

// write writes records that count up in each partition.
func (d *mirrorDrill) write(ctx context.Context) {
	p, err := d.from.NewProducer(context.Background(), samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
	if err != nil {
		d.T.Error(err)
		return
	}
	for n := int64(0); ctx.Err() == nil; {
		for range 100 {
			value := make([]byte, killsValue)
			binary.BigEndian.PutUint64(value, uint64(n/killsPartitions))
			p.Produce(ctx, samsa.Record{Topic: d.topic, Partition: int32(n % killsPartitions), Value: value}, func(_ samsa.Record, err error) {
				if err != nil {
					d.T.Error(err)
				}
			})
			n++
		}
		if err := p.Flush(context.Background()); err != nil {
			d.T.Error(err)
		}
		d.written.Store(n)
		for n > d.m.Stats().Records+mostAhead && ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
	}
	if err := p.Close(); err != nil {
		d.T.Error(err)
	}
}

// goesOn returns when records have been copied that are written from now on, and many of them.
func (d *mirrorDrill) goesOn(when string) {
	d.T.Helper()
	began, enough := time.Now(), d.written.Load()+mostAhead
	for d.m.Stats().Records < enough {
		select {
		case err := <-d.ended:
			d.T.Fatalf("the mirror has ended: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
		if time.Since(began) > drillPatience {
			d.T.Fatalf("%s: it does not go on: %+v", when, d.m.Stats())
		}
	}
	d.T.Logf("%s: it goes on after %v", when, time.Since(began).Round(100*time.Millisecond))
}

// finish ends the mirror when all is copied, and compares.
func (d *mirrorDrill) finish() {
	d.T.Helper()
	d.stop()
	d.writes.Wait()
	each := d.written.Load() / killsPartitions
	middle := make(map[samsa.TopicPartition]samsa.CommittedOffset)
	for i := range int32(killsPartitions) {
		offset, n := int64(-1), int64(0)
		d.walk(d.from, d.topic, i, func(r *samsa.Record) {
			if n == each/2 {
				offset = r.Offset
			}
			n++
		})
		middle[samsa.TopicPartition{Topic: d.topic, Partition: i}] = samsa.CommittedOffset{Offset: offset}
	}
	for err := error(samsa.ErrUnavailable); err != nil; time.Sleep(100 * time.Millisecond) { // while the group has no coordinator
		if err = d.from.Groups().SetOffsets(d.Ctx, d.topic, middle); err != nil && !samsa.Retriable(err) {
			d.T.Fatal(err)
		}
	}
	d.end()
	d.WantError(<-d.ended, context.Canceled)
	last, err := mirror.New(d.from, d.to, mirror.Options{Name: d.topic, Topics: []string{d.topic}, Groups: []string{d.topic}, UntilNow: true})
	d.ok(err)
	d.ok(last.Run(d.Ctx))
	d.ok(last.Finish(d.Ctx))
	committed, err := d.to.Groups().Committed(d.Ctx, d.topic)
	d.ok(err)
	for i := range int32(killsPartitions) {
		next, group := int64(0), int64(-1)
		at := committed[samsa.TopicPartition{Topic: d.topic, Partition: i}].Offset
		d.walk(d.to, d.topic, i, func(r *samsa.Record) {
			n := int64(binary.BigEndian.Uint64(r.Value))
			if n != next {
				d.T.Fatalf("partition %d: offset %d has record %d, want %d", i, r.Offset, n, next)
			}
			if group < 0 && r.Offset >= at {
				group = n
			}
			next++
		})
		if next != each || group != each/2 {
			d.T.Errorf("partition %d has %d records, want %d; the group goes on at record %d, want %d", i, next, each, group, each/2)
		}
	}
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/measure/pairs"
)

// silent are hooks that are told everything and do nothing.
var silent = []samsa.Hook{{
	Produce: func(context.Context, samsa.ProduceEvent) {}, Deliver: func(context.Context, samsa.DeliverEvent) {},
	Commit: func(context.Context, samsa.CommitEvent) {}, Request: func(context.Context, samsa.RequestEvent) {},
}}

// BenchmarkHooks is what it costs that a hook is told everything, and does nothing: each sub-benchmark does the same work with
// a broker without hooks and with one that has one, in turns, and reports what pairs.Compare says. All of them:
//
//	go test -run '^$' -bench Hooks -benchtime 500x ./internal/e2e ./kafka
func BenchmarkHooks(b *testing.B) {
	for _, w := range []struct {
		do      string
		n       int // operations of a turn: some milliseconds
		stores  []string
		prepare func(hooked) func(n int)
	}{
		{"produce", 1_000, []string{"memory", "disk"}, hooked.produce},
		{"producer", 10_000, []string{"memory", "disk"}, hooked.producer},
		{"update", 500, []string{"memory", "disk"}, hooked.update},
		{"poll", 20_000, []string{"memory", "disk"}, hooked.poll},
		{"loop", 20_000, []string{"memory", "disk"}, hooked.loop},
		{"work", 5_000, []string{"memory"}, hooked.work},
		{"commit", 1_000, []string{"memory"}, hooked.commit},
		{"queue", 500, []string{"memory"}, hooked.queue},
	} {
		for _, store := range w.stores {
			b.Run(fmt.Sprintf("do=%s/store=%s", w.do, store), func(b *testing.B) {
				compareHooks(b, store, w.n, w.prepare, silent)
			})
		}
	}
}

// compareHooks compares a broker without hooks with one that has these: n operations of a turn, that prepare returns.
func compareHooks(b *testing.B, store string, n int, prepare func(hooked) func(n int), hooks []samsa.Hook) {
	side := func(hooks []samsa.Hook) func(n int) time.Duration {
		opts, dir := samsa.Options{Hooks: hooks, InMemory: store == "memory"}, ""
		if !opts.InMemory {
			dir = b.TempDir()
		}
		broker := openBench(b, dir, opts)
		b.Cleanup(func() { closeBench(b, broker) })
		createBench(b, broker)
		do := prepare(hooked{b, broker, jsonValues(10_000), n})
		return func(n int) time.Duration { return pairs.CPU(func() { do(n) }) }
	}
	pairs.Compare(b, n, side(nil), side(hooks))
}

// BenchmarkInterceptors is what it costs that interceptors are called, which do nothing: as BenchmarkHooks.
//
//	go test -run '^$' -bench Interceptors -benchtime 300x ./internal/e2e
func BenchmarkInterceptors(b *testing.B) {
	nothing := func(_ context.Context, records []samsa.Record) (int, error) { return len(records), nil }
	for _, w := range []struct {
		do      string
		n       int
		prepare func(hooked) func(n int)
	}{
		{"produce", 1_000, hooked.produce},
		{"producer", 10_000, hooked.producer},
		{"poll", 20_000, hooked.poll},
		{"loop", 20_000, hooked.loop},
		{"queue", 500, hooked.queue},
	} {
		for _, hooks := range []int{1, 3} {
			b.Run(fmt.Sprintf("do=%s/interceptors=%d", w.do, hooks), func(b *testing.B) {
				compareHooks(b, "memory", w.n, w.prepare, slices.Repeat([]samsa.Hook{{BeforeProduce: nothing, BeforeDeliver: nothing}}, hooks))
			})
		}
	}
}

// hooked is a broker with hooks or without. Its methods return what does n operations, at most most.
type hooked struct {
	b *testing.B
	*samsa.Broker
	values [][]byte
	most   int
}

func (h hooked) must(err error) {
	if err != nil {
		h.b.Fatal(err)
	}
}

// produce produces records one by one.
func (h hooked) produce() func(n int) {
	return func(n int) {
		for i := range n {
			_, err := h.Produce(h.b.Context(), samsa.Record{Topic: "bench", Value: h.values[i%len(h.values)]})
			h.must(err)
		}
	}
}

// producer has a Producer batch them.
func (h hooked) producer() func(n int) {
	p, err := h.NewProducer(h.b.Context(), samsa.ProducerOptions{})
	h.must(err)
	h.b.Cleanup(func() { closeBench(h.b, p) })
	promise := func(_ samsa.Record, err error) {
		if err != nil {
			h.b.Error(err)
		}
	}
	return func(n int) {
		for i := range n {
			p.Produce(h.b.Context(), samsa.Record{Topic: "bench", Value: h.values[i%len(h.values)]}, promise)
		}
		h.must(p.Flush(h.b.Context()))
	}
}

// update produces a record and sets a key in each transaction.
func (h hooked) update() func(n int) {
	return func(n int) {
		for i := range n {
			h.must(h.Update(h.b.Context(), func(tx *samsa.Tx) error {
				return errors.Join(tx.Produce(samsa.Record{Topic: "bench", Value: h.values[i%len(h.values)]}), tx.Set([]byte("key"), h.values[i%len(h.values)]))
			}))
		}
	}
}

func (h hooked) fill() {
	h.producer()(h.most)
}

// poll reads records from the first on.
func (h hooked) poll() func(n int) {
	h.fill()
	return func(n int) { consume(h.b, h.Broker, n, false) }
}

// loop ranges over them.
func (h hooked) loop() func(n int) {
	h.fill()
	return func(n int) { consume(h.b, h.Broker, n, true) }
}

// work has a function called that does nothing, 8 at once.
func (h hooked) work() func(n int) {
	h.fill()
	groups := 0
	return func(n int) {
		groups++
		c, err := h.NewConsumer(h.b.Context(), samsa.ConsumerOptions{Group: fmt.Sprint("g", groups), Topics: []string{"bench"}, Start: samsa.Earliest()})
		h.must(err)
		ctx, cancel := context.WithCancel(h.b.Context())
		defer cancel()
		var left atomic.Int64
		left.Store(int64(n))
		err = c.Work(ctx, 8, func(context.Context, samsa.Record) error {
			if left.Add(-1) == 0 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			h.b.Fatal(err)
		}
		closeBench(h.b, c)
	}
}

// commit commits an offset.
func (h hooked) commit() func(n int) {
	h.fill()
	c, err := h.NewConsumer(h.b.Context(), samsa.ConsumerOptions{
		Group: "g", Topics: []string{"bench"}, Start: samsa.Earliest(), Member: samsa.MemberOptions{ManualCommit: true},
	})
	h.must(err)
	h.b.Cleanup(func() { closeBench(h.b, c) })
	records, err := c.Poll(h.b.Context())
	h.must(err)
	return func(n int) {
		for range n {
			h.must(c.CommitRecords(h.b.Context(), records[0]))
		}
	}
}

// queue receives records, 100 at once, and acknowledges each.
func (h hooked) queue() func(n int) {
	q, err := h.NewQueue(h.b.Context(), samsa.QueueOptions{Group: "workers", Topics: []string{"bench"}})
	h.must(err)
	h.b.Cleanup(func() { closeBench(h.b, q) })
	fill := h.producer()
	return func(n int) {
		for fill(n); n > 0; {
			ds, err := q.Receive(h.b.Context(), min(n, 100))
			h.must(err)
			for i := range ds {
				h.must(ds[i].Ack())
			}
			n -= len(ds)
		}
	}
}

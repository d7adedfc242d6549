package samsatest_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// benchTB ends brokers during a benchmark, and not at its end.
type benchTB struct {
	*testing.B
	cleanups []func()
}

func (tb *benchTB) Cleanup(f func()) { tb.cleanups = append(tb.cleanups, f) }

func (tb *benchTB) end() {
	for i := len(tb.cleanups) - 1; i >= 0; i-- {
		tb.cleanups[i]()
	}
	tb.cleanups = tb.cleanups[:0]
}

// stopwatch measures a part of each iteration.
type stopwatch struct{ total time.Duration }

func (s *stopwatch) time(fn func()) {
	began := time.Now()
	fn()
	s.total += time.Since(began)
}

func (s *stopwatch) report(b *testing.B, unit string) {
	b.ReportMetric(float64(s.total.Nanoseconds())/1000/float64(b.N), unit)
}

// BenchmarkNew opens a broker with a topic, until it can be used, and closes it.
func BenchmarkNew(b *testing.B) {
	tb := &benchTB{B: b}
	var ready stopwatch
	for b.Loop() {
		ready.time(func() { samsatest.New(tb, samsatest.Topic("orders", 3)) })
		tb.end()
	}
	ready.report(b, "us/ready")
}

// BenchmarkFork forks brokers that hold nothing and a million records, until the copy can be
// used, and closes the copy.
func BenchmarkFork(b *testing.B) {
	for _, records := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("records=%d", records), func(b *testing.B) {
			tb := &benchTB{B: b}
			defer tb.end()
			parent := samsatest.New(tb, samsatest.Topic("orders", 3))
			fill(b, parent, records)
			forks := &benchTB{B: b}
			var ready stopwatch
			for b.Loop() {
				ready.time(func() { samsatest.Fork(forks, parent) })
				forks.end()
			}
			ready.report(b, "us/fork")
		})
	}
}

func fill(b *testing.B, broker *samsa.Broker, records int) {
	b.Helper()
	p, err := broker.NewProducer(ctx, samsa.ProducerOptions{})
	if err != nil {
		b.Fatal(err)
	}
	for i := range records {
		key := fmt.Sprint(i)
		p.Produce(ctx, samsa.Record{Topic: "orders", Key: []byte(key), Value: []byte("paid " + key)}, func(_ samsa.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkHundredBrokers opens a hundred brokers at once, each with a topic, a record, a
// producer and a member of a group that has read it, and reports the heap they take together.
func BenchmarkHundredBrokers(b *testing.B) {
	for b.Loop() {
		tb := &benchTB{B: b}
		before := heap()
		for range 100 {
			busy(b, tb)
		}
		b.ReportMetric(float64(heap()-before)/(1<<20), "MB/100-brokers")
		tb.end()
	}
}

func busy(b *testing.B, tb *benchTB) {
	broker := samsatest.New(tb, samsatest.Topic("orders", 3))
	p, err := broker.NewProducer(ctx, samsa.ProducerOptions{})
	if err != nil {
		b.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	if _, err := p.ProduceSync(ctx, samsatest.Record("orders", "7=paid")); err != nil {
		b.Fatal(err)
	}
	c, err := broker.NewConsumer(b.Context(), samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}})
	if err != nil {
		b.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	if _, err := c.Poll(ctx); err != nil {
		b.Fatal(err)
	}
}

// heap returns the bytes that are alive.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

package e2e

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// BenchmarkQueue is deliveries and their acknowledgements, by 8 goroutines, on one partition: received so many at once,
// and acknowledged together.
func BenchmarkQueue(b *testing.B) {
	for _, acks := range []samsa.Acks{samsa.AckStored, samsa.AckSynced} {
		for _, most := range []int{1, 10, 100} {
			b.Run(fmt.Sprintf("acks=%s/receive=%d", acks, most), func(b *testing.B) { benchmarkQueue(b, acks, most) })
		}
	}
}

func benchmarkQueue(b *testing.B, acks samsa.Acks, most int) {
	broker, err := samsa.Open(b.TempDir(), samsa.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = broker.Close() }()
	ctx := b.Context()
	if err := broker.Topics().Create(ctx, "jobs", samsa.TopicConfig{}); err != nil {
		b.Fatal(err)
	}
	fillQueue(b, broker, b.N, nil)
	q, err := broker.NewQueue(ctx, samsa.QueueOptions{Group: "workers", Topics: []string{"jobs"}, Acks: acks, MaxInFlight: 10_000})
	if err != nil {
		b.Fatal(err)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	ctx, done := context.WithCancel(ctx)
	defer done()
	var workers sync.WaitGroup
	b.ResetTimer()
	for range 8 {
		workers.Go(func() {
			for {
				ds, err := q.Receive(ctx, most)
				if err != nil {
					return
				}
				if err := q.Ack(context.Background(), ds...); err != nil {
					b.Error(err)
				}
				if left.Add(-int64(len(ds))) == 0 {
					done()
				}
			}
		})
	}
	workers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}

// fillQueue produces n records of 100 bytes.
func fillQueue(b *testing.B, broker *samsa.Broker, n int, headers []samsa.Header) {
	b.Helper()
	records := make([]samsa.Record, 0, 1000)
	for i := range n {
		records = append(records, samsa.Record{Topic: "jobs", Value: make([]byte, 100), Headers: headers})
		if len(records) == cap(records) || i == n-1 {
			if _, err := broker.Produce(b.Context(), records...); err != nil {
				b.Fatal(err)
			}
			records = records[:0]
		}
	}
}

// BenchmarkDelayed is what a record costs in memory that waits for its time.
func BenchmarkDelayed(b *testing.B) {
	broker, err := samsa.Open(b.TempDir(), samsa.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = broker.Close() }()
	ctx := b.Context()
	if err := broker.Topics().Create(ctx, "jobs", samsa.TopicConfig{}); err != nil {
		b.Fatal(err)
	}
	const n = 1_000_000
	fillQueue(b, broker, n, []samsa.Header{samsa.NotBefore(time.Now().Add(time.Hour))})
	for b.Loop() {
		before := heap()
		q, err := broker.NewQueue(ctx, samsa.QueueOptions{Group: fmt.Sprint("g", b.N, time.Now()), Topics: []string{"jobs"}})
		if err != nil {
			b.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		if _, err := q.Receive(short, 1); err == nil {
			b.Fatal("it came too early")
		}
		cancel()
		if s, err := q.Stats(ctx); err != nil || s.Waiting != n {
			b.Fatal(s, err)
		}
		b.ReportMetric(float64(heap()-before)/n, "B/record")
		_ = q.Close()
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

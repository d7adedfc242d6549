package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// steady is a broker under constant load whose topics keep a limited number of bytes.
type steady struct {
	total, keep int64 // bytes written and kept, of all topics together
	retention   bool  // else everything is kept
}

// steadyResult is what a run came to.
type steadyResult struct {
	took       time.Duration
	peak, last int64 // bytes on disk: the most that was seen, and after a last sweep
	heap       uint64
	removed    samsa.Removed
}

// steadyTopics are written side by side, each through a producer with batches of its own
// size. share is the part of the bytes that are written and kept.
var steadyTopics = []struct {
	name       string
	share      int64
	batchBytes int
}{{"large", 2, 256 << 10}, {"medium", 4, 64 << 10}, {"small", 8, 4 << 10}, {"single", 8, 1}}

func (s steady) run(tb testing.TB) steadyResult {
	tb.Helper()
	ctx := context.Background()
	b, err := samsa.Open(tb.TempDir(), samsa.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	for _, st := range steadyTopics {
		config := samsa.TopicConfig{RetentionBytes: s.keep / st.share}
		if !s.retention {
			config.RetentionBytes = samsa.Unlimited
		}
		if err := b.Topics().Create(ctx, st.name, config); err != nil {
			tb.Fatal(err)
		}
	}
	var res steadyResult
	stop := make(chan struct{})
	var watching, writing sync.WaitGroup
	watching.Go(func() { res.watch(tb, b, stop) })
	start := time.Now()
	for i, st := range steadyTopics {
		writing.Go(func() { write(tb, b, st.name, st.batchBytes, s.total/st.share, uint64(i)) })
	}
	writing.Wait()
	res.took = time.Since(start)
	close(stop)
	watching.Wait()
	if _, err := b.Sweep(ctx); err != nil {
		tb.Fatal(err)
	}
	stats, err := b.RetentionStats(ctx)
	if err != nil {
		tb.Fatal(err)
	}
	res.last, res.removed = stats.BytesDisk, stats.Removed
	if err := b.Close(); err != nil {
		tb.Fatal(err)
	}
	return res
}

// write produces n bytes of records of 1000 bytes that do not compress.
func write(tb testing.TB, b *samsa.Broker, topic string, batchBytes int, n int64, seed uint64) {
	p, err := b.NewProducer(tb.Context(), samsa.ProducerOptions{BatchBytes: batchBytes, Compression: samsa.CompressionNone, BufferedBytes: 2 << 20})
	if err != nil {
		tb.Error(err)
		return
	}
	promise := func(_ samsa.Record, err error) {
		if err != nil {
			tb.Error(err)
		}
	}
	pool := make([]byte, 1<<20)
	src := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = src.Read(pool) // never fails
	for written := int64(0); written < n; written += 1000 {
		at := int(written*7919) % (len(pool) - 1000)
		p.Produce(context.Background(), samsa.Record{Topic: topic, Value: pool[at : at+1000]}, promise)
	}
	if err := p.Close(); err != nil {
		tb.Error(err)
	}
}

// watch notes how much the broker takes on disk and in memory until stop is closed.
func (r *steadyResult) watch(tb testing.TB, b *samsa.Broker, stop chan struct{}) {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		s, err := b.Stats(tb.Context())
		if err != nil {
			tb.Error(err)
			return
		}
		r.peak = max(r.peak, s.DiskBytes)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		r.heap = max(r.heap, m.HeapInuse)
		select {
		case <-ticker.C:
		case <-stop:
			return
		}
	}
}

// BenchmarkRetention writes 8 GB, of which 512 MB are kept, and then 2 GB with and without
// retention in turns; less of both with -short.
func BenchmarkRetention(b *testing.B) {
	total, keep := int64(8<<30), int64(512<<20)
	if testing.Short() {
		total, keep = total/16, keep/8
	}
	b.Run(fmt.Sprintf("written=%dMiB/kept=%dMiB", total>>20, keep>>20), func(b *testing.B) {
		for b.Loop() {
			res := steady{total: total, keep: keep, retention: true}.run(b)
			b.ReportMetric(float64(res.peak-128e6)/float64(keep), "peak-times-live")
			b.ReportMetric(float64(res.last-64e6)/float64(keep), "end-times-live")
			b.ReportMetric(float64(res.heap)/(1<<20), "peak-heap-MiB")
			b.ReportMetric(float64(total>>20)/res.took.Seconds(), "MiB/s")
		}
	})
	b.Run("throughput", func(b *testing.B) {
		var took [2]time.Duration
		for b.Loop() {
			for i, retention := range []bool{true, false} {
				took[i] += steady{total: total / 4, keep: keep / 2, retention: retention}.run(b).took
			}
		}
		b.ReportMetric(100*float64(took[1])/float64(took[0]), "%-of-without")
	})
}

// BenchmarkProduceDuringSweep asks for a record to be stored every millisecond while 1 GB is
// removed and given back. A record that has to wait makes those behind it late, too; the
// time counts from when each should have been sent.
func BenchmarkProduceDuringSweep(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		ctx := context.Background()
		broker, err := samsa.Open(b.TempDir(), samsa.Options{})
		if err != nil {
			b.Fatal(err)
		}
		for _, topic := range []string{"bulk", "live"} {
			if err := broker.Topics().Create(ctx, topic, samsa.TopicConfig{}); err != nil {
				b.Fatal(err)
			}
		}
		write(b, broker, "bulk", 64<<10, 1<<30, 1)
		if err := broker.Sync(ctx); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		swept := make(chan error, 1)
		go func() {
			err := broker.Topics().DeleteRecords(ctx, "bulk", map[int32]int64{0: -1})
			if err == nil {
				_, err = broker.Sweep(ctx)
			}
			swept <- err
		}()
		late := produceEvery(b, broker, time.Millisecond, swept)
		b.StopTimer()
		slices.Sort(late)
		for _, q := range []struct {
			name string
			of   float64
		}{{"p50-ms", 0.5}, {"p99-ms", 0.99}, {"p99.9-ms", 0.999}, {"max-ms", 1}} {
			at := late[min(len(late)-1, int(q.of*float64(len(late))))]
			b.ReportMetric(float64(at)/float64(time.Millisecond), q.name)
		}
		b.ReportMetric(float64(len(late)), "records")
		if err := broker.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// produceEvery produces a record at each tick until done, and returns how late each was
// acknowledged.
func produceEvery(b *testing.B, broker *samsa.Broker, tick time.Duration, done <-chan error) (late []time.Duration) {
	record := samsa.Record{Topic: "live", Value: make([]byte, 1000)}
	for due := time.Now(); ; due = due.Add(tick) {
		select {
		case err := <-done:
			if err != nil {
				b.Fatal(err)
			}
			return late
		case <-time.After(time.Until(due)):
		}
		if _, err := broker.Produce(context.Background(), record); err != nil {
			b.Fatal(err)
		}
		late = append(late, time.Since(due))
	}
}

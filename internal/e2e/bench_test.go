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

// The benchmarks of docs/speed.md: one partition, JSON records of about 100
// bytes that differ, on disk. Rates are reported as records/s.

// jsonValues returns n different JSON documents of about 100 bytes.
func jsonValues(n int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	methods := []string{"GET", "PUT", "POST", "HEAD"}
	values := make([][]byte, n)
	for i := range values {
		values[i] = fmt.Appendf(nil, `{"time":%d,"user":"u%06d","method":%q,"path":"/item/%x","status":%d,"ms":%d}`,
			1760000000000+int64(i)*7, rng.IntN(1e6), methods[rng.IntN(4)], rng.Uint32(), 200+rng.IntN(5)*100, rng.IntN(1000))
	}
	return values
}

func openBench(b *testing.B, dir string, opts samsa.Options) *samsa.Broker {
	b.Helper()
	broker, err := samsa.Open(dir, opts)
	if err != nil {
		b.Fatal(err)
	}
	return broker
}

func createBench(b *testing.B, broker *samsa.Broker) {
	b.Helper()
	if err := broker.Topics().Create(context.Background(), "bench", samsa.TopicConfig{}); err != nil {
		b.Fatal(err)
	}
}

func closeBench(b *testing.B, c interface{ Close() error }) {
	b.Helper()
	if err := c.Close(); err != nil {
		b.Fatal(err)
	}
}

func perSecond(b *testing.B, records int) {
	b.ReportMetric(float64(records)/b.Elapsed().Seconds(), "records/s")
}

// fillBench produces n records through a producer and waits for them.
func fillBench(b *testing.B, broker *samsa.Broker, n int, opts samsa.ProducerOptions) {
	b.Helper()
	ctx := context.Background()
	values := jsonValues(10_000)
	p, err := broker.NewProducer(ctx, opts)
	if err != nil {
		b.Fatal(err)
	}
	var failed error
	promise := func(_ samsa.Record, err error) {
		if err != nil {
			failed = err
		}
	}
	for i := range n {
		p.Produce(ctx, samsa.Record{Topic: "bench", Value: values[i%len(values)]}, promise)
	}
	closeBench(b, p)
	if failed != nil {
		b.Fatal(failed)
	}
}

func BenchmarkProducer(b *testing.B) {
	for _, compression := range []samsa.Compression{samsa.CompressionSnappy, samsa.CompressionNone, samsa.CompressionLz4, samsa.CompressionZstd} {
		for _, acks := range []samsa.Acks{samsa.AckStored, samsa.AckSynced, samsa.AckNone} {
			b.Run(fmt.Sprintf("records=100B/compression=%s/acks=%s", compression, acks), func(b *testing.B) {
				broker := openBench(b, b.TempDir(), samsa.Options{})
				createBench(b, broker)
				b.ReportAllocs()
				b.ResetTimer()
				fillBench(b, broker, b.N, samsa.ProducerOptions{Compression: compression, Acks: acks})
				b.StopTimer()
				perSecond(b, b.N)
				closeBench(b, broker)
			})
		}
	}
}

// BenchmarkConsumeCold reads a million records of a reopened broker from the first to the
// last, touching every value.
func BenchmarkConsumeCold(b *testing.B) {
	const records = 1_000_000
	dir := b.TempDir()
	broker := openBench(b, dir, samsa.Options{})
	createBench(b, broker)
	fillBench(b, broker, records, samsa.ProducerOptions{})
	closeBench(b, broker)
	for _, how := range []string{"poll", "records"} {
		b.Run("records=100B/by="+how, func(b *testing.B) {
			b.ReportAllocs()
			var before, after runtime.MemStats
			var allocs uint64
			for b.Loop() {
				b.StopTimer()
				broker := openBench(b, dir, samsa.Options{})
				runtime.ReadMemStats(&before)
				b.StartTimer()
				consume(b, broker, records, how == "records")
				b.StopTimer()
				runtime.ReadMemStats(&after)
				allocs += after.Mallocs - before.Mallocs
				closeBench(b, broker)
				b.StartTimer()
			}
			perSecond(b, records*b.N)
			b.ReportMetric(float64(allocs)/float64(records*b.N), "allocs/record")
		})
	}
}

// consume reads n records and checks that they are all there.
func consume(b *testing.B, broker *samsa.Broker, n int, iterate bool) {
	b.Helper()
	ctx := context.Background()
	c, err := broker.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"bench"}})
	if err != nil {
		b.Fatal(err)
	}
	defer closeBench(b, c)
	seen, touched := 0, 0
	touch := func(r *samsa.Record) {
		if r.Offset != int64(seen) {
			b.Fatalf("offset %d, want %d", r.Offset, seen)
		}
		touched += int(r.Value[0]) + int(r.Value[len(r.Value)-1])
		seen++
	}
	if iterate {
		for r, err := range c.Records(ctx) {
			if err != nil {
				b.Fatal(err)
			}
			if touch(&r); seen == n {
				return
			}
		}
	}
	for seen < n {
		records, err := c.Poll(ctx)
		if err != nil {
			b.Fatal(err)
		}
		for i := range records {
			touch(&records[i])
		}
	}
}

func BenchmarkProduce(b *testing.B) {
	for _, acks := range []samsa.Acks{samsa.AckStored, samsa.AckSynced} {
		for _, goroutines := range []int{1, 64} {
			b.Run(fmt.Sprintf("records=100B/acks=%s/goroutines=%d", acks, goroutines), func(b *testing.B) {
				broker := openBench(b, b.TempDir(), samsa.Options{Produce: samsa.ProduceOptions{Acks: acks}})
				createBench(b, broker)
				values := jsonValues(10_000)
				b.ReportAllocs()
				b.ResetTimer()
				var wg sync.WaitGroup
				for g := range goroutines {
					wg.Go(func() {
						for i := g; i < b.N; i += goroutines {
							if _, err := broker.Produce(context.Background(), samsa.Record{Topic: "bench", Value: values[i%len(values)]}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				perSecond(b, b.N)
				closeBench(b, broker)
			})
		}
	}
}

// BenchmarkLatency is the time from the call of Produce until a waiting consumer has the
// record; it reports the median and the 99th percentile.
func BenchmarkLatency(b *testing.B) {
	ctx := context.Background()
	broker := openBench(b, b.TempDir(), samsa.Options{})
	createBench(b, broker)
	c, err := broker.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"bench"}})
	if err != nil {
		b.Fatal(err)
	}
	got := make(chan time.Time)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := c.Poll(ctx); err != nil {
				close(got)
				return
			}
			got <- time.Now()
		}
	})
	value := jsonValues(1)[0]
	var took []time.Duration
	for b.Loop() {
		time.Sleep(100 * time.Microsecond) // the consumer has gone to sleep
		start := time.Now()
		if _, err := broker.Produce(ctx, samsa.Record{Topic: "bench", Value: value}); err != nil {
			b.Fatal(err)
		}
		took = append(took, (<-got).Sub(start))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "median-us")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
	closeBench(b, broker)
	wg.Wait()
}

package write_test

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

// BenchmarkUpdate is Updates of one record on Kafka, of so many goroutines.
func BenchmarkUpdate(b *testing.B) {
	for _, goroutines := range []int{1, 64} {
		b.Run(fmt.Sprintf("goroutines=%d", goroutines), func(b *testing.B) {
			k := kit.At(b, kit.Kafka(b))
			topic, broker := k.Create("update", 1), open(b, k, k.Name("id"))
			one := func() error {
				return broker.Update(k.Ctx, func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: topic, Value: []byte("v")}) })
			}
			if err := one(); err != nil { // the first one waits for what the cluster makes for transactions
				b.Fatal(err)
			}
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for range goroutines {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if err := one(); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
		})
	}
}

// BenchmarkProducer is a million records of 100 bytes on Kafka by a Producer, and by franz-go by hand, in turns: the medians of both, and of what the
// one takes of the other. Both make the broker warm before.
func BenchmarkProducer(b *testing.B) {
	const records = 1_000_000
	k := kit.At(b, kit.Kafka(b))
	topic, broker := k.Create("producer", 4), open(b, k, k.Name("id"))
	value := make([]byte, 100)
	p, err := broker.NewProducer(k.Ctx, samsa.ProducerOptions{})
	if err != nil {
		b.Fatal(err)
	}
	cl := k.Producer(kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.MaxBufferedRecords(200_000))
	ours := func() time.Duration {
		began := time.Now()
		for range records {
			p.Produce(k.Ctx, samsa.Record{Topic: topic, Value: value}, func(_ samsa.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := p.Flush(k.Ctx); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	theirs := func() time.Duration {
		began := time.Now()
		for range records {
			cl.Produce(k.Ctx, &kgo.Record{Topic: topic, Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := cl.Flush(k.Ctx); err != nil {
			b.Fatal(err)
		}
		return time.Since(began)
	}
	ours()
	theirs()
	var samsas, bares, ratios []float64
	for n := 0; b.Loop(); n++ {
		var s, f time.Duration
		if n%2 == 0 {
			s, f = ours(), theirs()
		} else {
			f, s = theirs(), ours()
		}
		samsas, bares = append(samsas, float64(s)/records), append(bares, float64(f)/records)
		ratios = append(ratios, float64(s)/float64(f))
	}
	for unit, of := range map[string][]float64{"samsa-ns/record": samsas, "franz-go-ns/record": bares, "samsa/franz-go": ratios} {
		slices.Sort(of)
		b.ReportMetric(of[len(of)/2], unit)
	}
}

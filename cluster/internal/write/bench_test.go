package write_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

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

// BenchmarkProducer is records of 100 bytes on Kafka, by a Producer, and by franz-go by hand.
func BenchmarkProducer(b *testing.B) {
	value := make([]byte, 100)
	b.Run("by=samsa", func(b *testing.B) {
		k := kit.At(b, kit.Kafka(b))
		topic, broker := k.Create("producer", 4), open(b, k, k.Name("id"))
		p, err := broker.NewProducer(k.Ctx, samsa.ProducerOptions{})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			p.Produce(k.Ctx, samsa.Record{Topic: topic, Value: value}, func(_ samsa.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := p.Flush(k.Ctx); err != nil {
			b.Fatal(err)
		}
	})
	b.Run("by=franz-go", func(b *testing.B) {
		k := kit.At(b, kit.Kafka(b))
		topic, cl := k.Create("producer", 4), k.Producer(kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)), kgo.MaxBufferedRecords(200_000))
		b.ReportAllocs()
		for b.Loop() {
			cl.Produce(k.Ctx, &kgo.Record{Topic: topic, Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
		if err := cl.Flush(k.Ctx); err != nil {
			b.Fatal(err)
		}
	})
}

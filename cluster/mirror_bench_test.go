package cluster_test

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/mirror"
)

// BenchmarkMirror is a million records of 100 bytes, which do not compress, to Kafka, and back into a broker in memory, by a mirror; and the same to Kafka by a transactional
// producer of franz-go, with 40,000 in a transaction.
func BenchmarkMirror(b *testing.B) {
	const records, partitions, together = 1_000_000, 4, 40_000
	seeds := kit.Kafka(b)
	values := make([]byte, 1<<20) // whose parts are values
	_, _ = rand.NewChaCha8([32]byte{}).Read(values)
	value := func(i int) []byte { return values[i*101%(len(values)-100):][:100] }
	local := func(b *testing.B) *samsa.Broker {
		l, err := samsa.Open("", samsa.Options{InMemory: true})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = l.Close() })
		return l
	}
	copied := func(b *testing.B, from, to *samsa.Broker, name, topic string) {
		m, err := mirror.New(from, to, mirror.Options{Name: name, Topics: []string{topic}, UntilNow: true})
		if err != nil {
			b.Fatal(err)
		}
		if err := m.Run(context.Background()); err != nil {
			b.Fatal(err)
		}
		if n := m.Stats().Records; n != records {
			b.Fatalf("%d records", n)
		}
		b.ReportMetric(float64(records)/b.Elapsed().Seconds()*float64(b.N), "records/s")
	}
	for _, by := range []string{"mirror", "producer", "mirror-back"} {
		b.Run("by="+by, func(b *testing.B) {
			k := kit.At(b, seeds)
			far, err := cluster.Open(k.Ctx, cluster.Options{Seeds: seeds})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = far.Close() })
			warm(b, k, local(b), far)
			for range b.N {
				b.StopTimer()
				name := k.Name("bench")
				from := local(b)
				if by != "mirror" {
					k.CreateAs(name, partitions)
				}
				switch by {
				case "producer":
					cl := k.Producer(kgo.TransactionalID(name), kgo.MaxBufferedRecords(together))
					b.StartTimer()
					for i := 0; i < records; {
						if err := cl.BeginTransaction(); err != nil {
							b.Fatal(err)
						}
						for range together {
							cl.Produce(k.Ctx, &kgo.Record{Topic: name, Partition: int32(i % partitions), Value: value(i)}, nil)
							i++
						}
						if err := cl.Flush(k.Ctx); err != nil {
							b.Fatal(err)
						}
						if err := cl.EndTransaction(k.Ctx, kgo.TryCommit); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(float64(records)/b.Elapsed().Seconds()*float64(b.N), "records/s")
				case "mirror":
					fill(b, from, name, records, partitions, value)
					b.StartTimer()
					copied(b, from, far, name, name)
				case "mirror-back":
					fill(b, far, name, records, partitions, value)
					b.StartTimer()
					copied(b, far, from, name, name)
				}
			}
		})
	}
}

// warm has the cluster make what it needs for its first transaction, and the client what it needs for its own.
func warm(b *testing.B, k *kit.Kit, from, to *samsa.Broker) {
	b.Helper()
	name := k.Name("warm")
	fill(b, from, name, 1, 1, func(int) []byte { return nil })
	m, err := mirror.New(from, to, mirror.Options{Name: name, Topics: []string{name}, UntilNow: true})
	if err != nil {
		b.Fatal(err)
	}
	if err := m.Run(k.Ctx); err != nil {
		b.Fatal(err)
	}
}

// fill stores records, in turns of the partitions.
func fill(b *testing.B, to *samsa.Broker, topic string, records, partitions int, value func(int) []byte) {
	b.Helper()
	ctx := context.Background()
	if _, err := to.Topics().Ensure(ctx, topic, samsa.TopicConfig{Partitions: partitions}); err != nil {
		b.Fatal(err)
	}
	p, err := to.NewProducer(ctx, samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
	if err != nil {
		b.Fatal(err)
	}
	for i := range records {
		p.Produce(ctx, samsa.Record{Topic: topic, Partition: int32(i % partitions), Value: value(i)}, nil)
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
}

package read_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/log"
)

// benchRecords is how many records are read each time, of benchBytes.
const (
	benchRecords = 400_000
	benchBytes   = 100
)

// BenchmarkConsume compares a consumer of ours with franz-go by hand: one reads a topic of four partitions on Kafka.
func BenchmarkConsume(b *testing.B) {
	seeds := kit.Kafka(b)
	for _, codec := range []struct {
		name string
		kgo.CompressionCodec
	}{{"none", kgo.NoCompression()}, {"snappy", kgo.SnappyCompression()}} {
		k := kit.At(b, seeds)
		topic := k.Create("bench", 4)
		fill(k, topic, codec.CompressionCodec)
		b.Run("codec="+codec.name+"/peer=samsa", func(b *testing.B) {
			b.SetBytes(benchRecords * benchBytes)
			for b.Loop() {
				c := k.Consumer(consumer.Options{Topics: []string{topic}, Isolation: log.ReadCommitted})
				for n := 0; n < benchRecords; {
					records, err := c.Poll(k.Ctx)
					if err != nil {
						b.Fatal(err)
					}
					n += len(records)
				}
				_ = c.Close()
			}
		})
		b.Run("codec="+codec.name+"/peer=franz", func(b *testing.B) {
			b.SetBytes(benchRecords * benchBytes)
			for b.Loop() {
				cl, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
					kgo.FetchIsolationLevel(kgo.ReadCommitted()))
				if err != nil {
					b.Fatal(err)
				}
				for n := 0; n < benchRecords; {
					fetches := cl.PollRecords(k.Ctx, 4096)
					if err := fetches.Err(); err != nil {
						b.Fatal(err)
					}
					n += fetches.NumRecords()
				}
				cl.Close()
			}
		})
	}
}

func fill(k *kit.Kit, topic string, codec kgo.CompressionCodec) {
	cl := k.Producer(kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(256<<10))
	value := make([]byte, benchBytes)
	for i := range benchRecords {
		copy(value, fmt.Sprintf(`{"id":%d,"customer":"c-%d","amount":%d,"currency":"EUR","note":"thank you"}`, i, i%997, i%4001))
		cl.Produce(context.Background(), &kgo.Record{Topic: topic, Partition: int32(i % 4), Value: append([]byte(nil), value...)}, nil)
	}
	if err := cl.Flush(k.Ctx); err != nil {
		k.T.Fatal(err)
	}
}

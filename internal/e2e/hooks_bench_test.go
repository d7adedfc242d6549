package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/samsa-go/samsa"
)

// BenchmarkHooks compares a broker without hooks with one whose hook is told everything and does nothing.
func BenchmarkHooks(b *testing.B) {
	ctx := context.Background()
	value := jsonValues(1)[0]
	with := map[string][]samsa.Hook{"none": nil, "all": {{
		Produce: func(context.Context, samsa.ProduceEvent) {}, Deliver: func(context.Context, samsa.DeliverEvent) {}, Commit: func(context.Context, samsa.CommitEvent) {},
	}}}
	for _, hooks := range []string{"none", "all"} {
		opts := samsa.Options{Hooks: with[hooks]}
		b.Run("do=produce/hooks="+hooks, func(b *testing.B) {
			broker := openBench(b, b.TempDir(), opts)
			createBench(b, broker)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := broker.Produce(ctx, samsa.Record{Topic: "bench", Value: value}); err != nil {
					b.Fatal(err)
				}
			}
			closeBench(b, broker)
		})
		b.Run("do=producer/hooks="+hooks, func(b *testing.B) {
			broker := openBench(b, b.TempDir(), opts)
			createBench(b, broker)
			b.ReportAllocs()
			b.ResetTimer()
			fillBench(b, broker, b.N, samsa.ProducerOptions{})
			b.StopTimer()
			closeBench(b, broker)
		})
		for _, by := range []string{"poll", "records"} {
			b.Run(fmt.Sprintf("do=consume/by=%s/hooks=%s", by, hooks), func(b *testing.B) {
				const records = 100_000
				broker := openBench(b, b.TempDir(), opts)
				createBench(b, broker)
				fillBench(b, broker, records, samsa.ProducerOptions{})
				b.ReportAllocs()
				b.ResetTimer()
				for n := b.N; n > 0; n -= records {
					consume(b, broker, min(n, records), by == "records")
				}
				b.StopTimer()
				closeBench(b, broker)
			})
		}
	}
}

// BenchmarkMetrics is what it costs to ask a broker with many topics and groups.
func BenchmarkMetrics(b *testing.B) {
	ctx := context.Background()
	broker := openBench(b, "", samsa.Options{InMemory: true, Produce: samsa.ProduceOptions{Partitioner: samsa.RoundRobinPartitioner()}})
	const topics, partitions = 500, 10
	for i := range topics {
		name := fmt.Sprint("t", i)
		if err := broker.Topics().Create(ctx, name, samsa.TopicConfig{Partitions: partitions}); err != nil {
			b.Fatal(err)
		}
		var records []samsa.Record
		var tps []samsa.TopicPartition
		for p := range int32(partitions) {
			records = append(records, samsa.Record{Topic: name, Value: []byte("x")})
			tps = append(tps, samsa.TopicPartition{Topic: name, Partition: p})
		}
		if _, err := broker.Produce(ctx, records...); err != nil {
			b.Fatal(err)
		}
		if err := broker.Groups().AlterOffsets(ctx, "g"+name, samsa.To(samsa.Earliest()), tps...); err != nil {
			b.Fatal(err)
		}
	}
	b.Run(fmt.Sprintf("partitions=%d/groups=%d", topics*partitions, topics), func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := broker.Metrics(ctx, samsa.MetricsOptions{})
			if err != nil || len(m.Topics) != topics || m.Groups[0].Lag != partitions {
				b.Fatal(err, len(m.Topics))
			}
		}
	})
	closeBench(b, broker)
}

package e2e

import (
	"context"
	"fmt"
	"testing"

	"github.com/samsa-go/samsa"
)

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

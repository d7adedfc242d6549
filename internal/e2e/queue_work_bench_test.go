package e2e

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/samsa-go/samsa"
)

// BenchmarkQueueWork is Work of 8 goroutines that acknowledge each record on its own. Beside the records a second it tells
// how many acknowledgements a commit of the store has.
func BenchmarkQueueWork(b *testing.B) {
	for _, acks := range []samsa.Acks{samsa.AckStored, samsa.AckSynced} {
		for _, partitions := range []int{1, 4} {
			b.Run(fmt.Sprintf("acks=%s/partitions=%d", acks, partitions), func(b *testing.B) { benchmarkQueueWork(b, acks, partitions) })
		}
	}
}

func benchmarkQueueWork(b *testing.B, acks samsa.Acks, partitions int) {
	broker, err := samsa.Open(b.TempDir(), samsa.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = broker.Close() }()
	ctx := b.Context()
	if err := broker.Topics().Create(ctx, "jobs", samsa.TopicConfig{Partitions: partitions}); err != nil {
		b.Fatal(err)
	}
	fillQueue(b, broker, b.N, nil)
	q, err := broker.NewQueue(ctx, samsa.QueueOptions{Group: "workers", Topics: []string{"jobs"}, Acks: acks})
	if err != nil {
		b.Fatal(err)
	}
	before, err := broker.Stats(ctx)
	if err != nil {
		b.Fatal(err)
	}
	var left atomic.Int64
	left.Store(int64(b.N))
	ctx, done := context.WithCancel(ctx)
	defer done()
	b.ResetTimer()
	_ = q.Work(ctx, 8, func(context.Context, samsa.Delivery) error {
		if left.Add(-1) == 0 {
			done()
		}
		return nil
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
	after, err := broker.Stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/float64(after.Commits-before.Commits), "acks/commit")
}

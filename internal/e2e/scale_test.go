package e2e

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// BenchmarkMany opens a directory with many partitions of 100 records each, of which a group for every ten has committed all, and tells
// what open takes, what a partition costs in memory, and how long a record to a partition takes then.
func BenchmarkMany(b *testing.B) {
	for _, partitions := range []int{1000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("partitions=%d", partitions), func(b *testing.B) {
			dir := b.TempDir()
			fillMany(b, dir, partitions)
			var took, produced time.Duration
			var heap uint64
			for b.Loop() {
				before := heapHeld()
				began := time.Now()
				broker := mustOpen(b, dir, samsa.Options{})
				took += time.Since(began)
				heap = heapHeld() - before
				began = time.Now()
				for i := range 100 {
					_, err := broker.Produce(b.Context(), samsa.Record{Topic: "t0", Key: fmt.Append(nil, i), Value: []byte("a")})
					if err != nil {
						b.Fatal(err)
					}
				}
				produced += time.Since(began)
				mustClose(b, broker)
			}
			b.ReportMetric(float64(took.Milliseconds())/float64(b.N), "ms/open")
			b.ReportMetric(float64(heap)/float64(partitions), "B/partition")
			b.ReportMetric(float64(produced.Microseconds())/float64(100*b.N), "us/record")
		})
	}
}

func fillMany(b *testing.B, dir string, partitions int) {
	b.Helper()
	ctx := b.Context()
	broker := mustOpen(b, dir, samsa.Options{})
	defer mustClose(b, broker)
	const each = 1000 // of a topic
	for i := range partitions / each {
		name := fmt.Sprint("t", i)
		mustCreate(b, broker, name, each)
		manual := samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}
		for p := range int32(each) {
			records := make([]samsa.Record, 100)
			for k := range records {
				records[k] = samsa.Record{Topic: name, Partition: p, Value: make([]byte, 100)}
			}
			if _, err := broker.ProduceWith(ctx, manual, records...); err != nil {
				b.Fatal(err)
			}
			if p%10 == 0 {
				offsets := map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: name, Partition: p}: {Offset: 100}}
				if err := broker.Groups().SetOffsets(ctx, fmt.Sprintf("group-%d-%d", i, p), offsets); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}

// heapHeld returns the bytes of objects that are in use.
func heapHeld() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

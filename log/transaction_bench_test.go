package log

import (
	"fmt"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
)

// BenchmarkStage has a batch take its place, and what is known of its producer; a transaction has ten batches.
func BenchmarkStage(b *testing.B) {
	for _, kind := range []string{"plain", "sequenced", "transactional"} {
		b.Run("kind="+kind, func(b *testing.B) {
			l := NewLog(memory(b), ordersID, orders)
			batch, end := span(b, 0, 100), Marker(7, 0, true, 1)
			var sb store.Batch
			var keys []byte
			if kind == "transactional" {
				batch[posAttributes+1] |= attrTransactional
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if kind != "plain" {
					batch.SetProducer(7, 0, sequenceOf(l.StoredOf(7)))
				}
				staged, k := l.Stage(&sb, keys[:0], batch, 1)
				if kind == "transactional" && i%10 == 9 {
					staged, k = l.Stage(&sb, k, end, 1)
				}
				keys = l.StageProducers(&sb, k)
				l.Applied(staged)
				sb.Reset()
			}
		})
	}
}

// BenchmarkReadCommitted sets reading what is committed beside reading all, over batches without transactions, in
// committed ones and in aborted ones, ten batches each.
func BenchmarkReadCommitted(b *testing.B) {
	for _, kind := range []string{"plain", "committed", "aborted"} {
		l := NewLog(memory(b), ordersID, orders)
		for range 100 {
			for range 10 {
				batch := span(b, 0, 100)
				if kind != "plain" {
					batch = transactionalSpan(b, l, 100, 7, 0)
				}
				stageSequenced(b, l, batch)
			}
			if kind != "plain" {
				stageSequenced(b, l, Marker(7, 0, kind == "committed", 1))
			}
		}
		for name, read := range map[string]func(int64, []byte, func(StoredBatch) bool) ([]byte, error){
			"all": l.Read, "committed": l.ReadCommitted,
		} {
			b.Run(fmt.Sprintf("log=%s/read=%s", kind, name), func(b *testing.B) {
				var buf []byte
				b.ReportAllocs()
				for b.Loop() {
					var err error
					if buf, err = read(0, buf, func(StoredBatch) bool { return true }); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/batch")
			})
		}
	}
}

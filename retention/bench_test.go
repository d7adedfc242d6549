package retention

import (
	"context"
	"fmt"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// plainCommitter writes to a store and does nothing else.
type plainCommitter struct{ st store.Store }

func (c plainCommitter) Commit(b *store.Batch) error { return c.st.Commit(b) }

const (
	benchRecords = 1_000_000
	benchKeys    = 10_000
)

// fill appends benchRecords records of benchKeys keys, so many in a batch, in an order
// that scatters the keys, and one more. It returns what each key ends with.
func fill(b *testing.B, st store.Store, perBatch int) (*log.Log, map[string]string) {
	l := log.NewLog(st, ordersID, orders)
	last := make(map[string]string, benchKeys)
	var builder log.Builder
	var sb store.Batch
	for i := range benchRecords + 1 {
		key := fmt.Sprintf("customer-%08d", i*7919%benchKeys)
		value := fmt.Sprintf(`{"n":%d,"name":"customer","balance":%d,"city":"Prague"}`, i, i*31)
		if i == benchRecords {
			key = "newest"
		}
		last[key] = value
		builder.Append(int64(i), []byte(key), []byte(value), nil)
		if builder.Records() < perBatch && i < benchRecords-1 {
			continue
		}
		env, err := builder.Seal(nil, log.CodecSnappy)
		if err != nil {
			b.Fatal(err)
		}
		builder.Reset()
		sb.Reset()
		s, _ := l.Stage(&sb, nil, env, 1)
		if err := st.Commit(&sb); err != nil {
			b.Fatal(err)
		}
		l.Applied(s)
	}
	return l, last
}

// BenchmarkClean compacts 1 M records over 10 k keys and checks what is left.
func BenchmarkClean(b *testing.B) {
	for _, kind := range []string{"memory", "disk"} {
		for _, perBatch := range []int{500, 10} {
			for _, mapBytes := range []int{0, 128 << 10} {
				b.Run(fmt.Sprintf("store=%s/batch=%d/map=%d", kind, perBatch, mapBytes), func(b *testing.B) {
					for range b.N {
						b.StopTimer()
						benchClean(b, kind, perBatch, mapBytes)
					}
					b.ReportMetric(float64(benchRecords)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
				})
			}
		}
	}
}

func benchClean(b *testing.B, kind string, perBatch, mapBytes int) {
	st := store.OpenMemory()
	if kind == "disk" {
		var err error
		if st, err = store.Open(b.TempDir(), store.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	defer func() { _ = st.Close() }()
	l, last := fill(b, st, perBatch)
	b.StartTimer()
	c := Cleaner{MaxMapBytes: mapBytes, Codec: log.CodecSnappy}
	done, err := c.Clean(context.Background(), l, plainCommitter{st}, CleanOptions{NowMs: 1 << 40})
	b.StopTimer()
	if err != nil || done.Records < benchRecords-benchKeys-1 {
		b.Fatalf("%+v, %v", done, err)
	}
	got := read(b, l)
	for _, r := range got {
		if last[string(r.Key)] != string(r.Value) {
			b.Fatalf("record %s", show(r))
		}
	}
	if len(got) != len(last) {
		b.Fatalf("%d records, want %d", len(got), len(last))
	}
}

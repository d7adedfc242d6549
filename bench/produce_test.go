package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/tidwall/wal"
)

// records returns n different JSON documents of about 100 bytes.
func records(n int) [][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	methods := []string{"GET", "PUT", "POST", "HEAD"}
	values := make([][]byte, n)
	for i := range values {
		values[i] = fmt.Appendf(nil, `{"time":%d,"user":"u%06d","method":%q,"path":"/item/%x","status":%d,"ms":%d}`,
			1760000000000+int64(i)*7, rng.IntN(1e6), methods[rng.IntN(4)], rng.Uint32(), 200+rng.IntN(5)*100, rng.IntN(1000))
	}
	return values
}

// peer writes n records, all of them in the operating system's hands when write returns.
type peer struct {
	name string
	open func(tb testing.TB, dir string) (write func(values [][]byte, n int) error, close func() error)
}

var peers = []peer{{"samsa", openSamsa}, {"tidwall-wal", openWAL}}

func openSamsa(tb testing.TB, dir string) (func([][]byte, int) error, func() error) {
	ctx := context.Background()
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	if err := b.Topics().Create(ctx, "bench", samsa.TopicConfig{}); err != nil {
		tb.Fatal(err)
	}
	p, err := b.NewProducer(samsa.ProducerOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	write := func(values [][]byte, n int) error {
		var failed error // promises are called one after the other
		promise := func(_ samsa.Record, err error) {
			if err != nil {
				failed = err
			}
		}
		for i := range n {
			p.Produce(ctx, samsa.Record{Topic: "bench", Value: values[i%len(values)]}, promise)
		}
		if err := p.Flush(ctx); err != nil {
			return err
		}
		return failed
	}
	return write, b.Close
}

func openWAL(tb testing.TB, dir string) (func([][]byte, int) error, func() error) {
	l, err := wal.Open(filepath.Join(dir, "wal"), &wal.Options{NoSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	next := uint64(1)
	write := func(values [][]byte, n int) error {
		var batch wal.Batch
		for i := range n {
			batch.Write(next, values[i%len(values)])
			next++
			if i%1000 == 999 || i == n-1 {
				if err := l.WriteBatch(&batch); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return write, l.Close
}

// BenchmarkProduce writes records of about 100 bytes to disk: Samsa through its producer
// (snappy, AckStored), tidwall/wal 1000 a batch without fsync.
func BenchmarkProduce(b *testing.B) {
	values := records(10_000)
	for _, p := range peers {
		b.Run("records=100B/peer="+p.name, func(b *testing.B) {
			write, closeIt := p.open(b, b.TempDir())
			b.ReportAllocs()
			b.ResetTimer()
			if err := write(values, b.N); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			if err := closeIt(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkProduceRatio lets the peers take turns, a million records each, so that both
// meet the same machine, and reports how many times faster Samsa is.
func BenchmarkProduceRatio(b *testing.B) {
	const n = 1_000_000
	values := records(10_000)
	took := make([]time.Duration, len(peers))
	for b.Loop() {
		for i, p := range peers {
			write, closeIt := p.open(b, b.TempDir())
			start := time.Now()
			if err := write(values, n); err != nil {
				b.Fatal(err)
			}
			took[i] += time.Since(start)
			if err := closeIt(); err != nil {
				b.Fatal(err)
			}
		}
	}
	for i, p := range peers {
		b.ReportMetric(float64(n*b.N)/took[i].Seconds(), p.name+"-records/s")
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "times-"+peers[1].name)
}

package table_test

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// keyOf spreads i over the keys, 16 bytes each.
func keyOf(i int) []byte { return appendKeyOf(nil, i) }

func appendKeyOf(dst []byte, i int) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(i)*0x9e3779b97f4a7c15), uint64(i))
}

// fill produces n keys with values of 100 bytes.
func (k *kit) fill(n int) {
	k.t.Helper()
	p, err := k.NewProducer(k.ctx, samsa.ProducerOptions{})
	must(k.t, err)
	for i := range n {
		p.Produce(k.ctx, samsa.Record{Topic: "accounts", Key: keyOf(i), Value: make([]byte, 100)}, func(_ samsa.Record, err error) { must(k.t, err) })
	}
	must(k.t, p.Close())
}

const benchKeys = 1_000_000

func BenchmarkGet(b *testing.B) {
	for _, name := range []string{"", "kept"} {
		k := open(b, b.TempDir()) // once for all runs of what is measured
		k.create("accounts", samsa.TopicConfig{Partitions: 4})
		k.fill(benchKeys)
		t := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
		b.Run("name="+name+"/keys=1M", func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var key []byte
				for pb.Next() {
					key = appendKeyOf(key[:0], rand.N(benchKeys))
					if _, err := t.Get(key); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "gets/s")
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	opts := samsa.TableOptions{Topic: "accounts", Name: "kept"}
	if dir := os.Getenv("SAMSA_TABLE_KILLED"); dir != "" { // the process that is killed
		k := open(b, dir)
		k.create("accounts", samsa.TopicConfig{Partitions: 4})
		t := k.table(opts)
		k.fill(benchKeys)
		must(b, t.WaitFor(k.ctx))
		p, _ := os.FindProcess(os.Getpid())
		_ = p.Kill()
		select {}
	}
	for _, end := range []string{"closed", "killed"} {
		b.Run("after="+end+"/keys=1M", func(b *testing.B) {
			dir := b.TempDir()
			cmd := exec.Command(os.Args[0], "-test.run=^$", "-test.bench=BenchmarkOpen", "-test.benchtime=1x")
			cmd.Env = append(os.Environ(), "SAMSA_TABLE_KILLED="+dir)
			_ = cmd.Run() // which is killed
			if end == "closed" {
				br, err := samsa.Open(dir, samsa.Options{MustExist: true})
				must(b, err)
				must(b, br.Close())
			}
			var broker time.Duration
			for b.Loop() {
				b.StopTimer()
				again := b.TempDir() // to close it makes of a killed one a closed one
				must(b, os.CopyFS(again, os.DirFS(dir)))
				b.StartTimer()
				began := time.Now()
				br, err := samsa.Open(again, samsa.Options{MustExist: true})
				must(b, err)
				broker += time.Since(began)
				t, err := br.NewTable(context.Background(), opts)
				must(b, err)
				b.StopTimer()
				expect(b, "rows", t.Len(), benchKeys)
				must(b, br.Close())
				must(b, os.RemoveAll(again))
				b.StartTimer()
			}
			b.ReportMetric(float64(broker.Milliseconds())/float64(b.N), "broker-ms/op")
		})
	}
}

func BenchmarkWatch(b *testing.B) {
	for _, name := range []string{"", "kept"} {
		b.Run("name="+name, func(b *testing.B) {
			k := open(b, b.TempDir())
			k.create("accounts", samsa.TopicConfig{})
			t := k.table(samsa.TableOptions{Topic: "accounts", Name: name})
			ctx, cancel := context.WithCancel(k.ctx)
			seen, done := make(chan struct{}, 1), make(chan struct{})
			go func() {
				defer close(done)
				for _, err := range t.Watch(ctx) {
					if err == nil {
						seen <- struct{}{}
					}
				}
			}()
			<-seen
			for b.Loop() {
				k.produce(rec("key", "value"))
				<-seen
			}
			cancel()
			<-done
		})
	}
}

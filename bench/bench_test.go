package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/samsa-go/samsa/bench/internal/harness"
	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

// The Go form of the benchmark, in one process, with names that benchstat can group by axis.
//
//	go test -run '^$' -bench 'Peers/peer=(samsa|bbolt)/work=cold' -count 10 ./bench | tee out
//	benchstat -col /peer out

// keepBytes is what the workload retention keeps, unless it writes less.
const keepBytes = 16 << 20

// BenchmarkPeers does b.N records of each workload of the base on each peer.
func BenchmarkPeers(b *testing.B) {
	for _, p := range peer.All(peer.Settings{}) {
		for _, c := range (harness.Axes{}).Cases(true) {
			c.Codec = p.Codec(c.Codec)
			b.Run("peer="+p.Name+"/"+c.Axes(), func(b *testing.B) { benchmarkCase(b, p, c) })
		}
	}
}

func benchmarkCase(b *testing.B, p *peer.Peer, c workload.Case) {
	out, err := workload.Run(b.Context(), p, b.TempDir(), c, workload.Limits{Records: b.N, Time: time.Hour, KeepBytes: keepBytes})
	if errors.Is(err, errors.ErrUnsupported) {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(out.Elapsed)/float64(out.Records), "ns/op")
	b.ReportMetric(out.Rate(), "records/s")
	b.ReportMetric(out.Rate()*float64(c.Size)/1e6, "MB/s")
	b.ReportMetric(float64(out.Mallocs)/float64(out.Records), "allocs/record")
	if h := out.Latencies; h != nil {
		for _, q := range []float64{50, 99, 99.9} {
			b.ReportMetric(float64(h.ValueAtPercentile(q))/1e3, fmt.Sprintf("p%g-us", q))
		}
	}
}

// BenchmarkRatio lets the two libraries that are logs and nothing else take turns, a million
// records each, so that both meet the same machine, and reports how many times faster Samsa is.
func BenchmarkRatio(b *testing.B) {
	const n = 1_000_000
	peers, err := peer.Select(peer.Settings{}, []string{"samsa", "tidwall-wal"})
	if err != nil {
		b.Fatal(err)
	}
	c := harness.Axes{Workloads: []string{workload.Batch}}.Cases(true)[0]
	took := make([]time.Duration, len(peers))
	for b.Loop() {
		for i, p := range peers {
			c.Codec = p.Codec("snappy")
			out, err := workload.Run(b.Context(), p, b.TempDir(), c, workload.Limits{Records: n, Time: time.Hour})
			if err != nil {
				b.Fatal(err)
			}
			took[i] += out.Elapsed
		}
	}
	for i, p := range peers {
		b.ReportMetric(float64(n*b.N)/took[i].Seconds(), p.Name+"-records/s")
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "times-"+peers[1].Name)
}

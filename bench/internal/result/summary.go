package result

import (
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/samsa-go/samsa/bench/internal/peer"
	"github.com/samsa-go/samsa/bench/internal/workload"
)

// Spread is the median of the rounds, and the least and the most.
type Spread struct{ Median, Min, Max float64 }

// spread returns the Spread of values, of which there is at least one.
func spread(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{Median: (sorted[(n-1)/2] + sorted[n/2]) / 2, Min: sorted[0], Max: sorted[n-1]}
}

// Summary is a Result in the figures of a table. NaN is not used: what is not known has its
// Has... false or is nil.
type Summary struct {
	*Result
	Title  string // of the peer
	Memory bool   // the peer's records are in memory only
	Rate   Spread // records/s
	Bytes  Spread // bytes of values a second
	Allocs float64
	// RSS is the most of all rounds, in bytes; -1 unknown.
	RSS int64
	// Written is bytes written to disk per byte appended; -1 unknown.
	Written float64
	// Disk is the most that the directory had, in times of what is kept; 0 for other work.
	Disk float64
	// ToSamsa and ToFile are how many times as fast as those the peer is: rates, and for
	// Latency medians, compared within each round. 0 when there is nothing to compare with.
	ToSamsa, ToFile float64
	// Latencies of all rounds together, in ns; nil without.
	Latencies *hdrhistogram.Histogram
}

// Ok reports whether there are figures.
func (s *Summary) Ok() bool { return len(s.Rounds) > 0 && s.Failed == "" }

// Quantile returns a latency, q from 0 to 1.
func (s *Summary) Quantile(q float64) time.Duration {
	return time.Duration(s.Latencies.ValueAtPercentile(100 * q))
}

// Table is the summaries of one case, in the order of the peers.
type Table struct {
	Case workload.Case
	Rows []Summary
}

// Find returns the row of a peer, or nil.
func (t *Table) Find(name string) *Summary {
	i := slices.IndexFunc(t.Rows, func(s Summary) bool { return s.Peer == name })
	if i < 0 {
		return nil
	}
	return &t.Rows[i]
}

// Tables summarises r, a table a case in the order of the run.
func Tables(r *Run) ([]Table, error) {
	peers := make(map[string]Peer)
	for _, p := range r.Peers {
		peers[p.Name] = p
	}
	var tables []Table
	for i := range r.Results {
		res := &r.Results[i]
		s, err := summarise(res, r.Limits)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", res.Peer, res.Case.Axes(), err)
		}
		s.Title, s.Memory = peers[res.Peer].Title, peers[res.Peer].Memory
		at := slices.IndexFunc(tables, func(t Table) bool { return t.Case == res.Case })
		if at < 0 {
			at = len(tables)
			tables = append(tables, Table{Case: res.Case})
		}
		tables[at].Rows = append(tables[at].Rows, s)
	}
	for i := range tables {
		if err := tables[i].compare(); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

func summarise(r *Result, limits workload.Limits) (Summary, error) {
	s := Summary{Result: r, RSS: -1, Written: -1}
	if !s.Ok() {
		return s, nil
	}
	var rates, bytes, allocs, written, disk []float64
	for _, round := range r.Rounds {
		rates = append(rates, round.Rate())
		bytes = append(bytes, round.Rate()*float64(r.Case.Size))
		allocs = append(allocs, float64(round.Mallocs)/float64(round.Records))
		disk = append(disk, float64(round.PeakDisk)/float64(max(1, limits.KeepBytes)))
		s.RSS = max(s.RSS, round.PeakRSS)
		if round.DiskWritten >= 0 {
			written = append(written, float64(round.DiskWritten)/float64(round.Appended))
		}
		h, err := round.latencies()
		if err != nil {
			return s, err
		}
		switch {
		case h == nil:
		case s.Latencies == nil:
			s.Latencies = h
		default:
			s.Latencies.Merge(h)
		}
	}
	s.Rate, s.Bytes = spread(rates), spread(bytes)
	s.Allocs, s.Disk = spread(allocs).Median, spread(disk).Median
	if len(written) > 0 {
		s.Written = spread(written).Median
	}
	return s, nil
}

// latencies decodes the histogram, nil for none.
func (r *Round) latencies() (*hdrhistogram.Histogram, error) {
	if len(r.Histogram) == 0 {
		return nil, nil
	}
	h, err := hdrhistogram.Decode([]byte(r.Histogram))
	if err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	return h, nil
}

// speed returns the figure of a round that ratios compare: more is better.
func speed(work string, r *Round) (float64, error) {
	if work != workload.Latency {
		return r.Rate(), nil
	}
	h, err := r.latencies()
	if err != nil || h == nil {
		return 0, err
	}
	return 1 / float64(max(1, h.ValueAtPercentile(50))), nil
}

// compare fills in the ratios.
func (t *Table) compare() error {
	samsa, file := t.Find(peer.Samsa), t.Find(peer.File)
	for i := range t.Rows {
		row := &t.Rows[i]
		for _, to := range []struct {
			other *Summary
			ratio *float64
		}{{samsa, &row.ToSamsa}, {file, &row.ToFile}} {
			if to.other == nil || !to.other.Ok() || !row.Ok() {
				continue
			}
			var err error
			if *to.ratio, err = ratio(t.Case.Work, row, to.other); err != nil {
				return err
			}
		}
	}
	return nil
}

// ratio compares round by round: the machine may be faster in one than in another.
func ratio(work string, a, b *Summary) (float64, error) {
	var ratios []float64
	for i := range min(len(a.Rounds), len(b.Rounds)) {
		of, err := speed(work, &a.Rounds[i])
		if err != nil {
			return 0, err
		}
		to, err := speed(work, &b.Rounds[i])
		if err != nil {
			return 0, err
		}
		if to > 0 {
			ratios = append(ratios, of/to)
		}
	}
	if len(ratios) == 0 {
		return 0, nil
	}
	return spread(ratios).Median, nil
}

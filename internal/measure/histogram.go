// Package measure is what a broker counts with: histograms that cost nanoseconds to observe, and what was counted by name.
// It stands on nothing. Users import the module root.
package measure

import (
	"sort"
	"sync/atomic"
	"time"
)

// Histogram is how often values were observed, by size. It is a copy, which changes no more.
type Histogram struct {
	// Bounds are the upper bounds of the buckets, rising: Prometheus's le. What is equal to a bound is in its bucket. They
	// are the same for all histograms of a kind, and not to be changed.
	Bounds []float64
	// Counts has the number of values in each bucket, not cumulative, and one more: of values above the last bound.
	Counts []int64
	// Sum is that of all values, in the unit of the bounds.
	Sum float64
}

// Count returns how many values were observed.
func (h Histogram) Count() (n int64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// Mean returns the mean of all values, 0 without one.
func (h Histogram) Mean() float64 {
	if n := h.Count(); n > 0 {
		return h.Sum / float64(n)
	}
	return 0
}

// Quantile estimates the value below which the part q of all values is, 0 to 1, as Prometheus's histogram_quantile does:
// values are taken to be even within a bucket, and those above the last bound to be at it. It is 0 without a value.
func (h Histogram) Quantile(q float64) float64 {
	n := h.Count()
	if n == 0 || len(h.Bounds) == 0 {
		return 0
	}
	rank, below := min(max(q, 0), 1)*float64(n), 0.0
	for i, bound := range h.Bounds {
		count := float64(h.Counts[i])
		if below+count >= rank && count > 0 {
			least := 0.0
			if i > 0 {
				least = h.Bounds[i-1]
			}
			return least + (bound-least)*(rank-below)/count
		}
		below += count
	}
	return h.Bounds[len(h.Bounds)-1]
}

// Since returns what was observed since before, an earlier copy of the same histogram; the zero value is one.
func (h Histogram) Since(before Histogram) Histogram {
	if len(before.Counts) != len(h.Counts) {
		return h
	}
	d := Histogram{Bounds: h.Bounds, Counts: make([]int64, len(h.Counts)), Sum: h.Sum - before.Sum}
	for i := range h.Counts {
		d.Counts[i] = h.Counts[i] - before.Counts[i]
	}
	return d
}

// Plus returns what was observed in both, histograms of a kind; the zero value has nothing.
func (h Histogram) Plus(other Histogram) Histogram {
	switch {
	case len(other.Counts) == 0:
		return h
	case len(h.Counts) == 0:
		return other
	}
	sum := Histogram{Bounds: h.Bounds, Counts: make([]int64, len(h.Counts)), Sum: h.Sum + other.Sum}
	for i := range h.Counts {
		sum.Counts[i] = h.Counts[i] + other.Counts[i]
	}
	return sum
}

// Times is a histogram of times, which may be observed by anybody at any time. The zero value is empty.
type Times struct {
	counts [len(timeBounds) + 1]atomic.Int64
	sum    atomic.Int64 // ns
}

// timeBounds are those of all histograms of times: from 4 µs, which a commit in memory takes, to 64 s, each four times the
// one before, with one between from 64 µs to 4 s, where disks and networks are.
var timeBounds = [...]time.Duration{
	4 * time.Microsecond, 16 * time.Microsecond, 64 * time.Microsecond,
	128 * time.Microsecond, 256 * time.Microsecond, 512 * time.Microsecond,
	time.Millisecond, 2 * time.Millisecond, 4 * time.Millisecond, 8 * time.Millisecond, 16 * time.Millisecond, 32 * time.Millisecond,
	64 * time.Millisecond, 128 * time.Millisecond, 256 * time.Millisecond, 512 * time.Millisecond,
	time.Second, 2 * time.Second, 4 * time.Second, 16 * time.Second, 64 * time.Second,
}

var timeBoundsSeconds = func() (s []float64) {
	for _, b := range timeBounds {
		s = append(s, b.Seconds())
	}
	return s
}()

// Observe adds a time. It costs two atomic additions.
func (t *Times) Observe(d time.Duration) { t.ObserveFor(d, 1) }

// ObserveFor adds a time that stands for n alike, of which only it was taken.
func (t *Times) ObserveFor(d time.Duration, n int64) {
	i := 0
	for i < len(timeBounds) && d > timeBounds[i] {
		i++
	}
	t.counts[i].Add(n)
	t.sum.Add(int64(d) * n)
}

// Histogram returns what was observed until now, in seconds. A value that is observed meanwhile may be in the counts and
// not in the sum.
func (t *Times) Histogram() Histogram {
	h := Histogram{Bounds: timeBoundsSeconds, Counts: make([]int64, len(t.counts)), Sum: time.Duration(t.sum.Load()).Seconds()}
	for i := range t.counts {
		h.Counts[i] = t.counts[i].Load()
	}
	return h
}

// Sizes is a histogram of sizes: bytes, or numbers of things. It is as Times.
type Sizes struct {
	counts [len(sizeBounds) + 1]atomic.Int64
	sum    atomic.Int64
}

// sizeBounds are those of all histograms of sizes, each four times the one before.
var sizeBounds = [...]float64{1, 4, 16, 64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20}

// Observe adds a size.
func (s *Sizes) Observe(n int64) {
	s.counts[sort.SearchFloat64s(sizeBounds[:], float64(n))].Add(1)
	s.sum.Add(n)
}

// Histogram returns what was observed until now: see Times.Histogram.
func (s *Sizes) Histogram() Histogram {
	h := Histogram{Bounds: sizeBounds[:], Counts: make([]int64, len(s.counts)), Sum: float64(s.sum.Load())}
	for i := range s.counts {
		h.Counts[i] = s.counts[i].Load()
	}
	return h
}

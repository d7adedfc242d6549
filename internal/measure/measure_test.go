package measure

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestTimesAreInTheirBuckets(t *testing.T) {
	for _, tt := range []struct {
		d  time.Duration
		le float64 // seconds
	}{
		{0, 4e-6}, {-time.Second, 4e-6}, {4 * time.Microsecond, 4e-6}, {4*time.Microsecond + 1, 16e-6}, {time.Millisecond, 1e-3}, {5 * time.Millisecond, 8e-3},
		{64 * time.Second, 64}, {65 * time.Second, math.Inf(1)},
	} {
		var times Times
		times.Observe(tt.d)
		h := times.Histogram()
		i := slices.Index(h.Counts, 1)
		le := math.Inf(1)
		if i < len(h.Bounds) {
			le = h.Bounds[i]
		}
		if le != tt.le || h.Count() != 1 || h.Sum != tt.d.Seconds() {
			t.Errorf("%v: le %v, want %v; count %d, sum %v", tt.d, le, tt.le, h.Count(), h.Sum)
		}
	}
	var times Times
	times.ObserveFor(time.Second, 3)
	if h := times.Histogram(); h.Count() != 3 || h.Sum != 3 {
		t.Errorf("a second for three: %d, %v", h.Count(), h.Sum)
	}
	if h := new(Times).Histogram(); !slices.IsSorted(h.Bounds) || len(h.Counts) != len(h.Bounds)+1 {
		t.Errorf("bounds %v, %d counts", h.Bounds, len(h.Counts))
	}
}

func TestHistogramsCanBeReckonedWith(t *testing.T) {
	var times Times
	if h := times.Histogram(); h.Quantile(0.5) != 0 || h.Mean() != 0 || (Histogram{}).Quantile(1) != 0 {
		t.Error("a histogram without values has some")
	}
	for range 100 {
		times.Observe(3 * time.Millisecond)
	}
	before := times.Histogram()
	for range 100 {
		times.Observe(100 * time.Second)
	}
	now := times.Histogram()
	since := now.Since(before)
	if since.Count() != 100 || since.Sum != 100*100 || since.Mean() != 100 {
		t.Errorf("since: %d values of %v in all", since.Count(), since.Sum)
	}
	if got := now.Since(Histogram{}); got.Count() != 200 {
		t.Errorf("since the beginning: %d", got.Count())
	}
	if got := before.Plus(since); !slices.Equal(got.Counts, now.Counts) || got.Sum != now.Sum {
		t.Errorf("%v and %v are %v, want %v", before, since, got, now)
	}
	if got := now.Plus(Histogram{}); got.Count() != 200 || (Histogram{}).Plus(now).Count() != 200 {
		t.Errorf("and nothing: %d", got.Count())
	}
	for q, want := range map[float64]float64{0.25: 0.003, 0.5: 0.004, 0.9: 64, 1: 64, 2: 64} {
		if got := now.Quantile(q); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
}

// counts is what a member of the tests has counted.
type counts struct{ open, done int }

func (c counts) Plus(o counts) counts { return counts{c.open + o.open, c.done + o.done} }
func (c counts) Ended() counts        { return counts{done: c.done} }

func TestTallyRemembersWhoHasEnded(t *testing.T) {
	var tally Tally[string, counts]
	enter := func(name string, done int) func() {
		return tally.Enter(name, func() counts { return counts{1, done} })
	}
	one, other, last := enter("a", 1), enter("a", 2), enter("b", 4)
	check := func(a, b counts) {
		t.Helper()
		if got := tally.Sums(); got["a"] != a || got["b"] != b {
			t.Errorf("sums are %v, want %v and %v", got, a, b)
		}
	}
	check(counts{2, 3}, counts{1, 4})
	one()
	one()
	last()
	check(counts{1, 3}, counts{0, 4})
	other()
	check(counts{0, 3}, counts{0, 4})
	for i := range 2 * maxEnded {
		enter(fmt.Sprint(i), 1)()
	}
	if n := len(tally.Sums()); n != maxEnded {
		t.Errorf("%d names are remembered", n)
	}
	var none *Tally[string, counts]
	none.Enter("a", nil)()
}

// Names of which somebody is there are never forgotten.
func TestTallyForgetsNobodyWhoIsThere(t *testing.T) {
	var tally Tally[string, counts]
	defer tally.Enter("here", func() counts { return counts{1, 1} })()
	tally.Enter("here", func() counts { return counts{1, 10} })()
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range maxEnded {
				tally.Enter(fmt.Sprint(g, i), func() counts { return counts{1, 1} })()
			}
		})
	}
	wg.Wait()
	if got := tally.Sums()["here"]; got != (counts{1, 11}) {
		t.Errorf("the sum of who is there is %v", got)
	}
}

func BenchmarkObserve(b *testing.B) {
	var times Times
	for b.Loop() {
		times.Observe(100 * time.Microsecond)
	}
}

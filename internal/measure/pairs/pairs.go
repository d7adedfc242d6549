// Package pairs has benchmarks compare two ways to do the same work, on a machine that others use too.
package pairs

import (
	"runtime"
	"slices"
	"testing"
	"time"
)

// Compare has both ways do n operations, in turns, once for each iteration of b (-benchtime 500x), and reports
//
//   - "ns/op": the CPU time of an operation without what is measured, in this process and in the system's calls for it;
//   - "overhead-%": what it takes more with it: the median of all turns, each of which has both sides meet the same machine;
//     "low-%" and "high-%" are the quartiles, so half of the turns are between them;
//   - "quiet-%": the same of the tenth of both sides that took the least: the moments in which nobody else was in the way.
//
// The functions return the CPU time of n operations: CPU does. Some milliseconds are best: short enough for the machine to be
// the same for both sides of a turn.
func Compare(b *testing.B, n int, without, with func(n int) time.Duration) {
	b.Helper()
	without(n) // what is done once is done
	with(n)
	ways := [2]func(int) time.Duration{without, with}
	var times [2][]float64
	ratios := make([]float64, b.N)
	b.ResetTimer()
	for turn := range b.N {
		var took [2]float64
		for i := range took {
			side := (i + turn) % 2 // nobody is always the first
			runtime.GC()           // nobody sweeps what the other has left
			took[side] = float64(ways[side](n)) / float64(n)
			times[side] = append(times[side], took[side])
		}
		ratios[turn] = over(took)
	}
	b.StopTimer()
	b.ReportMetric(quantile(times[0], 0.5), "ns/op")
	b.ReportMetric(quantile(ratios, 0.25), "low-%")
	b.ReportMetric(quantile(ratios, 0.5), "overhead-%")
	b.ReportMetric(quantile(ratios, 0.75), "high-%")
	b.ReportMetric(over([2]float64{quantile(times[0], 0.1), quantile(times[1], 0.1)}), "quiet-%")
}

// over returns how many percent more the second one is.
func over(pair [2]float64) float64 { return 100 * (pair[1]/pair[0] - 1) }

// quantile returns the one below which the part q of all is, which it sorts.
func quantile(all []float64, q float64) float64 {
	slices.Sort(all)
	return all[int(q*float64(len(all)-1))]
}

// CPU returns the CPU time that this process, all of it, has used while fn ran. Where the system does not say it is the time
// that has passed.
func CPU(fn func()) time.Duration {
	before := used()
	fn()
	return used() - before
}

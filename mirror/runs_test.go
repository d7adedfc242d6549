package mirror

import (
	"math/rand/v2"
	"testing"
)

// A group goes on at the first record that it has not read, whatever the ranges are; and the way back says the opposite.
func TestTranslate(t *testing.T) {
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var all ranges
		var sources, targets []int64 // of each record
		from, to := rnd.Int64N(5), rnd.Int64N(5)
		for range 1 + rnd.IntN(20) {
			var runs []run
			for range 1 + rnd.IntN(5) {
				from, to = from+rnd.Int64N(3), to+rnd.Int64N(3)
				n := 1 + rnd.Int64N(4)
				runs = join(runs, run{from, to, n})
				for i := range n {
					sources, targets = append(sources, from+i), append(targets, to+i)
				}
				from, to = from+n, to+n
			}
			all.put([]block{{runs[0].from, runs}})
		}
		back := all.inverse()
		check := func(r *ranges, ends int64, from, to []int64) {
			for offset := range ends + 1 {
				want := int64(1000)
				for i := range from {
					if from[i] >= offset {
						want = to[i]
						break
					}
				}
				if got := r.translate(offset, 1000); got != want {
					t.Fatalf("seed %d: offset %d is %d, want %d: %v", seed, offset, got, want, r.blocks)
				}
			}
		}
		check(&all, from, sources, targets)
		check(&back, to, targets, sources)
	}
}

// What is remembered is bounded.
func TestForget(t *testing.T) {
	var r ranges
	for i := range int64(maxRuns + 10) {
		r.put([]block{{2 * i, []run{{2 * i, 3 * i, 1}}}})
	}
	if gone := r.forget(0); len(gone) != 10 || r.n != maxRuns || r.blocks[0].from != 20 {
		t.Errorf("%d are gone, %d left from %d on", len(gone), r.n, r.blocks[0].from)
	}
	if gone := r.forget(1000); len(gone) == 0 || r.blocks[0].end() <= 1000 {
		t.Error("what the source has no more is still there")
	}
}

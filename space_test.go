package samsa

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
)

// scales is a store that says how large it is, and remembers how it was reclaimed.
type scales struct {
	store.Store
	size int64
	err  error // of Reclaim
	opts []store.ReclaimOptions
}

func (s *scales) Size() (int64, error) { return s.size, nil }

func (s *scales) Reclaim(_ context.Context, opts store.ReclaimOptions) error {
	s.opts = append(s.opts, opts)
	return s.err
}

// weighed returns the space of a store of that size.
func weighed(size int64) (*space, *scales) {
	st := &scales{size: size}
	s := new(space)
	s.init(&Broker{st: st})
	return s, st
}

// wanted reports whether space is to be given back, and forgets it.
func (s *space) wanted() bool {
	select {
	case <-s.work:
		return true
	default:
		return false
	}
}

const mib = 1 << 20

func TestBrakeByWhatIsOwed(t *testing.T) {
	const half = fastBrake - (fastBrake-fullBrake)/2
	for _, c := range []struct {
		name                           string
		owed, displaced, seen, written int64
		want                           int64
	}{
		{"nothing is owed", 0, 1024, 0, 0, 0},
		{"much is allowed still", -500 * mib, 1024, 0, 400 * mib, 0},
		{"a little is owed", 1, 1024, 0, 0, fastBrake - (fastBrake-fullBrake)/brakeWay},
		{"half way", brakeWay / 2, 1024, 0, 0, half},
		{"all the way", brakeWay, 1024, 0, 0, fullBrake},
		{"beyond", brakeWay + mib, 1024, 0, 0, fullBrake},
		{"far beyond", 20 << 30, 1024, 0, 0, fullBrake},
		{"further than any disk", 1 << 60, 1024, 0, 0, fullBrake},
		{"nothing is displaced", 20 << 30, 0, 0, 100 * mib, 0},
		{"all that was written will be owed", 0, 1024, 100 * mib, 100*mib + brakeWay/2, half},
		{"a quarter of it", 0, 256, 100 * mib, 100*mib + brakeWay*2, half},
		{"both", brakeWay / 4, 512, 0, brakeWay / 2, half},
		{"what is written is allowed still", -brakeWay, 1024, 0, brakeWay, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s space
			s.owed.Store(c.owed)
			s.displaced.Store(c.displaced)
			s.seen.Store(c.seen)
			if got := s.brake(c.written); got != c.want {
				t.Errorf("%d bytes a second, want %d", got, c.want)
			}
		})
	}
}

// The more is owed the slower it goes, and never stops.
func TestBrakeIsMonotonic(t *testing.T) {
	var s space
	s.displaced.Store(1024)
	last := int64(fastBrake + 1)
	for owed := int64(1); owed < 2*brakeWay; owed += brakeWay / 100 {
		s.owed.Store(owed)
		rate := s.brake(0)
		if rate < fullBrake || rate > last {
			t.Fatalf("%d bytes a second with %d owed, %d with less", rate, owed, last)
		}
		last = rate
	}
	if last != fullBrake {
		t.Errorf("%d bytes a second in the end", last)
	}
}

func TestDebt(t *testing.T) {
	for _, c := range []struct {
		name               string
		size, live, waived int64
		debt, owed         int64
	}{
		{"nothing", 0, 0, 0, 0, -freeDebt},
		{"alive alone", 800 * mib, 800 * mib, 0, 0, -300*mib - freeDebt},
		{"less than was counted", 700 * mib, 800 * mib, 0, 0, -300*mib - freeDebt},
		{"garbage", 1000 * mib, 800 * mib, 0, 200 * mib, -100*mib - freeDebt},
		{"as much as is allowed", 1100*mib + freeDebt, 800 * mib, 0, 300*mib + freeDebt, 0},
		{"more than that", 1100*mib + freeDebt + brakeWay, 800 * mib, 0, 300*mib + freeDebt + brakeWay, brakeWay},
		{"waived", 1100*mib + freeDebt + brakeWay, 800 * mib, brakeWay, 300*mib + freeDebt, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := weighed(c.size)
			s.swept(look{live: c.live, waived: c.waived}, false)
			if s.debt != c.debt || s.owed.Load() != c.owed {
				t.Errorf("debt %d, owed %d; want %d and %d", s.debt, s.owed.Load(), c.debt, c.owed)
			}
		})
	}
}

// At the end of the brake's way the directory has its promised size.
func TestBrakeHoldsThePromise(t *testing.T) {
	for _, live := range []int64{0, 100 * mib, 10 << 30} {
		promised := live + live/2 + 128*mib
		s, _ := weighed(promised)
		s.swept(look{live: live, seen: 1, displaced: 1}, false)
		if got := s.brake(1); got != fullBrake {
			t.Errorf("with %d alive: %d bytes a second", live, got)
		}
	}
}

func TestDisplaced(t *testing.T) {
	s, _ := weighed(0)
	steps := []struct {
		name            string
		seen, displaced int64
		want            int64
	}{
		{"the log grows", 100 * mib, 0, 0},
		{"half of what is written goes", 200 * mib, 50 * mib, 512},
		{"nothing was written", 200 * mib, 50 * mib, 512},
		{"a sweep that finds little", 300 * mib, mib, 448},
		{"more than was written", 400 * mib, 300 * mib, 1024},
		{"nothing any more", 500 * mib, 0, 896},
	}
	for _, c := range steps {
		s.swept(look{seen: c.seen, displaced: c.displaced}, false)
		if got := s.displaced.Load(); got != c.want {
			t.Errorf("%s: %d for each KiB, want %d", c.name, got, c.want)
		}
		if got := s.seen.Load(); got != c.seen {
			t.Errorf("%s: %d bytes seen", c.name, got)
		}
	}
	for n := range 100 {
		s.swept(look{seen: int64(501+n) * mib}, false)
	}
	if got := s.displaced.Load(); got != 0 {
		t.Errorf("a hundred sweeps later: %d", got)
	}
}

// What is freed is not waived any more; the rest of it was owed.
func TestFreedGarbage(t *testing.T) {
	s, st := weighed(1000 * mib)
	s.swept(look{live: 600 * mib, waived: 300 * mib}, false)
	for _, c := range []struct{ freed, waived, debt int64 }{
		{0, 300 * mib, 100 * mib}, {200 * mib, 100 * mib, 100 * mib}, {150 * mib, 0, 50 * mib}, {50 * mib, 0, 0},
	} {
		st.size -= c.freed
		s.freed(c.freed)
		if s.waived != c.waived || s.debt != c.debt || s.owed.Load() != c.debt-225*mib-freeDebt {
			t.Errorf("%d freed: waived %d, debt %d, owed %d", c.freed, s.waived, s.debt, s.owed.Load())
		}
	}
}

// Nobody has to wait because of what was deleted by hand: not before the next sweep, and
// not after it.
func TestDeletionByHandIsNoDebt(t *testing.T) {
	s, _ := weighed(1000 * mib)
	k := &compactor{b: s.b, tracks: map[*partition.Partition]*swept{}}
	k.space.init(s.b)
	k.space.swept(look{live: 900 * mib, seen: 1, displaced: 1}, false)
	p := new(partition.Partition)
	k.countLocked(k.track(p), 900*mib, 0)
	k.track(p).counted = true
	k.trimmed(p, partition.Trimmed{Records: 5, Passed: 800 * mib, Erased: partition.Erased{Batches: 3, Bytes: 800 * mib}})
	check := func(when string) {
		t.Helper()
		k.space.mu.Lock()
		defer k.space.mu.Unlock()
		k.space.debtLocked(s.b.st.Size())
		if k.space.debt != 100*mib {
			t.Errorf("%s: debt %d", when, k.space.debt)
		}
	}
	check("at once")
	k.note(false, Removed{}, look{live: k.live(0), seen: 2, displaced: 1})
	check("after the next sweep")
	if got, want := k.sum, (Removed{Records: 5, Batches: 3, Bytes: 800 * mib}); got != want || k.track(p).removed != want || k.track(p).live != 100*mib {
		t.Errorf("counted %+v and %+v, %d bytes are alive", got, k.track(p).removed, k.track(p).live)
	}
	if !k.space.wanted() {
		t.Error("nobody gives the space back")
	}
}

// Space is given back for a file's worth of garbage, and for any after a full sweep, which
// has it done thoroughly.
func TestWhenSpaceIsGivenBack(t *testing.T) {
	s, _ := weighed(0)
	s.removed(reclaimBytes - 1)
	s.swept(look{}, false)
	if s.wanted() {
		t.Error("for too little")
	}
	if enough := s.enough(); enough == nil {
		t.Error("thorough without reason")
	}
	s.removed(1)
	if !s.wanted() {
		t.Error("not for a file's worth")
	}
	s.garbage = 0
	s.swept(look{}, true)
	if s.wanted() {
		t.Error("after a full sweep, for nothing")
	}
	s.garbage = 1
	s.swept(look{}, true)
	if !s.wanted() || s.enough() != nil {
		t.Error("not after a full sweep, or not thoroughly")
	}
	enough := s.enough()
	if enough == nil {
		t.Fatal("thorough twice")
	}
	for owed, want := range map[int64]bool{-1: true, 0: false, 1: false} {
		s.owed.Store(owed)
		if got := enough(); got != want {
			t.Errorf("with %d owed: enough %v", owed, got)
		}
	}
}

// As long as producers are slowed down as much as they can be there are files worth
// rewriting: else that would never end.
func TestShareOfGarbage(t *testing.T) {
	s, _ := weighed(0)
	for owed, want := range map[int64]float64{-mib: 0, mib: 0, brakeWay - 1: 0, brakeWay: debtShare, 1 << 40: debtShare} {
		s.owed.Store(owed)
		if got := s.share(); got != want {
			t.Errorf("with %d owed: %v, want %v", owed, got, want)
		}
	}
	const live = 900 * mib // in files that just have too little garbage
	s, _ = weighed(live / (1 - debtShare))
	s.swept(look{live: live}, false)
	if got := s.owed.Load(); got >= 0 {
		t.Errorf("%d bytes are owed when nothing is worth it any more", got)
	}
}

// What Reclaim could not give back is garbage still.
func TestGarbageAfterReclaim(t *testing.T) {
	for _, broken := range []error{nil, errors.New("broken"), fmt.Errorf("no: %w", store.ErrDiskFull)} {
		s, st := weighed(0)
		s.garbage, st.err = 5, broken
		err := s.reclaim(t.Context(), 0.3, nil)
		want := int64(5)
		if broken == nil {
			want = 0
		}
		if !errors.Is(err, broken) || errors.Is(err, ErrDiskFull) != errors.Is(broken, store.ErrDiskFull) {
			t.Errorf("%v became %v", broken, err)
		}
		if s.garbage != want || len(s.turn) != 0 {
			t.Errorf("%v: %d bytes of garbage, turn taken %v", broken, s.garbage, len(s.turn) != 0)
		}
		if len(st.opts) != 1 || st.opts[0].Share != 0.3 || st.opts[0].Enough != nil {
			t.Errorf("reclaimed with %+v", st.opts)
		}
	}
	s, st := weighed(0)
	s.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.reclaim(ctx, 0, nil); !errors.Is(err, context.Canceled) || len(st.opts) != 0 {
		t.Errorf("while somebody else is at it: %v", err)
	}
}

// Between files the disk is left to others, unless producers would have to wait.
func TestRestBetweenFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := weighed(0)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		for _, c := range []struct {
			owed int64
			want time.Duration
		}{{-freeDebt - 1, time.Minute}, {-freeDebt, time.Minute}, {-freeDebt + 1, 0}, {brakeWay, 0}} {
			s.owed.Store(c.owed)
			began := time.Now()
			if err := s.rest(t.Context(), time.Minute); err != nil || time.Since(began) != c.want {
				t.Errorf("with %d owed: rested %v, %v", c.owed, time.Since(began), err)
			}
			if err := s.rest(ended, time.Minute); !errors.Is(err, context.Canceled) || time.Since(began) != c.want {
				t.Errorf("with %d owed, to end: rested %v, %v", c.owed, time.Since(began)-c.want, err)
			}
		}
	})
}

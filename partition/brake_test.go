package partition

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// braked has the committer write so many bytes a second.
func (s *scene) braked(rate int64) { s.Brake(func(int64) int64 { return rate }) }

// took checks how much time has passed in the bubble, within 5 % for what surrounds the
// records.
func took(t *testing.T, since time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(since); got < want-want/1000 || got > want+want/20 {
		t.Errorf("took %v, want %v", got, want)
	}
}

// Many producers that each wait for their last batch cannot write faster than one.
func TestBrakeKeepsTheRate(t *testing.T) {
	for _, producers := range []int{1, 10, 100} {
		t.Run(fmt.Sprint(producers), func(t *testing.T) {
			play(t, func(t *testing.T, s *scene) {
				const rate, total, size = 8 << 20, 16 << 20, 8 << 10
				p := s.partition(0)
				s.braked(rate)
				began := time.Now()
				var wg sync.WaitGroup
				for range producers {
					wg.Go(func() {
						for range total / size / producers {
							if err := s.Do(appends(p, sized(t, size))); err != nil {
								t.Error(err)
							}
						}
					})
				}
				wg.Wait()
				took(t, began, time.Duration(total/size/producers*producers)*size*time.Second/rate)
			})
		})
	}
}

// A commit that waits takes in what comes meanwhile, and is small enough to wait 100 ms.
func TestBrakeMakesGroupsSmall(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		const rate = 10 << 20
		p := s.partition(0)
		s.desk.hold = true
		s.braked(rate)
		began := time.Now()
		for range 100 {
			s.submitOnly("", appends(p, sized(t, 50_000)))
		}
		for i := 1; i <= 3; i++ {
			for s.desk.inFlight() < i {
				time.Sleep(time.Millisecond)
				synctest.Wait()
			}
			if wait := time.Duration(i) * maxBrake; time.Since(began) > wait {
				t.Errorf("commit %d after %v, want it after %v", i, time.Since(began), wait)
			}
			if got := s.desk.held[i-1].bytes; got > rate/10 || got < rate/10-51_000 {
				t.Errorf("a group of %d bytes", got)
			}
		}
		s.Brake(nil)
		s.desk.set(func(d *desk) { d.hold = false })
		for s.desk.inFlight() > 0 {
			s.desk.land(0, nil)
		}
		synctest.Wait()
		s.told = nil
	})
}

// What is larger than a group waits no longer than one.
func TestBrakeOfLargeTransaction(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.braked(1 << 20)
		began := time.Now()
		if err := s.Do(appends(p, sized(t, 5<<20))); err != nil {
			t.Error(err)
		}
		took(t, began, maxBrake)
	})
}

func TestBrakeReleased(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		var asked []int64
		s.Brake(func(written int64) int64 {
			asked = append(asked, written)
			return 0
		})
		began := time.Now()
		for range 3 {
			if err := s.Do(appends(p, sized(t, 100_000))); err != nil {
				t.Error(err)
			}
		}
		took(t, began, 0)
		size := s.Stats().Bytes / 3
		if want := []int64{0, size, 2 * size}; !slices.Equal(asked, want) {
			t.Errorf("asked with %d, want %d", asked, want)
		}
	})
}

// The lowest rate is no reason never to write.
func TestBrakeOfOneByteEachSecond(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.braked(1)
		if err := s.Do(writes("k")); err != nil || !s.has("k") {
			t.Error(err)
		}
	})
}

// What goes ahead does not wait; and however much does, the queue waits no longer for it.
func TestBrakeSparesWhatGoesAhead(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.braked(1 << 20)
		began := time.Now()
		s.submit("slow", appends(p, sized(t, 1<<20)))
		for _, name := range []string{"a", "b", "c"} {
			s.submit(name, ahead(name))
			s.hears(name)
			if got := time.Since(began); got%(30*time.Millisecond) != 0 {
				t.Errorf("%s was stored after %v", name, got)
			}
			time.Sleep(30 * time.Millisecond)
		}
		if err := s.Exclusive(func() error { return nil }); err != nil || time.Since(began) != 90*time.Millisecond {
			t.Errorf("Exclusive after %v, %v", time.Since(began), err)
		}
		s.hears()
		time.Sleep(10 * time.Millisecond)
		s.hears("slow")
	})
}

func TestBrakeAtClose(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.braked(1 << 20)
		began := time.Now()
		for range 10 {
			s.submit("a", appends(p, sized(t, 1<<20)))
		}
		s.hears()
		s.Close()
		took(t, began, 0)
		s.hears(slices.Repeat([]string{"a"}, 10)...)
	})
}

// The brake may be set and asked while all goes on.
func TestBrakeChanges(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		var rate atomic.Int64
		rate.Store(1 << 20)
		s.Brake(func(int64) int64 { return rate.Load() })
		began := time.Now()
		s.submit("a", appends(p, sized(t, 100<<10)))
		s.submit("b", appends(p, sized(t, 100<<10)))
		rate.Store(0)
		for s.Stats().Txs < 2 {
			time.Sleep(time.Millisecond)
		}
		if got := time.Since(began); got > maxBrake+time.Millisecond {
			t.Errorf("the second was stored after %v", got)
		}
		s.hears("a", "b")
	})
}

package samsa

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// scales is a store that counts how often it was reclaimed.
type scales struct {
	store.Store
	err      error // of Reclaim
	reclaims int
}

func (s *scales) Reclaim(context.Context) error {
	s.reclaims++
	return s.err
}

// newSpace returns the space of such a store.
func newSpace() (*space, *scales) {
	st := new(scales)
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

func TestWhenSpaceIsGivenBack(t *testing.T) {
	s, _ := newSpace()
	s.swept()
	if s.wanted() {
		t.Error("after a full sweep, for nothing")
	}
	s.removed(1)
	if s.wanted() {
		t.Error("before the sweep has ended")
	}
	s.swept()
	if !s.wanted() {
		t.Error("not after a full sweep")
	}
}

// What Reclaim could not give back is garbage still.
func TestGarbageAfterReclaim(t *testing.T) {
	for _, broken := range []error{nil, errors.New("broken"), fmt.Errorf("no: %w", store.ErrDiskFull)} {
		s, st := newSpace()
		s.garbage, st.err = 5, broken
		err := s.reclaim(t.Context())
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
		if st.reclaims != 1 {
			t.Errorf("reclaimed %d times", st.reclaims)
		}
	}
	s, st := newSpace()
	s.turn <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.reclaim(ctx); !errors.Is(err, context.Canceled) || st.reclaims != 0 {
		t.Errorf("while somebody else is at it: %v", err)
	}
}

// On a full disk there is no time to wait for the next sweep, if there is garbage; but to try all the
// time would help nobody.
func TestSpaceOfAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, st := newSpace()
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { s.run(ctx) })
		time.Sleep(time.Hour)
		for i, step := range []struct {
			garbage int64
			later   time.Duration
			want    int
		}{{0, 0, 0}, {1, 0, 1}, {1, fullPause - 1, 1}, {0, 1, 2}, {0, fullPause, 2}, {1, 0, 3}} {
			time.Sleep(step.later)
			s.removed(step.garbage)
			s.full.Wake()
			synctest.Wait()
			if st.reclaims != step.want {
				t.Errorf("step %d: reclaimed %d times, want %d", i, st.reclaims, step.want)
			}
		}
		cancel()
		running.Wait()
	})
}

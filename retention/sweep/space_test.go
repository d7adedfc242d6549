package sweep

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/store"
)

// On a full disk there is no time to wait for the next sweep, if there is garbage; but to try all the
// time would help nobody.
func TestSpace(t *testing.T) {
	var s space
	now := time.Now()
	for i, step := range []struct {
		removed int64
		later   time.Duration
		try     bool // on a full disk
		taken   int64
	}{
		{removed: 0, try: false},
		{removed: 1, try: true, taken: 1},
		{removed: 2, later: fullPause - 1, try: false},
		{removed: 3, later: 1, try: true, taken: 5},
		{removed: 0, later: fullPause, try: false},
		{removed: 4, try: true, taken: 4},
	} {
		now = now.Add(step.later)
		s.removed(step.removed)
		try, taken := s.try(now), int64(0)
		if try {
			taken = s.take()
		}
		if try != step.try || taken != step.taken {
			t.Errorf("step %d: %t, %d bytes, want %t, %d", i, try, taken, step.try, step.taken)
		}
	}
}

// A tally goes on from what was counted, and is counted anew where not everything is known to
// have gone.
func TestTally(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		appended, trimmed int64 // since 100 bytes were counted when 1000 had been appended
		err               error
		want              int64
		counted           bool
	}{
		{0, 0, nil, 100, true},
		{50, 0, nil, 150, true},
		{50, 30, nil, 120, true},
		{0, 30, broken, 70, false},
	} {
		y := tally{counted: true, live: 100, appended: 1000}
		y.trimmed(tc.trimmed, tc.err)
		if got := y.at(1000 + tc.appended); got != tc.want || y.counted != tc.counted {
			t.Errorf("%+v: %d bytes, counted %t", tc, got, y.counted)
		}
	}
}

func TestWhenSpaceIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := begin(t)
		wantReclaims := func(when string, want int) {
			t.Helper()
			if synctest.Wait(); k.st.reclaims != want {
				t.Errorf("%s: reclaimed %d times, want %d", when, k.st.reclaims, want)
			}
		}
		garbage := func(n int64) {
			k.mu.Lock()
			defer k.mu.Unlock()
			k.space.removed(n)
		}
		k.note(true, Removed{})
		wantReclaims("after a full sweep, for nothing", 0)
		garbage(1)
		k.note(false, Removed{})
		wantReclaims("before a full sweep has ended", 0)
		k.note(true, Removed{})
		wantReclaims("after a full sweep", 1)
		garbage(1)
		k.full.Wake()
		wantReclaims("when the disk is full", 2)
		garbage(1)
		k.full.Wake()
		wantReclaims("when it is full at once again", 2)
		time.Sleep(fullPause)
		k.full.Wake()
		wantReclaims("when it is full for long", 3)
	})
}

// What Reclaim could not give back is garbage still.
func TestGarbageAfterReclaim(t *testing.T) {
	for _, broken := range []error{nil, errors.New("broken"), fmt.Errorf("no: %w", store.ErrDiskFull)} {
		k := begin(t)
		k.space.garbage, k.st.err = 5, broken
		err := k.reclaim(t.Context())
		want := int64(5)
		if broken == nil {
			want = 0
		}
		if !errors.Is(err, broken) || errors.Is(err, store.ErrDiskFull) != errors.Is(broken, store.ErrDiskFull) {
			t.Errorf("%v became %v", broken, err)
		}
		if k.space.garbage != want || len(k.reclaiming) != 0 {
			t.Errorf("%v: %d bytes of garbage, turn taken %v", broken, k.space.garbage, len(k.reclaiming) != 0)
		}
		if k.st.reclaims != 1 {
			t.Errorf("reclaimed %d times", k.st.reclaims)
		}
	}
	k := begin(t)
	k.reclaiming <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.reclaim(ctx); !errors.Is(err, context.Canceled) || k.st.reclaims != 0 {
		t.Errorf("while somebody else is at it: %v", err)
	}
}

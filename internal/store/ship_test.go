package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
)

// shipTo reads frames until all that is durable was read, and applies them to state.
func shipTo(t *testing.T, s *diskStore, after uint64, state map[string]string) uint64 {
	t.Helper()
	for {
		b, last, err := s.AppendFrames(nil, after, 10_000)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			return after
		}
		for len(b) > 0 {
			f, err := ParseFrame(b)
			if err != nil || f.Commit != after+1 {
				t.Fatalf("frame of commit %+v behind %d: %v", f, after, err)
			}
			if err := f.Each(func(o FrameOp) error {
				switch o.Kind {
				case OpSet, OpLarge:
					state[string(o.Key)] = string(o.Value)
				case OpDelete:
					delete(state, string(o.Key))
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			after = f.Commit
			b = b[f.Length:]
		}
		if after != last {
			t.Fatalf("frames up to %d, not %d", after, last)
		}
	}
}

func stateOf(t *testing.T, s interface {
	Scan(Range, func(Entry) (bool, error)) error
}) map[string]string {
	t.Helper()
	state := map[string]string{}
	err := s.Scan(Range{}, func(e Entry) (bool, error) {
		v, err := e.AppendValue(nil)
		state[string(e.Key)] = string(v)
		return true, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// TestShippedFramesMakeTheState ships what a store has, which gives space back all the time, is closed and killed. The snapshot and
// the frames behind it are always the state as of the last sync.
func TestShippedFramesMakeTheState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := Small{FileBytes: 64 << 10, TreeEntries: 100, TableBytes: 16 << 10}.Options(Options{})
	rng := rand.New(rand.NewPCG(rand.Uint64(), 2))
	s := openTemp(t, dir, opts)
	snap, at, err := s.SnapshotHeld("b", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	state := stateOf(t, snap)
	snap.Close()
	held := 0
	for range 60 {
		for range rng.IntN(60) {
			var b Batch
			for range 1 + rng.IntN(4) {
				n := rng.IntN(60)
				if rng.IntN(4) == 0 {
					b.Delete(childKey(n))
				} else {
					b.Set(childKey(n), childValue(rng.IntN(3000)))
				}
			}
			if err := tryCommit(s, &b); err != nil {
				t.Fatal(err)
			}
		}
		if rng.IntN(3) == 0 {
			if err := s.Reclaim(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		switch rng.IntN(6) {
		case 0:
			closeStore(t, s)
			s = openTemp(t, dir, opts)
		case 1:
			killed := killedStore(t, s)
			closeStore(t, s)
			dir = killed
			s = openTemp(t, dir, opts)
		}
		if rng.IntN(2) == 0 {
			if err := s.Sync(); err != nil {
				t.Fatal(err)
			}
			want := stateOf(t, s)
			at = shipTo(t, s, at, state)
			if fmt.Sprint(want) != fmt.Sprint(state) {
				t.Fatalf("as of commit %d: %d keys, want %d", at, len(state), len(want))
			}
			if rng.IntN(2) == 0 {
				if err := s.Hold("b", at, 1<<30); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.mu.Lock()
		for _, f := range s.version.files {
			if f.held {
				held++
			}
		}
		s.mu.Unlock()
	}
	if held == 0 {
		t.Error("no file was ever held")
	}
	if err := s.Unhold("b"); err != nil {
		t.Fatal(err)
	}
	if err := s.Hold("b", at, 1); !errors.Is(err, ErrGap) {
		t.Errorf("what is not held: %v", err)
	}
	closeStore(t, s)
	if flaws, sum, _ := flawsOf(t, dir); len(flaws) > 0 {
		t.Errorf("%v, %+v", flaws, sum)
	}
}

// TestHoldHasALimit writes more than a backup may hold, which is told then.
func TestHoldHasALimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opts := Small{FileBytes: 64 << 10, TreeEntries: 100, TableBytes: 16 << 10}.Options(Options{})
	s := openTemp(t, dir, opts)
	defer func() { closeStore(t, s) }()
	snap, at, err := s.SnapshotHeld("b", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	snap.Close()
	value := bytes.Repeat([]byte("v"), 20_000)
	size := int64(0)
	for range 150 {
		set(t, s, "k", string(value))
		n, err := s.Size()
		if err != nil {
			t.Fatal(err)
		}
		size = max(size, n)
		if err := s.Reclaim(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Reclaim(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.AppendFrames(nil, at, 1); !errors.Is(err, ErrGap) {
		t.Errorf("frames that are gone: %v", err)
	}
	if err := s.Hold("b", at, 1<<20); !errors.Is(err, ErrGap) {
		t.Errorf("a hold that is over: %v", err)
	}
	if size < 1<<20 || size > 4<<20 {
		t.Errorf("the directory had up to %d bytes", size)
	}
}

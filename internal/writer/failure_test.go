package writer

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// full is what Room says when not even essential work fits.
func full(int, bool) error { return fmt.Errorf("%w: 3 bytes free", store.ErrDiskFull) }

// reopened is what the next owner finds of p.
func (s *scene) reopened(p *partition.Partition) string {
	s.t.Helper()
	l, err := log.OpenLog(s.desk.Store, p.ID(), p.TopicPartition())
	if err != nil {
		s.t.Fatalf("OpenLog: %v", err)
	}
	return logContent(s.t, l)
}

func TestFailedCommitStopsEverything(t *testing.T) {
	for nth := 1; nth <= 3; nth++ {
		t.Run("commit "+strconv.Itoa(nth), func(t *testing.T) {
			play(t, func(t *testing.T, s *scene) {
				p := s.partition(0)
				s.desk.commit = func(n int) error {
					if n == nth {
						return errBroken
					}
					return nil
				}
				var want, stored []string
				for i := 1; i <= 4; i++ {
					name := strconv.Itoa(i)
					s.submit(name, appends(p, batch(t, name)))
					if i < nth {
						want = append(want, name)
						stored = append(stored, fmt.Sprintf("%d:%d", i-1, i))
					} else if i == nth {
						want = append(want, name+": in doubt")
					} else {
						want = append(want, name+": failed")
					}
				}
				s.hears(want...)
				if err := s.Failed(); !errors.Is(err, log.ErrFailed) || !errors.Is(err, errBroken) {
					t.Errorf("Failed: %v", err)
				}
				if s.desk.commits != nth {
					t.Errorf("%d commits reached the store, want %d", s.desk.commits, nth)
				}
				if got := content(t, p); got != strings.Join(stored, " ") || p.HighWatermark() != int64(nth-1) {
					t.Errorf("reads go on: %s up to %d", got, p.HighWatermark())
				}
				if got := s.Stats(); got.Failures != int64(5-nth) || got.Commits != int64(nth-1) {
					t.Errorf("got %+v", got)
				}
				s.Sync(s.note("sync"))
				s.hears("sync: in doubt")
				if got := s.reopened(p); got != strings.Join(stored, " ") {
					t.Errorf("after reopen: %s", got)
				}
			})
		})
	}
}

// Who is told after a Close what Abandon says is told that, and not that the committer refused it.
func TestAbandonIsHeardAfterClose(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.Abandon(errBroken)
		s.Close()
		s.submit("a", appends(p, batch(t, "a")))
		s.hears("a: the disk is broken")
	})
}

func TestFailedFsyncStopsEverything(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.desk.sync = func(n int) error {
			if n == 2 {
				return errBroken
			}
			return nil
		}
		for _, name := range []string{"a", "b", "c"} {
			tx := appends(p, batch(t, name))
			tx.Synced = true
			s.submit(name, tx)
		}
		s.submit("d", appends(p, batch(t, "d")))
		s.hears("a", "b: in doubt", "c: failed", "d: failed")
		if s.desk.syncs != 2 || s.desk.commits != 2 || s.Stats().Syncs != 1 {
			t.Errorf("%d fsyncs, %d commits, %+v", s.desk.syncs, s.desk.commits, s.Stats())
		}
		if got := s.reopened(p); got != "0:a 1:b" {
			t.Errorf("after reopen: %s", got)
		}
	})
}

// When fsync fails while a commit is in flight, that one has failed too.
func TestFsyncFailsWhileACommitIsInFlight(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.submit("a", appends(p, batch(t, "a")))
		s.desk.set(func(d *desk) {
			d.hold = true
			d.sync = func(int) error { return errBroken }
		})
		s.submit("b", appends(p, batch(t, "b")))
		s.Sync(s.note("sync"))
		s.hears("a", "sync: in doubt")
		s.desk.land(0, nil)
		s.hears("b: in doubt")
		if p.HighWatermark() != 1 {
			t.Errorf("the high watermark is %d, want 1", p.HighWatermark())
		}
	})
}

func TestDiskFull(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.desk.room = func(_ int, essential bool) error {
			if essential {
				return nil
			}
			return full(0, false)
		}
		s.busy(func() {
			s.submitOnly("append", appends(p, batch(t, "lost")))
			commit := writes("offset")
			commit.Essential = true
			s.submitOnly("offset", commit)
			s.submitOnly("other", writes("other"))
		})
		s.hears("append: full", "other: full", "offset")
		if !s.has("offset") || s.has("other") || s.Failed() != nil {
			t.Errorf("failed: %v", s.Failed())
		}

		s.desk.set(func(d *desk) { d.room = full })
		essential := writes("more")
		essential.Essential = true
		s.submit("essential", essential)
		s.hears("essential: full")

		s.desk.set(func(d *desk) { d.room = nil })
		s.submit("append", appends(p, batch(t, "a")))
		s.hears("append")
		if got := content(t, p); got != "0:a" {
			t.Errorf("got %s", got)
		}
	})
}

// When Room fails for another reason the store's directory is gone, and everything stops.
func TestRoomFails(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.desk.room = func(int, bool) error { return errBroken }
		for range 2 {
			err := s.Do(writes("k"))
			if !errors.Is(err, errBroken) || !errors.Is(err, log.ErrFailed) || errors.Is(err, log.ErrDiskFull) {
				t.Errorf("got error %v", err)
			}
			s.desk.set(func(d *desk) { d.room = nil })
		}
	})
}

// The real store, closed under the committer: an error, no panic, no hang.
func TestStoreClosedUnderneath(t *testing.T) {
	st := store.OpenMemory()
	c := NewCommitter(st, zap.NewNop())
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Do(writes("k")); err == nil {
		t.Error("no error")
	}
	c.Close()
}

// Who wants to know is woken when the disk is full, and not before.
func TestWakeWhenFull(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, w := s.partition(0), partition.NewWaiter()
		s.WakeWhenFull(w)
		s.submit("a", appends(p, batch(t, "a")))
		if woken(w) {
			t.Error("woken while there is room")
		}
		s.desk.set(func(d *desk) { d.room = full })
		s.submit("b", appends(p, batch(t, "b")))
		if s.hears("a", "b: full"); !woken(w) {
			t.Error("not woken")
		}
	})
}

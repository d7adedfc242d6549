package writer

import (
	"testing"
	"testing/synctest"
)

// gated makes every fsync wait for a value, which is its outcome.
func gated(s *scene) chan error {
	gate := make(chan error)
	s.desk.sync = func(int) error { return <-gate }
	return gate
}

func TestSyncedWaitersShareOneFsync(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		gate := gated(s)
		p := s.partition(0)
		synced := func(name string) {
			tx := appends(p, batch(t, name))
			tx.Synced = true
			s.submit(name, tx)
		}
		synced("a") // its fsync begins
		synced("b")
		synced("c")
		s.Sync(s.note("sync"))
		s.submit("stored", appends(p, batch(t, "d")))
		s.hears("stored") // waits for nothing
		if p.HighWatermark() != 4 {
			t.Errorf("the high watermark is %d: fsync delays no visibility", p.HighWatermark())
		}
		gate <- nil
		s.hears("a")
		gate <- nil
		s.hears("b", "c", "sync")
		if got := s.Stats().Syncs; got != 2 {
			t.Errorf("%d fsyncs, want 2", got)
		}
	})
}

// Whoever comes while an fsync is under way is served by the next: this one may have
// missed his write.
func TestFsyncUnderWayDoesNotServeLatecomers(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		gate := gated(s)
		s.Sync(s.note("a"))
		synctest.Wait()
		s.Sync(s.note("b"))
		gate <- nil
		s.hears("a")
		gate <- nil
		s.hears("b")
	})
}

func TestSyncWithoutWrites(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.Sync(s.note("sync"))
		s.hears("sync")
	})
}

func TestCloseServesWhoWaitsForFsync(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		gate := gated(s)
		s.Sync(s.note("a"))
		synctest.Wait()
		s.Sync(s.note("b"))
		go s.Close()
		synctest.Wait()
		gate <- nil
		gate <- nil
		s.hears("a", "b")
	})
}

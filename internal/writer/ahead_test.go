package writer

import (
	"testing"
	"testing/synctest"
)

// ahead is a transaction like that of writes that goes ahead.
func ahead(key string) *Tx {
	tx := writes(key)
	tx.Ahead = true
	return tx
}

func TestAheadOvertakesTheQueue(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.desk.hold = true
		s.submit("first", writes("first"))
		s.submit("waits", writes("waits"))
		s.submit("ahead", ahead("ahead"))
		s.flying(1)
		s.desk.land(0, nil)
		s.hears("first")
		s.flying(1)
		if !s.has("ahead") || s.has("waits") {
			t.Errorf("stored: ahead %v, waits %v", s.has("ahead"), s.has("waits"))
		}
		s.desk.land(0, nil)
		s.hears("ahead")
		s.flying(1)
		s.desk.land(0, nil)
		s.hears("waits")
	})
}

// What goes ahead keeps its order and makes commit groups of its own.
func TestAheadIsFolded(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.busy(func() {
			s.desk.hold = true
			s.submitOnly("a", appends(p, sized(t, 32<<10)))
			s.submitOnly("x", ahead("x"))
			s.submitOnly("b", writes("b"))
			s.submitOnly("y", ahead("y"))
		})
		s.flying(1)
		if got := s.desk.held[0].b.Len(); got != 2 {
			t.Errorf("the first group has %d writes", got)
		}
		s.desk.land(0, nil)
		s.hears("x", "y")
		s.desk.land(0, nil)
		s.hears("a", "b")
		tx := ahead("z")
		tx.Reset()
		if tx.Ahead {
			t.Error("Reset forgot something")
		}
	})
}

func TestAheadObeysTheLimits(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.busy(func() {
			s.desk.hold = true
			for _, name := range []string{"1", "2", "3"} {
				tx := appends(p, sized(t, maxCommitBytes/2-1000))
				tx.Ahead = true
				s.submitOnly(name, tx)
			}
		})
		s.flying(1)
		s.desk.land(0, nil)
		s.hears("1", "2")
		s.desk.land(0, nil)
		s.hears("3")
	})
}

// Nobody overtakes his own deletion: what went ahead is stored before what came after it
// was told.
func TestAheadIsStoredWhenTold(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		if err := s.Do(ahead("k")); err != nil || !s.has("k") {
			t.Errorf("stored: %v, %v", s.has("k"), err)
		}
		tx := &Tx{}
		tx.Writes.Delete([]byte("ak"))
		if err := s.Do(tx); err != nil || s.has("k") {
			t.Errorf("still there: %v, %v", s.has("k"), err)
		}
	})
}

func TestCloseFinishesWhatGoesAhead(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.desk.hold = true
		s.submit("a", writes("a"))
		closed := make(chan struct{})
		s.submitOnly("b", writes("b"))
		s.submitOnly("x", ahead("x"))
		go func() {
			s.Close()
			close(closed)
		}()
		synctest.Wait()
		s.submit("late", ahead("late"))
		s.hears("late: closed")
		for s.desk.inFlight() > 0 {
			s.desk.land(0, nil)
		}
		<-closed
		s.hears("a", "x", "b")
	})
}

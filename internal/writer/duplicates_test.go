package writer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// sent is a transaction with one batch of producer 7, epoch 0, as it would come over the wire.
func sent(t testing.TB, p *partition.Partition, sequence int32, values ...string) *Tx {
	t.Helper()
	env := batch(t, values...)
	env.SetProducer(7, 0, sequence)
	return appends(p, env)
}

func TestDuplicatesAreNotStoredAgain(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.submit("a", sent(t, p, 0, "a", "b"))
		s.submit("c", sent(t, p, 2, "c"))
		again := sent(t, p, 0, "a", "b")
		s.submit("a again", again)
		s.submit("too far", sent(t, p, 4, "e"))
		s.submit("d", sent(t, p, 3, "d"))
		s.hears("a", "c", "a again", "too far: sequence", "d")
		if a := again.Appends[0]; !a.Duplicate || a.BaseOffset != 0 {
			t.Errorf("the answer to the duplicate is %+v", a)
		}
		if got := content(t, p); got != "0:a 1:b 2:c 3:d" {
			t.Errorf("got %s", got)
		}
		if got := s.Stats(); got.Batches != 3 || got.Failures != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

// A batch that comes again while the first is on its way to the disk is answered when that
// one is stored, not before, and fails with it.
func TestDuplicateInFlight(t *testing.T) {
	for _, fails := range []error{nil, errBroken} {
		play(t, func(t *testing.T, s *scene) {
			p := s.partition(0)
			s.desk.hold = true
			s.submit("a", sent(t, p, 0, "a"))
			s.submit("a again", sent(t, p, 0, "a"))
			s.submit("b", sent(t, p, 1, "b")) // begins nothing before a has landed
			s.hears()
			s.flying(1)
			s.desk.land(0, fails)
			if fails != nil {
				s.hears("a: in doubt", "a again: failed", "b: failed")
				return
			}
			s.hears("a")
			s.desk.land(0, nil)
			s.hears("a again", "b")
			if got := content(t, p); got != "0:a 1:b" {
				t.Errorf("got %s", got)
			}
		})
	}
}

// A commit of nothing but duplicates writes nothing, and ends behind those before it.
func TestNothingButDuplicates(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		s.submit("a", sent(t, p, 0, "a"))
		s.desk.hold = true
		s.submit("big", appends(s.partition(1), sized(t, 100<<10)))
		synced := sent(t, p, 0, "a")
		synced.Synced = true
		s.submit("a again, synced", synced)
		s.hears("a")
		s.desk.land(0, nil)
		s.hears("big", "a again, synced")
		if got := s.Stats(); got.Commits < 2 || s.desk.syncs != 1 {
			t.Errorf("got %+v and %d syncs", got, s.desk.syncs)
		}
	})
}

func TestSequencesOfSeveralProducersAndPartitions(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		ps := []*partition.Partition{s.partition(0), s.partition(1)}
		s.busy(func() { // all in one commit
			for i := range 20 {
				for n, p := range ps {
					for id := range int64(3) {
						env := batch(t, fmt.Sprint(i, n, id))
						env.SetProducer(id, 0, int32(i))
						s.submitOnly("x", appends(p, env))
					}
				}
			}
		})
		s.hears(strings.Split(strings.Repeat("x ", 119)+"x", " ")...)
		if got := s.Stats(); got.Commits != 1 || got.Batches != 120 {
			t.Errorf("got %+v", got)
		}
		for _, p := range ps {
			for id := range int64(3) {
				if got := p.Log().StoredOf(id); got != 20 {
					t.Errorf("%s: %d records of producer %d", p.TopicPartition(), got, id)
				}
			}
			l, err := log.OpenLog(s.desk, p.ID(), p.TopicPartition())
			if err != nil {
				t.Fatal(err)
			}
			if got, want := fmt.Sprint(l.Producers()), fmt.Sprint(p.Log().Producers()); got != want {
				t.Errorf("%s: reopened, the log knows %s, before %s", p.TopicPartition(), got, want)
			}
		}
	})
}

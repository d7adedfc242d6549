package partition

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// sent is a transaction with one batch of producer 7, epoch 0, as it would come over the wire.
func sent(t testing.TB, p *Partition, sequence int32, values ...string) *Tx {
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
				s.hears("a: failed", "a again: failed", "b: failed")
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
		ps := []*Partition{s.partition(0), s.partition(1)}
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

func (s *scene) producers() *Producers {
	s.t.Helper()
	ps, _, err := OpenProducers(s.desk, s.Committer, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return ps
}

func (s *scene) claim(ps *Producers, name string) *Producer {
	s.t.Helper()
	pr, err := ps.Claim(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return pr
}

// numbered is a transaction with a batch that the committer is to number.
func numbered(t testing.TB, p *Partition, pr *Producer, values ...string) *Tx {
	tx := appends(p, batch(t, values...))
	tx.Appends[0].Producer = pr
	return tx
}

func TestIDsAreNeverGivenTwice(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		seen := make(map[int64]bool)
		for range 3 {
			ps := s.producers()
			for range idBlock + 1 {
				id, err := ps.NextID()
				if err != nil || seen[id] {
					t.Fatalf("got %d a second time, or %v", id, err)
				}
				seen[id] = true
			}
			if a, b := s.claim(ps, "a").ID, s.claim(ps, "b").ID; a == b {
				t.Errorf("two names have the id %d", a)
			}
		}
		if got := s.desk.syncs; got < 6 {
			t.Errorf("%d fsyncs for six blocks of ids", got)
		}
	})
}

func TestClaim(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, ps := s.partition(0), s.producers()
		old := s.claim(ps, "loader")
		s.submit("a", numbered(t, p, old, "a", "b"))
		heir := s.claim(ps, "loader")
		if heir.ID != old.ID {
			t.Errorf("the name had the id %d and has %d", old.ID, heir.ID)
		}
		if got := p.Log().StoredOf(heir.ID); got != 2 {
			t.Errorf("the heir finds %d records", got)
		}
		s.submit("zombie", numbered(t, p, old, "z"))
		s.submit("c", numbered(t, p, heir, "c"))
		ps.Release(old) // does nothing to the heir
		s.submit("d", numbered(t, p, heir, "d"))
		s.hears("a", "zombie: fenced", "c", "d")
		if got := content(t, p); got != "0:a 1:b 2:c 3:d" {
			t.Errorf("got %s", got)
		}
		ps.Release(heir)
		if got := s.claim(s.producers(), "loader").ID; got != old.ID {
			t.Errorf("reopened, the name has the id %d, before %d", got, old.ID)
		}
	})
}

// Behind a batch that was refused the producer's others are refused too, in that partition:
// else they would get its numbers.
func TestRefusedBatchBreaksItsProducer(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, q, ps := s.partition(0), s.partition(1), s.producers()
		pr := s.claim(ps, "loader")
		full := fmt.Errorf("%w: a test", store.ErrDiskFull)
		s.desk.set(func(d *desk) { d.room = func(int, bool) error { return full } })
		s.submit("a", numbered(t, p, pr, "a"))
		s.desk.set(func(d *desk) { d.room = nil })
		s.submit("b", numbered(t, p, pr, "b"))
		s.submit("other partition", numbered(t, q, pr, "c"))
		s.hears("a: full", "b: sequence", "other partition")
		heir := s.claim(ps, "loader")
		s.submit("heir", numbered(t, p, heir, "a"))
		s.hears("heir")
		if got := content(t, p) + " " + content(t, q); got != "0:a 0:c" {
			t.Errorf("got %s", got)
		}
	})
}

// What is on its way when a name is claimed is visible when Claim returns.
func TestClaimWaits(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, ps := s.partition(0), s.producers()
		old := s.claim(ps, "loader")
		s.desk.set(func(d *desk) { d.hold = true })
		s.submit("a", numbered(t, p, old, "a"))
		found := make(chan int64)
		go func() {
			heir, err := ps.Claim("loader")
			if err != nil {
				t.Error(err)
			}
			found <- p.HighWatermark() + 10*p.Log().StoredOf(heir.ID)
		}()
		synctest.Wait()
		s.desk.set(func(d *desk) { d.hold = false })
		s.desk.land(0, nil)
		if got := <-found; got != 11 {
			t.Errorf("the heir finds %d", got)
		}
		s.hears("a")
	})
}

func TestExpire(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, q, ps := s.partition(0), s.partition(1), s.producers()
		loader, idle := s.claim(ps, "loader"), s.claim(ps, "idle")
		ps.Release(idle)
		s.submit("named", numbered(t, p, loader, "a"))
		s.submit("anonymous", sent(t, p, 0, "b"))
		s.hears("named", "anonymous")
		expire := func(after time.Duration, want ...int64) {
			t.Helper()
			if err := ps.Expire(context.Background(), time.Now().Add(after), []*Partition{p, q}); err != nil {
				t.Fatal(err)
			}
			var got []int64
			for _, info := range p.Log().Producers() {
				got = append(got, info.ID)
			}
			l, err := log.OpenLog(s.desk, p.ID(), p.TopicPartition())
			if err != nil {
				t.Fatal(err)
			}
			if stored := fmt.Sprint(l.Producers()); fmt.Sprint(got) != fmt.Sprint(want) || stored != fmt.Sprint(p.Log().Producers()) {
				t.Errorf("after %s the partition knows %v, and %s is stored; want %v", after, got, stored, want)
			}
		}
		named := func(want bool, names ...string) {
			t.Helper()
			for _, name := range names {
				_, err := s.desk.Get(store.NamesKey(nameKey + name))
				if got := err == nil; got != want || err != nil && !errors.Is(err, store.ErrNotFound) {
					t.Errorf("%s is known: %v, %v", name, got, err)
				}
			}
		}
		expire(IDExpiry-time.Second, loader.ID, 7)
		expire(IDExpiry, loader.ID)
		expire(NameExpiry-time.Second, loader.ID)
		named(true, "loader", "idle")
		expire(NameExpiry, loader.ID) // its name is in use
		named(false, "idle")
		named(true, "loader")
		ps.Release(loader)
		time.Sleep(NameExpiry - time.Hour)
		s.submit("elsewhere", numbered(t, q, loader, "c"))
		s.hears("elsewhere")
		expire(NameExpiry-time.Second, loader.ID) // what it did in p counts while it is used in q
		expire(NameExpiry)
		named(false, "loader")
	})
}

// A name of which the entry is damaged cannot be claimed, and is not forgotten; others can, and what
// nobody uses is forgotten as ever.
func TestDamagedName(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		ps := s.producers()
		ps.Release(s.claim(ps, "good"))
		ps.Release(s.claim(ps, "old"))
		key := store.NamesKey(nameKey + "bad")
		s.put(key, "damaged")
		ps, damaged, err := OpenProducers(s.desk, s.Committer, nil)
		if err != nil || len(damaged) != 1 || !errors.Is(damaged[0], log.ErrCorruptValue) || !strings.Contains(damaged[0].Error(), "bad") {
			t.Fatalf("damaged: %v, %v", damaged, err)
		}
		if _, err := ps.Claim("bad"); !errors.Is(err, log.ErrCorruptValue) {
			t.Errorf("claim: %v", err)
		}
		s.claim(ps, "good")
		if err := ps.Expire(t.Context(), time.Now().Add(2*NameExpiry), nil); err != nil {
			t.Errorf("expire: %v", err)
		}
		if _, err := s.desk.Get(key); err != nil {
			t.Errorf("it is %v", err)
		}
		if _, err := s.desk.Get(store.NamesKey(nameKey + "old")); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("what is not used is %v", err)
		}
	})
}

// Without the next id, ids go on behind all that any producer may have.
func TestDamagedNextID(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		ps := s.producers()
		last := s.claim(ps, "name")
		s.put(store.NamesKey(nextIDKey), "damaged")
		ps, damaged, err := OpenProducers(s.desk, s.Committer, nil)
		if err != nil || len(damaged) != 1 || !errors.Is(damaged[0], log.ErrCorruptValue) {
			t.Fatalf("damaged: %v, %v", damaged, err)
		}
		id, err := ps.NextID()
		if err != nil || id < last.ID+idLeap {
			t.Errorf("the next id is %d, %v", id, err)
		}
		if _, damaged, err := OpenProducers(s.desk, s.Committer, nil); err != nil || len(damaged) != 0 {
			t.Errorf("then: %v, %v", damaged, err)
		}
	})
}

// put writes to the store past everybody.
func (s *scene) put(key []byte, value string) {
	s.t.Helper()
	var b store.Batch
	b.Set(key, []byte(value))
	if err := s.desk.Store.Commit(&b); err != nil {
		s.t.Error(err)
	}
}

package producers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

func (s *scene) producers() *Registry {
	s.t.Helper()
	ps, _, err := Open(s.desk, s.Committer, nil, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	return ps
}

func (s *scene) claim(ps *Registry, name string) *writer.Identity {
	s.t.Helper()
	pr, err := ps.Claim(context.Background(), name)
	if err != nil {
		s.t.Fatal(err)
	}
	return pr
}

// numbered is a transaction with a batch that the committer is to number.
func numbered(t testing.TB, p *partition.Partition, pr *writer.Identity, values ...string) *writer.Tx {
	t.Helper()
	tx := appends(t, p, values...)
	tx.Appends[0].Producer = pr
	return tx
}

// sent is a transaction with the first batch of producer 7, as it would come over the wire.
func sent(t testing.TB, p *partition.Partition, values ...string) *writer.Tx {
	t.Helper()
	tx := appends(t, p, values...)
	tx.Appends[0].Batch.SetProducer(7, 0, 0)
	return tx
}

func TestIDsAreNeverGivenTwice(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		seen := make(map[int64]bool)
		for range 3 {
			ps := s.producers()
			for range idBlock + 1 {
				id, err := ps.NextID(t.Context())
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

// givenUp has two ask at once, while what was submitted before is being stored: one waits for that, the other one for it. Both do until they give up.
func (s *scene) givenUp(ask func(ctx context.Context) error) {
	s.t.Helper()
	ctx, end := context.WithCancel(s.t.Context())
	given := make(chan error, 2)
	for range 2 {
		go func() { given <- ask(ctx) }()
	}
	synctest.Wait()
	end()
	for range 2 {
		if err := <-given; !errors.Is(err, context.Canceled) {
			s.t.Error(err)
		}
	}
}

// Who claims a name and does not wait for it fences nobody.
func TestClaimThatIsGivenUp(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, ps := s.partition(0), s.producers()
		pr := s.claim(ps, "loader")
		s.desk.hold = make(chan struct{})
		s.submit("a", numbered(t, p, pr, "a"))
		s.givenUp(func(ctx context.Context) error {
			_, err := ps.Claim(ctx, "loader")
			return err
		})
		close(s.desk.hold)
		s.submit("b", numbered(t, p, pr, "b"))
		s.hears("a", "b")
		if heir := s.claim(ps, "loader"); heir.ID != pr.ID {
			t.Errorf("got id %d, had %d", heir.ID, pr.ID)
		}
	})
}

// Who asks for an id and does not wait for it has taken none.
func TestIDThatIsGivenUp(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, ps := s.partition(0), s.producers()
		s.desk.hold = make(chan struct{})
		s.submit("a", appends(t, p, "a"))
		s.givenUp(func(ctx context.Context) error {
			_, err := ps.NextID(ctx)
			return err
		})
		close(s.desk.hold)
		if id, err := ps.NextID(t.Context()); id != 0 || err != nil {
			t.Errorf("got %d, %v", id, err)
		}
		s.hears("a")
	})
}

// Behind a batch that was refused the producer's others are refused too, in that partition:
// else they would get its numbers.
func TestRefusedBatchBreaksItsProducer(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, q, ps := s.partition(0), s.partition(1), s.producers()
		pr := s.claim(ps, "loader")
		s.desk.full = fmt.Errorf("%w: a test", store.ErrDiskFull)
		s.submit("a", numbered(t, p, pr, "a"))
		s.desk.full = nil
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
		s.desk.hold = make(chan struct{})
		s.submit("a", numbered(t, p, old, "a"))
		found := make(chan int64)
		go func() {
			heir, err := ps.Claim(context.Background(), "loader")
			if err != nil {
				t.Error(err)
			}
			found <- p.HighWatermark() + 10*p.Log().StoredOf(heir.ID)
		}()
		synctest.Wait()
		close(s.desk.hold)
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
		s.submit("anonymous", sent(t, p, "b"))
		s.hears("named", "anonymous")
		used := time.Now()
		expire := func(after time.Duration, want ...int64) {
			t.Helper()
			time.Sleep(time.Until(used.Add(after)))
			if err := ps.Expire(context.Background(), time.Now(), []*partition.Partition{p, q}); err != nil {
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
		used = time.Now()
		expire(NameExpiry-time.Second, loader.ID) // what it did in p counts while it is used in q
		expire(NameExpiry)
		named(false, "loader")
	})
}

// Wherever a kill cuts the forgetting of names, who claims one finds what it has stored everywhere, or nothing anywhere.
func TestExpireCutByAKill(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p, q, ps := s.partition(0), s.partition(1), s.producers()
		loader := s.claim(ps, "loader")
		s.submit("p", numbered(t, p, loader, "a"))
		s.submit("q", numbered(t, q, loader, "b"))
		ps.Release(loader)
		time.Sleep(NameExpiry)
		var left []store.Store // what a kill at any moment leaves
		fork := func() {
			st, err := s.desk.Store.(store.Forker).Fork()
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, st)
		}
		fork()
		s.desk.after = fork
		if err := ps.Expire(t.Context(), time.Now(), []*partition.Partition{p, q}); err != nil {
			t.Fatal(err)
		}
		if len(left) < 4 {
			t.Errorf("%d states, want one more than there are commits: of a name and two partitions", len(left))
		}
		var found []string
		for _, st := range left {
			func() {
				c := writer.NewCommitter(st, zap.NewNop())
				defer c.Close()
				ps, _, err := Open(st, c, nil, 0)
				if err != nil {
					t.Fatal(err)
				}
				heir, err := ps.Claim(t.Context(), "loader")
				if err != nil {
					t.Fatal(err)
				}
				var stored []int64
				for _, p := range []*partition.Partition{p, q} {
					l, err := log.OpenLog(st, p.ID(), p.TopicPartition())
					if err != nil {
						t.Fatal(err)
					}
					stored = append(stored, l.StoredOf(heir.ID))
				}
				found = append(found, fmt.Sprint(stored))
			}()
		}
		if got := strings.Join(slices.Compact(found), " "); got != "[1 1] [0 0]" {
			t.Errorf("heirs find %s", got)
		}
	})
}

// A name that was open is in use, although nobody wrote with it for a week before the broker was killed. One that was
// used when the clock was ahead is forgotten in its time all the same.
func TestWhenANameWasUsed(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		p := s.partition(0)
		wrote := func(name, want string) *writer.Identity {
			t.Helper()
			pr := s.claim(s.producers(), name)
			if got := fmt.Sprint(p.Log().StoredOf(pr.ID)); got != want {
				t.Errorf("%s has stored %s, want %s", name, got, want)
			}
			return pr
		}
		sweeps := func(ps *Registry, d time.Duration) {
			t.Helper()
			for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(time.Hour) {
				if err := ps.Expire(t.Context(), time.Now(), []*partition.Partition{p}); err != nil {
					t.Fatal(err)
				}
			}
		}
		ps := s.producers()
		open := s.claim(ps, "open")
		s.submit("open", numbered(t, p, open, "a"))
		s.hears("open")
		sweeps(ps, 2*NameExpiry)
		sweeps(s.producers(), NameExpiry-2*time.Hour) // after a kill
		wrote("open", "1")

		s.put(store.NamesKey(nameKey+"ahead"), string(nameValue(open.ID+1, time.Now().Add(1000*NameExpiry).UnixMilli())))
		ps = s.producers()
		sweeps(ps, NameExpiry-2*time.Hour)
		known := func(want bool) {
			t.Helper()
			if _, err := s.desk.Get(store.NamesKey(nameKey + "ahead")); (err == nil) != want {
				t.Errorf("known: %v, want %v", err, want)
			}
		}
		known(true)
		sweeps(s.producers(), 4*time.Hour)
		known(false)
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
		ps, damaged, err := Open(s.desk, s.Committer, nil, 0)
		if err != nil || len(damaged) != 1 || !errors.Is(damaged[0], log.ErrCorruptValue) || !strings.Contains(damaged[0].Error(), "bad") {
			t.Fatalf("damaged: %v, %v", damaged, err)
		}
		if _, err := ps.Claim(context.Background(), "bad"); !errors.Is(err, log.ErrCorruptValue) {
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
		ps, damaged, err := Open(s.desk, s.Committer, nil, 0)
		if err != nil || len(damaged) != 1 || !errors.Is(damaged[0], log.ErrCorruptValue) {
			t.Fatalf("damaged: %v, %v", damaged, err)
		}
		id, err := ps.NextID(t.Context())
		if err != nil || id < last.ID+idLeap {
			t.Errorf("the next id is %d, %v", id, err)
		}
		if _, damaged, err := Open(s.desk, s.Committer, nil, 0); err != nil || len(damaged) != 0 {
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

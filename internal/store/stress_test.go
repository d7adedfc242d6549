package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// fact is the last that is known of a key.
type fact struct {
	commit  int // that set or deleted it
	deleted bool
}

// facts is a model that keeps up with commits.
type facts struct {
	mu        sync.Mutex
	done      map[string]fact // what a read that starts now must see, or something newer
	deletions map[string]int  // the last commit that deleted the key, done or not
}

func (f *facts) snapshot() map[string]fact {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.done)
}

func (f *facts) submitted(batch map[string]fact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for key, is := range batch {
		if is.deleted {
			f.deletions[key] = is.commit
		}
	}
}

func (f *facts) stored(batch map[string]fact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.Copy(f.done, batch)
}

func (f *facts) deletedAfter(key string, commit int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.deletions[key] > commit
}

// stressValue tells of its key and commit, and has a size of up to 24 KB that follows from both.
func stressValue(key string, commit int) []byte {
	size := 50
	if commit%4 > 0 {
		size = 1000 + (commit*7919)%24_000
	}
	text := fmt.Appendf(nil, "%s %d.", key, commit)
	return bytes.Repeat(text, size/len(text)+1)
}

// check compares what a scan finds with what was known before it.
func (f *facts) check(t *testing.T, s Store, readValues bool) {
	known := f.snapshot()
	found := map[string]bool{}
	err := s.Scan(Range{KeysOnly: !readValues}, func(e Entry) (bool, error) {
		key := string(e.Key)
		found[key] = true
		if !readValues {
			return true, nil
		}
		value, err := e.AppendValue(nil)
		if err != nil {
			return false, err
		}
		var name string
		var commit int
		if _, err := fmt.Sscanf(string(value[:min(len(value), 40)]), "%s %d.", &name, &commit); err != nil {
			return false, fmt.Errorf("%q: value %.20q: %w", key, value, err)
		}
		switch is, ok := known[key]; {
		case name != key || !bytes.Equal(value, stressValue(key, commit)) || e.Size != len(value):
			t.Errorf("%q: value %.20q, size %d of %d", key, value, e.Size, len(value))
		case ok && commit < is.commit:
			t.Errorf("%q: found commit %d after %d, deleted: %v", key, commit, is.commit, is.deleted)
		}
		return true, nil
	})
	if err != nil {
		t.Errorf("Scan: %v", err)
	}
	for key, is := range known {
		if !is.deleted && !found[key] && !f.deletedAfter(key, is.commit) {
			t.Errorf("%q, set by commit %d, is lost", key, is.commit)
		}
	}
}

// Random commits beside scans, gets, syncs and one Reclaim after the other: nothing is
// lost and nothing comes back, not in the store, nor after it was killed, nor reopened.
func TestReclaimBesideEverything(t *testing.T) {
	t.Parallel()
	commits, rounds := long("COMMITS", 350), 2
	opts := Options{fileSize: 1 << 20}
	dir := t.TempDir()
	model := &facts{done: map[string]fact{}, deletions: map[string]int{}}
	random := rand.New(rand.NewPCG(1, 2))
	next := 1
	for round := range rounds {
		s := openTemp(t, dir, opts)
		stressRound(t, s, model, random, &next, commits)
		model.check(t, s, true)
		killed := openTemp(t, killedStore(t, s), opts)
		model.check(t, killed, true)
		for range 2 {
			if err := killed.Reclaim(t.Context()); err != nil {
				t.Fatal(err)
			}
			model.check(t, killed, true)
		}
		closeStore(t, killed)
		if round%2 > 0 {
			dir = killed.dir // go on from there
		}
		closeStore(t, s)
	}
	s := openTemp(t, dir, opts)
	defer closeStore(t, s)
	model.check(t, s, true)
}

func stressRound(t *testing.T, s *diskStore, model *facts, random *rand.Rand, next *int, commits int) {
	var helpers sync.WaitGroup
	stop := make(chan struct{})
	beside := func(work func()) {
		begun := make(chan struct{})
		helpers.Go(func() {
			close(begun)
			for work(); ; {
				select {
				case <-stop:
					return
				default:
					work()
				}
			}
		})
		<-begun
	}
	reclaiming, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	beside(func() {
		if err := s.Reclaim(reclaiming); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("Reclaim: %v", err)
		}
	})
	beside(func() { model.check(t, s, true) })
	beside(func() { model.check(t, s, false) })
	beside(func() {
		if err := s.Sync(); err != nil {
			t.Errorf("Sync: %v", err)
		}
	})
	for i := range commits {
		if i == commits-commits/8 {
			interrupt()
		}
		b, batch := stressBatch(random, *next)
		*next++
		model.submitted(batch)
		if err := s.Commit(b); err != nil {
			t.Errorf("Commit: %v", err)
			break
		}
		model.stored(batch)
		if i%32 == 0 {
			runtime.Gosched() // on one core all commits may be over in one turn
		}
	}
	close(stop)
	helpers.Wait()
}

// stressBatch sets and deletes among 400 keys, of which some live long.
func stressBatch(random *rand.Rand, commit int) (*Batch, map[string]fact) {
	b := &Batch{}
	batch := map[string]fact{}
	for range 1 + random.IntN(6) {
		key := fmt.Sprintf("k%03d", min(random.IntN(400), random.IntN(400)))
		if _, twice := batch[key]; twice {
			continue
		}
		deleted := random.IntN(3) == 0
		batch[key] = fact{commit: commit, deleted: deleted}
		if deleted {
			b.Delete([]byte(key))
			continue
		}
		b.Set([]byte(key), stressValue(key, commit))
	}
	return b, batch
}

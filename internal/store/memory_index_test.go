package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
)

// Who has found one key of a commit finds the others as they are from then on, in whatever shards they are.
func TestIndexedCommitIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	s := OpenIndexed()
	const keys, commits = 100, 300
	commit := func(n uint64) {
		var b Batch
		for k := range keys {
			b.Set(fmt.Append(nil, "key", k), binary.BigEndian.AppendUint64(nil, n))
		}
		if err := s.Commit(&b); err != nil {
			t.Error(err)
		}
	}
	commit(0)
	var wg sync.WaitGroup
	for r := range 4 {
		wg.Go(func() {
			seen := uint64(0)
			for k := r; seen < commits; k++ {
				value, err := s.Get(fmt.Append(nil, "key", k%keys))
				if err != nil {
					t.Error(err)
					return
				}
				n := binary.BigEndian.Uint64(value)
				if n < seen {
					t.Errorf("commit %d was seen, and then %d", seen, n)
					return
				}
				seen = n
			}
		})
	}
	for n := range uint64(commits) {
		commit(n + 1)
	}
	wg.Wait()
	var b Batch
	b.Delete([]byte("key1"))
	if err := s.Commit(&b); err != nil {
		t.Error(err)
	}
	if _, err := s.Get([]byte("key1")); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleted: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Get([]byte("key2")); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// An index has what a map would have, whatever comes and goes.
func TestIndexIsAMap(t *testing.T) {
	t.Parallel()
	x, want := newMemoryIndex(), make(map[string]string)
	random := rand.New(rand.NewPCG(1, 2))
	key := func() []byte { return fmt.Append(nil, "key", random.IntN(3000)) }
	for n := range 3000 {
		var all []indexed
		for range 1 + random.IntN(8) {
			kv := key()
			size := len(kv)
			if n/500%2 == 0 == (random.IntN(4) > 0) { // they grow, and then they shrink
				kv = fmt.Append(kv, "value", n)
				want[string(kv[:size])] = string(kv[size:])
			} else {
				delete(want, string(kv))
			}
			all = append(all, indexed{kv, size})
		}
		x.set(all)
	}
	used := 0
	for n := range x.shards {
		used += x.shards[n].used
	}
	if used != len(want) {
		t.Errorf("%d slots are used for %d keys", used, len(want))
	}
	for n := range 3000 {
		key := fmt.Append(nil, "key", n)
		value, err := x.get(key)
		if want, ok := want[string(key)]; ok != (err == nil) || want != string(value) || err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %q, %v, want %q, %t", key, value, err, want, ok)
		}
	}
	if _, err := x.get(make([]byte, 1<<17)); !errors.Is(err, ErrNotFound) {
		t.Errorf("a key that no store has: %v", err)
	}
}

package store

import (
	"encoding/binary"
	"errors"
	"fmt"
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

package store

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"github.com/tidwall/btree"
)

// OpenMemory returns an empty store that lives in memory only. It opens in
// microseconds and has no goroutine.
func OpenMemory() Store {
	return &memoryStore{gate: newGate(), tree: newMemoryTree()}
}

// memoryStore is a copy-on-write B-tree. Copying it is O(1): readers iterate over a
// copy, which commits cannot touch, so they block nobody and see whole commits only.
type memoryStore struct {
	gate *gate
	once sync.Once

	mu      sync.RWMutex // guards what follows
	tree    *memoryTree
	copied  *memoryTree // of tree as it is now, nil when nobody asked since the last commit
	version uint64
	synced  *memoryTree // as of the last Sync; nil before KeepSynced
}

type memoryTree = btree.BTreeG[memoryItem]

// memoryItem is never changed once it is in a tree: copies share it.
type memoryItem struct {
	key, value []byte
	version    uint64
}

func newMemoryTree() *memoryTree {
	less := func(a, b memoryItem) bool { return bytes.Compare(a.key, b.key) < 0 }
	return btree.NewBTreeGOptions(less, btree.Options{NoLocks: true})
}

func (s *memoryStore) Commit(b *Batch) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	if err := b.check(s.Limits()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	s.copied = nil
	for _, o := range b.ops {
		if o.remove {
			s.tree.Delete(memoryItem{key: o.key})
			continue
		}
		s.tree.Set(newMemoryItem(o, s.version))
	}
	return nil
}

// newMemoryItem copies the bytes of o, which are the caller's again after the commit.
func newMemoryItem(o op, version uint64) memoryItem {
	kv := make([]byte, len(o.key)+len(o.value))
	n := copy(kv, o.key)
	copy(kv[n:], o.value)
	return memoryItem{key: kv[:n:n], value: kv[n:], version: version}
}

func (s *memoryStore) Get(key []byte) ([]byte, error) {
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	s.mu.RLock()
	item, ok := s.tree.Get(memoryItem{key: key})
	s.mu.RUnlock()
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(item.value), nil
}

func (s *memoryStore) Scan(r Range, fn func(Entry) (bool, error)) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	return scanTree(s.snapshot(), r, fn)
}

func scanTree(tree *memoryTree, r Range, fn func(Entry) (bool, error)) error {
	var (
		item memoryItem
		err  error
	)
	value := func(dst []byte, n int) ([]byte, error) { return append(dst, item.value[:n]...), nil }
	if r.KeysOnly {
		value = noValue
	}
	visit := func(i memoryItem) bool {
		if !r.holds(i.key) {
			return !r.past(i.key)
		}
		item = i
		var more bool
		more, err = fn(Entry{Key: i.key, Version: i.version, Size: len(i.value), value: value})
		return more && err == nil
	}
	walk(tree, r, visit)
	return err
}

// memorySnapshot is a copy of the tree, which costs nothing.
type memorySnapshot struct {
	s    *memoryStore
	tree *memoryTree
}

func (s *memoryStore) Snapshot() (Snapshot, error) {
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	return memorySnapshot{s: s, tree: s.snapshot()}, nil
}

func (v memorySnapshot) Get(key []byte) ([]byte, error) {
	if err := v.s.alive(); err != nil {
		return nil, err
	}
	item, ok := v.tree.Get(memoryItem{key: key})
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(item.value), nil
}

func (v memorySnapshot) Scan(r Range, fn func(Entry) (bool, error)) error {
	if err := v.s.alive(); err != nil {
		return err
	}
	return scanTree(v.tree, r, fn)
}

func (v memorySnapshot) Close() {}

func walk(tree *memoryTree, r Range, visit func(memoryItem) bool) {
	switch {
	case !r.Reverse:
		tree.Ascend(memoryItem{key: r.From}, visit)
	case len(r.To) == 0:
		tree.Reverse(visit)
	default:
		tree.Descend(memoryItem{key: r.To}, visit)
	}
}

// snapshot returns a tree that no commit changes. Copy writes to the tree it copies,
// hence the lock for writing; scans between two commits share one copy.
func (s *memoryStore) snapshot() *memoryTree {
	s.mu.RLock()
	tree := s.copied
	s.mu.RUnlock()
	if tree != nil {
		return tree
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copied == nil {
		s.copied = s.tree.Copy()
	}
	return s.copied
}

func (s *memoryStore) Limits() Limits { return storeLimits() }

func (s *memoryStore) Room(int, bool) error { return s.alive() }

func (s *memoryStore) Sync() error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.synced != nil {
		s.synced = s.tree.Copy()
	}
	return nil
}

func (s *memoryStore) Reclaim(ctx context.Context) error {
	return errors.Join(s.alive(), ctx.Err())
}

func (s *memoryStore) Size() (int64, error) { return 0, s.alive() }

func (s *memoryStore) alive() error {
	if !s.gate.enter() {
		return ErrClosed
	}
	s.gate.leave()
	return nil
}

func (s *memoryStore) Close() error {
	s.once.Do(func() {
		s.gate.shut()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tree, s.copied, s.synced = newMemoryTree(), nil, nil
	})
	return nil
}

package store

import (
	"bytes"
	"context"
	"sync"
)

// OpenMemory returns an empty store that lives in memory only. It opens in
// microseconds and has no goroutine.
func OpenMemory() Store {
	return &memoryStore{gate: newGate(), tree: newItemTree()}
}

// OpenIndexed is OpenMemory with an index besides: Get is several times as fast, and a key takes more memory.
func OpenIndexed() Store {
	return &memoryStore{gate: newGate(), tree: newItemTree(), index: newMemoryIndex()}
}

// memoryStore is a copy-on-write B-tree. Copying it is O(1): readers iterate over a
// copy, which commits cannot touch, so they block nobody and see whole commits only.
type memoryStore struct {
	gate *gate
	once sync.Once
	none version // without tables and files

	index *memoryIndex // of what is in tree; nil without one

	mu     sync.RWMutex // guards what follows
	tree   *itemTree
	copied *itemTree // of tree as it is now, nil when nobody asked since the last commit
	synced *itemTree // as of the last Sync; nil before KeepSynced
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
	s.copied = nil
	found := make([]indexed, 0, len(b.ops))
	for _, o := range b.ops {
		i, kv := &item{key: o.key, value: o.value}, o.key
		if o.remove {
			s.tree.Delete(i)
		} else {
			i, kv = i.cloned()
			s.tree.Set(i)
		}
		found = append(found, indexed{kv, len(o.key)})
	}
	if s.index != nil {
		s.index.set(found)
	}
	return nil
}

func (s *memoryStore) Get(key []byte) ([]byte, error) {
	if s.index != nil {
		return s.index.get(key)
	}
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	s.mu.RLock()
	i, ok := s.tree.Get(&item{key: key})
	s.mu.RUnlock()
	return memoryValue(i, ok)
}

func (s *memoryStore) Scan(r Range, fn func(Entry) (bool, error)) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	return s.none.scan(s.snapshot(), r, fn)
}

func memoryValue(i *item, ok bool) ([]byte, error) {
	if !ok {
		return nil, ErrNotFound
	}
	return bytes.Clone(i.value), nil
}

// memorySnapshot is a copy of the tree, which costs nothing.
type memorySnapshot struct {
	s    *memoryStore
	tree *itemTree
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
	return memoryValue(v.tree.Get(&item{key: key}))
}

func (v memorySnapshot) Scan(r Range, fn func(Entry) (bool, error)) error {
	if err := v.s.alive(); err != nil {
		return err
	}
	return v.s.none.scan(v.tree, r, fn)
}

func (v memorySnapshot) Close() {}

// snapshot returns a tree that no commit changes. Copy writes to the tree it copies,
// hence the lock for writing; scans between two commits share one copy.
func (s *memoryStore) snapshot() *itemTree {
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

// Stats implements Store.
func (s *memoryStore) Stats() Stats { return Stats{FreeBytes: -1} }

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
	return Join(s.alive(), ctx.Err())
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
		s.tree, s.copied, s.synced = newItemTree(), nil, nil
		if s.index != nil {
			s.index.close()
		}
	})
	return nil
}

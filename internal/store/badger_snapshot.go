package store

import "sync"

// badgerSnapshot reads at one version, which is pinned: compaction keeps it.
type badgerSnapshot struct {
	s       *badgerStore
	version uint64
	once    sync.Once
}

// Snapshot implements Store.
func (s *badgerStore) Snapshot() (Snapshot, error) {
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	return &badgerSnapshot{s: s, version: s.pin()}, nil
}

// pin keeps the newest visible version until unpin.
func (s *badgerStore) pin() uint64 {
	r := &s.reads
	r.discarding.Lock()
	defer r.discarding.Unlock()
	at := s.pipeline.visible() // no less than what may be discarded, which is visible, too
	if r.pinned == nil {
		r.pinned = make(map[uint64]int)
	}
	r.pinned[at]++
	return at
}

func (s *badgerStore) unpin(version uint64) {
	r := &s.reads
	r.discarding.Lock()
	defer r.discarding.Unlock()
	if r.pinned[version]--; r.pinned[version] == 0 {
		delete(r.pinned, version)
	}
}

func (v *badgerSnapshot) Get(key []byte) ([]byte, error) {
	if !v.s.gate.enter() {
		return nil, ErrClosed
	}
	defer v.s.gate.leave()
	if len(key) == 0 {
		return nil, ErrNotFound
	}
	return v.s.getHot(key, v.version)
}

func (v *badgerSnapshot) Scan(r Range, fn func(Entry) (bool, error)) error {
	if !v.s.gate.enter() {
		return ErrClosed
	}
	defer v.s.gate.leave()
	txn := v.s.db.NewTransactionAt(v.version, false)
	return v.s.scan(txn, v.s.openIterator(txn, iteratorOptions(r)), r, fn)
}

func (v *badgerSnapshot) Close() { v.once.Do(func() { v.s.unpin(v.version) }) }

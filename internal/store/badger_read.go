package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
)

// reads is what readers share with Reclaim and with the discarding of old versions.
type reads struct {
	// discarded: of every key, all versions up to this one but the newest of them may
	// be gone.
	discarded  atomic.Uint64
	discarding sync.Mutex     // held while what follows and discarded change
	held       bool           // discarded must not rise
	pinned     map[uint64]int // discarded must not rise above these versions; how many want it

	// files keeps the value files in place. Finding a value takes two steps, index and
	// file, between which the file must not go; so whoever reads holds it shared.
	// Value-log GC deletes a file when the last iterator is closed (Reclaim always has
	// one open), so as long as deletions are possible, whoever closes an iterator
	// holds it exclusively. That also keeps clear of a deadlock in Badger: on its way
	// to report an unreadable value it opens and closes an iterator while it holds the
	// lock of the value's file, which the deletion of that file wants too.
	files     sync.RWMutex
	deletions bool // guarded by files: deletions may be waiting for iterators
	reclaims  int  // guarded by files: calls of Reclaim at work
	iterators atomic.Int64
}

// Get implements Store.
func (s *badgerStore) Get(key []byte) ([]byte, error) {
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	if len(key) == 0 {
		return nil, ErrNotFound
	}
	for {
		at := s.pipeline.visible()
		value, err := s.getAt(key, at)
		// Compaction may have dropped what was visible at the version read at, when
		// newer ones came and were completed meanwhile: look again.
		if s.reads.discarded.Load() <= at {
			return value, err
		}
	}
}

// getHot is getAt for keys that are likely to be read again.
func (s *badgerStore) getHot(key []byte, version uint64) ([]byte, error) {
	h := &s.pipeline.hot
	if value, known, err := h.get(key, version); known {
		return value, err
	}
	value, err := s.getAt(key, version)
	if err == nil || errors.Is(err, ErrNotFound) {
		h.learn(key, value, version)
	}
	return value, err
}

func (s *badgerStore) getAt(key []byte, version uint64) ([]byte, error) {
	s.reads.files.RLock()
	defer s.reads.files.RUnlock()
	txn := s.db.NewTransactionAt(version, false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, s.wrap("get", err)
	}
	return s.appendValue(nil, item)
}

// appendValue appends the value of item to dst. Badger logs an error in reading a
// value and then returns none; ours are never empty, so an empty one is unreadable.
// The caller holds reads.files shared.
func (s *badgerStore) appendValue(dst []byte, item *badger.Item) ([]byte, error) {
	size := len(dst)
	err := item.Value(func(value []byte) error {
		dst = append(dst, value...)
		return nil
	})
	if err != nil {
		return dst[:size], s.wrap("read value", err)
	}
	if len(dst) == size {
		return dst, fmt.Errorf("store %s: %w: key %x, version %d", s.dir, ErrCorrupt, item.Key(), item.Version())
	}
	return dst, nil
}

// Scan implements Store.
func (s *badgerStore) Scan(r Range, fn func(Entry) (bool, error)) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	txn, it := s.iterate(r)
	return s.scan(txn, it, r, fn)
}

// scan does the work of Scan, and ends txn and it.
func (s *badgerStore) scan(txn *badger.Txn, it *badger.Iterator, r Range, fn func(Entry) (bool, error)) error {
	defer txn.Discard()
	defer s.closeIterator(it)

	value := noValue
	if !r.KeysOnly {
		value = func(dst []byte) ([]byte, error) {
			s.reads.files.RLock()
			defer s.reads.files.RUnlock()
			return s.appendValue(dst, it.Item())
		}
	}
	seek(it, r)
	for ; it.Valid(); it.Next() {
		item := it.Item()
		key := item.Key()
		if !r.holds(key) {
			if r.past(key) {
				return nil
			}
			continue
		}
		more, err := fn(Entry{Key: key, Version: item.Version(), Size: valueSize(item), value: value})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// valueSize returns the exact size of an item's value without reading it. Badger knows
// the length of a value in a value file together with all that surrounds it, and tells
// which of the two it has: only an item with a pointer counts an approximate header.
func valueSize(item *badger.Item) int {
	size, value := item.EstimatedSize(), item.ValueSize()
	if size-value == item.KeySize() {
		return int(value) // in the index
	}
	return entryValueSize(int(size), int(item.KeySize()))
}

// seek goes to the first candidate of r. Going backwards, Badger finds the largest key
// up to and including the one given; Range.holds leaves out To itself.
func seek(it *badger.Iterator, r Range) {
	switch {
	case !r.Reverse && len(r.From) > 0:
		it.Seek(r.From)
	case r.Reverse && len(r.To) > 0:
		it.Seek(r.To)
	default:
		it.Rewind()
	}
}

// iterate opens an iterator on the newest visible version. From then on it is
// independent of compaction: it holds on to the tables it needs.
func (s *badgerStore) iterate(r Range) (*badger.Txn, *badger.Iterator) {
	opts := iteratorOptions(r)
	for {
		at := s.pipeline.visible()
		txn := s.db.NewTransactionAt(at, false)
		it := s.openIterator(txn, opts)
		if s.reads.discarded.Load() <= at {
			return txn, it
		}
		s.closeIterator(it)
		txn.Discard()
	}
}

func iteratorOptions(r Range) badger.IteratorOptions {
	opts := badger.IteratorOptions{Reverse: r.Reverse}
	if !r.Reverse {
		// Spares the tables that hold no such key. Backwards it would end the scan
		// at once when To, which has another prefix, is a key.
		opts.Prefix = r.prefix()
	}
	return opts
}

func (s *badgerStore) openIterator(txn *badger.Txn, opts badger.IteratorOptions) *badger.Iterator {
	s.reads.files.RLock()
	defer s.reads.files.RUnlock()
	s.reads.iterators.Add(1)
	return txn.NewIterator(opts)
}

func (s *badgerStore) closeIterator(it *badger.Iterator) {
	r := &s.reads
	r.files.RLock()
	if !r.deletions {
		it.Close()
		r.iterators.Add(-1)
		r.files.RUnlock()
		return
	}
	r.files.RUnlock()

	r.files.Lock()
	defer r.files.Unlock()
	it.Close()
	if r.iterators.Add(-1) == 0 && r.reclaims == 0 {
		r.deletions = false
	}
}

// discardBelow lets Badger drop the versions that no reader can ask for any more, unless
// that is held up. The caller names a visible version.
func (s *badgerStore) discardBelow(version uint64) {
	s.reads.discarding.Lock()
	defer s.reads.discarding.Unlock()
	if s.reads.held {
		return
	}
	for pinned := range s.reads.pinned {
		version = min(version, pinned)
	}
	s.reads.discarded.Store(version)
	s.db.SetDiscardTs(version)
}

// holdDiscards says whether discardBelow is held up.
func (s *badgerStore) holdDiscards(held bool) {
	s.reads.discarding.Lock()
	defer s.reads.discarding.Unlock()
	s.reads.held = held
}

// discardsHeld reports whether discardBelow is held up: by a rewrite at work, or by one
// that failed in the middle.
func (s *badgerStore) discardsHeld() bool {
	s.reads.discarding.Lock()
	defer s.reads.discarding.Unlock()
	return s.reads.held
}

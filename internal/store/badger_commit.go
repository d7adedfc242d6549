package store

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
)

// discardEvery is the number of commits after which Badger is told anew that older
// versions of overwritten keys may go.
const discardEvery = 1024

// pipeline gives versions to commits, keeps those in flight in order, and is the one
// place where a version becomes visible.
//
// Badger reports the end of each commit from a goroutine of its own, in any order.
// Whoever reports the oldest one delivers: it makes versions visible and calls the
// done functions, strictly in the order of the commits, until it meets one that is
// still in flight.
type pipeline struct {
	newest atomic.Uint64 // visible: this version and all before it are complete

	mu         sync.Mutex
	next       uint64
	flight     []*flight // in order of version; flight[0] is the oldest
	delivering bool
	failed     error         // the first failure; nothing becomes visible after it
	broken     chan struct{} // closed then
	abandoned  error         // Badger will not say what becomes of commits in flight
	hot        hot

	pool sync.Pool
}

// flight is one commit on its way.
type flight struct {
	version uint64
	done    func(error)
	batch   *Batch // nil for a write of the store itself, which holds no place in the gate
	landed  bool
	lost    bool // abandoned: Badger may still hold it
	err     error
	mark    [8]byte
	entries []badger.Entry
	land    func(error) // Badger's callback; kept, so that a commit allocates no closure
}

func newPipeline() *pipeline { return &pipeline{broken: make(chan struct{})} }

func (p *pipeline) visible() uint64 { return p.newest.Load() }

// failure returns the error of the first commit that failed, or nil.
func (p *pipeline) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// fail records that the store can no longer keep its promises, and reports whether it
// could until now.
func (p *pipeline) fail(err error) (first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failLocked(err)
}

func (p *pipeline) failLocked(err error) (first bool) {
	if p.failed != nil {
		return false
	}
	p.failed = fmt.Errorf("%w: %w", ErrFailed, err)
	close(p.broken)
	return true
}

// Commit implements Store. The done functions of commits that passed the checks of
// their arguments are called in the order of the commits, never two at once.
func (s *badgerStore) Commit(b *Batch, done func(error)) {
	if !s.gate.enter() {
		done(ErrClosed)
		return
	}
	if err := b.check(s.Limits()); err != nil {
		s.gate.leave()
		done(err)
		return
	}
	if err := s.pipeline.failure(); err != nil {
		s.gate.leave()
		done(s.wrap("commit", err))
		return
	}
	if len(b.ops) == 0 {
		s.gate.leave()
		done(nil)
		return
	}
	s.send(b, done)
}

// send hands b to Badger. The caller has entered the gate; delivery leaves it.
func (s *badgerStore) send(b *Batch, done func(error)) {
	f, lost := s.depart(done, b)
	if lost {
		s.deliver()
		return
	}
	txn := s.db.NewTransactionAt(f.version, true)
	err := f.fill(txn, b)
	if v := s.mark.Swap(0); v != 0 && err == nil {
		binary.BigEndian.PutUint64(f.mark[:], v)
		err = txn.Set(recoveryKey, f.mark[:])
	}
	if err != nil {
		// Not to be expected, Batch.check knows Badger's rules. Nothing was written,
		// but the version is taken: let it end in its turn, as a failure.
		txn.Discard()
		f.land(err)
		return
	}
	if b.large {
		s.large.Store(f.version)
	}
	if err := txn.CommitAt(f.version, f.land); err != nil {
		f.land(err)
	}
}

// fill adds the operations of b to txn without copying keys or values.
func (f *flight) fill(txn *badger.Txn, b *Batch) error {
	if cap(f.entries) < len(b.ops) {
		f.entries = make([]badger.Entry, len(b.ops))
	}
	f.entries = f.entries[:len(b.ops)]
	for i, o := range b.ops {
		var err error
		if o.remove {
			err = txn.Delete(o.key)
		} else {
			f.entries[i] = badger.Entry{Key: o.key, Value: o.value}
			err = txn.SetEntry(&f.entries[i])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// commitOwn writes one of the store's own keys and waits until it is stored. value is
// computed from the version that the commit gets.
func (s *badgerStore) commitOwn(key []byte, value func(version uint64) []byte) error {
	return s.commitTxn(func(txn *badger.Txn, version uint64) error { return txn.Set(key, value(version)) })
}

// commitTxn stores what fill puts into a transaction, and waits until it and all that
// was committed before it is stored. It may run beside Commit.
func (s *badgerStore) commitTxn(fill func(txn *badger.Txn, version uint64) error) error {
	result := make(chan error, 1)
	f, lost := s.depart(func(err error) { result <- err }, nil)
	if lost {
		s.deliver()
		return <-result
	}
	txn := s.db.NewTransactionAt(f.version, true)
	err := fill(txn, f.version)
	if err == nil {
		err = txn.CommitAt(f.version, f.land)
	}
	if err != nil {
		f.land(err)
	}
	return <-result
}

// depart registers the next commit, of b or, if that is nil, of the store's own. It is lost
// when Badger shall not get it any more; later only the owner of p.mu can tell.
func (s *badgerStore) depart(done func(error), b *Batch) (f *flight, lost bool) {
	p := s.pipeline
	f, _ = p.pool.Get().(*flight)
	if f == nil {
		f = &flight{}
		f.land = func(err error) { s.land(f, err) }
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	f.version, f.done, f.batch, f.landed, f.err = p.next, done, b, false, nil
	if p.abandoned != nil {
		f.landed, f.lost, f.err = true, true, p.abandoned
	}
	p.next++
	p.flight = append(p.flight, f)
	return f, f.lost
}

// land notes that f has landed.
func (s *badgerStore) land(f *flight, err error) {
	s.pipeline.mu.Lock()
	if !f.lost {
		f.landed, f.err = true, err
	}
	s.pipeline.mu.Unlock()
	s.deliver()
}

// deliver ends the commits at the head of the line that have landed, unless another
// goroutine is at it.
func (s *badgerStore) deliver() {
	p := s.pipeline
	p.mu.Lock()
	if p.delivering {
		p.mu.Unlock()
		return
	}
	p.delivering = true
	for len(p.flight) > 0 && p.flight[0].landed {
		head := p.flight[0]
		n := copy(p.flight, p.flight[1:])
		p.flight[n] = nil
		p.flight = p.flight[:n]
		outcome := p.settle(head)
		p.mu.Unlock()
		s.finish(head, outcome)
		p.mu.Lock()
	}
	p.delivering = false
	p.mu.Unlock()
}

// settle decides the outcome of the oldest commit and makes it visible. A commit after
// one that failed fails too, even if Badger stored it: versions are visible without
// gaps or not at all. The caller holds p.mu.
func (p *pipeline) settle(f *flight) error {
	if p.failed != nil {
		return p.failed
	}
	if f.err != nil {
		p.failLocked(f.err)
		return p.failed
	}
	if f.batch != nil {
		p.hot.apply(f.batch, f.version)
	}
	p.newest.Store(f.version)
	return nil
}

// finish tells the caller of a commit and lets its memory be used again.
func (s *badgerStore) finish(f *flight, outcome error) {
	if outcome == nil && f.version%discardEvery == 0 {
		s.discardBelow(f.version)
	}
	done, own := f.done, f.batch == nil
	if !f.lost {
		clear(f.entries)
		f.done, f.batch = nil, nil
		s.pipeline.pool.Put(f)
	}
	done(s.wrap("commit", outcome))
	if !own {
		s.gate.leave()
	}
}

func encodeVersion(v uint64) []byte { return binary.BigEndian.AppendUint64(nil, v) }

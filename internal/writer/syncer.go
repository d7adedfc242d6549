package writer

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/internal/measure"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// syncer makes what was committed durable. Whoever waits when an fsync begins is
// served by it; those who come during it wait for the next. One of those who wait leads, as in
// the Committer.
//
// Callers who were served together come back together. Were the next fsync to begin at
// once, for those who came during the last, the callers would split into two halves that
// wait for each other. So it waits a little, for as many as there were, but less than
// the last fsync took: PostgreSQL's commit_delay, adapting itself.
type syncer struct {
	c      *Committer
	count  atomic.Int64
	times  measure.Times     // of those that succeeded
	idle   chan struct{}     // closed when the syncer is closed and nobody leads any more
	enough *partition.Waiter // the leader need not wait for more

	mu        sync.Mutex // guards what follows
	waiting   []*Tx
	leading   bool          // somebody fsyncs, or is about to; true while somebody waits
	gathering bool          // the leader waits for companions
	crowd     int           // served by the last fsync, or waiting when it ended
	took      time.Duration // the last fsync
	closed    bool          // no more waiters will come
}

func (s *syncer) init(c *Committer) {
	s.c = c
	s.idle, s.enough = make(chan struct{}), partition.NewWaiter()
}

// add has all of txs answered after the next fsync. It reports whether own, if it is one of them, is
// to lead.
func (s *syncer) add(own *Tx, txs ...*Tx) (lead bool) {
	if len(txs) == 0 {
		return false
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		for _, tx := range txs { // of Sync: nothing is committed any more
			tx.Done(log.ErrClosed)
		}
		return false
	}
	defer s.mu.Unlock()
	s.waiting = append(s.waiting, txs...)
	if s.leading {
		s.enoughLocked()
		return false
	}
	if lead = own != nil && own.Synced && own.state.Load() == txTaken; lead {
		s.leading = true
		return true
	}
	s.passLocked()
	return false
}

// passLocked gives the lead to the first who waits, or else to a goroutine of the committer's, or
// to nobody.
func (s *syncer) passLocked() {
	s.leading = len(s.waiting) > 0
	for _, tx := range s.waiting {
		if tx.waits {
			tx.word <- wordSync
			return
		}
	}
	switch {
	case s.leading:
		s.c.wg.Go(func() { s.lead(nil) })
	case s.closed:
		close(s.idle)
	}
}

// lead fsyncs once, for all who wait, own among them, passes the lead on, and returns what own's Do
// hears.
func (s *syncer) lead(own *Tx) (w word) {
	batch := s.gather()
	told := make([]*Tx, 0, len(batch))
	whole := false
	defer func() {
		if !whole {
			s.collapse(batch, told, own)
		}
	}()
	began := time.Now()
	err := unsure(s.sync())
	took := time.Since(began)
	if err == nil {
		s.times.Observe(took)
	}
	for _, tx := range batch {
		if s.c.answer(tx, err) {
			told = append(told, tx)
		}
	}
	s.mu.Lock()
	s.crowd, s.took = len(batch)+len(s.waiting), took
	s.passLocked()
	s.mu.Unlock()
	whole = true
	if wake(told, own) {
		w = wordDone
	}
	return w
}

// collapse stops the committer when a leader does not get through its batch, of which told are to be
// woken.
func (s *syncer) collapse(batch, told []*Tx, own *Tx) {
	err := unsure(s.c.fail(errPanic))
	defer func() {
		s.mu.Lock()
		s.passLocked()
		s.mu.Unlock()
		wake(told, own)
	}()
	for _, tx := range batch {
		if tx.state.Load() != txTold && tx.tell(err) {
			told = append(told, tx)
		}
	}
}

// gather waits for as many as there were last time, and returns all who wait.
func (s *syncer) gather() []*Tx {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) < s.crowd && !s.closed {
		select {
		case <-s.enough.C(): // of another time
		default:
		}
		s.gathering = true
		s.mu.Unlock()
		timer := time.NewTimer(min(s.took/2, maxGather))
		select {
		case <-s.enough.C():
		case <-timer.C:
		}
		timer.Stop()
		s.mu.Lock()
		s.gathering = false
	}
	batch := s.waiting
	s.waiting = make([]*Tx, 0, len(batch))
	return batch
}

// maxGather bounds the wait for companions on a disk that is slow.
const maxGather = 5 * time.Millisecond

// enoughLocked tells the leader when it need not wait for more.
func (s *syncer) enoughLocked() {
	if s.gathering && (len(s.waiting) >= s.crowd || s.closed) {
		s.enough.Wake()
	}
}

// sync fsyncs once, unless the committer has failed.
func (s *syncer) sync() error {
	if err := s.c.Failed(); err != nil {
		return err
	}
	if err := s.c.st.Sync(); err != nil {
		return s.c.fail(err)
	}
	s.count.Add(1)
	return nil
}

// close waits until all who wait are served.
func (s *syncer) close() {
	s.mu.Lock()
	if !s.closed && !s.leading {
		close(s.idle)
	}
	s.closed = true
	s.enoughLocked()
	s.mu.Unlock()
	<-s.idle
}

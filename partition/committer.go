package partition

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

const (
	maxGroupTxs     = 512     // transactions folded into one store commit
	maxGroupBytes   = 4 << 20 // of keys and values, unless one transaction alone is larger
	alarmBytes      = 16 << 20
	maxInFlight     = 16       // store commits on their way at once
	maxFlyingBytes  = 12 << 20 // and their bytes: the more, the longer all who wait for one wait
	overlapBytes    = 32 << 10 // waiting work of this size does not wait for the commit in flight
	checkpointBytes = 64 << 20 // fsync at least this often, so that an unclean open checks no more
)

// Committer is the one writer of a store: it orders everything that is written.
//
// It folds the transactions that wait into one store commit (group commit), gives the
// batches their offsets, and keeps several commits in flight when there is much to
// write. When a commit is in the store its batches become visible, in the order of
// their offsets, and their waiters are told. Those who asked for fsync wait for the
// next one, which serves them all.
//
// When a commit or an fsync fails nobody can say what is on the disk. Then the
// committer stops (fail-stop): what is waiting and all that comes later gets ErrFailed.
type Committer struct {
	st     store.Store
	logger *zap.Logger
	wg     sync.WaitGroup
	syncer syncer
	probes probe.Points

	mu       sync.Mutex // guards what follows; never held across I/O
	ahead    []*Tx      // go before queue
	queue    []*Tx
	queued   int           // bytes in queue
	parked   []*parked     // held by faults, in the order of the calls
	inFlight []*group      // in the order of the commits
	flying   int           // bytes in inFlight
	draining bool          // somebody is finishing inFlight from its head
	failed   error         // wraps log.ErrFailed
	closed   bool          // Submit refuses
	work     chan struct{} // capacity 1: something changed for the committing goroutine
	stats    Stats
	full     *Waiter // woken when the disk is full, when set
	alarm    *Waiter // woken every alarmBytes, when set
	alarmed  int64   // stats.Bytes when it was woken last
}

// Stats counts what a Committer has done since it was opened.
type Stats struct {
	Commits  int64 // store transactions
	Txs      int64 // transactions folded into them
	Batches  int64
	Records  int64
	Bytes    int64 // of stored batches, compressed
	Syncs    int64 // fsyncs that succeeded
	Failures int64 // transactions that ended with an error
}

// NewCommitter starts the writer of st. Nobody else may commit to st until Close.
func NewCommitter(st store.Store, logger *zap.Logger) *Committer {
	c := &Committer{st: st, logger: logger, work: make(chan struct{}, 1)}
	c.syncer.init(c)
	c.wg.Go(c.run)
	c.wg.Go(c.syncer.run)
	return c
}

// Submit hands over tx, which belongs to the committer until tx.Done is called. It
// does not block. Transactions take effect in the order of the calls, but for those that go
// ahead, which have an order of their own.
func (c *Committer) Submit(tx *Tx) {
	tx.size = tx.measure()
	size := tx.size
	if l := c.st.Limits(); !size.within(l) {
		c.turnAway(tx, fmt.Errorf("%w: %d entries, %d bytes; at most %d and %d fit into one",
			log.ErrTxTooLarge, size.entries, size.bytes, l.Entries, l.Bytes))
		return
	}
	if p := c.probes.Get(); p != nil && len(tx.Appends) > 0 && !tx.admitted && c.intercept(p, tx) {
		return
	}
	c.mu.Lock()
	err := c.queueLocked(tx)
	c.mu.Unlock()
	if err != nil {
		c.turnAway(tx, err)
		return
	}
	c.wake()
}

// queueLocked has tx wait for its turn, or returns why it cannot.
func (c *Committer) queueLocked(tx *Tx) error {
	switch {
	case c.closed:
		return log.ErrClosed
	case c.failed != nil:
		return c.failed
	case tx.Ahead:
		c.ahead = append(c.ahead, tx)
	default:
		c.queue = append(c.queue, tx)
		c.queued += tx.size.bytes
	}
	return nil
}

// turnAway answers a transaction that was not queued, unless it was withdrawn.
func (c *Committer) turnAway(tx *Tx, err error) {
	if tx.take() {
		c.refuse(tx, err)
	}
}

// Do submits tx and waits for its outcome, overwriting tx.Done.
func (c *Committer) Do(tx *Tx) error {
	done := make(chan error, 1)
	tx.Done = func(err error) { done <- err }
	c.Submit(tx)
	return <-done
}

// Sync calls done once everything that was acknowledged before the call is fsynced.
func (c *Committer) Sync(done func(error)) { c.syncer.add(done) }

// Exclusive runs fn while no commit is in flight or begun, and returns what it
// returns. Transactions wait in the meantime, those submitted before too; visibility and
// reads go on.
func (c *Committer) Exclusive(fn func() error) error {
	var err error
	tx := &Tx{Ahead: true, exclusive: func() { err = fn() }}
	if e := c.Do(tx); e != nil {
		return e
	}
	return err
}

// Stats returns what was done so far.
func (c *Committer) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Syncs = c.syncer.count.Load()
	return s
}

// Failed returns why the committer stopped, or nil while it works.
func (c *Committer) Failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

// Close finishes what was submitted and ends the committer's goroutines. The store
// stays open.
func (c *Committer) Close() {
	c.probes.Release()
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wake()
	c.wg.Wait()
}

func (c *Committer) wake() {
	select {
	case c.work <- struct{}{}:
	default:
	}
}

// run is the committing goroutine.
func (c *Committer) run() {
	defer c.syncer.close() // no commit is in flight any more
	for {
		g, ok := c.next()
		if !ok {
			return
		}
		if g != nil {
			c.commit(g)
		}
	}
}

// next waits until it is worth committing and takes the next group. It returns false
// when the committer is closed and everything is finished.
func (c *Committer) next() (*group, bool) {
	c.mu.Lock()
	for !c.readyLocked() {
		if c.closed && len(c.ahead) == 0 && len(c.queue) == 0 && len(c.inFlight) == 0 {
			c.mu.Unlock()
			return nil, false
		}
		c.mu.Unlock()
		<-c.work
		c.mu.Lock()
	}
	g := newGroup()
	c.takeLocked(g)
	failed, flying := c.failed, c.flying
	c.mu.Unlock()
	return c.prepare(g, failed, flying), true
}

// readyLocked decides whether to commit now or to let more work gather. One commit is
// always in flight; another one starts beside it only with enough to write, because
// many small commits cost more than they gain.
func (c *Committer) readyLocked() bool {
	switch {
	case len(c.ahead) == 0 && len(c.queue) == 0 || len(c.inFlight) >= maxInFlight, c.flying >= maxFlyingBytes:
		return false
	case len(c.inFlight) == 0:
		return true
	case len(c.ahead) > 0:
		return c.ahead[0].exclusive == nil
	}
	return c.queued >= overlapBytes
}

// takeLocked moves transactions to g: of those that go ahead, or else of the queue.
func (c *Committer) takeLocked(g *group) {
	if len(c.ahead) > 0 {
		c.ahead, _ = c.takeFrom(c.ahead, g)
		return
	}
	var taken int
	c.queue, taken = c.takeFrom(c.queue, g)
	c.queued -= taken
}

// takeFrom moves transactions from the head of queue to g, up to maxGroupBytes unless the
// first has more, and returns the rest, and how many bytes have left the queue.
func (c *Committer) takeFrom(queue []*Tx, g *group) (rest []*Tx, bytes int) {
	limits := c.st.Limits()
	limits.Bytes = min(limits.Bytes, maxGroupBytes)
	var size cost
	n := 0
	for _, tx := range queue {
		more := tx.size
		alone := tx.exclusive != nil
		if n > 0 && (alone || n == maxGroupTxs || !size.plus(more).within(limits)) {
			break
		}
		n++
		bytes += more.bytes
		if !tx.take() {
			continue // withdrawn
		}
		size = size.plus(more)
		g.txs = append(g.txs, tx)
		if alone {
			break
		}
	}
	left := copy(queue, queue[n:])
	clear(queue[left:])
	g.bytes = size.bytes
	return queue[:left], bytes
}

// prepare stages g's transactions, answers those that cannot be stored, and returns g,
// or nil when nothing is left of it. flying is how many bytes are on their way to the
// disk already: they are not missing from its free space yet.
func (c *Committer) prepare(g *group, failed error, flying int) *group {
	g.now = time.Now().UnixMilli()
	full := c.st.Room(flying+g.bytes, false)
	if full != nil && !errors.Is(full, store.ErrDiskFull) {
		c.fail(full)
		failed = c.Failed()
	}
	if full != nil {
		c.meetFull()
	}
	staged := g.txs[:0]
	g.bytes = 0
	for _, tx := range g.txs {
		size := tx.size.bytes
		err := failed
		if err == nil && full != nil {
			err = c.room(tx, full, flying+g.bytes+size)
		}
		if err == nil {
			err = c.crowded(tx)
		}
		if err == nil {
			err = tx.check()
		}
		switch {
		case err != nil:
			c.refuse(tx, err)
		case tx.exclusive != nil:
			tx.exclusive()
			tx.Done(nil)
		default:
			tx.stage(g)
			g.bytes += size
			staged = append(staged, tx)
		}
	}
	g.seal()
	clear(g.txs[len(staged):])
	g.txs = staged
	if len(staged) == 0 {
		g.release()
		return nil
	}
	return g
}

// room decides about one transaction while the disk is nearly full; with it, n bytes
// would be on their way.
func (c *Committer) room(tx *Tx, full error, n int) error {
	if tx.exclusive != nil {
		return nil
	}
	if !tx.Essential {
		return full
	}
	return c.st.Room(n, true)
}

func (c *Committer) refuse(tx *Tx, err error) {
	c.mu.Lock()
	c.stats.Failures++
	c.mu.Unlock()
	for i := range tx.Appends {
		if a := &tx.Appends[i]; a.Producer != nil {
			a.Producer.refused(a.Partition, err)
		}
	}
	c.answer(tx, err)
}

// commit sends g to the store, unless the committer has failed since g was taken: then
// g would be stored behind a hole.
func (c *Committer) commit(g *group) {
	c.mu.Lock()
	c.inFlight = append(c.inFlight, g)
	c.flying += g.bytes
	failed := c.failed
	c.mu.Unlock()
	if failed != nil || g.batch.Len() == 0 {
		c.done(g, failed) // without anything to write it is done when those before it are
		return
	}
	c.done(g, c.st.Commit(&g.batch))
}

// done notes the outcome of g and finishes the groups at the head of inFlight that
// have one, in order; the store may call it from several goroutines at once.
func (c *Committer) done(g *group, err error) {
	c.mu.Lock()
	g.done, g.err = true, err
	if c.draining {
		c.mu.Unlock()
		return
	}
	c.draining = true
	for len(c.inFlight) > 0 && c.inFlight[0].done {
		head := c.inFlight[0]
		c.failLocked(head.err)
		failed := c.failed
		if failed == nil {
			head.count(&c.stats)
			c.alarmLocked()
		} else {
			c.stats.Failures += int64(len(head.txs))
		}
		size := head.bytes
		c.mu.Unlock()
		c.finish(head, failed)
		c.mu.Lock()
		c.flying -= size
		c.inFlight = slices.Delete(c.inFlight, 0, 1)
	}
	c.draining = false
	c.mu.Unlock()
	c.wake()
}

// WakeWhenFull has w woken whenever a transaction meets a full disk.
func (c *Committer) WakeWhenFull(w *Waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = w
}

// meetFull tells who wants to know that the disk is full.
func (c *Committer) meetFull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.full != nil {
		c.full.Wake()
	}
}

// WakeOnBytes has w woken whenever another 16 MiB of batches were stored.
func (c *Committer) WakeOnBytes(w *Waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.alarm = w
}

func (c *Committer) alarmLocked() {
	if c.alarm != nil && c.stats.Bytes-c.alarmed >= alarmBytes {
		c.alarmed = c.stats.Bytes
		c.alarm.Wake()
	}
}

// finish tells everybody who waits for g. When err is nil the store holds g.
func (c *Committer) finish(g *group, err error) {
	if err == nil {
		for _, tx := range g.txs {
			tx.apply()
		}
	}
	for _, tx := range g.txs {
		if err == nil && tx.Synced {
			g.synced = append(g.synced, c.answerer(tx))
			continue
		}
		c.answer(tx, err)
	}
	c.syncer.add(g.synced...) // together: one fsync is to serve them all
	c.syncer.wrote(g.bytes)
	g.release()
}

// fail stops all writing because of err.
func (c *Committer) fail(err error) {
	c.mu.Lock()
	c.failLocked(err)
	c.mu.Unlock()
	c.wake()
}

func (c *Committer) failLocked(err error) {
	if err == nil || c.failed != nil {
		return
	}
	if c.failed = err; !errors.Is(err, log.ErrFailed) {
		c.failed = fmt.Errorf("%w: %w", log.ErrFailed, err)
	}
	c.logger.Error("write to the store failed, no more writes until it is opened again", zap.Error(err))
}

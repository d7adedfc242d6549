// Package writer is what writes a store: its Committer orders all transactions, gives offsets, and
// makes records visible. Users import the module root.
package writer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/internal/measure"
	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

const alarmBytes = 16 << 20

// Committer is the one writer of a store: it orders everything that is written.
//
// Whoever finds nothing in flight leads: it commits its own transaction on its own goroutine.
// What comes meanwhile waits, and is folded into one store commit (group commit) by the next
// leader: the first that waits in Do, or a goroutine of the committer's when nobody does. When a
// commit is in the store its batches become visible, in the order of their offsets, and their
// waiters are told. Those who asked for fsync wait for the next one, which serves them all, and
// which one of them leads likewise.
//
// When a commit or an fsync fails nobody can say what is on the disk. Then the
// committer stops (fail-stop): what is waiting and all that comes later gets ErrFailed. So it
// does when a function that a leader calls panics or ends the goroutine.
type Committer struct {
	st     store.Store
	limits store.Limits
	logger *zap.Logger
	wg     sync.WaitGroup
	syncer syncer
	probes probe.Points
	idle   chan struct{} // closed when the committer is closed and nobody leads any more
	yields yields

	mu       sync.Mutex // guards what follows; never held across I/O
	ahead    []*Tx      // go before queue
	queue    []*Tx
	waiting  int       // of both, those that somebody waits for in Do
	leading  bool      // somebody commits, or is about to; true while something is ready
	heir     *Tx       // whose Do was given the lead, the last time that it was passed on
	parked   []*parked // held by faults, in the order of the calls
	failed   error     // wraps log.ErrFailed
	refused  error     // of all that comes, see Refuse
	closed   bool      // Submit refuses
	stats    Stats
	refusals map[string]int64  // Stats.Refused
	bound    int64             // of stats.Bytes, see Bound; 0 is none
	full     *partition.Waiter // woken when the disk is full, when set
	alarm    *partition.Waiter // woken every alarmBytes, when set
	alarmed  int64             // stats.Bytes when it was woken last
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

// NewCommitter returns the writer of st. Nobody else may commit to st until Close.
func NewCommitter(st store.Store, logger *zap.Logger) *Committer {
	c := &Committer{st: st, limits: st.Limits(), logger: logger, idle: make(chan struct{}), refusals: make(map[string]int64)}
	c.syncer.init(c)
	return c
}

// Submit hands over tx, which belongs to the committer until tx.Done is called. It
// does not block. Transactions take effect in the order of the calls, but for those that go
// ahead, which have an order of their own.
func (c *Committer) Submit(tx *Tx) {
	tx.waits = false
	c.enter(tx)
}

// Do hands over tx, in the order of Submit, and returns its outcome. tx.Done, if it is set, is called
// before. The caller may be the one who commits, for others too: it must not hold what the
// functions of any transaction wait for.
func (c *Committer) Do(tx *Tx) error { return c.DoUntil(context.Background(), tx) }

// DoUntil is Do that withdraws tx when ctx ends before the committer has begun with it. Then it
// returns the error of ctx, tx.Withdrawn reports true, and tx must not be used again. Nobody
// else may withdraw tx.
func (c *Committer) DoUntil(ctx context.Context, tx *Tx) error {
	c.Enter(tx)
	return c.Await(ctx, tx)
}

// Enter is the first half of DoUntil, for who holds what gives tx its place in the order of
// Submit: tx has that when Enter returns. Await is the other half, and comes at once: nobody else
// may commit before. The caller holds nothing any more then, as in Do.
func (c *Committer) Enter(tx *Tx) {
	tx.waits = true
	if tx.word == nil {
		tx.word = make(chan word, 1)
	}
	tx.leads = c.enter(tx)
}

// Await is the second half of DoUntil, after Enter.
func (c *Committer) Await(ctx context.Context, tx *Tx) error {
	w := wordLead
	if tx.leads {
		c.yields.before(c)
	} else {
		w = c.await(ctx, tx)
	}
	for {
		switch w {
		case wordDone:
			return tx.err
		case wordWithdrawn:
			return ctx.Err()
		case wordLead:
			w = c.lead(tx)
		case wordSync:
			w = c.syncer.lead(tx)
		case wordLater:
			w = <-tx.word
		}
	}
}

// word is what Do hears.
type word uint8

const (
	wordLater     word = iota // there will be another one
	wordDone                  // tx.err is the outcome
	wordLead                  // it is to commit
	wordSync                  // it is to fsync
	wordWithdrawn             // nothing will come of tx
)

// await waits for a word, or withdraws tx when ctx ends. A lead that was given to tx then goes on.
func (c *Committer) await(ctx context.Context, tx *Tx) word {
	end := ctx.Done()
	if end == nil {
		return <-tx.word
	}
	select {
	case w := <-tx.word:
		return w
	case <-end:
	}
	if !tx.Withdraw() {
		return <-tx.word
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heir == tx {
		<-tx.word
		c.passLocked()
	}
	return wordWithdrawn
}

// enter queues tx, or answers it. The caller is to lead if it reports true, which happens only to
// those who wait.
func (c *Committer) enter(tx *Tx) (lead bool) {
	tx.size = tx.measure()
	if size, l := tx.size, c.limits; !size.within(l) {
		c.turnAway(tx, fmt.Errorf("%w: %d entries, %d bytes; at most %d and %d fit into one",
			log.ErrTxTooLarge, size.entries, size.bytes, l.Entries, l.Bytes))
		return false
	}
	if p := c.probes.Get(); p != nil && len(tx.Appends) > 0 && !tx.admitted && c.intercept(p, tx) {
		return false
	}
	c.mu.Lock()
	err := c.queueLocked(tx)
	switch {
	case err != nil || c.leading || !c.readyLocked():
	case tx.waits:
		c.leading, lead = true, true
	default:
		c.beginLocked()
	}
	c.mu.Unlock()
	if err != nil {
		c.turnAway(tx, err)
	}
	return lead
}

// queueLocked has tx wait for its turn, or returns why it cannot. Somebody must lead then.
func (c *Committer) queueLocked(tx *Tx) error {
	switch {
	case c.failed != nil: // first: what was on its way when the broker was killed must not look refused
		return c.failed
	case c.closed:
		return log.ErrClosed
	case c.refused != nil:
		return c.refused
	case tx.Ahead:
		c.ahead = append(c.ahead, tx)
	default:
		c.queue = append(c.queue, tx)
	}
	if tx.waits {
		c.waiting++
	}
	return nil
}

// turnAway answers a transaction that was not queued, unless it was withdrawn.
func (c *Committer) turnAway(tx *Tx, err error) {
	if tx.take() && c.refuse(tx, err) {
		tx.word <- wordDone
	}
}

// refuse answers a transaction of which nothing is stored. See answer.
func (c *Committer) refuse(tx *Tx, err error) (wake bool) {
	c.mu.Lock()
	c.stats.Failures++
	c.refusals[cmp.Or(log.Name(err), "other")]++
	c.mu.Unlock()
	for i := range tx.Appends {
		if a := &tx.Appends[i]; a.Producer != nil {
			a.Producer.refused(a.Partition, err)
		}
	}
	return c.answer(tx, err)
}

// Refuse has every transaction that comes from now on be answered with err: nothing is written any more.
func (c *Committer) Refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused = err
}

// Sync calls done once everything that was acknowledged before the call is fsynced.
func (c *Committer) Sync(done func(error)) { c.syncer.add(nil, &Tx{Done: done}) }

// Stats returns what was done so far.
func (c *Committer) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Syncs = c.syncer.count.Load()
	return s
}

// Refused returns how many of Stats.Failures were refused, so that nothing of them is stored, by log.Name of the error;
// those without a name are "other".
func (c *Committer) Refused() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.refusals)
}

// SyncTimes returns the times of fsyncs, in seconds.
func (c *Committer) SyncTimes() measure.Histogram { return c.syncer.times.Histogram() }

// Stored returns Stats.Bytes.
func (c *Committer) Stored() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stats.Bytes
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
	first := !c.closed
	c.closed = true
	if first && !c.leading {
		c.passLocked() // what was held back, or nothing
	}
	c.mu.Unlock()
	<-c.idle
	c.syncer.close() // nothing is committed any more
	c.wg.Wait()
}

// WakeWhenFull has w woken whenever a transaction meets a full disk.
func (c *Committer) WakeWhenFull(w *partition.Waiter) {
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

// Bound holds back transactions that append, once so many bytes of batches were stored as Stats counts
// them, until the bound is higher; 0 is none. Others pass them. It is for who must keep up with
// those who write.
func (c *Committer) Bound(bytes int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.bound = bytes
	c.resumeLocked()
}

// readyLocked reports whether there is a transaction to be committed.
func (c *Committer) readyLocked() bool {
	held := c.heldLocked()
	return len(c.ahead) > 0 || slices.ContainsFunc(c.queue, func(tx *Tx) bool { return !tx.held(held) })
}

func (c *Committer) heldLocked() bool {
	return c.bound > 0 && c.stats.Bytes >= c.bound && !c.closed && c.failed == nil
}

// resumeLocked has somebody lead if something is ready and nobody does.
func (c *Committer) resumeLocked() {
	if !c.leading && c.readyLocked() {
		c.passLocked()
	}
}

// WakeOnBytes has w woken whenever another 16 MiB of batches were stored.
func (c *Committer) WakeOnBytes(w *partition.Waiter) {
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

// unsure returns err, if it is one, as that of transactions of which nobody knows whether they are stored.
func unsure(err error) error {
	if err == nil {
		return nil
	}
	return family.Of(family.ErrOutcomeUnknown, err)
}

// fail stops all writing because of err, and returns why it was stopped.
func (c *Committer) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	switch {
	case errors.Is(err, log.ErrFailed):
		c.failed = err
	case errors.Is(err, log.ErrDiskFull):
		c.failed = fmt.Errorf("%w: %s", log.ErrFailed, err.Error()) // not what waiting helps against
	default:
		c.failed = fmt.Errorf("%w: %w", log.ErrFailed, err)
	}
	c.resumeLocked()
	c.logger.Error("write to the store failed, no more writes until it is opened again", zap.Error(err))
	return c.failed
}

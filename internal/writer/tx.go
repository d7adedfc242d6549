package writer

import (
	"fmt"
	"sync/atomic"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Tx is a piece of work that the Committer does whole or not at all: batches for any
// partitions, and writes of other keys.
type Tx struct {
	Appends []Append
	Writes  store.Batch // keys that are nobody's log: catalogue, offsets

	// Synced makes Done wait for fsync.
	Synced bool
	// Ahead lets it go before transactions that wait already: for what no order with
	// others matters to, and what the space on the disk depends on.
	Ahead bool
	// Essential work goes on when the disk is too full for appends.
	Essential bool
	// Check, if set, is called when the transaction's turn has come, after everything that
	// could refuse it otherwise but ErrFailed; its error does. It runs on the committer's
	// time, in the order of the writes: it must not block. It may add to Writes, as much as
	// Reserve says, what nobody knows before, and set Synced.
	Check func() error
	// Settled are partitions for which all that is before the transaction in the order of the writes has its offsets when Check is called.
	Settled []*partition.Partition
	// Reserve bounds what Check adds to Writes.
	Reserve Reserve
	// Begun, if set, is called when the transaction has its place in the order of all
	// writes and can fail with ErrFailed only; what was submitted later is refused or
	// begun after it. It runs on the committer's time: it must not block.
	Begun func()
	// Stored, if set, is called when the transaction is stored and visible, before Done. What
	// keeps state in step with the store belongs here: a fault of the test kit can make Done
	// tell of an error even then. It runs on the committer's time: it must not block.
	Stored func()
	// Moment, if set, is called when all of the store commit that the transaction is in is visible, so that the store has what readers
	// see, and nothing else. It runs on the committer's time: it must not block.
	Moment func()
	// Done, which Do does not need, is called exactly once with the outcome, when visible (and
	// synced if asked for). An error means that nothing was stored, except ErrOutcomeUnknown: after
	// ErrFailed the outcome is known at the next open. It runs on the committer's time: it must not block.
	Done func(error)

	// Client is the client id of who asks, if it has one.
	Client string

	admitted bool // faults were asked already

	state atomic.Int32 // of txQueued, txTaken, txWithdrawn, txTold
	size  cost         // since Submit
	waits bool         // somebody waits in Do
	leads bool         // and is to lead at once
	word  chan word    // for Do, capacity 1
	err   error        // the outcome, for Do
}

const (
	txQueued int32 = iota
	txTaken
	txWithdrawn
	txTold
)

// Append is one batch for one partition: records, or the marker that ends a transaction (log.Marker), which takes no
// other field, and which max.message.bytes does not concern. Whether a batch may begin a transaction is for Check to say.
type Append struct {
	Partition *partition.Partition
	Batch     log.Batch // belongs to the committer until Done
	// Foldable allows to store the records in one batch with those of other appends: for
	// small, uncompressed batches without a producer's sequence.
	Foldable bool
	// Producer, if set, is whose next batch this is: the committer puts its id and the
	// sequence into the batch. A batch that has an id and a sequence of its own, and no
	// Producer, is checked: one that is stored already is not stored again. A transaction
	// has at most one batch of a producer for a partition.
	Producer *Identity
	// Kept says that the batch comes from another log, and keeps what it has there: it is refused with ErrOffsetOutOfRange
	// unless the log ends at BaseOffset, and the topic's rules do not concern its size and its time. It is of no producer. Those of one
	// partition are side by side in a transaction, in their order.
	Kept bool

	// Filled in before Done is called with nil:
	BaseOffset int64 // of a batch that is not stored again, that of the first time; with Kept it is given
	Duplicate  bool  // it was not stored again
	AppendTime int64 // ms since the epoch when the partition stamps batches, else -1

	staged log.Staged
	stored int // bytes; the first of those that are folded has all of them
}

// Withdraw takes the transaction back if the committer has not begun with it, and
// reports whether it did; then Done will not be called.
func (t *Tx) Withdraw() bool { return t.state.CompareAndSwap(txQueued, txWithdrawn) }

// Withdrawn reports whether t was taken back.
func (t *Tx) Withdrawn() bool { return t.state.Load() == txWithdrawn }

// Reset makes t ready for another use: after Done was called, never after Withdraw.
func (t *Tx) Reset() {
	clear(t.Appends)
	t.Appends = t.Appends[:0]
	t.Writes.Reset()
	t.Synced, t.Ahead, t.Essential, t.Check, t.Begun, t.Stored, t.Moment, t.Done = false, false, false, nil, nil, nil, nil, nil
	t.Client, t.admitted, t.err, t.Reserve, t.Settled = "", false, nil, Reserve{}, nil
	t.state.Store(txQueued)
}

func (t *Tx) take() bool { return t.state.CompareAndSwap(txQueued, txTaken) }

// Reserve is room in a store commit: operations, and bytes of their keys and values.
type Reserve struct{ Entries, Bytes int }

// cost is what transactions add to a store commit.
type cost struct{ entries, bytes int }

func (c cost) plus(d cost) cost {
	return cost{c.entries + d.entries, c.bytes + d.bytes}
}

func (c cost) within(l store.Limits) bool {
	return c.entries <= l.Entries && c.bytes <= l.Bytes
}

// MarkerEntries and MarkerBytes are what a marker adds to a transaction at most, see store.Limits: the batch, what
// is known of its producer, and that the transaction was aborted.
const (
	MarkerEntries = 3
	MarkerBytes   = store.BatchKeySize + log.MarkerSize + log.MaxProducerSize + log.MaxAbortedSize
)

// measure returns the cost of t. What it reads is the caller's again once t is withdrawn, so
// that is no business of who commits.
func (t *Tx) measure() cost {
	c := cost{t.Writes.Len() + t.Reserve.Entries, t.Writes.Bytes() + t.Reserve.Bytes}
	for i := range t.Appends {
		a := &t.Appends[i]
		n := len(a.Batch)
		c = c.plus(cost{1, store.BatchKeySize + n})
		switch {
		case a.Batch.Control():
			c = c.plus(cost{MarkerEntries - 1, MarkerBytes - store.BatchKeySize - log.MarkerSize})
		case a.Producer != nil || a.Batch.Sequenced():
			c = c.plus(cost{1, log.MaxProducerSize})
		}
	}
	return c
}

// check refuses what cannot be staged; nothing has changed then.
func (t *Tx) check() error {
	for i := range t.Appends {
		a := &t.Appends[i]
		if err := a.Partition.Err(); err != nil {
			return err
		}
		if n, limit := len(a.Batch), a.Partition.Rules().MaxMessageBytes; n > limit && !a.Batch.Control() && !a.Kept {
			return fmt.Errorf("%s: %w: batch of %d bytes, max.message.bytes is %d",
				a.Partition.TopicPartition(), log.ErrRecordTooLarge, n, limit)
		}
	}
	for i := range t.Appends {
		if err := t.Appends[i].checkProducer(); err != nil {
			return err
		}
		if err := t.checkKept(i); err != nil {
			return err
		}
	}
	if t.Check != nil {
		return t.Check()
	}
	return nil
}

// checkKept refuses a batch that would not get the offsets that it is to keep. Nothing is folded for its partition any more.
func (t *Tx) checkKept(i int) error {
	a := &t.Appends[i]
	if !a.Kept {
		return nil
	}
	next := a.Partition.Log().Next()
	if i > 0 && t.Appends[i-1].Partition == a.Partition {
		before := &t.Appends[i-1]
		next = before.BaseOffset + before.Batch.LastOffset() - before.Batch.BaseOffset() + 1
	}
	if a.BaseOffset != next {
		return fmt.Errorf("%s: %w: a batch that keeps offset %d, and the log ends at %d", a.Partition.TopicPartition(), log.ErrOffsetOutOfRange, a.BaseOffset, next)
	}
	return nil
}

// checkProducer refuses a batch or a marker out of its producer's order, and finds out whether it is a
// duplicate.
func (a *Append) checkProducer() (err error) {
	batch := a.Batch
	switch {
	case a.Producer != nil:
		return a.Producer.err(a.Partition)
	case batch.Control():
		return a.Partition.Log().CheckMarker(batch)
	case !batch.Sequenced():
		return nil
	}
	base, err := a.Partition.Log().CheckProducer(batch)
	a.Duplicate = err == nil && base >= 0
	if a.Duplicate {
		a.BaseOffset = base
	}
	return err
}

// stage gives offsets and adds everything to g.
func (t *Tx) stage(g *commitGroup) {
	for i := range t.Appends {
		if a := &t.Appends[i]; a.Duplicate {
			a.AppendTime = -1
		} else {
			g.stage(a)
		}
	}
	g.batch.Append(&t.Writes)
	if t.Moment != nil {
		g.moments = append(g.moments, t.Moment)
	}
	if t.Begun != nil {
		t.Begun()
	}
}

// apply makes the staged batches visible.
func (t *Tx) apply() {
	for i := range t.Appends {
		a := &t.Appends[i]
		if a.Duplicate {
			continue // it was there before, or came with a commit that is complete by now
		}
		a.Partition.Advance(a.staged, int64(a.stored))
	}
	if t.Stored != nil {
		t.Stored()
	}
}

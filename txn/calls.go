package txn

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Init makes the caller the producer of a transactional id, and returns the producer id and the epoch that it has
// now. Who had it before is fenced, and an open transaction is aborted. Timeout is that of the caller's
// transactions, in whole milliseconds. Expected is who the caller was before, if it goes on after an error
// (KIP-360); nil for none.
//
// The answer is fsynced: an epoch given twice would let one producer write into another's transaction. Errors are
// ErrInvalidTransactionalID, ErrInvalidTxnTimeout, and ErrProducerFenced for an expected producer that is not the
// one any more.
func (c *Coordinator) Init(ctx context.Context, id string, timeout time.Duration, expected *Producer) (Producer, error) {
	if err := CheckID(id); err != nil {
		return noProducer, err
	}
	if timeout < time.Millisecond || timeout > c.opts.MaxTimeout {
		return noProducer, fmt.Errorf("transactional id %s: %w: %s, the broker allows 1ms to %s", id, log.ErrInvalidTxnTimeout, timeout, c.opts.MaxTimeout)
	}
	return c.change(ctx, id, true, true, func(t *Transaction, now time.Time, fresh int64) (Effects, error) {
		return t.Init(now, InitRequest{Timeout: timeout, Expected: expected, Fresh: fresh})
	})
}

// AddPartitions takes partitions into the producer's transaction, and opens it if there is none. One that is not
// there is ErrUnknownTopic or ErrUnknownPartition. Other errors are ErrInvalidProducerID, ErrProducerFenced, and
// ErrTxTooLarge for more than one commit of the store can end.
func (c *Coordinator) AddPartitions(ctx context.Context, id string, p Producer, tps ...log.TopicPartition) error {
	for _, tp := range tps {
		if _, err := c.find(tp); err != nil {
			return err
		}
	}
	_, err := c.change(ctx, id, false, false, func(t *Transaction, now time.Time, _ int64) (Effects, error) {
		e, err := t.Add(now, p, tps...)
		if err == nil {
			err = c.fits(t, 0, c.pendingOf(id))
		}
		return e, err
	})
	return err
}

// find returns the partition of that name.
func (c *Coordinator) find(tp log.TopicPartition) (*partition.Partition, error) {
	t, err := c.topics.Get(tp.Topic)
	if err != nil {
		return nil, err
	}
	return t.Partition(tp.Partition)
}

// Verify says of each partition whether the producer may write to it: nil, or ErrNotInTransaction. An error besides
// is about all of them.
func (c *Coordinator) Verify(id string, p Producer, tps ...log.TopicPartition) ([]error, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	en, err := c.lookLocked(id)
	if err == nil {
		err = en.txn.owns(p)
	}
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(tps))
	for i, tp := range tps {
		errs[i] = en.txn.Verify(p, tp)
	}
	return errs, nil
}

// AddOffsets takes a group into the producer's transaction, which is to commit offsets of it, and opens it if there
// is none. Errors are ErrInvalidGroup, and those of AddPartitions.
func (c *Coordinator) AddOffsets(ctx context.Context, id string, p Producer, name string) error {
	if err := checkGroup(name); err != nil {
		return err
	}
	_, err := c.change(ctx, id, false, false, func(t *Transaction, now time.Time, _ int64) (Effects, error) {
		e, err := t.AddGroup(now, p, name)
		if err == nil {
			err = c.fits(t, 0, c.pendingOf(id))
		}
		return e, err
	})
	return err
}

// checkGroup refuses what cannot be the name of a group, or could not be read again in the state of an id.
func checkGroup(name string) error {
	if err := group.CheckName(name); err != nil {
		return err
	}
	if !utf8.ValidString(name) {
		return fmt.Errorf("%w: %q is not UTF-8", log.ErrInvalidGroup, name)
	}
	return nil
}

// EndOptions say how a transaction ends.
type EndOptions struct {
	Commit bool
	// Bump raises the producer's epoch with the end: transaction.version 2 (KIP-890).
	Bump   bool
	Synced bool // wait for fsync
}

// End commits or aborts the producer's transaction, and returns who the producer is from then on. When it returns,
// readers of committed records see all of the transaction or nothing, in all partitions and groups at once. Who asks
// again after an answer that was lost gets it again.
//
// ErrInvalidTxnState says that nothing is open, or that it has ended otherwise; ErrInvalidProducerID and
// ErrProducerFenced that it is not the caller's.
func (c *Coordinator) End(ctx context.Context, id string, p Producer, opts EndOptions) (Producer, error) {
	return c.change(ctx, id, false, opts.Synced, func(t *Transaction, now time.Time, fresh int64) (Effects, error) {
		return t.End(now, EndRequest{Producer: p, Commit: opts.Commit, Bump: opts.Bump, Fresh: fresh})
	})
}

// Fence aborts the transaction of an id, if one is open, and fences its producer. One that is damaged can be used
// again. ErrUnknownTransactionalID says that there is no such id.
func (c *Coordinator) Fence(ctx context.Context, id string) error {
	if _, err := c.Describe(id); err != nil && !errors.Is(err, log.ErrCorruptValue) {
		return err
	}
	_, err := c.change(ctx, id, true, true, func(t *Transaction, now time.Time, fresh int64) (Effects, error) {
		timeout := t.timeout
		if t.producer == noProducer {
			timeout = c.opts.MaxTimeout
		}
		return t.Init(now, InitRequest{Timeout: timeout, Fresh: fresh})
	})
	return err
}

// fits refuses a transaction that no commit of the store could end: t with so many more partitions, and the pending
// offsets.
func (c *Coordinator) fits(t *Transaction, more int, pending cost) error {
	const entries, bytes = 1, 2048 // the state of the id
	n := len(t.partitions) + more
	end := cost{entries + n*writer.MarkerEntries + pending.entries, bytes + n*writer.MarkerBytes + pending.bytes}
	end.entries += len(t.groups) // which have names, and are looked at
	if l := c.st.Limits(); end.entries > l.Entries || end.bytes > l.Bytes {
		return t.wrap(fmt.Errorf("%w: with %d partitions, %d groups and %d offsets its end has up to %d entries, %d bytes; at most %d and %d fit into one commit",
			log.ErrTxTooLarge, n, len(t.groups), pending.entries/2, end.entries, end.bytes, l.Entries, l.Bytes))
	}
	return nil
}

// pendingCost counts what the pending offsets of a transaction add to its end.
func (c *Coordinator) pendingCost(t *Transaction) (all cost) {
	for name := range t.groups {
		n, bytes := group.PendingCost(t.id, name, c.groups.PendingOf(t.id, name))
		all.entries, all.bytes = all.entries+n, all.bytes+bytes
	}
	return all
}

// pendingOf returns what the pending offsets of an id add to the end of its transaction.
func (c *Coordinator) pendingOf(id string) cost {
	c.mu.Lock()
	defer c.mu.Unlock()
	if en := c.ids[id]; en != nil {
		return en.pending
	}
	return cost{}
}

package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// errLate is for one who relied on a transaction that has ended without a new epoch.
var errLate = fmt.Errorf("%w: its transaction has just ended", log.ErrConflict)

// Guard makes tx, which the caller is about to hand to the committer, one of the transaction of an id: its batches
// are transactional, and all of one producer. It sets Check and Begun. When its turn has come it is refused with
// ErrInvalidProducerID, ErrProducerFenced, or ErrNotInTransaction for a partition that was not added; implicit takes
// such a partition into the transaction, which opens if need be (KIP-890). ErrTxTooLarge says that no commit could
// end a transaction with so many partitions.
func (c *Coordinator) Guard(tx *writer.Tx, id string, implicit bool) {
	g := &guard{c: c, id: id, tx: tx, implicit: implicit}
	g.reserve()
	var adds []log.TopicPartition
	tx.Check = func() error {
		return g.check(func(t *Transaction, en *entry) (bool, error) {
			var err error
			if adds, err = g.produces(t); err == nil && len(adds) > 0 {
				err = c.fits(t, len(adds), en.pending)
			}
			return len(adds) > 0, err
		})
	}
	tx.Begun = func() {
		if len(adds) == 0 {
			return
		}
		g.begin(func(t *Transaction, _ *entry) {
			for _, tp := range adds {
				t.partitions[tp] = struct{}{}
			}
		})
	}
}

// produces returns which partitions of g's batches are to be taken into the transaction.
func (g *guard) produces(t *Transaction) (adds []log.TopicPartition, err error) {
	for i := range g.tx.Appends {
		a := &g.tx.Appends[i]
		tp := a.Partition.TopicPartition()
		err := t.Verify(Producer{a.Batch.ProducerID(), a.Batch.ProducerEpoch()}, tp)
		switch {
		case err == nil:
		case g.implicit && !a.Duplicate && errors.Is(err, log.ErrNotInTransaction):
			adds = append(adds, tp)
		default:
			return nil, err
		}
	}
	return adds, nil
}

// CommitOffsets stores offsets that the transaction of an id commits for a group when it ends; until then nobody
// reads them. They are checked like those of group.Coordinator.Pend. The group was added by AddOffsets, else it is
// ErrNotInTransaction; implicit adds it, and opens the transaction if need be. Errors are those of AddPartitions
// too.
func (c *Coordinator) CommitOffsets(ctx context.Context, id string, p Producer, implicit bool, name string, req group.CommitRequest) error {
	if err := checkGroup(name); err != nil {
		return err
	}
	tx := &writer.Tx{Essential: true, Synced: req.Synced}
	g := &guard{c: c, id: id, tx: tx, implicit: implicit}
	more := cost{}
	more.entries, more.bytes = group.PendingCost(id, name, req.Offsets)
	more.entries++ // the group
	allows := func(t *Transaction, en *entry) (adds bool, err error) {
		if err = t.VerifyGroup(p, name); implicit && errors.Is(err, log.ErrNotInTransaction) {
			adds, err = true, nil
		}
		if err == nil {
			err = c.fits(t, 0, cost{en.pending.entries + more.entries, en.pending.bytes + more.bytes})
		}
		return adds, err
	}
	if err := g.check(allows); err != nil && !errors.Is(err, errLate) {
		return err // before the group is asked
	}
	g.reserve()
	tx.Check = func() error { return g.check(allows) }
	tx.Begun = func() { // the offsets are there now, if only in the order of the writes
		g.begin(func(t *Transaction, en *entry) {
			t.groups[name] = struct{}{}
			en.pending = c.pendingCost(t)
		})
	}
	return c.groups.Pend(ctx, tx, id, name, req)
}

// guard is what makes a transaction of the committer's one of a transactional id.
type guard struct {
	c        *Coordinator
	id       string
	tx       *writer.Tx
	implicit bool
	reserved bool      // the tx has room for the state of the id
	now      time.Time // when check has decided
}

// stateSlack is more than by which the stored state of an id can grow while a tx waits.
const stateSlack = 64

// reserve has the tx store the state of the id too if it may open the transaction. What exactly is decided by check.
func (g *guard) reserve() {
	if !g.implicit {
		return
	}
	g.c.mu.Lock()
	en, err := g.c.lookLocked(g.id)
	open := err != nil || en.txn.state == Ongoing
	var s Snapshot
	if !open {
		s = en.txn.Snapshot()
	}
	g.c.mu.Unlock()
	if !open {
		s.State, s.Started = Ongoing, time.Now()
		g.tx.Writes.Set(store.TransactionKey(g.id), append(s.Encode(), make([]byte, stateSlack)...))
		g.reserved = true
	}
}

// check has allows decide, on the committer's time, and say whether something is taken into the transaction. If that
// opens it the tx stores it.
func (g *guard) check(allows func(t *Transaction, en *entry) (adds bool, err error)) error {
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	g.now = time.Now()
	en, err := g.c.lookLocked(g.id)
	if err != nil {
		return err
	}
	adds, err := allows(en.txn, en)
	opens := err == nil && adds && en.txn.state != Ongoing
	if opens && !g.reserved {
		return en.txn.wrap(errLate)
	}
	if g.reserved {
		g.drop()
	}
	if opens {
		s := en.txn.Snapshot()
		s.State, s.Started, s.Used = Ongoing, g.now, g.now
		g.tx.Writes.Set(store.TransactionKey(g.id), s.Encode())
	}
	return err
}

// drop takes back what reserve has written.
func (g *guard) drop() {
	key := string(store.TransactionKey(g.id))
	var rest store.Batch
	g.tx.Writes.Each(func(k, v []byte) {
		switch {
		case string(k) == key:
		case v == nil:
			rest.Delete(k)
		default:
			rest.Set(k, v)
		}
	})
	g.tx.Writes = rest
}

// begin changes the id: join takes something into its transaction.
func (g *guard) begin(join func(t *Transaction, en *entry)) {
	g.c.mu.Lock()
	defer g.c.mu.Unlock()
	en := g.c.ids[g.id]
	en.txn.open(g.now)
	en.txn.used = g.now
	join(en.txn, en)
	g.c.changedLocked(en)
}

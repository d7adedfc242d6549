package txn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/partition/producers"
	"github.com/samsa-go/samsa/topic"
)

// Coordinator drives the transactions of a broker: it brings time, concurrency and the store to the state machines.
//
// All that happens to a transactional id has its place in the committer's order, which is where it is decided and
// where the state changes, so that no two decisions are concurrent. The end of a transaction is one commit of the
// store: its markers in all partitions, the offsets of its groups, and the state of its id. It is everywhere or
// nowhere. What a call answers is in the store. All methods may be called by anybody at any time.
type Coordinator struct {
	st        store.Store
	committer *writer.Committer
	topics    *topic.Catalogue
	groups    *group.Coordinator
	producers *producers.Registry
	opts      Options
	wg        sync.WaitGroup
	stop      context.CancelFunc
	clock     clock
	orphans   orphans

	mu     sync.Mutex // guards what follows; held on the committer's time too, and never across I/O
	ids    map[string]*entry
	dues   dues             // of all ids
	owners map[int64]string // of the producer ids: the transactional ids, those that are not damaged
	closed bool
}

// Options of a Coordinator.
type Options struct {
	// MaxTimeout is the longest time-out of transactions that a producer may have; 0 means 15 minutes
	// (transaction.max.timeout.ms).
	MaxTimeout time.Duration
	// IDExpiry is how long a transactional id is remembered after its last use; 0 means 7 days
	// (transactional.id.expiration.ms).
	IDExpiry time.Duration
	// ReadOnly leaves transactions open and ids as they are, however old they are: nothing may be written.
	ReadOnly bool
	// Logger gets failures that nobody waits for, and what happens to transactions at info; nil is silent.
	Logger *zap.Logger
}

const (
	defaultMaxTimeout = 15 * time.Minute
	defaultIDExpiry   = 7 * 24 * time.Hour
)

// Limits returns the longest time-out that a producer may ask for, and how long an id is remembered after its last use.
func (c *Coordinator) Limits() (maxTimeout, idExpiry time.Duration) {
	return c.opts.MaxTimeout, c.opts.IDExpiry
}

// entry is one transactional id. The coordinator's mutex guards it.
type entry struct {
	id      string
	due     time.Time // when time brings something to it
	place   int       // in dues
	txn     *Transaction
	version uint64   // grows with each change
	pending cost     // what the pending offsets add to the commit that ends the transaction
	damaged error    // why the id cannot be used, wraps log.ErrCorruptValue; nil for most, and then txn is set
	groups  []string // of one that is damaged, those with pending offsets of it
}

// cost is what is added to a store commit.
type cost struct{ entries, bytes int }

// Parts is what a Coordinator stands on.
type Parts struct {
	Store     store.Store
	Committer *writer.Committer
	Topics    *topic.Catalogue
	Groups    *group.Coordinator
	Producers *producers.Registry
}

// Open reads the transactional ids that the store holds, and what their open transactions have written. An id of
// which the state is damaged cannot be used until a producer begins with it anew; the logger is told, of
// transactions too that are open in a partition and have no id: they are aborted MaxTimeout after their last batch, or
// before by Abort. Close ends the coordinator; its parts stay open.
func Open(parts Parts, opts Options) (*Coordinator, error) {
	if opts.MaxTimeout == 0 {
		opts.MaxTimeout = defaultMaxTimeout
	}
	if opts.IDExpiry == 0 {
		opts.IDExpiry = defaultIDExpiry
	}
	if opts.Logger == nil {
		opts.Logger = zap.NewNop()
	}
	c := &Coordinator{
		st: parts.Store, committer: parts.Committer, topics: parts.Topics, groups: parts.Groups, producers: parts.Producers,
		opts: opts, ids: make(map[string]*entry), owners: make(map[int64]string), clock: newClock(),
	}
	if err := c.load(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	if !opts.ReadOnly {
		c.wg.Go(func() { c.run(ctx) })
	}
	return c, nil
}

// Close ends what runs, and refuses what comes. Transactions stay open, and time counts for them.
func (c *Coordinator) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.wg.Wait()
}

// CheckID refuses what cannot be a transactional id: none, and one too long for a key.
func CheckID(id string) error {
	if id == "" || len(id) > store.MaxTransactionalID {
		return fmt.Errorf("%w: it has 1 to %d bytes, this one has %d", log.ErrInvalidTransactionalID, store.MaxTransactionalID, len(id))
	}
	return nil
}

// lookLocked returns the entry of an id that a producer uses. Nobody has an id that is not there:
// ErrInvalidProducerID.
func (c *Coordinator) lookLocked(id string) (*entry, error) {
	if err := CheckID(id); err != nil {
		return nil, err
	}
	en := c.ids[id]
	switch {
	case c.closed:
		return nil, fmt.Errorf("transactional id %s: %w", id, log.ErrClosed)
	case en == nil:
		return nil, fmt.Errorf("transactional id %s: %w: nobody has begun with it", id, log.ErrInvalidProducerID)
	}
	return en, en.damaged
}

// errChanged says that what was decided is not true any more.
var errChanged = errors.New("the transaction has changed meanwhile")

// draft is a change of a transactional id that is not in its place yet.
type draft struct {
	c       *Coordinator
	id      string
	en      *entry
	known   bool // en is in the coordinator's map
	txn     *Transaction
	version uint64   // of en, when txn was a copy of it
	damaged bool     // en was
	groups  []string // of en, if it was
	ended   bool     // the transaction ends
	same    bool     // nothing changes
}

// draft returns a copy of a transactional id; begin is that of who begins with it, even if it is not there or
// damaged.
func (c *Coordinator) draft(id string, begin bool) (*draft, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	en, err := c.lookLocked(id)
	switch {
	case err == nil:
		return &draft{c: c, id: id, en: en, known: true, txn: en.txn.Clone(), version: en.version}, nil
	case !begin || c.closed || errors.Is(err, log.ErrInvalidTransactionalID):
		return nil, err
	case en != nil:
		return &draft{c: c, id: id, en: en, known: true, damaged: true, groups: en.groups, txn: NewTransaction(id), version: en.version}, nil
	}
	return &draft{c: c, id: id, en: &entry{id: id}, txn: NewTransaction(id)}, nil
}

// check is the Check of a draft's transaction: all that was decided is about the state as it is still.
func (d *draft) check() error {
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	if now := d.c.ids[d.id]; d.known && now != d.en || !d.known && now != nil || d.en.version != d.version {
		return errChanged
	}
	return nil
}

// begin is its Begun.
func (d *draft) begin() {
	if d.same {
		return
	}
	d.c.mu.Lock()
	defer d.c.mu.Unlock()
	if !d.known {
		d.c.insertLocked(d.en)
	}
	if d.en.txn != nil {
		delete(d.c.owners, d.en.txn.producer.ID)
	}
	d.c.owners[d.txn.producer.ID] = d.id
	d.en.txn, d.en.damaged, d.en.groups = d.txn, nil, nil
	if d.ended {
		d.en.pending = cost{}
	}
	d.c.changedLocked(d.en)
}

// changedLocked notes that an id has changed.
func (c *Coordinator) changedLocked(en *entry) {
	en.version++
	c.scheduleLocked(en, c.dueLocked(en))
}

// decide changes a transactional id. It gets a copy, may be asked several times, and gets a producer id that nobody
// ever had, or -1, if it has asked for one with errNeedsID.
type decide func(t *Transaction, now time.Time, fresh int64) (Effects, error)

// change has call change a transactional id, stores what came of it, and returns who has the id then. Begin is that
// of a draft, and synced waits for fsync.
func (c *Coordinator) change(ctx context.Context, id string, begin, synced bool, call decide) (Producer, error) {
	fresh := noProducerID
	for {
		if err := ctx.Err(); err != nil {
			return noProducer, err
		}
		d, err := c.draft(id, begin)
		if err != nil {
			return noProducer, err
		}
		e, err := call(d.txn, time.Now(), fresh)
		if errors.Is(err, errNeedsID) {
			if fresh, err = c.producers.NextID(ctx); err == nil {
				continue
			}
			err = fmt.Errorf("transactional id %s: %w", id, err)
		}
		if err != nil {
			return noProducer, err
		}
		switch err = c.place(ctx, d, e, synced); {
		case err == nil:
			return d.txn.Producer(), nil
		case !errors.Is(err, errChanged):
			return noProducer, fmt.Errorf("transactional id %s: %w", id, err)
		}
	}
}

// place stores a draft. Without effects it waits until all that the answer rests on is stored.
func (c *Coordinator) place(ctx context.Context, d *draft, e Effects, synced bool) error {
	if d.damaged && e.End == nil {
		e.End = &End{Groups: d.groups} // nobody knows what else
	}
	d.same, d.ended = e.Persist == nil, e.End != nil
	for careful := false; ; careful = true {
		tx := &writer.Tx{Essential: true, Synced: synced, Check: d.check, Begun: d.begin}
		if e.Persist != nil {
			tx.Writes.Set(store.TransactionKey(d.id), e.Persist.Encode())
		}
		if e.End == nil {
			return c.committer.DoUntil(ctx, tx)
		}
		err := c.end(ctx, tx, d, *e.End, careful)
		if careful || !errors.Is(err, log.ErrProducerFenced) {
			return err
		}
	}
}

// end stores tx, which ends a transaction. A topic that is gone has no markers. A partition that has seen a later
// epoch of the producer refuses a marker, with ErrProducerFenced; careful gives it one of that epoch, so that no
// transaction stays open.
func (c *Coordinator) end(ctx context.Context, tx *writer.Tx, d *draft, end End, careful bool) error {
	now := time.Now().UnixMilli()
	for _, tp := range end.Partitions {
		p, err := c.partition(tp)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		marker := end.Marker
		if careful {
			marker.Epoch = max(marker.Epoch, p.Log().EpochOf(marker.ID))
		}
		tx.Appends = append(tx.Appends, writer.Append{Partition: p, Batch: log.Marker(marker.ID, marker.Epoch, end.Commit, now)})
	}
	if err := c.committer.Admit(ctx, tx); err != nil {
		return err
	}
	err := c.groups.Settle(ctx, tx, d.id, end.Groups, end.Commit)
	if err != nil {
		for _, a := range tx.Appends {
			if errors.Is(a.Partition.Err(), log.ErrUnknownTopic) {
				return errChanged
			}
		}
	}
	return err
}

// partition returns the partition of that name, or nil if it is gone, or damaged: nobody reads it then.
func (c *Coordinator) partition(tp log.TopicPartition) (*partition.Partition, error) {
	p, err := c.find(tp)
	if err == nil {
		err = p.Err()
	}
	switch {
	case err == nil:
		return p, nil
	case errors.Is(err, log.ErrUnknownTopic), errors.Is(err, log.ErrUnknownPartition), errors.Is(err, log.ErrCorruptValue):
		return nil, nil
	}
	return nil, err
}

package samsa

import (
	"context"
	"fmt"
	"iter"
	"sync"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/table"
)

// Tx is a transaction: records, consumed offsets and the application's own keys, of which
// all are stored or none. It is valid during the function it was given to, for one
// goroutine.
//
// Once a method has failed, for another reason than ErrKeyNotFound, the transaction cannot
// be committed: Update returns that error if the function does not return another.
type Tx struct {
	ReadTx
	b      *Broker
	ctx    context.Context // of Update
	engine engine.Tx
	tables map[*Table]*table.Tx
}

// Update calls fn with a transaction, and commits it when fn returns nil. Everything in it
// becomes durable together, as safe as the strictest says of Options.Produce.Acks, of ProduceWith, and of
// the CommitAcks of the consumers in it. No consumer sees a record of it before it is stored. When Update
// returns an error nothing is stored, except for ErrOutcomeUnknown, which leaves that open until the
// broker is opened again.
//
// A topic that does not exist yet, with Options.AutoCreateTopics, is created with the rest: it
// is there when Update has succeeded, and not when it has failed.
//
// Transactions are serialisable as to the application's keys: fn sees them as of its
// beginning, and when another Update has since written one that fn has read, fn is called
// again, with a new transaction, up to Options.MaxUpdateRetries times; then Update returns ErrConflict.
// Before that it pauses, a little longer each time, and Updates that have met a conflict over the same key wait for each other,
// up to a second. So fn may run several times, and should have no effects
// but those through tx. It should not call Update: what that writes conflicts with what fn has read.
//
// When Update fails, a consumer whose records were in it stays behind them: its next Poll returns what comes then, and to
// commit that commits those before it too. So call Update again with the same records, or SeekTo(ctx, Committed()).
//
// A transaction with offsets of a consumer whose partitions have gone to others fails with
// ErrIllegalGeneration or ErrUnknownMember: their records are the others' then. All of it fits into one store transaction, 32 MiB
// and 16384 keys, offsets and batches, else it is ErrTxTooLarge.
func (b *Broker) Update(ctx context.Context, fn func(tx *Tx) error) error {
	if fn == nil {
		return fmt.Errorf("update: %w", errNoFunction)
	}
	if err := b.checkWrite(ctx); err != nil {
		return fmt.Errorf("update: %w", err)
	}
	return b.updates.Update(ctx, func(e engine.Tx) error {
		tx := &Tx{ReadTx: ReadTx{engine: e}, b: b, ctx: ctx, engine: e}
		defer tx.endTables()
		return fn(tx)
	})
}

// Get returns a copy of the value under key as this transaction has left it, or
// ErrKeyNotFound.
func (tx *Tx) Get(key []byte) ([]byte, error) { return tx.engine.Get(key) }

// Scan iterates over the keys that begin with prefix, as this transaction has left them
// when it begins, in bytewise order. The bytes are the caller's. An error ends it.
func (tx *Tx) Scan(prefix []byte) iter.Seq2[KeyValue, error] {
	return tx.ScanWith(ScanOptions{Prefix: prefix})
}

// ScanWith is Scan from another key on, or backwards. A scan that runs to its end has read all its keys, those too that are
// not there; one that is left early has read up to the last key that it gave. What another Update writes there is a conflict.
func (tx *Tx) ScanWith(opts ScanOptions) iter.Seq2[KeyValue, error] {
	return tx.engine.Scan(engine.ScanOptions(opts))
}

// Set stores a copy of value under key, which has 1 to 1023 bytes. A nil value is an empty one.
func (tx *Tx) Set(key, value []byte) error {
	return tx.engine.Set(string(key), append(make([]byte, 0, len(value)), value...))
}

// Delete removes the value under key, if there is one.
func (tx *Tx) Delete(key []byte) error { return tx.engine.Delete(string(key)) }

// Produce adds records, for any topics. Their bytes may be reused when it returns. Their
// offsets are not known before the transaction is committed.
func (tx *Tx) Produce(records ...Record) error { return tx.ProduceWith(ProduceOptions{}, records...) }

// ProduceWith is Produce with options for these records: see ProduceOptions. With AckSynced the
// whole transaction is synced.
func (tx *Tx) ProduceWith(opts ProduceOptions, records ...Record) error {
	if tx.engine.Err() == nil && tx.b.hooks.ChangesProduced(tx.ctx) {
		changed, err := tx.b.hooks.BeforeProduce(tx.ctx, records)
		if err != nil {
			return tx.engine.Fail(fmt.Errorf("produce: %w", err))
		}
		return tx.engine.Produce(engine.ProduceOptions(opts), changed)
	}
	return tx.produce(opts, records)
}

// produce adds records as they are.
func (tx *Tx) produce(opts ProduceOptions, records []Record) error {
	lent := lend(records)
	defer lent.end()
	return tx.engine.Produce(engine.ProduceOptions(opts), lent.records)
}

// loan is records in memory that an engine may see: what is given to it leaves the stack, where the program's slice shall stay.
type loan struct{ records []Record }

var loans = sync.Pool{New: func() any { return new(loan) }}

func lend(records []Record) *loan {
	l := loans.Get().(*loan)
	l.records = append(l.records, records...)
	return l
}

func (l *loan) end() {
	clear(l.records)
	l.records = l.records[:0]
	loans.Put(l)
}

// CommitRecords commits, with the transaction, that these records of c, and those before
// them in their partitions, were processed.
func (tx *Tx) CommitRecords(c *Consumer, records ...Record) error {
	return tx.commit(c, consumer.OffsetsAfter(records))
}

// CommitOffsets commits exactly these offsets of c's group with the transaction. c must have
// MemberOptions.ManualCommit: else records whose transaction failed would be committed
// behind its back.
func (tx *Tx) CommitOffsets(c *Consumer, offsets map[TopicPartition]CommittedOffset) error {
	return tx.commit(c, groupOffsets(offsets))
}

func (tx *Tx) commit(c *Consumer, offsets map[TopicPartition]group.Offset) (err error) {
	switch {
	case tx.engine.Err() != nil:
		err = tx.engine.Err()
	case c == nil:
		err = fmt.Errorf("%w: the consumer is nil", ErrInvalidOption)
	case c.engine.Group() == "":
		err = consumer.ErrNoGroup
	case c.b != tx.b:
		err = fmt.Errorf("%w: the consumer is of another broker", ErrInvalidOption)
	case !c.engine.ManualCommit():
		err = fmt.Errorf("%w: MemberOptions.ManualCommit is required of a consumer whose offsets are committed in transactions", ErrInvalidOption)
	default:
		return tx.engine.CommitOffsets(c.engine, offsets)
	}
	return tx.engine.Fail(fmt.Errorf("commit: %w", err))
}

// KeyValue is one of the application's own keys and its value.
//
//	type KeyValue struct {
//		Key, Value []byte
//	}
type KeyValue = engine.KeyValue

// ScanOptions says which keys ScanWith visits, and from where. It keeps no reference to the bytes once the iteration has
// begun.
type ScanOptions struct {
	// Prefix is what the keys begin with; without one they are all.
	Prefix []byte
	// Start is the key to begin at, or if there is none the one that comes next. It need not have the
	// prefix. Without one the scan begins with the first key that has, or Reverse with the last.
	// To go on behind a key, Start is append(key, 0), which no key comes before; Reverse begins at the key again.
	Start []byte
	// Reverse visits the keys from the last one to the first.
	Reverse bool
}

// ReadTx reads the application's own keys and the committed offsets of groups, and tables, all as of
// one moment. It is valid during the function it was given to, for one goroutine.
type ReadTx struct {
	engine engine.View
	view   *view // of View
}

// view is what a ReadTx has in a View.
type view struct {
	b      *Broker
	ctx    context.Context
	read   bool // something was
	tables []*table.Tx
}

// View calls fn with a view of the application's keys and of committed offsets as of now:
// a snapshot, which no Update changes. It returns what fn returns. What is removed
// meanwhile takes space until fn returns. When the broker is closed meanwhile, what fn
// reads next is ErrClosed.
func (b *Broker) View(ctx context.Context, fn func(tx *ReadTx) error) error {
	if fn == nil {
		return fmt.Errorf("view: %w", errNoFunction)
	}
	if err := b.check(ctx); err != nil {
		return fmt.Errorf("view: %w", err)
	}
	v, err := b.on.Transactor.View(ctx)
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	defer v.End()
	tx := &ReadTx{v, &view{b: b, ctx: ctx}}
	defer tx.view.end()
	return fn(tx)
}

// errNoFunction is for a call whose function is nil.
var errNoFunction = fmt.Errorf("%w: the function is nil", ErrInvalidOption)

// Get returns a copy of the value under key, or ErrKeyNotFound.
func (tx *ReadTx) Get(key []byte) ([]byte, error) { return tx.reads().Get(key) }

// Scan iterates over the keys that begin with prefix, in bytewise order; all of them for an
// empty one. The bytes are the caller's. An error ends it.
func (tx *ReadTx) Scan(prefix []byte) iter.Seq2[KeyValue, error] {
	return tx.ScanWith(ScanOptions{Prefix: prefix})
}

// ScanWith is Scan from another key on, or backwards.
func (tx *ReadTx) ScanWith(opts ScanOptions) iter.Seq2[KeyValue, error] {
	return tx.reads().Scan(engine.ScanOptions(opts))
}

// Committed returns the committed offsets of a group for tps, or without any for all
// partitions that have one. Partitions without one are missing. One that is damaged, or whose topic is, is
// ErrCorruptValue.
func (tx *ReadTx) Committed(group string, tps ...TopicPartition) (map[TopicPartition]CommittedOffset, error) {
	found, err := tx.reads().Committed(group, tps...)
	if err != nil {
		return nil, err
	}
	return committedOffsets(found), nil
}

package samsa

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/txn"
)

// TransactionOptions are the limits on the transactions of Kafka clients: those that have a transactional id. The zero value
// has Kafka's defaults.
type TransactionOptions struct {
	// MaxTimeout is the longest time-out that a producer may ask for its transactions (transaction.max.timeout.ms): so long
	// may one that its producer has left open hold up who reads what is committed. 0 means 15 min.
	MaxTimeout time.Duration
	// IDExpiry is how long a transactional id is remembered after its last use (transactional.id.expiration.ms).
	// 0 means 7 days. One whose transaction is open is not forgotten.
	IDExpiry time.Duration
}

func (o TransactionOptions) check(w *option.Mistakes) {
	checkExpiry(w, "Options.Transactions.MaxTimeout", o.MaxTimeout)
	checkExpiry(w, "Options.Transactions.IDExpiry", o.IDExpiry)
}

// maxExpiry is the longest time that Kafka's configs can tell: they are numbers of 32 bits.
const maxExpiry = math.MaxInt32 * time.Millisecond

// checkExpiry checks a time that is one of those configs.
func checkExpiry(w *option.Mistakes, name string, d time.Duration) {
	w.Check(d == 0 || d >= time.Millisecond && d <= maxExpiry, name, d, "0, or 1ms to "+maxExpiry.String())
}

// Transactions administers the transactions of Kafka clients: those that have a transactional id, and are open from their
// first record to their end. Broker.Update has none of it: its transactions are never open.
type Transactions struct{ b *Broker }

// Transactions returns the administration of transactions.
func (b *Broker) Transactions() Transactions { return Transactions{b} }

// TransactionState is where a transactional id stands, by Kafka's names. Kafka's PrepareCommit and PrepareAbort are not there: all
// that an end does is in one commit of the store.
//
//	Empty -> Ongoing -> CompleteCommit, CompleteAbort
//	  ^         ^___________________|
//	  |_____________________________|  a producer begins
//
//	const (
//		TransactionEmpty     TransactionState = iota // a producer has begun, and done nothing yet
//		TransactionOngoing                           // its transaction is open
//		TransactionCommitted                         // the last one was committed
//		TransactionAborted                           // the last one was aborted
//	)
type TransactionState = txn.State

// The states of a transactional id.
const (
	TransactionEmpty     = txn.Empty
	TransactionOngoing   = txn.Ongoing
	TransactionCommitted = txn.CompleteCommit
	TransactionAborted   = txn.CompleteAbort
)

// TransactionInfo describes a transactional id at one moment.
type TransactionInfo struct {
	ID            string
	State         TransactionState
	ProducerID    int64 // who has the id
	ProducerEpoch int16
	Timeout       time.Duration    // after which an open transaction is aborted
	Started       time.Time        // of the present or the last transaction; zero for none
	Partitions    []TopicPartition // that the open one has written to, by topic and partition
	Groups        []string         // whose offsets it commits, by name
}

// OpenTransaction is a transaction as it is open in one partition: consumers that read what is committed wait at Since.
type OpenTransaction struct {
	TopicPartition TopicPartition
	ProducerID     int64
	ProducerEpoch  int16
	Since          int64     // the offset of its first record there
	Written        time.Time // when its producer last wrote there
	// ID is the transactional id that has it. "" says that none has, which comes from damage: no producer will end it. Abort
	// does, or the broker, once it is open for so long that no transaction could be.
	ID string
}

// List returns the transactional ids, sorted, those too of which the state is damaged.
func (t Transactions) List(ctx context.Context) ([]string, error) {
	if err := t.b.check(ctx); err != nil {
		return nil, fmt.Errorf("list transactions: %w", err)
	}
	return t.b.on.Transactions.List(ctx)
}

// Describe returns what is known of a transactional id, or ErrUnknownTransactionalID, ErrInvalidTransactionalID for
// what can be none, and ErrCorruptValue for one that is damaged: until a producer begins with it anew.
func (t Transactions) Describe(ctx context.Context, id string) (TransactionInfo, error) {
	err := t.b.check(ctx)
	var d txn.Description
	if err == nil {
		d, err = t.b.on.Transactions.Describe(ctx, id)
	}
	if err != nil {
		return TransactionInfo{}, fmt.Errorf("describe transaction %s: %w", id, err)
	}
	return TransactionInfo{
		ID: d.ID, State: d.State, ProducerID: d.Producer.ID, ProducerEpoch: d.Producer.Epoch,
		Timeout: d.Timeout, Started: d.Started, Partitions: d.Partitions, Groups: d.Groups,
	}, nil
}

// Open returns the transactions that are open in the partitions of these topics, or without any of all topics, by topic,
// partition and offset. A topic that does not exist is ErrUnknownTopic.
func (t Transactions) Open(ctx context.Context, topics ...string) ([]OpenTransaction, error) {
	if err := t.b.check(ctx); err != nil {
		return nil, fmt.Errorf("open transactions: %w", err)
	}
	open, err := t.b.on.Transactions.Open(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("open transactions: %w", err)
	}
	all := make([]OpenTransaction, len(open))
	for i, o := range open {
		all[i] = OpenTransaction(o)
	}
	return all, nil
}

// Abort aborts a transaction that Open has told of. If a transactional id has it, that is the end of all of it, in every
// partition and group, and its producer is fenced; one that hangs is ended in the one partition. When it has ended meanwhile,
// in whichever way, with its part in another partition say, it is ErrInvalidTxnState or ErrProducerFenced.
//
// A producer of transaction.version 2 hears INVALID_TXN_STATE when it commits what was aborted so, as after a time-out.
func (t Transactions) Abort(ctx context.Context, o OpenTransaction) error {
	err := t.b.checkWrite(ctx)
	if err == nil && o.Since < 0 {
		err = fmt.Errorf("%w: OpenTransaction.Since is %d, want what Open has told", ErrInvalidOption, o.Since)
	}
	if err == nil {
		err = t.b.on.Transactions.Abort(ctx, engine.OpenTransaction(o))
	}
	if err != nil {
		return fmt.Errorf("abort transaction: %w", err)
	}
	return nil
}

// Fence takes a transactional id from the producer that has it: an open transaction is aborted, and what the producer sends
// from now on is refused. A new producer may begin with the id at once. So one that is damaged is whole again.
// ErrUnknownTransactionalID says that there is no such id.
func (t Transactions) Fence(ctx context.Context, id string) error {
	err := t.b.checkWrite(ctx)
	if err == nil {
		err = t.b.on.Transactions.Fence(ctx, id)
	}
	if err != nil {
		return fmt.Errorf("fence transaction %s: %w", id, err)
	}
	return nil
}

package engine

import (
	"context"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Transactor begins transactions. What is tried how often Update of internal/transact decides: it calls the program's function
// with one transaction after the other, so that no function of the program's crosses the seam.
type Transactor interface {
	// Begin returns a transaction, which has to be ended with End. ctx is that of all its methods.
	Begin(ctx context.Context) (Tx, error)
	// View returns a view of what is stored as of now, which has to be ended with End.
	View(ctx context.Context) (View, error)
}

// View is what is stored as of one moment: see samsa.ReadTx. It is for one goroutine. After End everything is ErrClosed.
type View interface {
	// Get returns the value under key, the caller's, or ErrKeyNotFound, or ErrInvalidKey.
	Get(key []byte) ([]byte, error)
	// Scan iterates over keys, as of when the iteration begins. The bytes are the caller's. An error ends it.
	Scan(opts ScanOptions) iter.Seq2[KeyValue, error]
	// Committed returns the committed offsets of a group: see Offsets.Committed. Of a transaction these are without its own.
	Committed(group string, tps ...log.TopicPartition) (map[log.TopicPartition]group.Offset, error)
	// End ends it. Nothing that a transaction holds, and was not committed, is stored.
	End()
}

// Tx is a transaction: see samsa.Tx. It collects what is to be stored, and stores nothing before Commit. It is for one goroutine.
// Once a method has failed, but with ErrKeyNotFound, it cannot be committed: Commit is the first of these errors.
type Tx interface {
	View // as the transaction has left it, but for Committed
	// Set puts value, which belongs to the transaction from then on, under key; Delete removes what is there.
	Set(key string, value []byte) error
	Delete(key string) error
	// Produce adds records for any topics, after it has checked opts as Producing.Produce does. The slice and the bytes that it
	// leads to are the caller's again when it returns. ErrTxTooLarge says that all of it does not fit into one transaction.
	Produce(opts ProduceOptions, records []log.Record) error
	// Partitions returns how many partitions a topic has, which the transaction may create.
	Partitions(topic string) (int32, error)
	// CommitOffsets adds offsets, which replace those that it has for the same partitions of m. The map is the transaction's.
	CommitOffsets(m Member, offsets map[log.TopicPartition]group.Offset) error
	// Settle adds what is to become of deliveries, with fsync if synced; ErrInvalidRecordState for what is to become something
	// else already. Who cannot do that with records is ErrUnsupported.
	Settle(all []share.Settlement, synced bool) error
	// Err returns ErrClosed once the transaction is over.
	Err() error
	// Fail has it not be committed any more, and returns err.
	Fail(err error) error
	// Commit stores everything or nothing, nothing being no error, as safe as the strictest option in it says, and returns nil when it is visible; but with
	// ErrOutcomeUnknown that is open. An error that is a *TryAgain is no end: Update begins anew. Members hear of their
	// requests by Saved, or are asked by Refused, before it returns.
	Commit() error
}

// TryAgain says that a transaction has failed for a reason that another try may not meet, a conflict say. Nothing of it is stored.
type TryAgain struct {
	Err  error
	When <-chan struct{} // not before it is closed; nil for a pause
}

// Error implements error.
func (e *TryAgain) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *TryAgain) Unwrap() error { return e.Err }

// Conflict is an ErrConflict: a transaction has read what another one has written since. Of those over the same Update lets one at a time try again.
type Conflict struct{ Over string }

// Error implements error.
func (e *Conflict) Error() string {
	return fmt.Sprintf("%v: %s was written meanwhile", log.ErrConflict, e.Over)
}

// Unwrap returns ErrConflict.
func (e *Conflict) Unwrap() error { return log.ErrConflict }

// Member is a member of a group whose offsets are committed with a transaction: a consumer. It is a pointer.
type Member interface {
	// Group returns the name of the group.
	Group() string
	// Request returns the commit of offsets, which belong to it then, in the name of the member as it is now.
	Request(offsets map[log.TopicPartition]group.Offset) (group.CommitRequest, error)
	// Saved notes that a Request was committed.
	Saved(req group.CommitRequest)
	// Refused reports whether a Request that the group has refused with err may be taken when it is made
	// anew: at once, or once after is closed.
	Refused(req group.CommitRequest, err error) (again bool, after <-chan struct{})
}

// KeyValue is one of the application's own keys and its value.
type KeyValue struct {
	Key, Value []byte
}

// ScanOptions is samsa.ScanOptions.
type ScanOptions struct {
	Prefix  []byte
	Start   []byte
	Reverse bool
}

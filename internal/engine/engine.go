// Package engine is the seam below consumers, groups and their administration: what these need of
// whoever has the records, the broker of this process, or a Kafka cluster. It names no key of a store
// and no transaction of ours. Users import the module root.
//
// What has a context may wait, for a disk or a network, until that ends. All else answers at once,
// from what is known, and may be called with locks held. Who has to ask elsewhere asks in the
// background, and wakes who watches when it knows more. All methods may be called by anybody at any time.
package engine

import (
	"context"
	"errors"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Topics are the topics that there are.
type Topics interface {
	// Find returns the topic of that name, or ErrUnknownTopic, or ErrCorruptValue for one that is
	// damaged. With create, one that does not exist is created if that is what the broker does by itself.
	Find(ctx context.Context, name string, create bool) (Topic, error)
	// Get is Find of what is known.
	Get(name string) (Topic, error)
	// List returns what is known, by name. The slice is not to be changed.
	List() []Topic
	// Changes returns the present place in the course of the topics.
	Changes() Changes
	// Watch wakes w whenever there are more Changes, until Unwatch.
	Watch(w *Waiter)
	Unwatch(w *Waiter)
}

// Changes tell of each topic that is created, changed or deleted, one after the other. They are for
// one goroutine at a time.
type Changes interface {
	// Next returns the topic of the next change, nil without one, and whether it was deleted. It comes as
	// often as it has changed.
	Next() (t Topic, gone bool)
}

// Topic is a topic that exists, or existed. Two of them are equal, by ==, if they are the same one:
// a topic that was deleted and created again under the same name is another one.
type Topic interface {
	Name() string
	// ID is the topic's identity, Kafka's UUID.
	ID() [16]byte
	// Partitions returns how many there are. It does not shrink.
	Partitions() int32
	// Partition returns the partition of that index, or ErrUnknownPartition.
	Partition(i int32) (Partition, error)
}

// Partition is a partition as it is read.
type Partition interface {
	TopicPartition() log.TopicPartition
	// LogStart is the offset of the first record that can be read, and HighWatermark the offset behind the
	// last one. Those of a topic that Find has returned are from then or later, and a Fetch that has failed
	// with ErrOffsetOutOfRange has brought them up to date.
	LogStart() int64
	HighWatermark() int64
	// LastStable is the offset behind the last record that who reads what is committed can get, from LogStart to
	// HighWatermark: transactions are open from there on. It moves only with one of these.
	LastStable() int64
	// Err returns why nothing can be read any more, ErrUnknownTopic or ErrClosed, and nil before.
	Err() error
	// Fetch calls fn for the batches that are there from the offset from on, the first of which may begin
	// before it, until fn returns false. buf is memory for them, which may be replaced by what is returned;
	// a batch is valid during the call only. client is the client id of the consumer. Nothing to be read is
	// no error: then there is nothing up to what HighWatermark, or LastStable for log.ReadCommitted, was before the
	// call. ErrOffsetOutOfRange says that from is before LogStart or behind HighWatermark.
	//
	// Batches of transactions come like others, and markers of their ends, which are Control batches. With
	// log.ReadCommitted nothing comes from LastStable on, and a batch says whether it was Aborted.
	Fetch(ctx context.Context, client string, iso log.Isolation, from int64, buf []byte, fn func(log.StoredBatch) bool) ([]byte, error)
	// FetchBefore returns the last batch that has an offset before the offset before, and the first offset that
	// the batch covers, known even when it is corrupt: what is before the batch is before base, which is less than
	// before. The batch may end behind before, and be one of a transaction, or a marker. It lives in buf, or in memory
	// of its own. ErrOffsetOutOfRange says that there is nothing, for before is not behind LogStart, or that it is
	// behind HighWatermark, or behind LastStable with log.ReadCommitted.
	FetchBefore(ctx context.Context, client string, iso log.Isolation, before int64, buf []byte) (sb log.StoredBatch, base int64, err error)
	// OffsetForTime returns the offset of the first record whose timestamp, in ms since the epoch, is ts or
	// later; ok is false when there is none. With log.ReadCommitted it is one before LastStable.
	OffsetForTime(ctx context.Context, iso log.Isolation, ts int64) (offset int64, ok bool, err error)
	// Watch wakes w whenever HighWatermark or LogStart moves, and when Err changes, until Unwatch.
	Watch(w Watcher)
	Unwatch(w Watcher)
}

// ErrNotYet is for who reads ahead: what there is comes in the background, and who watches is woken when it is there. It is
// no error of a program.
var ErrNotYet = errors.New("not yet")

// Remote is a Partition that is elsewhere: it knows what it has heard last.
type Remote interface {
	Partition
	// Ask brings LogStart, HighWatermark and LastStable up to date.
	Ask(ctx context.Context) error
	// Await says that all before from was fetched, and that who watches wants to hear of what comes. It does not wait.
	Await(iso log.Isolation, from int64)
}

// End returns the offset behind the last record that a reader gets: HighWatermark, or LastStable for one of
// what is committed.
func End(p Partition, iso log.Isolation) int64 {
	if iso == log.ReadCommitted {
		return p.LastStable()
	}
	return p.HighWatermark()
}

type (
	// Watcher is woken when there is something new.
	Watcher = partition.Watcher
	// Waiter is a Watcher that one goroutine can wait for.
	Waiter = partition.Waiter
)

// NewWaiter returns a waiter that was not woken yet.
func NewWaiter() *Waiter { return partition.NewWaiter() }

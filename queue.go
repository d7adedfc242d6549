package samsa

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/samsa-go/samsa/internal/queue"
	"github.com/samsa-go/samsa/partition/choose"
	"github.com/samsa-go/samsa/share"
)

// Queue gives the records of topics to whoever asks, each to one at a time, and each until it is acknowledged: by any
// number of goroutines, queues of the same group, and Kafka clients that are share consumers of it. A record that is
// not acknowledged while its lock lasts comes again. All methods may be called by anybody at any time.
//
// How often a record was delivered is stored, and so are acknowledgements of records behind others that are not done
// yet: after a restart those come that were not done. Whoever is killed by a record gets it MaxDeliveries times.
type Queue struct {
	b      *Broker
	engine *queue.Queue
}

// NewQueue returns a queue, and has its group be there from now on. It fails with ErrUnknownTopic, ErrGroupKind for a
// name of another kind of group, or ErrInvalidOption naming all that is wrong, or that another queue of the group is
// open with other options. The queue outlives ctx, which bounds this call alone.
func (b *Broker) NewQueue(ctx context.Context, opts QueueOptions) (*Queue, error) {
	err := opts.validate()
	if err == nil {
		err = b.checkWrite(ctx)
	}
	if err == nil {
		err = b.on.Queues()
	}
	q := &Queue{b: b}
	if err == nil {
		q.engine, err = queue.New(ctx, &b.queues, opts.of())
	}
	if err != nil {
		return nil, fmt.Errorf("new queue: %w", err)
	}
	return q, nil
}

// Delivery is a record that a queue has given to somebody, until its lock ends. It may be copied. Its methods say what
// becomes of the record: the first one that returns nil. After that, and when the lock has ended, they are
// ErrInvalidRecordState; Extend alone may come before others. What is left of a record that
// retention has removed meanwhile is acknowledged without an effect.
type Delivery struct {
	// Record is the record. Its bytes are the caller's.
	Record Record
	// Deliveries is how often the record was delivered, this time included: 1 for the first time.
	Deliveries int
	// Until is when the lock ends that came with the delivery.
	Until time.Time

	of queue.Delivery
}

func deliveryOf(d queue.Delivery) Delivery {
	return Delivery{Record: d.Given(), Deliveries: d.Deliveries, Until: d.Until, of: d}
}

// Receive returns deliveries, at most max, as soon as there are any, or the error of ctx when that ends. They may be of
// one partition; the next call goes on with another one. Errors that concern a part of the queue come once, and the next
// call goes on without: ErrUnknownTopic when a topic was deleted, until there is one of the name again, and again when
// the queue has no other; ErrCorruptRecord for a batch that is damaged, whose records nobody will get; an *InterceptError for a
// record that comes again, as after Retry (see Hook).
func (q *Queue) Receive(ctx context.Context, max int) ([]Delivery, error) {
	got, err := q.engine.Receive(ctx, max)
	if err != nil {
		return nil, err
	}
	ds := make([]Delivery, len(got))
	for i := range got {
		ds[i] = deliveryOf(got[i])
	}
	return ds, nil
}

// Deliveries returns an iterator over all deliveries to come, for use with range, by any number of goroutines. It ends,
// after yielding the error, when ctx ends or the queue is closed; other errors are yielded, as Receive returns them,
// and it goes on. Each record is taken when the loop is there for it, none is taken ahead.
func (q *Queue) Deliveries(ctx context.Context) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		q.engine.Deliveries(ctx)(func(d queue.Delivery, err error) bool {
			if err != nil {
				return yield(Delivery{}, err)
			}
			return yield(deliveryOf(d), nil)
		})
	}
}

// Work calls fn for each record, n at once, until ctx ends or the queue is closed. Then it waits for the calls, and
// returns the error of ctx, or ErrClosed. What fn has not decided itself Work does: nil is Ack, an error is Retry, and
// so are a panic, which is logged, and runtime.Goexit. After too many deliveries the record is a dead letter. When the context of Work has
// ended, an error is Release at once. What fn has decided, by a method of d or in a transaction, stays.
//
// Work does not wait for its acknowledgements one by one, so that those of all n share commits: at most 32 of each are
// under way. These are of records that come again after a crash, as do those that fn has in hand. When Work returns all are
// stored, or it was logged why not. Who must know calls Ack, in fn.
//
// The context of fn ends with that of Work, and with the lock of the record, unless Extend was called. Where a topic is
// deleted, a batch damaged, or a record refused by an interceptor, Work goes on with the rest; ErrUnknownTopic when nothing is left.
func (q *Queue) Work(ctx context.Context, n int, fn func(ctx context.Context, d Delivery) error) error {
	if fn == nil {
		return fmt.Errorf("work: %w", errNoFunction)
	}
	return q.engine.Work(ctx, n, func(ctx context.Context, d queue.Delivery) error { return fn(ctx, deliveryOf(d)) })
}

// Ack acknowledges deliveries of the queue, those of each partition together: all of these or none. It is much faster
// than one Ack after the other. With an error those of some partitions may be done.
func (q *Queue) Ack(ctx context.Context, ds ...Delivery) error {
	return q.engine.Ack(ctx, enginesOf(ds))
}

// enginesOf returns deliveries as the engine has them.
func enginesOf(ds []Delivery) []*queue.Delivery {
	all := make([]*queue.Delivery, len(ds))
	for i := range ds {
		all[i] = &ds[i].of
	}
	return all
}

// Ack says that the record is done: nobody gets it again. When it returns nil that is as safe as QueueOptions.Acks says.
func (d Delivery) Ack() error { return d.of.Ack() }

// Release gives the record back: somebody gets it again, not before the time after has passed.
func (d Delivery) Release(after time.Duration) error { return d.of.Release(after) }

// Retry gives the record back, to come again after a wait as QueueOptions.Retry says. After the last delivery that there is
// it becomes a dead letter.
func (d Delivery) Retry() error { return d.of.Retry() }

// Reject says that nobody can do the record: it becomes a dead letter with that reason, in the same commit. Without
// QueueOptions.DeadLetter it is done. Where the dead letter cannot be stored, Reject says why; the record is with nobody
// then, and it is tried again, after a second and then ever less often, up to every 30 s.
func (d Delivery) Reject(reason string) error { return d.of.Reject(reason) }

// Extend has the lock begin anew, by QueueOptions.Lock from now on. Until stays what it was.
func (d Delivery) Extend() error { return d.of.Extend() }

// QueueStats is how far a group is, and what has happened in it since the broker was opened.
type QueueStats struct {
	Lag      int64     // records that are not done
	InFlight int64     // records that somebody has
	Waiting  int64     // records whose time is to come
	Oldest   time.Time // the timestamp of the oldest record that is not done; zero without one

	Deliveries, Acknowledged, Released, Rejected, Expired, DeadLetters int64
}

// Stats returns how far the group of the queue is, in all topics. Groups.Describe tells it by partition.
func (q *Queue) Stats(ctx context.Context) (QueueStats, error) {
	if err := q.b.check(ctx); err != nil {
		return QueueStats{}, fmt.Errorf("queue stats: %w", err)
	}
	all, err := q.engine.Stats(ctx)
	if err != nil {
		return QueueStats{}, fmt.Errorf("queue stats: %w", err)
	}
	var s QueueStats
	for _, p := range all {
		s.Lag += p.Lag
		s.InFlight += int64(p.InFlight)
		s.Waiting += int64(p.Waiting)
		if !p.Oldest.IsZero() && (s.Oldest.IsZero() || p.Oldest.Before(s.Oldest)) {
			s.Oldest = p.Oldest
		}
		s.Deliveries += p.Deliveries
		s.Acknowledged += p.Acknowledged
		s.Released += p.Released
		s.Rejected += p.Rejected
		s.Expired += p.Expired
		s.DeadLetters += p.DeadLetters
	}
	return s, nil
}

// Close ends the queue: who receives gets ErrClosed. It may be called more than once. It waits for the functions of
// Work, which may acknowledge until they return, for 30 s at most: then it is ErrCutOff. What the queue has besides is
// given back: others get it.
func (q *Queue) Close() error { return q.engine.Close() }

// Shutdown is Close that waits until ctx ends. Called by a function of Work it is ErrInCallback, and the queue stays open.
func (q *Queue) Shutdown(ctx context.Context) error { return q.engine.Shutdown(ctx) }

// NotBefore returns a header for records that are to wait: no queue delivers them before t, in whole milliseconds. It is
// Kafka clients' to set, too: ms since the epoch, as decimal digits, under the key NotBeforeHeader. To consumers that are
// no queue it says nothing. A value that is no such number is as if it was not there.
func NotBefore(t time.Time) Header {
	return Header{Key: NotBeforeHeader, Value: strconv.AppendInt(nil, t.UnixMilli(), 10)}
}

// NotBeforeHeader is the key of the header that says before when no queue delivers a record: ms since the epoch, as decimal
// digits. What is no such number says nothing. No KIP has it: to other consumers it is a header like others.
const NotBeforeHeader = share.NotBefore

// The keys of the headers that a dead letter has besides those of its record: Kafka's (KIP-1191). Values are text.
const (
	DeadLetterTopic      = share.HeaderTopic      // the topic in which it was
	DeadLetterPartition  = share.HeaderPartition  // the partition
	DeadLetterOffset     = share.HeaderOffset     // the offset
	DeadLetterGroup      = share.HeaderGroup      // the group that could not do it
	DeadLetterDeliveries = share.HeaderDeliveries // how often it was delivered
	DeadLetterMessage    = share.HeaderMessage    // why: the reason of Reject, the last error in Work, or that it came too often
)

// Ack acknowledges deliveries with the transaction: they are done when it is stored, and only then. When a lock has ended
// by then Update is ErrInvalidRecordState, and nothing is stored; so it is when a delivery is to become another thing in the same
// transaction.
func (tx *Tx) Ack(ds ...Delivery) error {
	return tx.settle(queue.InTx{Type: share.Accept}, ds)
}

// Release gives a delivery back with the transaction: see Delivery.Release, which a function that is called again should
// not call.
func (tx *Tx) Release(d Delivery, after time.Duration) error {
	return tx.settle(queue.InTx{Type: share.Release, After: after}, []Delivery{d})
}

// Reject has a delivery be done with the transaction, and its dead letter be produced by it: see Delivery.Reject.
func (tx *Tx) Reject(d Delivery, reason string) error {
	if name := d.of.DeadLetters(); name != "" && tx.engine.Err() == nil && d.of.Queue() != nil {
		partitions, err := tx.engine.Partitions(name)
		if err != nil {
			return tx.engine.Fail(fmt.Errorf("reject: %w", err))
		}
		if err := tx.produce(ProduceOptions{Partitioner: choose.Manual()}, []Record{d.of.Letter(reason, partitions)}); err != nil {
			return err
		}
	}
	return tx.settle(queue.InTx{Type: share.Reject, Reason: reason}, []Delivery{d})
}

func (tx *Tx) settle(t queue.InTx, ds []Delivery) error {
	err := tx.engine.Err()
	for i := range ds {
		if q := ds[i].of.Queue(); err == nil && q != nil && q.Broker() != &tx.b.queues {
			err = fmt.Errorf("%w: the delivery is of another broker", ErrInvalidOption)
		}
	}
	if err == nil {
		all, synced, wrong := t.Settlements(enginesOf(ds))
		if err = wrong; err == nil {
			return tx.engine.Settle(all, synced)
		}
	}
	return tx.engine.Fail(fmt.Errorf("%s: %w", t.Type, err))
}

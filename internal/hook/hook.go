// Package hook is the functions of the program's that observe what a broker does. Users import the module root.
package hook

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/log"
)

// Hook is functions that observe what a broker does, for tracing and the like, and that change records, for encryption and the like. Those
// that are nil are not called.
//
// The functions that observe are called when what they are told of is over, on the goroutine that has done it and before that goes on: Produce
// returns, a Poll hands out its records, a loop goes on, a promise is called, the next request of a connection is begun, when
// the functions have returned. So they should not wait for anything: what they take, their caller takes. The broker's own order of writes
// never waits for them. They may be called by several goroutines at once.
//
// What they are told belongs to the broker: slices, maps and records, and the bytes of records, are valid during the call and
// not to be changed. Strings, numbers and contexts may be kept. They can change nothing of what has happened.
//
// A panic is caught, told to the logger with its stack, and counted in Stats.HookPanics; what was observed goes on, as do
// the other hooks. A function may use the broker, and is told of that too: one of Produce that produces calls itself. Where a
// promise is ErrInCallback, so is Produce's function of that Producer.
//
// The context is that of the call: of Produce, Poll, Records, Work, Receive, Commit, or the connection. What its values
// say, of a trace for one, is what the program has put there.
//
// # Interceptors
//
// BeforeProduce and BeforeDeliver change records: those of all topics, of which they pick theirs by Record.Topic. They wait as long as they
// have to, and may be called by several goroutines at once. On produce those of a list are called in its order, on deliver in the
// opposite one: what was put on last comes off first. Hooks that observe are told of what the program is given.
//
// A function changes the fields of the records in the slice, which is valid during the call: on produce Key, Value, Headers,
// Timestamp, and Partition for a Partitioner that looks at it; on deliver Key, Value, Headers and Timestamp. The bytes that a field leads to are
// others': it puts new ones in their place, which are the broker's from then on. To append is right: it copies. It
// can neither add records, nor leave any out, nor move them.
//
// It returns how many records it has done, all without an error. With an error it says that records[n] cannot be had: the first n are done,
// those behind are not looked at. The caller meets an *InterceptError, with the record as it was before all functions. A panic is
// caught, logged and counted as above, and is such an error. Nothing is stored, and nothing is given to the program, that a function has not done.
//
// On produce the error is that of Broker.Produce, Update or ProduceSync, which store nothing then, or goes to the promise of its record. A
// program gets back what it has produced as it has given it, with the partition, offset and timestamp that were stored. A function that
// Update calls again produces again, and so do interceptors.
//
// On deliver nothing is lost. A consumer stands before the record, whose error comes with each Poll until the record can be had, or until a
// Seek behind it. A loop goes on with Records, and is given the error again; Work ends. Queue.Receive returns the error once, and the record
// comes again as if the function of Work had failed, until it is a dead letter. Backward, and Range and Watch of a table, yield the error in its
// place and go on. Dead letters are what is stored, without the functions, and so are the rows that a table keeps: they
// are called when one is read, and keys are looked up as they are stored.
//
// All of the Go API calls them, on a Kafka cluster too. What Kafka clients produce and fetch is as it is stored. So is what the HTTP API, the
// console, mirrors, backups and the command samsa read and write, and samsatest.Drain. Keys of Update are not records.
//
// A consumer reads ahead: BeforeDeliver is called before the program asks, with a context that ends with the consumer, for a batch, and again
// for records that were sought or lost meanwhile. What would wait for that, as Poll and Close of the consumer and Close of the broker, is
// ErrInCallback in it. A table's context ends with the table; others are those of the call.
type Hook struct {
	// Name is for the log, and errors.
	Name string
	// BeforeProduce changes records that are to be produced, before their partitions are chosen and their size is looked at: those of a call of
	// Broker.Produce, Tx.Produce or ProduceSync together, and each of Producer.Produce.
	BeforeProduce func(ctx context.Context, records []log.Record) (n int, err error)
	// BeforeDeliver changes records that were read: those of a batch, of one partition and in their order, a consumer's; those of a Receive;
	// or a row of a table.
	BeforeDeliver func(ctx context.Context, records []log.Record) (n int, err error)
	// Produce is told of a call of Broker.Produce or ProduceWith, of an Update that has stored records, and of each batch of a
	// Producer, stored or not. It is told of nothing that Kafka clients do, nor are Deliver and Commit: of that Request is.
	Produce func(ctx context.Context, p ProduceEvent)
	// Deliver is told of records that the program is given: by a Poll or a Queue before it has them, by a loop and by Work, which
	// give them one by one, afterwards and together. They are told when there is nothing more to be given now, of 128 records or
	// about 1 MiB at once, when a second has passed and the loop goes on, and when the loop or Work is over, however it ends. So
	// a record that a loop has not been given when it is left is not told, nor one of which Work has not begun the call.
	Deliver func(ctx context.Context, d DeliverEvent)
	// Commit is told of committed offsets and of acknowledgements of a Queue, stored or not, and of those of an Update that
	// has stored them. Offsets that a consumer commits by itself have its own context, which has no values.
	Commit func(ctx context.Context, c CommitEvent)
	// Request is told of a request of a Kafka client once it is answered.
	Request func(ctx context.Context, r RequestEvent)
	// Mirror is told of each transaction of a mirror that copies from the broker, or to it, stored or not.
	Mirror func(ctx context.Context, m MirrorEvent)
}

// Observes reports whether h has a function.
func (h *Hook) Observes() bool {
	return h.Produce != nil || h.Deliver != nil || h.Commit != nil || h.Request != nil || h.Mirror != nil || h.BeforeProduce != nil || h.BeforeDeliver != nil
}

// ProduceEvent is records that were produced together.
type ProduceEvent struct {
	ClientID string // of a Producer
	Batches  []ProducedBatch
	Began    time.Time // when the call was, or when the batch of a Producer was complete
	Took     time.Duration
	Err      error // why they are not stored, or that this is not known; nil if they are

	// Contexts are, of a Producer, those of the calls that have brought the records, the first of which is also the
	// function's: of neighbours that have the same one it is there once, and of more than 128 the first are.
	Contexts []context.Context
}

// ProducedBatch is the records for one partition.
type ProducedBatch struct {
	log.TopicPartition
	Offset  int64 // of the first record; -1 if it is not known
	Records int
	Bytes   int // of the batch, compressed
}

// DeliverEvent is records that the program is given together.
type DeliverEvent struct {
	Group, ClientID string
	Queue           bool // by a Queue
	Records         []log.Record
	Began           time.Time     // when the program has asked for the first of them; by Work when its call has begun
	Took            time.Duration // until it was given that
}

// CommitEvent is offsets of a consumer that were committed, or records of a Queue that were acknowledged.
type CommitEvent struct {
	Group, ClientID string
	Offsets         map[log.TopicPartition]int64 // nil for a Queue
	Acks            []AckedRange                 // of a Queue
	Auto            bool                         // the consumer did it by itself
	Began           time.Time
	Took            time.Duration
	Err             error
}

// AckedRange is what became of records of a Queue: offsets First to Last, inclusive.
type AckedRange struct {
	log.TopicPartition
	First, Last int64
	Outcome     string // "accept", "release", "reject" or "renew"
}

// RequestEvent is a request of a Kafka client. kafka.PrincipalOf the context that the hook gets with it is who has logged in.
type RequestEvent struct {
	Key, Version       int16
	Name               string // as "Fetch"
	ClientID           string
	Remote             string    // address of the client
	Bytes, AnswerBytes int       // with their lengths; AnswerBytes is 0 without an answer
	Began              time.Time // when it was read
	Took               time.Duration
	Errors             int   // error codes in the answer
	Code               int16 // the first of them, 0 without one
}

// MirrorEvent is what a mirror has copied in one transaction.
type MirrorEvent struct {
	Name       string // of the mirror
	From, To   string // ids of the clusters
	Partitions int
	Records    int64
	Bytes      int64     // of batches, as they were stored
	Began      time.Time // when the transaction was
	Took       time.Duration
	Err        error // why it is not stored, or that this is not known; nil if it is
}

// Hooks are those of a broker. nil has none. The methods may be called by anybody at any time.
type Hooks struct {
	all    []Hook
	logger *zap.Logger
	panics atomic.Int64
	memory sync.Pool
	spare  atomic.Pointer[Memory] // one more of memory, which is there sooner

	produce, deliver, commit, request, mirror bool // somebody observes
	beforeProduce, beforeDeliver              bool // somebody intercepts
}

// New returns hooks that call all in their order, nil for none.
func New(all []Hook, logger *zap.Logger) *Hooks {
	if len(all) == 0 {
		return nil
	}
	h := &Hooks{all: append([]Hook(nil), all...), logger: logger}
	for i := range h.all {
		h.produce = h.produce || h.all[i].Produce != nil
		h.deliver = h.deliver || h.all[i].Deliver != nil
		h.commit = h.commit || h.all[i].Commit != nil
		h.request = h.request || h.all[i].Request != nil
		h.mirror = h.mirror || h.all[i].Mirror != nil
		h.beforeProduce = h.beforeProduce || h.all[i].BeforeProduce != nil
		h.beforeDeliver = h.beforeDeliver || h.all[i].BeforeDeliver != nil
	}
	return h
}

// Produces reports whether somebody observes what is produced: else nothing need be gathered for it. Delivers, Commits,
// Requests and Mirrors are as it.
func (h *Hooks) Produces() bool { return h != nil && h.produce }

// Delivers is as Produces.
func (h *Hooks) Delivers() bool { return h != nil && h.deliver }

// Commits is as Produces.
func (h *Hooks) Commits() bool { return h != nil && h.commit }

// Requests is as Produces.
func (h *Hooks) Requests() bool { return h != nil && h.request }

// Mirrors is as Produces.
func (h *Hooks) Mirrors() bool { return h != nil && h.mirror }

// Panics returns how many were caught.
func (h *Hooks) Panics() int64 {
	if h == nil {
		return 0
	}
	return h.panics.Load()
}

// Produced tells p to who observes it.
func (h *Hooks) Produced(ctx context.Context, p *ProduceEvent) {
	for i := range h.all {
		if h.all[i].Produce != nil {
			h.produced(ctx, i, p)
		}
	}
}

func (h *Hooks) produced(ctx context.Context, i int, p *ProduceEvent) {
	defer h.caught(i)
	h.all[i].Produce(ctx, *p)
}

// Delivered tells d to who observes it.
func (h *Hooks) Delivered(ctx context.Context, d *DeliverEvent) {
	for i := range h.all {
		if h.all[i].Deliver != nil {
			h.delivered(ctx, i, d)
		}
	}
}

func (h *Hooks) delivered(ctx context.Context, i int, d *DeliverEvent) {
	defer h.caught(i)
	h.all[i].Deliver(ctx, *d)
}

// Committed tells c to who observes it.
func (h *Hooks) Committed(ctx context.Context, c *CommitEvent) {
	for i := range h.all {
		if h.all[i].Commit != nil {
			h.committed(ctx, i, c)
		}
	}
}

func (h *Hooks) committed(ctx context.Context, i int, c *CommitEvent) {
	defer h.caught(i)
	h.all[i].Commit(ctx, *c)
}

// Requested tells r to who observes it.
func (h *Hooks) Requested(ctx context.Context, r *RequestEvent) {
	for i := range h.all {
		if h.all[i].Request != nil {
			h.requested(ctx, i, r)
		}
	}
}

func (h *Hooks) requested(ctx context.Context, i int, r *RequestEvent) {
	defer h.caught(i)
	h.all[i].Request(ctx, *r)
}

// Mirrored tells m to who observes it.
func (h *Hooks) Mirrored(ctx context.Context, m *MirrorEvent) {
	for i := range h.all {
		if h.all[i].Mirror != nil {
			h.mirrored(ctx, i, m)
		}
	}
}

func (h *Hooks) mirrored(ctx context.Context, i int, m *MirrorEvent) {
	defer h.caught(i)
	h.all[i].Mirror(ctx, *m)
}

// caught catches a panic of a function of a hook. It is deferred.
func (h *Hooks) caught(i int) {
	if v := recover(); v != nil {
		h.panicked(i, v)
	}
}

// Memory is for what events have, so that telling allocates nothing.
type Memory struct {
	Records []log.Record
	Offsets map[log.TopicPartition]int64
	Acks    []AckedRange
}

// Borrow returns memory, which is empty, until Return.
func (h *Hooks) Borrow() *Memory {
	if m := h.spare.Swap(nil); m != nil {
		return m
	}
	if m, ok := h.memory.Get().(*Memory); ok {
		return m
	}
	return &Memory{Offsets: make(map[log.TopicPartition]int64)}
}

// maxKept is how many things memory has room for that is kept.
const maxKept = 1000

// Return empties memory, and ends the use of it.
func (h *Hooks) Return(m *Memory) {
	if cap(m.Records) > maxKept || len(m.Offsets) > maxKept || cap(m.Acks) > maxKept {
		return
	}
	clear(m.Records)
	clear(m.Acks)
	if len(m.Offsets) > 0 {
		clear(m.Offsets)
	}
	m.Records, m.Acks = m.Records[:0], m.Acks[:0]
	if !h.spare.CompareAndSwap(nil, m) {
		h.memory.Put(m)
	}
}

// Package hook is the functions of the program's that observe what a broker does. Users import the module root.
package hook

import (
	"context"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/log"
)

// Hook is functions that observe what a broker does, for tracing and the like. Those that are nil are not called.
//
// A function is called when what it is told of is over, on the goroutine that has done it and before that goes on: Produce
// returns, a Poll hands out its records, a loop goes on, a promise is called, the next request of a connection is begun, when
// the functions have returned. So they should not wait for anything: what they take, their caller takes. The broker's own order of writes
// never waits for them. They may be called by several goroutines at once.
//
// What they are told belongs to the broker: slices, maps and records, and the bytes of records, are valid during the call and
// not to be changed. Strings, numbers and contexts may be kept. A hook observes: it can change nothing of what has happened.
//
// A panic is caught, told to the logger with its stack, and counted in Stats.HookPanics; what was observed goes on, as do
// the other hooks. A function may use the broker, and is told of that too: one of Produce that produces calls itself. Where a
// promise is ErrInCallback, so is Produce's function of that Producer.
//
// The context is that of the call: of Produce, Poll, Records, Work, Receive, Commit, or the connection. What its values
// say, of a trace for one, is what the program has put there.
type Hook struct {
	// Name is for the log.
	Name string
	// Produce is told of a call of Broker.Produce or ProduceWith, of an Update that has stored records, and of each batch of a
	// Producer, stored or not. It is not told of the records that Kafka clients produce: Request is.
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
	return h.Produce != nil || h.Deliver != nil || h.Commit != nil || h.Request != nil || h.Mirror != nil
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

// RequestEvent is a request of a Kafka client.
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
		h.panics.Add(1)
		h.logger.Error("a hook has panicked", zap.String("hook", h.all[i].Name), zap.Int("number", i), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
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

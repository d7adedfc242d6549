package samsa

import "github.com/samsa-go/samsa/internal/hook"

// What Options.Hooks are told.
type (
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
	//
	//	type Hook struct {
	//		// Name is for the log.
	//		Name string
	//		// Produce is told of a call of Broker.Produce or ProduceWith, of an Update that has stored records, and of each batch of a
	//		// Producer, stored or not. It is not told of the records that Kafka clients produce: Request is.
	//		Produce func(ctx context.Context, p ProduceEvent)
	//		// Deliver is told of records that the program is given: by a Poll or a Queue before it has them, by a loop and by Work, which
	//		// give them one by one, afterwards and together. They are told when there is nothing more to be given now, of 128 records or
	//		// about 1 MiB at once, when a second has passed and the loop goes on, and when the loop or Work is over, however it ends. So
	//		// a record that a loop has not been given when it is left is not told, nor one of which Work has not begun the call.
	//		Deliver func(ctx context.Context, d DeliverEvent)
	//		// Commit is told of committed offsets and of acknowledgements of a Queue, stored or not, and of those of an Update that
	//		// has stored them. Offsets that a consumer commits by itself have its own context, which has no values.
	//		Commit func(ctx context.Context, c CommitEvent)
	//		// Request is told of a request of a Kafka client once it is answered.
	//		Request func(ctx context.Context, r RequestEvent)
	//		// Mirror is told of each transaction of a mirror that copies from the broker, or to it, stored or not.
	//		Mirror func(ctx context.Context, m MirrorEvent)
	//	}
	//
	//	// Observes reports whether h has a function.
	//	func (h *Hook) Observes() bool
	Hook = hook.Hook
	// ProduceEvent is records that were produced together.
	//
	//	type ProduceEvent struct {
	//		ClientID string // of a Producer
	//		Batches  []ProducedBatch
	//		Began    time.Time // when the call was, or when the batch of a Producer was complete
	//		Took     time.Duration
	//		Err      error // why they are not stored, or that this is not known; nil if they are
	//
	//		// Contexts are, of a Producer, those of the calls that have brought the records, the first of which is also the
	//		// function's: of neighbours that have the same one it is there once, and of more than 128 the first are.
	//		Contexts []context.Context
	//	}
	ProduceEvent = hook.ProduceEvent
	// ProducedBatch is the records for one partition.
	//
	//	type ProducedBatch struct {
	//		TopicPartition
	//		Offset  int64 // of the first record; -1 if it is not known
	//		Records int
	//		Bytes   int // of the batch, compressed
	//	}
	ProducedBatch = hook.ProducedBatch
	// DeliverEvent is records that the program is given together.
	//
	//	type DeliverEvent struct {
	//		Group, ClientID string
	//		Queue           bool // by a Queue
	//		Records         []Record
	//		Began           time.Time     // when the program has asked for the first of them; by Work when its call has begun
	//		Took            time.Duration // until it was given that
	//	}
	DeliverEvent = hook.DeliverEvent
	// CommitEvent is offsets of a consumer that were committed, or records of a Queue that were acknowledged.
	//
	//	type CommitEvent struct {
	//		Group, ClientID string
	//		Offsets         map[TopicPartition]int64 // nil for a Queue
	//		Acks            []AckedRange             // of a Queue
	//		Auto            bool                     // the consumer did it by itself
	//		Began           time.Time
	//		Took            time.Duration
	//		Err             error
	//	}
	CommitEvent = hook.CommitEvent
	// AckedRange is what became of records of a Queue: offsets First to Last, inclusive.
	//
	//	type AckedRange struct {
	//		TopicPartition
	//		First, Last int64
	//		Outcome     string // "accept", "release", "reject" or "renew"
	//	}
	AckedRange = hook.AckedRange
	// RequestEvent is a request of a Kafka client.
	//
	//	type RequestEvent struct {
	//		Key, Version       int16
	//		Name               string // as "Fetch"
	//		ClientID           string
	//		Remote             string    // address of the client
	//		Bytes, AnswerBytes int       // with their lengths; AnswerBytes is 0 without an answer
	//		Began              time.Time // when it was read
	//		Took               time.Duration
	//		Errors             int   // error codes in the answer
	//		Code               int16 // the first of them, 0 without one
	//	}
	RequestEvent = hook.RequestEvent
	// MirrorEvent is what a mirror has copied in one transaction.
	//
	//	type MirrorEvent struct {
	//		Name       string // of the mirror
	//		From, To   string // ids of the clusters
	//		Partitions int
	//		Records    int64
	//		Bytes      int64     // of batches, as they were stored
	//		Began      time.Time // when the transaction was
	//		Took       time.Duration
	//		Err        error // why it is not stored, or that this is not known; nil if it is
	//	}
	MirrorEvent = hook.MirrorEvent
)

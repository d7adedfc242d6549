package samsa

import "github.com/samsa-go/samsa/internal/hook"

// What Options.Hooks are told.
type (
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
	//
	//	type Hook struct {
	//		// Name is for the log, and errors.
	//		Name string
	//		// BeforeProduce changes records that are to be produced, before their partitions are chosen and their size is looked at: those of a call of
	//		// Broker.Produce, Tx.Produce or ProduceSync together, and each of Producer.Produce.
	//		BeforeProduce func(ctx context.Context, records []Record) (n int, err error)
	//		// BeforeDeliver changes records that were read: those of a batch, of one partition and in their order, a consumer's; those of a Receive;
	//		// or a row of a table.
	//		BeforeDeliver func(ctx context.Context, records []Record) (n int, err error)
	//		// Produce is told of a call of Broker.Produce or ProduceWith, of an Update that has stored records, and of each batch of a
	//		// Producer, stored or not. It is told of nothing that Kafka clients do, nor are Deliver and Commit: of that Request is.
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
	// RequestEvent is a request of a Kafka client. kafka.PrincipalOf the context that the hook gets with it is who has logged in.
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
	// InterceptError says that BeforeProduce or BeforeDeliver of a Hook has refused a record.
	//
	//	type InterceptError struct {
	//		Hook   string // Name of the Hook
	//		Record Record // as it was given to be produced, or as it is stored
	//		Err    error  // what the function has returned, or that it has panicked, or broken a rule
	//	}
	//
	//	// Error implements error.
	//	func (e *InterceptError) Error() string
	//
	//	// Unwrap returns Err.
	//	func (e *InterceptError) Unwrap() error
	InterceptError = hook.InterceptError
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

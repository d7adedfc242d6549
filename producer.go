package samsa

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/option"
)

// ProduceOptions says how records are stored by Broker.Produce and in transactions. In
// Options.Produce zero fields are the defaults; in ProduceWith they are what Options.Produce says.
type ProduceOptions struct {
	// Acks is what a call waits for: AckStored, the default, or AckSynced. ProduceWith can ask for more than
	// Options.Produce, and not for less.
	Acks Acks
	// Compression of batches; snappy by default. A topic may have one of its own, which is used
	// instead.
	Compression Compression
	// Partitioner chooses the partition of each record; HashPartitioner() by default. One that is
	// given to ProduceWith begins anew with each call: a round robin with partition 0.
	Partitioner Partitioner
}

// Produce stores records, for any topics, all or none of them, and returns them with
// partition, offset and timestamp filled in, in the order given. When it returns, they
// are visible to consumers and as safe as Options.Produce.Acks says.
//
// When it returns an error none of the records is stored, except for ErrOutcomeUnknown, which
// leaves that open until the broker is opened again. That holds for the end of ctx too:
// records whose storing has begun are seen through. The bytes of the records may be
// reused when Produce returns.
//
// A record is at most the topic's max.message.bytes long with its overhead, else
// ErrRecordTooLarge; all records together fit into one store transaction, 32 MiB and 16384
// batches, else ErrTxTooLarge. For throughput use a Producer.
func (b *Broker) Produce(ctx context.Context, records ...Record) ([]Record, error) {
	return b.ProduceWith(ctx, ProduceOptions{}, records...)
}

// ProduceWith is Produce with options for this call.
func (b *Broker) ProduceWith(ctx context.Context, opts ProduceOptions, records ...Record) ([]Record, error) {
	if err := b.checkWrite(ctx); err != nil {
		return nil, fmt.Errorf("produce: %w", err)
	}
	if len(records) == 0 {
		return nil, nil
	}
	out := slices.Clone(records)
	stored, err := b.intercepted(ctx, out)
	if err == nil {
		err = b.on.Producing.Produce(ctx, engine.ProduceOptions(opts), stored)
	}
	if err != nil {
		return nil, fmt.Errorf("produce: %w", err)
	}
	placed(out, stored)
	return out, nil
}

// intercepted is what is stored of records: what interceptors make of them, or themselves.
func (b *Broker) intercepted(ctx context.Context, records []Record) ([]Record, error) {
	if !b.hooks.ChangesProduced(ctx) {
		return records, nil
	}
	return b.hooks.BeforeProduce(ctx, records)
}

// placed gives records the places of those that were stored for them, and their times.
func placed(records, stored []Record) {
	for i := range stored {
		records[i].Partition, records[i].Offset, records[i].Timestamp = stored[i].Partition, stored[i].Offset, stored[i].Timestamp
	}
}

// Promise is called once a record's fate is known: with its partition, offset and
// timestamp filled in, or with an error. The promises of one producer are called one
// after the other, those of one partition in the order of Produce.
//
// What would wait for the promise itself is ErrInCallback: Flush, Close, Shutdown and ProduceSync of
// its producer, Produce while its buffer is full, and Close of the broker. A promise that panics ends
// the process, as there is no call that the panic could come out of.
type Promise func(r Record, err error)

// Producer collects records into batches and stores them in the background. Its methods
// may be called by anybody at any time; records of one goroutine keep their order
// within a partition.
type Producer struct {
	b      *Broker
	engine engine.Producer
}

// NewProducer returns a producer. Close it, or the broker, to send what it holds. The producer lives
// on when ctx ends. One with an ID has fenced the producer that had it before, if there is one, also when
// NewProducer fails after that.
func (b *Broker) NewProducer(ctx context.Context, opts ProducerOptions) (*Producer, error) {
	var wrong option.Mistakes
	engine.ProducerOptions(opts).Check(&wrong, "ProducerOptions")
	err := wrong.Err()
	if err == nil {
		err = b.checkWrite(ctx)
	}
	p := &Producer{b: b}
	if err == nil {
		p.engine, err = b.on.Producing.NewProducer(ctx, engine.ProducerOptions(opts))
	}
	if err != nil {
		return nil, fmt.Errorf("new producer: %w", err)
	}
	return p, nil
}

// ProducerOptions says how a producer works. The zero value is right for most.
type ProducerOptions struct {
	// Acks is what a record waits for before its promise is called: AckStored (the
	// default), AckSynced or AckNone.
	Acks Acks
	// Compression of batches; snappy by default. A topic may have one of its own, which is
	// used instead.
	Compression Compression
	// Partitioner chooses the partition of each record; HashPartitioner() by default.
	Partitioner Partitioner
	// Linger is how long a batch may wait for more records while nothing else is on its
	// way to its partition. 0, the default, waits for nothing: batches grow by
	// themselves while earlier ones are being stored. At most 1 minute.
	Linger time.Duration
	// BatchBytes is the size, before compression, at which a batch is complete. 0 means
	// 64 KiB; a topic's max.message.bytes bounds it too. At most 16 MiB.
	BatchBytes int
	// BufferedBytes bounds the records that are not acknowledged yet, with what is kept for their
	// promises: 96 bytes each. Produce blocks while they exceed it. 0 means 32 MiB.
	BufferedBytes int
	// ClientID names the program for people: in the broker's log, in errors of Close, and in the test
	// kit. Any number of producers may have the same one (client.id).
	ClientID string
	// ID names the producer, over restarts and crashes, and makes it idempotent (KIP-98): its
	// records are numbered in each partition, and how far they have got is stored with them:
	// see Producer.Stored. A name has one producer at a time; a new one fences the old one,
	// whose records get ErrProducerFenced from then on. When a record fails after its batch was
	// complete, those behind it in its partition get ErrOutOfOrderSequence, until a new
	// producer of the name goes on: else they would have its number. At most 512 bytes. A name
	// that nobody writes with or has open for 7 days is forgotten, everywhere at once.
	ID string
	// Replay says that the producer is given the records of its ID once more from the very
	// first on, the same ones in the same order, as after a crash that left unknown which
	// of them are stored. Those that are stored are acknowledged, with offset -1, and not
	// stored again. So each ID stands for one piece of work, say "import/2026-11-25.csv",
	// which is done exactly once however often it is begun. Where a record goes must not
	// depend on chance: a record without a key in a topic with several partitions is
	// ErrInvalidRecord, unless ManualPartitioner, RoundRobinPartitioner or PartitionerFunc chooses, and the topic
	// must not get partitions meanwhile.
	Replay bool
}

// Produce hands over a record and calls promise, which may be nil, when its fate is
// known: see Promise. It blocks while the buffer is full, until ctx ends. The bytes of r
// may be reused when Produce returns; the record given to the promise refers to them.
//
// With AckNone, and for what Replay finds stored already, the promise is called at once, with
// offset -1, which stands for unknown.
//
// A record that cannot be taken gets its error from the promise too, at once: an
// unknown topic, a record that is too large, a context that has ended, a closed producer.
func (p *Producer) Produce(ctx context.Context, r Record, promise Promise) {
	if p.b.hooks.ChangesProduced(ctx) {
		p.intercept(ctx, r, promise)
		return
	}
	p.engine.Produce(ctx, r, promise)
}

// intercept is Produce where there are interceptors.
func (p *Producer) intercept(ctx context.Context, r Record, promise Promise) {
	given := []Record{r}
	changed, err := p.b.hooks.BeforeProduce(ctx, given)
	switch {
	case err != nil && promise != nil:
		promise(r, fmt.Errorf("produce: %w", err))
	case err != nil:
	case promise == nil:
		p.engine.Produce(ctx, changed[0], nil)
	default:
		p.engine.Produce(ctx, changed[0], func(stored Record, err error) {
			placed(given, []Record{stored})
			promise(given[0], err)
		})
	}
}

// ProduceSync hands over records and waits for all their fates, or until ctx ends. It returns
// them with partition, offset and timestamp, and the first error. Unlike Broker.Produce some may
// be stored when others fail; when an interceptor refuses one (see Hook) none is handed over. After the end of ctx those whose fate was not known yet are returned
// as they were given, and the error is ErrOutcomeUnknown: they may be stored or not.
func (p *Producer) ProduceSync(ctx context.Context, records ...Record) ([]Record, error) {
	out := slices.Clone(records)
	stored, err := p.b.intercepted(ctx, out)
	if err != nil {
		return out, fmt.Errorf("produce: %w", err)
	}
	err = p.engine.ProduceSync(ctx, stored)
	placed(out, stored)
	return out, err
}

// Flush returns when the fate of every record that was produced before the call is
// known and its promise has returned, or when ctx ends. It cuts lingering short.
func (p *Producer) Flush(ctx context.Context) error { return p.engine.Flush(ctx) }

// Buffered returns the bytes of the records whose fate is not known yet.
func (p *Producer) Buffered() int { return p.engine.Buffered() }

// Stored returns how many records the producers of this ID have stored in the partition
// so far; it counts those that retention has removed since. A program that knows where in its
// input the n-th record comes from can go on there. Without an ID it is ErrInvalidOption; where
// what was stored of the ID is damaged it is ErrCorruptValue, and so is producing with it.
func (p *Producer) Stored(ctx context.Context, tp TopicPartition) (int64, error) {
	return p.engine.Stored(ctx, tp)
}

// Close sends what is buffered, waits for the promises and ends the producer. Produce
// gets ErrClosed from now on. Close may be called more than once. It returns nil, or ErrCutOff
// when a promise does not return for 30 s; what is left to be done is done when it does.
func (p *Producer) Close() error { return p.engine.Close() }

// Shutdown is Close that waits until ctx ends, for as long or as short as the caller likes. When records have no
// fate by then, or a promise has not returned, it is ErrCutOff, which wraps the error of ctx. The producer is
// closed all the same, and no record is given up: it goes on to send what it holds, and each promise is called
// once. Close of the broker waits for that; what the broker is closed without gets ErrClosed.
//
// It may be called more than once, and beside Close. Called by a promise of the producer it is ErrInCallback, and
// the producer stays open.
func (p *Producer) Shutdown(ctx context.Context) error { return p.engine.Shutdown(ctx) }

package engine

import (
	"cmp"
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
)

// Producing stores records.
type Producing interface {
	// Produce stores records, at least one, for any topics, all or none of them, and fills in partition, offset and timestamp. When
	// it returns nil they are visible to consumers of what is committed, and as safe as opts say. The slice and the bytes
	// that it leads to are Produce's until it returns; what it fills in means nothing when it fails. It checks opts, which the
	// options of the broker complete.
	//
	// It ends with ctx: then nothing is stored, unless it is ErrOutcomeUnknown besides. Other errors are ErrUnknownTopic,
	// ErrUnknownPartition, ErrRecordTooLarge, ErrInvalidRecord, ErrInvalidTimestamp and ErrTxTooLarge, with nothing stored.
	Produce(ctx context.Context, opts ProduceOptions, records []log.Record) error
	// NewProducer returns a producer, which outlives ctx. The options were checked. With an ID it has fenced the producer of
	// that ID before it returns. It is one of the broker's clients: the broker ends it, if nobody else does.
	NewProducer(ctx context.Context, opts ProducerOptions) (Producer, error)
}

// Producer collects records and stores them in the background: see samsa.Producer, whose methods these are. Its methods may be
// called by anybody at any time.
type Producer interface {
	// Produce takes r, whose bytes are the caller's again when it returns; the promise, which may be nil, refers to them.
	// It waits while ProducerOptions.BufferedBytes are taken, until ctx ends. Promises come one after the other, those of a
	// partition in the order of Produce, on a goroutine of the producer; a record that is not taken has its promise called
	// inside Produce.
	Produce(ctx context.Context, r log.Record, promise func(log.Record, error))
	// ProduceSync produces records, waits until all their fates are known, or ctx has ended, and fills them in as their promises
	// have them. It returns the first error, and ErrOutcomeUnknown besides when ctx ends with fates unknown: these records stay
	// as they were. Nothing touches the slice once it has returned.
	ProduceSync(ctx context.Context, records []log.Record) error
	Flush(ctx context.Context) error
	Buffered() int
	// Stored returns how many records the producers of this ID have stored in a partition; ErrInvalidOption without an ID.
	Stored(ctx context.Context, tp log.TopicPartition) (int64, error)
	Close() error
	Shutdown(ctx context.Context) error
}

// ProduceOptions is samsa.ProduceOptions.
type ProduceOptions struct {
	Acks        log.Acks
	Compression log.Compression
	Partitioner choose.Partitioner
}

// Over returns o, and what is zero of it from defaults.
func (o ProduceOptions) Over(defaults ProduceOptions) ProduceOptions {
	o.Acks = max(o.Acks, defaults.Acks) // AckSynced is the greater
	o.Compression = cmp.Or(o.Compression, defaults.Compression)
	if o.Partitioner == nil {
		o.Partitioner = defaults.Partitioner
	}
	return o
}

// Check notes what is wrong with the options of that name.
func (o ProduceOptions) Check(w *option.Mistakes, where string) {
	w.Check(o.Acks == log.AckStored || o.Acks == log.AckSynced, where+".Acks", o.Acks, "AckStored or AckSynced, as there are offsets to be returned")
	checkBatches(w, where, o.Compression, o.Partitioner)
}

// checkBatches notes what is wrong with how batches are made.
func checkBatches(w *option.Mistakes, where string, c log.Compression, p choose.Partitioner) {
	w.Check(log.KnownCompression(c), where+".Compression", c, "one of the Compression constants")
	w.Check(p == nil || choose.Usable(p), where+".Partitioner", "one that cannot choose", "neither PartitionerFunc(nil) nor nil for a topic")
}

// ProducerOptions is samsa.ProducerOptions.
type ProducerOptions struct {
	Acks          log.Acks
	Compression   log.Compression
	Partitioner   choose.Partitioner
	Linger        time.Duration
	BatchBytes    int
	BufferedBytes int
	ClientID      string
	ID            string
	Replay        bool
}

const (
	defaultBatchBytes    = 64 << 10
	defaultBufferedBytes = 32 << 20
	maxBatchBytes        = 16 << 20
	maxLinger            = time.Minute
	maxProducerID        = 512 // bytes of ProducerOptions.ID
)

// WithDefaults returns o with every field filled in that has a default.
func (o ProducerOptions) WithDefaults() ProducerOptions {
	if o.Partitioner == nil {
		o.Partitioner = choose.Hash()
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = defaultBatchBytes
	}
	if o.BufferedBytes == 0 {
		o.BufferedBytes = defaultBufferedBytes
	}
	return o
}

// Check notes what is wrong with the options of that name.
func (o ProducerOptions) Check(w *option.Mistakes, where string) {
	w.Check(o.Acks >= log.AckStored && o.Acks <= log.AckNone, where+".Acks", o.Acks, "AckStored, AckSynced or AckNone")
	checkBatches(w, where, o.Compression, o.Partitioner)
	w.Check(o.Linger >= 0 && o.Linger <= maxLinger, where+".Linger", o.Linger, "0 to 1 minute")
	w.Check(o.BatchBytes >= 0 && o.BatchBytes <= maxBatchBytes, where+".BatchBytes", o.BatchBytes, "0 to 16 MiB")
	w.Check(o.BufferedBytes >= 0, where+".BufferedBytes", o.BufferedBytes, "0 or more")
	w.Check(utf8.ValidString(o.ClientID), where+".ClientID", fmt.Sprintf("%q", o.ClientID), "UTF-8")
	w.Check(len(o.ID) <= maxProducerID, where+".ID", fmt.Sprintf("%d bytes long", len(o.ID)), "at most 512")
	w.Check(o.ID != "" || !o.Replay, where+".Replay", o.Replay, "false without an ID")
}

package samsa

import (
	"fmt"
	"log/slog"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/internal/slogzap"
	"github.com/samsa-go/samsa/partition/choose"
	"github.com/samsa-go/samsa/partition/producers"
)

// Options says how Open opens a broker. The zero value is right for most.
type Options struct {
	// InMemory keeps everything in memory; the directory given to Open must be empty.
	InMemory bool
	// AutoCreateTopics creates a topic, as TopicDefaults says, when records are produced
	// to one or consumed from one that does not exist. Else that is ErrUnknownTopic.
	AutoCreateTopics bool
	// TopicDefaults fills in the zero fields of configs given to Topics().Create.
	TopicDefaults TopicConfig
	// Groups are the limits on consumer groups.
	Groups GroupOptions
	// Produce says how Broker.Produce works: its Acks, Compression and Partitioner;
	// the other fields matter to producers only and must be zero.
	Produce ProducerOptions
	// MinFreeBytes is how many bytes of the disk appends leave to others: while fewer are free they get
	// ErrDiskFull. 0 means 64 MiB, or a sixteenth of a smaller file system. What makes room, as to delete a
	// topic, and offset commits do not ask: the broker has space of its own for them.
	MinFreeBytes int64
	// RebuildIndex has Open make the index anew from the value files, whatever is left of it, when errors
	// say that it is not whole: a file of the directory index is missing or damaged, or both
	// MANIFEST.0 and MANIFEST.1 are. All that is stored is there as it was, then. Open reads all value files for it,
	// once, and the beginning of each batch again. What is damaged of the value files themselves it cannot
	// mend: it fails with ErrCorruptValue and leaves them as they are. When it is interrupted, or
	// the disk is full, the next Open needs it again.
	RebuildIndex bool
	// RetentionInterval is how often the broker looks for records that may go; 0 means
	// 5 min. Partitions with a limit in bytes are looked at besides while they are written.
	RetentionInterval time.Duration
	// MaxUpdateRetries is how often Update calls its function again after a conflict; 0 means
	// 10, and -1 never.
	MaxUpdateRetries int
	// Logger gets what an operator should know: at info what was opened, created, changed and
	// closed, and rebalances; at warn and error damage, what was cut, failures of the store. nil
	// is silent.
	Logger *zap.Logger
	// Slog is for programs that do not use zap, instead of Logger.
	Slog *slog.Logger
}

func (o Options) withDefaults() Options {
	o.Produce = o.Produce.withDefaults()
	if o.RetentionInterval == 0 {
		o.RetentionInterval = defaultRetentionInterval
	}
	switch o.MaxUpdateRetries {
	case 0:
		o.MaxUpdateRetries = defaultUpdateRetries
	case -1:
		o.MaxUpdateRetries = 0
	}
	switch {
	case o.Slog != nil:
		o.Logger = zap.New(slogzap.New(o.Slog.Handler()), zap.AddCaller())
	case o.Logger == nil:
		o.Logger = zap.NewNop()
	}
	return o
}

// validate reports all wrong fields at once.
func (o Options) validate(dir string) error {
	var w option.Mistakes
	w.Check(dir != "" || o.InMemory, "dir", `""`, "a directory, or Options.InMemory")
	w.Check(dir == "" || !o.InMemory, "dir", fmt.Sprintf("%q", dir), "no directory with Options.InMemory")
	w.Check(o.MinFreeBytes >= 0, "Options.MinFreeBytes", o.MinFreeBytes, "0 or more")
	w.Check(o.RetentionInterval >= 0, "Options.RetentionInterval", o.RetentionInterval, "0 or more")
	w.Check(o.MaxUpdateRetries >= -1, "Options.MaxUpdateRetries", o.MaxUpdateRetries, "-1 or more")
	if err := o.TopicDefaults.Validate(); err != nil {
		w = append(w, fmt.Errorf("%w: Options.TopicDefaults: %s", ErrInvalidOption, err.Error()))
	}
	o.Groups.check(&w)
	w.Check(o.Logger == nil || o.Slog == nil, "Options.Slog", "set", "nil, with Options.Logger")
	o.Produce.check(&w, "Options.Produce")
	w.Check(o.Produce.Linger == 0, "Options.Produce.Linger", o.Produce.Linger, "0, Broker.Produce does not wait")
	w.Check(o.Produce.BatchBytes == 0, "Options.Produce.BatchBytes", o.Produce.BatchBytes, "0, a call makes its own batches")
	w.Check(o.Produce.BufferedBytes == 0, "Options.Produce.BufferedBytes", o.Produce.BufferedBytes, "0, Broker.Produce buffers nothing")
	w.Check(o.Produce.ID == "", "Options.Produce.ID", fmt.Sprintf("%q", o.Produce.ID), `"", it is a producer's`)
	w.Check(o.Produce.Acks != AckNone, "Options.Produce.Acks", o.Produce.Acks, "stored or synced, Broker.Produce returns offsets")
	return w.Err()
}

const (
	defaultUpdateRetries     = 10
	defaultRetentionInterval = 5 * time.Minute // Kafka's log.retention.check.interval.ms
)

// ProducerOptions says how a producer works. The zero value is right for most.
type ProducerOptions struct {
	// Acks is what a record waits for before its promise is called: AckStored (the
	// default), AckSynced or AckNone.
	Acks Acks
	// Compression of batches; snappy by default. A topic may have one of its own, which is
	// used instead.
	Compression Compression
	// Partitioner chooses the partition of each record; KeyHash() by default.
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
	// ID names the producer, over restarts and crashes, and makes it idempotent (KIP-98): its
	// records are numbered in each partition, and how far they have got is stored with them:
	// see Producer.Stored. A name has one producer at a time; a new one fences the old one,
	// whose records get ErrProducerFenced from then on. When a record fails after its batch was
	// complete, those behind it in its partition get ErrOutOfOrderSequence, until a new
	// producer of the name goes on: else they would have its number. At most 512 bytes. A name
	// that is not used for 7 days is forgotten.
	ID string
	// Replay says that the producer is given the records of its ID once more from the very
	// first on, the same ones in the same order, as after a crash that left unknown which
	// of them are stored. Those that are stored are acknowledged, with offset -1, and not
	// stored again. So each ID stands for one piece of work, say "import/2026-11-25.csv",
	// which is done exactly once however often it is begun. Where a record goes must not
	// depend on chance: a record without a key in a topic with several partitions is
	// ErrInvalidRecord, unless ManualPartition, RoundRobin or PartitionFunc chooses, and the topic
	// must not get partitions meanwhile.
	Replay bool
}

const (
	defaultBatchBytes    = 64 << 10
	defaultBufferedBytes = 32 << 20
	maxBatchBytes        = 16 << 20
	maxLinger            = time.Minute
)

func (o ProducerOptions) withDefaults() ProducerOptions {
	if o.Partitioner == nil {
		o.Partitioner = KeyHash()
	}
	if o.BatchBytes == 0 {
		o.BatchBytes = defaultBatchBytes
	}
	if o.BufferedBytes == 0 {
		o.BufferedBytes = defaultBufferedBytes
	}
	return o
}

func (o ProducerOptions) check(w *option.Mistakes, where string) {
	w.Check(o.Acks >= AckStored && o.Acks <= AckNone, where+".Acks", o.Acks, "AckStored, AckSynced or AckNone")
	w.Check(o.Compression.Valid(), where+".Compression", o.Compression, "one of the Compression constants")
	w.Check(o.Partitioner == nil || choose.Usable(o.Partitioner), where+".Partitioner", "PartitionFunc(nil)", "a function")
	w.Check(o.Linger >= 0 && o.Linger <= maxLinger, where+".Linger", o.Linger, "0 to 1 minute")
	w.Check(o.BatchBytes >= 0 && o.BatchBytes <= maxBatchBytes, where+".BatchBytes", o.BatchBytes, "0 to 16 MiB")
	w.Check(o.BufferedBytes >= 0, where+".BufferedBytes", o.BufferedBytes, "0 or more")
	w.Check(len(o.ID) <= producers.MaxName, where+".ID", fmt.Sprintf("%d bytes long", len(o.ID)), "at most 512")
	w.Check(o.ID != "" || !o.Replay, where+".Replay", o.Replay, "false without an ID")
}

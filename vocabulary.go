package samsa

import (
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
	"github.com/samsa-go/samsa/topic"
)

// The vocabulary of the lower floors, under the names that users write.
type (
	// Record is one record of a partition.
	//
	// A nil Key or Value is Kafka's null, which differs from an empty one. The log keeps timestamps
	// to the millisecond. A record produced with the zero time gets the time of its produce call;
	// only what a client of the wire has sent without a time is read with the zero time.
	//
	//	type Record struct {
	//		Topic     string
	//		Partition int32     // from 0 on; when it is produced, a Partitioner says which
	//		Offset    int64     // in the partition, from 0 on; given when the record is stored
	//		Timestamp time.Time // of its production, or with TopicConfig.LogAppendTime of its storing
	//		Key       []byte    // which a Partitioner looks at, and compaction
	//		Value     []byte    // nil is a tombstone: with its key, the end of the key in a compacted topic
	//		Headers   []Header
	//	}
	Record = log.Record
	// Header is one key-value pair of a record's headers, which the broker does not look at. Keys need not
	// be unique, and their order is kept. A nil Value is Kafka's null, which differs from an empty one.
	//
	//	type Header struct {
	//		Key   string
	//		Value []byte
	//	}
	Header = log.Header
	// TopicPartition names a partition by its topic's name.
	//
	//	type TopicPartition struct {
	//		Topic     string
	//		Partition int32 // from 0 on
	//	}
	TopicPartition = log.TopicPartition
	// Acks is what a write waits for before it is acknowledged.
	//
	//	const (
	//		// AckStored waits until the records are in the store: they survive the death of
	//		// the process (kill -9). The default.
	//		AckStored Acks = iota
	//		// AckSynced waits for fsync: the records survive power loss.
	//		AckSynced
	//		// AckNone waits for nothing. The offset is not known, and a failure is only logged.
	//		AckNone
	//	)
	Acks = log.Acks
	// TopicConfig is what can be set for a topic. The zero value is Kafka's defaults with one
	// partition. Kafka's config names stand beside the fields; SetConfig and SetConfigs take them, and Kafka's
	// other ones too. As JSON it has these names, with times in ms, and leaves out the fields that are zero:
	//
	//	{"partitions":3,"configs":{"cleanup.policy":"compact","retention.ms":"3600000"}}
	//
	//	type TopicConfig struct {
	//		// Partitions is their number, 1 to 10,000; 0 means 1.
	//		Partitions int
	//		// Replicas is how many brokers of a cluster keep each partition. A broker in this process has no
	//		// others: it takes any number, and tells 1.
	//		Replicas int
	//		// Retention is how long records stay, by their timestamps, in whole milliseconds (the
	//		// rest is dropped); 0 means 168 h, Unlimited for ever (retention.ms).
	//		Retention time.Duration
	//		// RetentionBytes is how many bytes of stored batches each partition keeps; 0 means
	//		// Unlimited (retention.bytes).
	//		RetentionBytes int64
	//		// MaxMessageBytes is the largest batch, and so the largest record, in bytes with
	//		// its overhead; 0 means 1 MiB, at most 16 MiB (max.message.bytes).
	//		MaxMessageBytes int
	//		// LogAppendTime gives records the time at which they were stored, instead of the
	//		// producer's (message.timestamp.type=LogAppendTime).
	//		LogAppendTime bool
	//		// TimestampBeforeMax and TimestampAfterMax are how far a producer's timestamp may be behind
	//		// the clock and ahead of it, in whole milliseconds (the rest is dropped); records beyond get
	//		// ErrInvalidTimestamp. Unlimited is no bound. 0 means Unlimited before and 1 h after: a
	//		// record from the future would keep all behind it from going by Retention
	//		// (message.timestamp.before.max.ms, message.timestamp.after.max.ms). With LogAppendTime
	//		// they do not matter.
	//		TimestampBeforeMax, TimestampAfterMax time.Duration
	//		// CleanupPolicy says by which rules records go; 0 means CleanupDelete (cleanup.policy).
	//		CleanupPolicy CleanupPolicy
	//		// DeleteRetention is how long a tombstone of a compacted topic stays readable once it is
	//		// the last record of its key, whatever its timestamp; 0 means 24 h (delete.retention.ms).
	//		DeleteRetention time.Duration
	//		// MinCompactionLag is how old a record must be before compaction may remove it
	//		// (min.compaction.lag.ms).
	//		MinCompactionLag time.Duration
	//		// Compression is that of stored batches, whatever their producers have used; 0 leaves them
	//		// as they are (compression.type).
	//		Compression Compression
	//
	//		// DeadLetters lets share groups of Kafka clients name the topic as the one for their dead letters
	//		// (errors.deadletterqueue.group.enable).
	//		DeadLetters bool
	//		// contains filtered or unexported fields
	//	}
	//
	//	// Configs returns all configs under their Kafka names, those without effect too.
	//	func (c TopicConfig) Configs() map[string]string
	//
	//	// Given returns the configs that are set, under their Kafka names.
	//	func (c TopicConfig) Given() map[string]string
	//
	//	// SetConfig sets the config of that Kafka name, say retention.ms, to the value in Kafka's notation.
	//	func (c *TopicConfig) SetConfig(name, value string) error
	//
	//	// SetConfigs is SetConfig for several.
	//	func (c *TopicConfig) SetConfigs(configs map[string]string) error
	//
	//	// Validate reports every field that is out of its range, in one error.
	//	func (c TopicConfig) Validate() error
	TopicConfig = topic.Config
	// CleanupPolicy says by which rules records go; policies are combined with |.
	//
	//	const (
	//		// CleanupDelete removes the oldest batches, by time (Retention) and size (RetentionBytes).
	//		CleanupDelete CleanupPolicy = 1 << iota
	//		// CleanupCompact keeps the latest record of each key, and removes the key with a tombstone. The
	//		// newest batch of a partition is left as it is until there is another behind it.
	//		CleanupCompact
	//		// CleanupConsumed removes a batch once every group that has committed offsets in the topic has
	//		// passed it: taken, done, gone. Without such a group nothing goes. Not Kafka's.
	//		CleanupConsumed
	//	)
	CleanupPolicy = topic.CleanupPolicy
	// TopicID is a topic's identity: a topic deleted and created again under the same name has
	// another one. Kafka's topic UUID (KIP-516). The text of one does not begin with a dash, unless an older
	// release has made it.
	TopicID = topic.ID
	// Compression says how batches are compressed: by a producer, and in the end by a topic.
	//
	//	const (
	//		// CompressionDefault is snappy for a producer, and for a topic whatever the producer has used.
	//		CompressionDefault Compression = iota
	//		// CompressionNone stores records as they are.
	//		CompressionNone
	//		// CompressionGzip is gzip: small, and the slowest.
	//		CompressionGzip
	//		// CompressionSnappy is snappy: fast.
	//		CompressionSnappy
	//		// CompressionLz4 is lz4: fast.
	//		CompressionLz4
	//		// CompressionZstd is zstd: small, and faster than gzip.
	//		CompressionZstd
	//	)
	Compression = log.Compression
	// Partitioner chooses the partition of a record. One value may serve many producers
	// at once; what it must remember lives in what ForTopic returns.
	//
	//	type Partitioner interface {
	//		// ForTopic returns the chooser of one topic for one producer.
	//		ForTopic(topic string) TopicPartitioner
	//	}
	Partitioner = choose.Partitioner
	// TopicPartitioner chooses for one topic and one producer. Its calls do not overlap, and come
	// from within Produce: a panic comes out of that. It may call what it likes but a Produce that
	// would ask it again, which is ErrInCallback.
	//
	//	type TopicPartitioner interface {
	//		// Partition returns the partition for r, from 0 to n-1, where n >= 1 is the number
	//		// of partitions the topic has now. A result outside makes the produce fail.
	//		Partition(r *Record, n int) int
	//		// OnNewBatch tells, before the next Partition, that the batch which was filling up is
	//		// complete, so that a sticky chooser moves on.
	//		OnNewBatch()
	//	}
	TopicPartitioner = choose.TopicPartitioner
)

// What a write waits for.
const (
	// AckStored waits until the records are in the store: they survive the death of
	// the process (kill -9). The default.
	AckStored = log.AckStored
	// AckSynced waits for fsync: the records survive power loss.
	AckSynced = log.AckSynced
	// AckNone waits for nothing. The offset is not known, and a failure is only logged.
	AckNone = log.AckNone
)

// How batches are compressed.
const (
	// CompressionDefault is snappy for a producer, and for a topic whatever the producer has used.
	CompressionDefault = log.CompressionDefault
	// CompressionNone stores records as they are.
	CompressionNone = log.CompressionNone
	// CompressionGzip is gzip: small, and the slowest.
	CompressionGzip = log.CompressionGzip
	// CompressionSnappy is snappy: fast.
	CompressionSnappy = log.CompressionSnappy
	// CompressionLz4 is lz4: fast.
	CompressionLz4 = log.CompressionLz4
	// CompressionZstd is zstd: small, and faster than gzip.
	CompressionZstd = log.CompressionZstd
)

// By which rules records go: see TopicConfig.CleanupPolicy. Policies are combined with |.
const (
	// CleanupDelete removes the oldest batches, by time (Retention) and size (RetentionBytes).
	CleanupDelete = topic.Delete
	// CleanupCompact keeps the latest record of each key, and removes the key with a tombstone. The
	// newest batch of a partition is left as it is until there is another behind it.
	CleanupCompact = topic.Compact
	// CleanupConsumed removes a batch once every group that has committed offsets in the topic has
	// passed it: taken, done, gone. Without such a group nothing goes. Not Kafka's.
	CleanupConsumed = topic.Consumed
)

// Unlimited is no limit, for TopicConfig.Retention, RetentionBytes, TimestampBeforeMax and
// TimestampAfterMax.
const Unlimited = topic.Unlimited

// Families of errors, for callers who act on all of one alike: errors.Is(err, ErrInvalid) is true of
// ErrInvalidTopic, ErrInvalidConfig and so on.
var (
	// ErrInvalid: what was asked for cannot be, now or later: a name, an option, a config, a record, a
	// key, a directory, a snapshot. The call has changed nothing.
	ErrInvalid = log.ErrInvalid
	// ErrUnknown: what was named is not there: a topic, a partition, a group, a member, a key, an offset.
	ErrUnknown = log.ErrUnknown
	// ErrFenced: a newer one of the same name has taken over; this one must stop.
	ErrFenced = log.ErrFenced
	// ErrTooLarge: what was given is larger than what is taken; the error says by how much.
	ErrTooLarge = log.ErrTooLarge
	// ErrUnavailable: it cannot be done now, and the same call may succeed later: see Retriable. Faults
	// of the test kit are this and nothing else.
	ErrUnavailable = log.ErrUnavailable
	// ErrUnsupported: this release does not do it, and another one may.
	ErrUnsupported = log.ErrUnsupported
	// ErrOutcomeUnknown: what was asked for may have been done, or may not, or in part: the error came when it
	// was on its way, from the store (ErrFailed), the end of the broker (ErrClosed) or of the caller's context. A
	// write that fails in another way has not been done. So the error of a context alone says of a write that
	// it had not begun; most calls wait for the outcome once it has.
	ErrOutcomeUnknown = log.ErrOutcomeUnknown
)

// Retriable reports whether the same call may succeed later without the caller doing anything else: when
// there is room on the disk, when another process has closed the directory, when no other transaction is in
// the way. These are the errors of the family ErrUnavailable. It does not say that the call has had no effect:
// see ErrOutcomeUnknown.
//
// Kafka calls more errors retriable. What its clients wait out there, metadata that is not up to date and
// leaders that move, does not exist in one process: an unknown topic stays unknown until somebody creates it,
// and damage stays. ErrRebalanceInProgress is not retriable in Kafka either: a commit needs a Poll before it.
func Retriable(err error) bool { return log.Retriable(err) }

// The errors that a caller can act on, for errors.Is. Errors that are returned say
// besides which topic, partition, offset or directory they concern.
var (
	// ErrClosed: the broker, producer or consumer was closed.
	ErrClosed = log.ErrClosed
	// ErrInCallback: the call would wait for the very function of the program's that makes it: a
	// promise, a callback of a group, a partitioner or an interceptor. Nothing was done.
	ErrInCallback = log.ErrInCallback
	// ErrCutOff: a Close or Shutdown has waited long enough for a function of the program's, or for
	// the disk, and went on without it. The error says which.
	ErrCutOff = log.ErrCutOff
	// ErrFailed: a write to the store failed, and no more writes are taken until the
	// broker is opened again. What was acknowledged is safe; reads go on. The write that failed is
	// ErrOutcomeUnknown besides; of those that were not taken nothing is stored.
	ErrFailed = log.ErrFailed
	// ErrDiskFull: the append would leave too little room on the disk. Nothing was
	// written; appends resume by themselves once there is room.
	ErrDiskFull = log.ErrDiskFull
	// ErrStorage: the file system or the index failed, with the cause behind it. A failed write
	// is ErrFailed instead.
	ErrStorage = log.ErrStorage
	// ErrCorruptRecord: a batch fails a check of its bytes.
	ErrCorruptRecord = log.ErrCorruptRecord
	// ErrCorruptValue: something stored that is no batch is damaged: the entry of a topic, a
	// group, a committed offset or a producer's name, or a value of the application. What it
	// belongs to cannot be used, and stays as it is until it is deleted by name.
	ErrCorruptValue = log.ErrCorruptValue
	// ErrRecordTooLarge: a record exceeds the topic's max.message.bytes.
	ErrRecordTooLarge = log.ErrRecordTooLarge
	// ErrTxTooLarge: the records of one atomic call exceed what one store transaction holds.
	ErrTxTooLarge = log.ErrTxTooLarge
	// ErrOffsetOutOfRange: the offset is before the log start or after the log end.
	ErrOffsetOutOfRange = log.ErrOffsetOutOfRange
	// ErrOutOfOrderSequence: the batch of an idempotent producer does not follow its last one,
	// and is none of its last five.
	ErrOutOfOrderSequence = log.ErrOutOfOrderSequence
	// ErrProducerFenced: a newer producer of the same id has taken over; this one must stop.
	ErrProducerFenced = log.ErrProducerFenced
	// ErrInvalidTxnState: the producer's transaction is not in a state that allows it: a batch without one while
	// one is open.
	ErrInvalidTxnState = log.ErrInvalidTxnState
	// ErrInvalidTransactionalID: the name cannot be a transactional id.
	ErrInvalidTransactionalID = log.ErrInvalidTransactionalID
	// ErrUnknownTransactionalID: no producer has begun with that transactional id, or it was not used for long.
	ErrUnknownTransactionalID = log.ErrUnknownTransactionalID
	// ErrConflict: a transaction read keys that another one has written since.
	ErrConflict = log.ErrConflict
	// ErrKeyNotFound: the application has no value under the key, or a table no row.
	ErrKeyNotFound = log.ErrKeyNotFound
	// ErrInvalidKey: a key of the application is empty or too long.
	ErrInvalidKey = log.ErrInvalidKey
	// ErrUnknownTopic: there is no topic of that name, or it was deleted.
	ErrUnknownTopic = log.ErrUnknownTopic
	// ErrUnknownPartition: the topic has no such partition.
	ErrUnknownPartition = log.ErrUnknownPartition
	// ErrTopicExists: a topic of that name is there already.
	ErrTopicExists = log.ErrTopicExists
	// ErrInvalidTopic: the name breaks Kafka's rules for topic names.
	ErrInvalidTopic = log.ErrInvalidTopic
	// ErrInvalidConfig: a config of a topic or the broker has an unknown name or a value out of its range.
	ErrInvalidConfig = log.ErrInvalidConfig
	// ErrInvalidPartitions: the number of partitions is not one that can be had.
	ErrInvalidPartitions = log.ErrInvalidPartitions
	// ErrInvalidTimestamp: the record's timestamp cannot be stored.
	ErrInvalidTimestamp = log.ErrInvalidTimestamp
	// ErrInvalidRecord: the topic does not take such a record: one without a key in a
	// compacted topic.
	ErrInvalidRecord = log.ErrInvalidRecord
	// ErrInvalidOption: an option is out of its range; the error names every wrong one.
	ErrInvalidOption = log.ErrInvalidOption
	// ErrLocked: the directory is open already, in this process or another.
	ErrLocked = log.ErrLocked
	// ErrNotDirectory: the path is a file, or a directory that holds something else.
	ErrNotDirectory = log.ErrNotDirectory
	// ErrNotExist: the directory is missing or empty, and Options.MustExist wants a broker's data in it. It is
	// fs.ErrNotExist too.
	ErrNotExist = log.ErrNotExist
	// ErrReadOnly: the directory cannot be written, or the broker was opened with Options.ReadOnly.
	ErrReadOnly = log.ErrReadOnly
	// ErrOldFormat: the directory was written by a release whose format is not read any more. Take
	// a snapshot with that release, and restore it with this one.
	ErrOldFormat = log.ErrOldFormat
	// ErrNewerFormat: the directory was written by a newer version of this library.
	ErrNewerFormat = log.ErrNewerFormat
	// ErrInvalidSnapshot: what should be restored is no snapshot of a broker, or it is damaged or
	// not whole.
	ErrInvalidSnapshot = log.ErrInvalidSnapshot

	// ErrUnknownMember: the group has no member of that id; the member joins anew, without one.
	ErrUnknownMember = log.ErrUnknownMember
	// ErrIllegalGeneration: the generation is not the group's current one; the member rejoins.
	ErrIllegalGeneration = log.ErrIllegalGeneration
	// ErrRebalanceInProgress: the group is between two generations; the member rejoins.
	ErrRebalanceInProgress = log.ErrRebalanceInProgress
	// ErrFencedInstance: the instance id belongs to another, newer member; this one must stop.
	ErrFencedInstance = log.ErrFencedInstance
	// ErrInconsistentProtocol: the member's protocols are not what the others of the group speak.
	ErrInconsistentProtocol = log.ErrInconsistentProtocol
	// ErrInvalidSessionTimeout: the session timeout is out of the range that the broker allows.
	ErrInvalidSessionTimeout = log.ErrInvalidSessionTimeout
	// ErrGroupFull: the group has as many members as the broker allows.
	ErrGroupFull = log.ErrGroupFull
	// ErrInvalidGroup: the name cannot be one of a group.
	ErrInvalidGroup = log.ErrInvalidGroup
	// ErrUnknownGroup: there is no group of that name, or it was deleted.
	ErrUnknownGroup = log.ErrUnknownGroup
	// ErrGroupKind: the group of that name is of another kind (classic, consumer, share, streams), and what was asked is
	// nothing for it.
	ErrGroupKind = log.ErrGroupKind
	// ErrGroupNotEmpty: the group still has members, and what was asked needs that it has none.
	ErrGroupNotEmpty = log.ErrGroupNotEmpty
	// ErrGroupSubscribed: consumers of the group subscribe to the topic, and go on from its offsets.
	ErrGroupSubscribed = log.ErrGroupSubscribed
	// ErrMetadataTooLarge: the metadata of a committed offset is too long.
	ErrMetadataTooLarge = log.ErrMetadataTooLarge
	// ErrNoOffset: the group has no committed offset for the partition, and the consumer was
	// told not to begin elsewhere.
	ErrNoOffset = log.ErrNoOffset

	// ErrInvalidRecordState: the record cannot be acknowledged by who tries to: it was already, or its lock has run out, or
	// somebody else has it. The error says which.
	ErrInvalidRecordState = log.ErrInvalidRecordState
	// ErrNotAcquired: the record was never given to anybody of the group.
	ErrNotAcquired = log.ErrNotAcquired
)

// HashPartitioner is the default partitioner: xxhash64 of the key; records without a key
// stick to one partition for a batch.
func HashPartitioner() Partitioner { return choose.Hash() }

// Murmur2Partitioner places keys where Kafka's own producers place them.
func Murmur2Partitioner() Partitioner { return choose.Murmur2() }

// RoundRobinPartitioner takes the partitions in turn.
func RoundRobinPartitioner() Partitioner { return choose.RoundRobin() }

// RandomPartitioner takes any partition.
func RandomPartitioner() Partitioner { return choose.Random() }

// ManualPartitioner uses the record's Partition field.
func ManualPartitioner() Partitioner { return choose.Manual() }

// PartitionerFunc chooses with f, which must return 0 to n-1 and be safe for concurrent use.
func PartitionerFunc(f func(r *Record, n int) int) Partitioner { return choose.Func(f) }

// PartitionerByTopic asks the partitioner of a record's topic, or for a topic that has none the other
// one, which is HashPartitioner() if it is nil. It keeps no reference to the map.
func PartitionerByTopic(topics map[string]Partitioner, other Partitioner) Partitioner {
	return choose.ByTopic(topics, other)
}

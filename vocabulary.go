package samsa

import (
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
	"github.com/samsa-go/samsa/topic"
)

// The vocabulary of the lower floors, under the names that users write.
type (
	// Record is one record: what is produced, and what is consumed.
	Record = log.Record
	// Header is a name and a value that travel with a record.
	Header = log.Header
	// TopicPartition names a partition.
	TopicPartition = log.TopicPartition
	// Acks is what a write waits for.
	Acks = log.Acks
	// TopicConfig is what can be set for a topic; the zero value is right.
	TopicConfig = topic.Config
	// CleanupPolicy says by which rules the records of a topic go.
	CleanupPolicy = topic.CleanupPolicy
	// TopicID identifies a topic over deletion and re-creation.
	TopicID = topic.ID
	// Compression says how batches are compressed: by a producer (ProducerOptions), and in
	// the end by a topic (TopicConfig).
	Compression = log.Compression
	// Partitioner chooses the partition of a record.
	Partitioner = choose.Partitioner
	// TopicPartitioner is a Partitioner's state for one topic.
	TopicPartitioner = choose.TopicPartitioner
)

// What a write waits for.
const (
	AckStored = log.AckStored
	AckSynced = log.AckSynced
	AckNone   = log.AckNone
)

// How batches are compressed. CompressionDefault is snappy for a producer, and for a topic
// whatever the producer has used.
const (
	CompressionDefault = log.CompressionDefault
	CompressionNone    = log.CompressionNone
	CompressionGzip    = log.CompressionGzip
	CompressionSnappy  = log.CompressionSnappy
	CompressionLz4     = log.CompressionLz4
	CompressionZstd    = log.CompressionZstd
)

// By which rules records go: see TopicConfig.CleanupPolicy. Policies are combined with |.
const (
	CleanupDelete   = topic.Delete
	CleanupCompact  = topic.Compact
	CleanupConsumed = topic.Consumed
)

// Unlimited is the value of TopicConfig.Retention and RetentionBytes that keeps records
// for ever.
const Unlimited = topic.Unlimited

// The errors that a caller can act on, for errors.Is. Errors that are returned say
// besides which topic, partition, offset or directory they concern.
var (
	ErrClosed             = log.ErrClosed
	ErrInCallback         = log.ErrInCallback
	ErrCutOff             = log.ErrCutOff
	ErrFailed             = log.ErrFailed
	ErrDiskFull           = log.ErrDiskFull
	ErrStorage            = log.ErrStorage
	ErrCorruptRecord      = log.ErrCorruptRecord
	ErrCorruptValue       = log.ErrCorruptValue
	ErrRecordTooLarge     = log.ErrRecordTooLarge
	ErrTxTooLarge         = log.ErrTxTooLarge
	ErrOffsetOutOfRange   = log.ErrOffsetOutOfRange
	ErrOutOfOrderSequence = log.ErrOutOfOrderSequence
	ErrProducerFenced     = log.ErrProducerFenced
	ErrConflict           = log.ErrConflict
	ErrKeyNotFound        = log.ErrKeyNotFound
	ErrInvalidKey         = log.ErrInvalidKey
	ErrUnknownTopic       = log.ErrUnknownTopic
	ErrUnknownPartition   = log.ErrUnknownPartition
	ErrTopicExists        = log.ErrTopicExists
	ErrInvalidTopic       = log.ErrInvalidTopic
	ErrInvalidConfig      = log.ErrInvalidConfig
	ErrInvalidPartitions  = log.ErrInvalidPartitions
	ErrInvalidTimestamp   = log.ErrInvalidTimestamp
	ErrInvalidRecord      = log.ErrInvalidRecord
	ErrInvalidOption      = log.ErrInvalidOption
	ErrLocked             = log.ErrLocked
	ErrNotDirectory       = log.ErrNotDirectory
	ErrReadOnly           = log.ErrReadOnly
	ErrOldFormat          = log.ErrOldFormat
	ErrNewerFormat        = log.ErrNewerFormat
	ErrInvalidSnapshot    = log.ErrInvalidSnapshot
	ErrUnavailable        = log.ErrUnavailable
	ErrUnsupportedCodec   = log.ErrUnsupportedCodec

	ErrUnknownMember         = log.ErrUnknownMember
	ErrIllegalGeneration     = log.ErrIllegalGeneration
	ErrRebalanceInProgress   = log.ErrRebalanceInProgress
	ErrFencedInstance        = log.ErrFencedInstance
	ErrMemberIDRequired      = log.ErrMemberIDRequired
	ErrInconsistentProtocol  = log.ErrInconsistentProtocol
	ErrInvalidSessionTimeout = log.ErrInvalidSessionTimeout
	ErrGroupFull             = log.ErrGroupFull
	ErrInvalidGroup          = log.ErrInvalidGroup
	ErrUnknownGroup          = log.ErrUnknownGroup
	ErrGroupNotEmpty         = log.ErrGroupNotEmpty
	ErrGroupSubscribed       = log.ErrGroupSubscribed
	ErrMetadataTooLarge      = log.ErrMetadataTooLarge
	ErrNoOffset              = log.ErrNoOffset
)

// KeyHash is the default partitioner: xxhash64 of the key; records without a key
// stick to one partition for a batch.
func KeyHash() Partitioner { return choose.KeyHash() }

// Murmur2 places keys where Kafka's own producers place them.
func Murmur2() Partitioner { return choose.Murmur2() }

// RoundRobin takes the partitions in turn.
func RoundRobin() Partitioner { return choose.RoundRobin() }

// RandomPartition takes any partition.
func RandomPartition() Partitioner { return choose.Random() }

// ManualPartition uses the record's Partition field.
func ManualPartition() Partitioner { return choose.Manual() }

// PartitionFunc chooses with f, which must return 0 to n-1 and be safe for concurrent use.
func PartitionFunc(f func(r *Record, n int) int) Partitioner { return choose.Func(f) }

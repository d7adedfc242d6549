package engine

import (
	"context"
	"time"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/topic"
	"github.com/samsa-go/samsa/txn"
)

// TopicAdmin administers topics: see samsa.Topics, whose methods these are. When a call that changes something returns nil, Topics
// knows of it; ErrOutcomeUnknown says that it may have been done.
type TopicAdmin interface {
	// Create adds a topic. What is zero in config, and was not set by SetConfig, is as whoever has the topics has it by default.
	// ErrTopicExists, ErrInvalidTopic, ErrInvalidPartitions, ErrInvalidConfig.
	Create(ctx context.Context, name string, config topic.Config) error
	// Ensure returns once the topic is there, with what config sets, and reports whether it has created it. ErrTopicExists names
	// what is different in one that was there.
	Ensure(ctx context.Context, name string, config topic.Config) (created bool, err error)
	// Delete removes a topic, or is ErrUnknownTopic.
	Delete(ctx context.Context, name string) error
	// Names returns the names of all topics, sorted, also of those that are damaged.
	Names(ctx context.Context) ([]string, error)
	// Describe returns a topic as it is now, or ErrUnknownTopic, or ErrCorruptValue.
	Describe(ctx context.Context, name string) (TopicInfo, error)
	// Alter changes what edit changes in the config, of which every field is filled in; what is zero then goes back to the
	// default, as Create says. Partitions may rise, else they are ErrInvalidPartitions. edit may be called again, with another config, when
	// somebody has changed it meanwhile; its error is Alter's, and changes nothing.
	Alter(ctx context.Context, name string, edit func(*topic.Config) error) error
	// DeleteRecords has partitions begin at offsets, -1 for the high watermark; one behind that is ErrOffsetOutOfRange, and then
	// nothing is removed. An error when some were done already is ErrOutcomeUnknown besides.
	DeleteRecords(ctx context.Context, name string, before map[int32]int64) error
}

// TopicInfo describes a topic at one moment.
type TopicInfo struct {
	ID         topic.ID
	Config     topic.Config    // every field filled in
	Partitions []PartitionInfo // by index
}

// PartitionInfo describes a partition at one moment. What is not known is -1: that of a partition without a leader.
type PartitionInfo struct {
	LogStart, LastStable, HighWatermark int64 // offsets, as in Partition
}

// GroupConfigs are the configs of groups, under Kafka's names.
type GroupConfigs interface {
	// Values returns those of a group that are in force, defaults too. The map is the caller's.
	Values(ctx context.Context, name string) (map[string]string, error)
	// Set sets configs of a group, and unsets those that are "": all, or none when one is ErrInvalidConfig.
	Set(ctx context.Context, name string, configs map[string]string) error
}

// Transactions administers the transactions of producers that have a transactional id: see samsa.Transactions.
type Transactions interface {
	// List returns the transactional ids, sorted.
	List(ctx context.Context) ([]string, error)
	// Describe returns one, or ErrUnknownTransactionalID, ErrInvalidTransactionalID, ErrCorruptValue.
	Describe(ctx context.Context, id string) (txn.Description, error)
	// Open returns the transactions that are open in partitions of these topics, or of all without any, by topic, partition and offset.
	Open(ctx context.Context, topics ...string) ([]OpenTransaction, error)
	// Abort aborts one that Open has told of, of which Since is not negative; ErrInvalidTxnState or ErrProducerFenced when it has ended.
	Abort(ctx context.Context, o OpenTransaction) error
	// Fence takes an id from its producer, or is ErrUnknownTransactionalID.
	Fence(ctx context.Context, id string) error
}

// OpenTransaction is samsa.OpenTransaction.
type OpenTransaction struct {
	TopicPartition log.TopicPartition
	ProducerID     int64
	ProducerEpoch  int16
	Since          int64
	Written        time.Time
	ID             string
}

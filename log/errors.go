package log

import "errors"

// The errors that a caller can act on. They reach users of the module root under the
// same names, wrapped with the topic, partition or offset they concern.
var (
	// ErrClosed: the broker, producer or consumer was closed.
	ErrClosed = errors.New("closed")
	// ErrFailed: a write to the store failed, and no more writes are taken until the
	// broker is opened again. What was acknowledged is safe; reads go on.
	ErrFailed = errors.New("store failed, reopen to write again")
	// ErrDiskFull: the append would leave too little room on the disk. Nothing was
	// written; appends resume by themselves once there is room.
	ErrDiskFull = errors.New("disk full")
	// ErrCorruptRecord: a batch fails a check of its bytes.
	ErrCorruptRecord = errors.New("corrupt record")
	// ErrRecordTooLarge: a record exceeds the topic's max.message.bytes.
	ErrRecordTooLarge = errors.New("record too large")
	// ErrTxTooLarge: the records of one atomic call exceed what one store transaction holds.
	ErrTxTooLarge = errors.New("transaction too large")
	// ErrOffsetOutOfRange: the offset is before the log start or after the log end.
	ErrOffsetOutOfRange = errors.New("offset out of range")
	// ErrUnknownTopic: there is no topic of that name, or it was deleted.
	ErrUnknownTopic = errors.New("unknown topic")
	// ErrUnknownPartition: the topic has no such partition.
	ErrUnknownPartition = errors.New("unknown partition")
	// ErrTopicExists: a topic of that name is there already.
	ErrTopicExists = errors.New("topic already exists")
	// ErrInvalidTopic: the name breaks Kafka's rules for topic names.
	ErrInvalidTopic = errors.New("invalid topic name")
	// ErrInvalidConfig: a topic config has an unknown name or a value out of its range.
	ErrInvalidConfig = errors.New("invalid topic config")
	// ErrInvalidPartitions: the number of partitions is not one that can be had.
	ErrInvalidPartitions = errors.New("invalid number of partitions")
	// ErrInvalidTimestamp: the record's timestamp cannot be stored.
	ErrInvalidTimestamp = errors.New("invalid timestamp")
	// ErrInvalidOption: an option is out of its range; the error names every wrong one.
	ErrInvalidOption = errors.New("invalid option")
	// ErrLocked: the directory is open already, in this process or another.
	ErrLocked = errors.New("directory is in use")
	// ErrNotDirectory: the path is a file, or a directory that holds something else.
	ErrNotDirectory = errors.New("not a samsa data directory")
	// ErrReadOnly: the directory cannot be written.
	ErrReadOnly = errors.New("directory is read-only")
	// ErrNewerFormat: the directory was written by a newer version of this library.
	ErrNewerFormat = errors.New("data directory has a newer format")
	// ErrInvalidRecord: the topic does not take such a record: one without a key in a
	// compacted topic.
	ErrInvalidRecord = errors.New("invalid record")
	// ErrOutOfOrderSequence: the batch of an idempotent producer does not follow its last one,
	// and is none of its last five.
	ErrOutOfOrderSequence = errors.New("out of order sequence number")
	// ErrProducerFenced: a newer producer of the same id has taken over; this one must stop.
	ErrProducerFenced = errors.New("fenced by a newer producer of the same id")
	// ErrConflict: a transaction read keys that another one has written since.
	ErrConflict = errors.New("conflicting transaction")
	// ErrKeyNotFound: the application has no value under the key.
	ErrKeyNotFound = errors.New("key not found")
	// ErrInvalidKey: a key of the application is empty or too long.
	ErrInvalidKey = errors.New("invalid key")
	// ErrInvalidSnapshot: what should be restored is no snapshot of a broker, or it is damaged or
	// not whole.
	ErrInvalidSnapshot = errors.New("invalid snapshot")
	// ErrUnavailable: the broker does not answer as it should now; the same call may succeed
	// later. A broker in good health never says so; faults of the test kit do.
	ErrUnavailable = errors.New("unavailable for the moment")
	// ErrUnsupportedCodec: the compression codec is not one of Kafka's five.
	ErrUnsupportedCodec = errors.New("unsupported compression codec")
)

// The errors of groups, wrapped with the group and the member they concern.
var (
	// ErrUnknownMember: the group has no member of that id; the member joins anew, without one.
	ErrUnknownMember = errors.New("unknown member")
	// ErrIllegalGeneration: the generation is not the group's current one; the member rejoins.
	ErrIllegalGeneration = errors.New("illegal generation")
	// ErrRebalanceInProgress: the group is between two generations; the member rejoins.
	ErrRebalanceInProgress = errors.New("rebalance in progress")
	// ErrFencedInstance: the instance id belongs to another, newer member; this one must stop.
	ErrFencedInstance = errors.New("fenced by a newer member of the same instance id")
	// ErrMemberIDRequired: the member was given an id, and joins again with it.
	ErrMemberIDRequired = errors.New("member id required")
	// ErrInconsistentProtocol: the member's protocols are not what the others of the group speak.
	ErrInconsistentProtocol = errors.New("inconsistent group protocol")
	// ErrInvalidSessionTimeout: the session timeout is out of the range that the broker allows.
	ErrInvalidSessionTimeout = errors.New("invalid session timeout")
	// ErrGroupFull: the group has as many members as the broker allows.
	ErrGroupFull = errors.New("group is full")
	// ErrInvalidGroup: the name cannot be one of a group.
	ErrInvalidGroup = errors.New("invalid group name")
	// ErrUnknownGroup: there is no group of that name, or it was deleted.
	ErrUnknownGroup = errors.New("unknown group")
	// ErrGroupNotEmpty: the group still has members, and what was asked needs that it has none.
	ErrGroupNotEmpty = errors.New("group is not empty")
	// ErrMetadataTooLarge: the metadata of a committed offset is too long.
	ErrMetadataTooLarge = errors.New("offset metadata too large")
	// ErrNoOffset: the group has no committed offset for the partition, and the consumer was
	// told not to begin elsewhere.
	ErrNoOffset = errors.New("no committed offset")
)

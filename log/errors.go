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
	// ErrUnsupportedCodec: the compression codec is not one of Kafka's five.
	ErrUnsupportedCodec = errors.New("unsupported compression codec")
)

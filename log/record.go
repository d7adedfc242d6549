package log

import (
	"strconv"
	"time"
)

// Header is one key-value pair of a record's headers. Keys need not be unique, and
// their order is kept. A nil Value is Kafka's null, which differs from an empty one.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record of a partition.
//
// A nil Key or Value is Kafka's null, which differs from an empty one; a record whose
// Value is nil is a tombstone. The log keeps timestamps to the millisecond; a record
// produced with the zero time gets the time of its produce call. Only what a client of the
// wire has sent with NoTimestamp is read with the zero time.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	Timestamp time.Time
	Key       []byte
	Value     []byte
	Headers   []Header
}

// NoTimestamp stands in a batch, in place of ms since the epoch, for a record that has no time.
const NoTimestamp = -1

// timeOf returns the time that ms stands for in a batch.
func timeOf(ms int64) time.Time {
	if ms == NoTimestamp {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// millis is the inverse of timeOf.
func (r *Record) millis() int64 {
	if r.Timestamp.IsZero() {
		return NoTimestamp
	}
	return r.Timestamp.UnixMilli()
}

// TopicPartition names a partition by its topic's name.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String returns the topic and the partition with a slash between them, like "orders/3".
func (tp TopicPartition) String() string {
	return tp.Topic + "/" + strconv.Itoa(int(tp.Partition))
}

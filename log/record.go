package log

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// Header is one key-value pair of a record's headers, which the broker does not look at. Keys need not
// be unique, and their order is kept. A nil Value is Kafka's null, which differs from an empty one.
type Header struct {
	Key   string
	Value []byte
}

// Record is one record of a partition.
//
// A nil Key or Value is Kafka's null, which differs from an empty one. The log keeps timestamps
// to the millisecond. A record produced with the zero time gets the time of its produce call;
// only what a client of the wire has sent without a time is read with the zero time.
type Record struct {
	Topic     string
	Partition int32     // from 0 on; when it is produced, a Partitioner says which
	Offset    int64     // in the partition, from 0 on; given when the record is stored
	Timestamp time.Time // of its production, or with TopicConfig.LogAppendTime of its storing
	Key       []byte    // which a Partitioner looks at, and compaction
	Value     []byte    // nil is a tombstone: with its key, the end of the key in a compacted topic
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
	Partition int32 // from 0 on
}

// String returns the topic and the partition with a slash between them, like "orders/3".
func (tp TopicPartition) String() string {
	return tp.Topic + "/" + strconv.Itoa(int(tp.Partition))
}

// MarshalText returns what String does: in JSON a partition can be the key of a map.
func (tp TopicPartition) MarshalText() ([]byte, error) { return []byte(tp.String()), nil }

// UnmarshalText takes what MarshalText returns. It does not ask whether a topic can have that name.
func (tp *TopicPartition) UnmarshalText(text []byte) error {
	slash := bytes.LastIndexByte(text, '/')
	n, err := strconv.ParseInt(string(text[slash+1:]), 10, 32)
	if slash < 0 || err != nil {
		return fmt.Errorf("%w: %q, want topic/partition", ErrInvalidTopic, text)
	}
	*tp = TopicPartition{Topic: string(text[:slash]), Partition: int32(n)}
	return nil
}

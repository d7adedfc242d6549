package log

import (
	"encoding/binary"
	"fmt"
)

// Wanted says what Inspect looks for besides damage.
type Wanted struct {
	Keyless bool // records without a key
	// MinTimestamp and MaxTimestamp are the bounds that records with a timestamp keep to, in ms
	// since the epoch.
	MinTimestamp, MaxTimestamp int64
}

// Contents is what Inspect has found in the records of a batch.
type Contents struct {
	MaxTimestamp int64 // of the records, in ms since the epoch; NoTimestamp if none has one
	// The records that are not as wanted, the first MaxFound of each kind.
	Keyless, Untimely []Found
}

// Found is a record, by its offset delta.
type Found struct {
	Delta     int64
	Timestamp int64 // ms since the epoch
}

// MaxFound bounds what Inspect lists of the records of a batch, which may be a million.
const MaxFound = 1000

// Inspect reads all records of b, which b.AppendRecords gave, and checks everything about
// them, as a RecordReader does. It allocates nothing but its lists. Every failure is
// ErrCorruptRecord.
func Inspect(b Batch, records []byte, want Wanted) (Contents, error) {
	r := NewRecordReader(b, records)
	c := Contents{MaxTimestamp: NoTimestamp}
	var rec Record
	for first := true; r.left > 0; first = false {
		ms, err := r.read(&rec, false)
		if err != nil {
			return c, err
		}
		if want.Keyless && rec.Key == nil && len(c.Keyless) < MaxFound {
			c.Keyless = append(c.Keyless, Found{rec.Offset - r.baseOffset, ms})
		}
		if (ms < want.MinTimestamp || ms > want.MaxTimestamp) && ms != NoTimestamp && len(c.Untimely) < MaxFound {
			c.Untimely = append(c.Untimely, Found{rec.Offset - r.baseOffset, ms})
		}
		if first {
			c.MaxTimestamp = ms
		}
		c.MaxTimestamp = max(c.MaxTimestamp, ms)
	}
	return c, r.atEnd()
}

// EncodedRecords returns the records as they lie in an uncompressed batch, without copying;
// false when the batch is compressed, and AppendRecords has to be used.
func (b Batch) EncodedRecords() ([]byte, bool) {
	return b[BatchHeaderSize:], b.Codec() == CodecNone
}

// SetMaxTimestamp corrects the max timestamp, in ms since the epoch, and computes the CRC
// again, which reads the whole batch.
func (b Batch) SetMaxTimestamp(ms int64) {
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(ms))
	b.putCRC()
}

// Dense reports whether every offset of the batch has a record, as in those that a producer
// sends, and no others.
func (b Batch) Dense() bool { return int64(b.Records()) == int64(b.lastOffsetDelta())+1 }

// BatchLength returns how long the batch at the front of p says that it is, in bytes, and its
// magic, which is 2 for what ParseBatch takes. It fails with ErrCorruptRecord on less than
// the part of a header that all magics share.
func BatchLength(p []byte) (length int64, magic int8, err error) {
	if len(p) <= posMagic {
		return 0, 0, fmt.Errorf("%w: %d bytes", errBatchShort, len(p))
	}
	return batchLengthFrom + int64(int32(binary.BigEndian.Uint32(p[posBatchLength:]))), int8(p[posMagic]), nil
}

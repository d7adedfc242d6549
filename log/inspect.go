package log

import (
	"encoding/binary"
	"fmt"
)

// Contents is what Inspect has found in the records of a batch.
type Contents struct {
	MinTimestamp, MaxTimestamp int64 // ms since the epoch; 0 without records

	// Keyless are the records without a key, by their offset deltas, when they were asked for.
	Keyless []int64
}

// Inspect reads all records of b, which b.AppendRecords gave, and checks everything about
// them, as a RecordReader does. It allocates nothing but Keyless, which is filled in if
// keyless. Every failure is ErrCorruptRecord.
func Inspect(b Batch, records []byte, keyless bool) (Contents, error) {
	r := NewRecordReader(b, records)
	var c Contents
	for first := true; r.left > 0; first = false {
		rest, ms, offset, err := r.start()
		if err != nil {
			return c, err
		}
		key, rest := cutBytes(rest)
		_, rest = cutBytes(rest)
		n, rest := cutVarint(rest)
		if n != 0 {
			if rest, err = skipHeaders(rest, n); err != nil {
				return c, r.failed(err)
			}
		}
		switch {
		case rest == nil:
			return c, r.failed(errRecordField)
		case len(rest) != 0:
			return c, r.failed(errRecordBytes)
		}
		if keyless && key == nil {
			c.Keyless = append(c.Keyless, offset-r.baseOffset)
		}
		if first {
			c.MinTimestamp, c.MaxTimestamp = ms, ms
		}
		c.MinTimestamp, c.MaxTimestamp = min(c.MinTimestamp, ms), max(c.MaxTimestamp, ms)
		r.pass(offset)
	}
	return c, r.atEnd()
}

// skipHeaders is cutHeaders without the headers.
func skipHeaders(b []byte, n int64) ([]byte, error) {
	if n < 0 || n > maxHeaders || n > int64(len(b)/minHeaderSize) {
		return nil, errHeaderCount
	}
	for ; n > 0; n-- {
		var key []byte
		key, b = cutBytes(b)
		if key == nil && b != nil {
			return nil, errHeaderKey
		}
		_, b = cutBytes(b)
	}
	return b, nil
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

package log

import "fmt"

// A record, as it lies in a batch's uncompressed records:
//
//	+------+----------+---------------+------------+-------+-----+-------+-------+---------+---------+
//	|length|attributes|timestamp delta|offset delta|key len| key |val len| value |n headers| headers |
//	|varint|i8, unused|varint         |varint      |varint |     |varint |       |varint   |         |
//	+------+----------+---------------+------------+-------+-----+-------+-------+---------+---------+
//
// length counts what follows it. A header is key length, key, value length, value. All
// varints are zigzag: base 128, low bits first, the sign in the lowest bit. A length of
// -1 is null, for which header keys have no use. Deltas are against the base of the batch.
const (
	minRecordSize = 7 // seven fields, none shorter than a byte
	minHeaderSize = 2

	// maxHeaders bounds the headers of one record. Two bytes of a batch can claim a
	// header, which takes 40 of memory.
	maxHeaders = 1 << 20

	maxVarintSize = 10
)

// The checks of RecordReader. Each is an ErrCorruptRecord.
var (
	errRecordLength = fmt.Errorf("%w: record length does not fit the batch", ErrCorruptRecord)
	errRecordField  = fmt.Errorf("%w: record field does not fit the record", ErrCorruptRecord)
	errRecordOffset = fmt.Errorf("%w: record offset out of order or range", ErrCorruptRecord)
	errRecordBytes  = fmt.Errorf("%w: bytes left over in record", ErrCorruptRecord)
	errHeaderCount  = fmt.Errorf("%w: header count does not fit the record", ErrCorruptRecord)
	errHeaderKey    = fmt.Errorf("%w: header key is null", ErrCorruptRecord)
	errBatchBytes   = fmt.Errorf("%w: bytes left over after the last record", ErrCorruptRecord)
)

// RecordReader reads the records of one batch in order, and checks everything about
// them: once Next has said that there are no more, the batch was entirely well formed.
// It is for one goroutine at a time. Copying one gives a second reader at the same place.
type RecordReader struct {
	records    []byte
	pos        int   // records[:pos] is read
	end        int   // of the record that start began
	left       int   // records still to come
	next, last int64 // the offset deltas that the next record can have, inclusive
	baseOffset int64
	baseTime   int64
	appendTime bool // every record has the time baseTime
}

// NewRecordReader returns a reader of the records of b, which b.AppendRecords gave.
func NewRecordReader(b Batch, records []byte) RecordReader {
	r := RecordReader{
		records:    records,
		left:       b.Records(),
		last:       int64(b.lastOffsetDelta()),
		baseOffset: b.BaseOffset(),
		baseTime:   b.BaseTimestamp(),
		appendTime: b.LogAppendTime(),
	}
	if r.appendTime {
		r.baseTime = b.MaxTimestamp()
	}
	return r
}

// Next reads the next record into rec and returns true, or returns false after the last.
//
// It sets every field but Topic and Partition. Key, Value and header values are slices of
// the reader's records, clipped so that appending to one copies it; header keys are
// copies. Only headers make it allocate. A failure is ErrCorruptRecord, leaves rec
// half filled, and comes again when Next is called again.
func (r *RecordReader) Next(rec *Record) (bool, error) {
	if r.left == 0 {
		return false, r.atEnd()
	}
	ms, err := r.read(rec, true)
	rec.Timestamp = timeOf(ms)
	return err == nil, err
}

// Left returns how many records are still to come.
func (r *RecordReader) Left() int { return r.left }

// Size returns how many bytes the records that are still to come have, as they lie there: more than their keys, values and headers.
func (r *RecordReader) Size() int { return len(r.records) - r.pos }

// Skim is Next, and checks as much, without what makes it allocate: it leaves rec.Timestamp as it is, and
// rec.Headers nil. It returns the timestamp, in ms since the epoch or NoTimestamp.
func (r *RecordReader) Skim(rec *Record) (ms int64, more bool, err error) {
	if r.left == 0 {
		return 0, false, r.atEnd()
	}
	ms, err = r.read(rec, false)
	return ms, err == nil, err
}

// read reads the next record, which there is, but for its timestamp, which it returns in ms. Without headers
// it checks those and leaves them out, which allocates nothing.
func (r *RecordReader) read(rec *Record, headers bool) (ms int64, err error) {
	b, ms, offset, err := r.start()
	if err != nil {
		return 0, err
	}
	rec.Offset = offset
	rec.Key, b = cutBytes(b)
	rec.Value, b = cutBytes(b)
	n, b := cutVarint(b)
	rec.Headers = nil
	if n != 0 {
		if rec.Headers, b, err = cutHeaders(b, n, headers); err != nil {
			return 0, r.failed(err)
		}
	}
	switch {
	case b == nil:
		return 0, r.failed(errRecordField)
	case len(b) != 0:
		return 0, r.failed(errRecordBytes)
	}
	r.pass(offset)
	return ms, nil
}

// SkipTo skips records until the next one has the given offset or a later one, or there
// are no more. Of what it skips it reads, and checks, only lengths and offsets. A failure
// is ErrCorruptRecord.
func (r *RecordReader) SkipTo(offset int64) error {
	for r.left > 0 {
		_, _, at, err := r.start()
		if err != nil {
			return err
		}
		if at >= offset {
			return nil
		}
		r.pass(at)
	}
	return nil
}

// start reads the next record up to its key and sets r.end behind it. It returns the
// rest of the record, never nil, and its time and offset, which is one that may come
// next. Timestamps wrap around, as they do in the builder and in Kafka.
func (r *RecordReader) start() (b []byte, ms, offset int64, err error) {
	rest := r.records[r.pos:]
	size, b := cutVarint(rest)
	if b == nil || size < minRecordSize-1 || size > int64(len(b)) {
		return nil, 0, 0, r.failed(errRecordLength)
	}
	r.end = len(r.records) - len(b) + int(size)
	b = b[1:size] // without the attributes, which mean nothing yet
	ms, b = cutVarint(b)
	delta, b := cutVarint(b)
	if b == nil {
		return nil, 0, 0, r.failed(errRecordField)
	}
	if delta < r.next || delta > r.last {
		return nil, 0, 0, r.failed(errRecordOffset)
	}
	if r.appendTime {
		ms = 0
	}
	return b, r.baseTime + ms, r.baseOffset + delta, nil
}

// pass moves the reader behind the record that start began, which has the given offset.
func (r *RecordReader) pass(offset int64) {
	r.pos = r.end
	r.next = offset - r.baseOffset + 1
	r.left--
}

func (r *RecordReader) atEnd() error {
	if r.pos != len(r.records) {
		return r.failed(errBatchBytes)
	}
	return nil
}

// failed says where in the batch err is.
func (r *RecordReader) failed(err error) error {
	return fmt.Errorf("%w: record with offset delta %d or more, byte %d of %d", err, r.next, r.pos, len(r.records))
}

// The cut functions take a field off the front of b and return the rest, which is nil if
// the field is malformed or longer than b, and only then. From nil they cut zeros and nil,
// so that several cuts need one check.

// cutVarint cuts a zigzag varint. Lengths and deltas mostly take one byte or two.
func cutVarint(b []byte) (int64, []byte) {
	if len(b) >= 2 {
		x := uint64(b[0])
		if x < 0x80 {
			return unzigzag(x), b[1:]
		}
		if y := uint64(b[1]); y < 0x80 {
			return unzigzag(x&0x7f | y<<7), b[2:]
		}
	}
	return cutLongVarint(b)
}

// cutLongVarint is binary.Varint, but without a call: cutVarint must not need a frame on the stack.
func cutLongVarint(b []byte) (int64, []byte) {
	var x uint64
	for i := 0; i < len(b) && i < maxVarintSize; i++ {
		x |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			if i == maxVarintSize-1 && b[i] > 1 {
				break // more than 64 bits
			}
			return unzigzag(x), b[i+1:]
		}
	}
	return 0, nil
}

func unzigzag(x uint64) int64 { return int64(x>>1) ^ -int64(x&1) }

// cutBytes cuts a length and that many bytes, nil for the length -1.
func cutBytes(b []byte) (field, rest []byte) {
	n, b := cutVarint(b)
	if uint64(n) <= uint64(len(b)) {
		return b[:n:n], b[n:]
	}
	if n == -1 {
		return nil, b
	}
	return nil, nil
}

// cutHeaders cuts n headers, having checked that there can be so many. It returns them if keep says so.
func cutHeaders(b []byte, n int64, keep bool) (headers []Header, rest []byte, err error) {
	if n < 0 || n > maxHeaders || n > int64(len(b)/minHeaderSize) {
		return nil, nil, errHeaderCount
	}
	if keep {
		headers = make([]Header, n)
	}
	for i := range n {
		var key, value []byte
		key, b = cutBytes(b)
		if key == nil && b != nil {
			return nil, nil, errHeaderKey
		}
		value, b = cutBytes(b)
		if keep {
			headers[i] = Header{Key: string(key), Value: value}
		}
	}
	return headers, b, nil
}

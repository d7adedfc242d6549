package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

// Batch is one encoded RecordBatch v2, bit for bit as Kafka has it
// (https://kafka.apache.org/documentation/#recordbatch). Integers are big endian.
//
//	 0  base offset            i64   outside the CRC, the broker's to give
//	 8  batch length           i32   bytes after this field
//	12  partition leader epoch i32   outside the CRC, the broker's to give
//	16  magic                  i8    2
//	17  CRC-32C                u32   of everything after it
//	21  attributes             i16   bits 0-2 codec, 3 log append time, 4 transactional,
//	                                 5 control, 6 delete horizon
//	23  last offset delta      i32   last offset - base offset
//	27  base timestamp         i64   ms since the epoch; the first record's, when it was built,
//	                                 or the delete horizon
//	35  max timestamp          i64   ms since the epoch, -1 if no record has one
//	43  producer id            i64   -1 for none
//	51  producer epoch         i16   -1 for none
//	53  base sequence          i32   -1 for none
//	57  record count           i32
//	61  records, compressed as one piece if there is a codec; see RecordReader
//
// A Batch is made by ParseBatch or Builder.Seal, or read by a Log, which check it; the
// methods rely on that, and panic on bytes that are shorter than the header.
// Methods that only read may be called by several goroutines at once.
type Batch []byte

// BatchHeaderSize is the number of bytes of a batch before its records.
const BatchHeaderSize = 61

const (
	posBaseOffset      = 0
	posBatchLength     = 8
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posCount           = 57

	batchLengthFrom = posLeaderEpoch // the batch length counts from here
	batchMagic      = 2

	attrCodec         = 0x07
	attrLogAppendTime = 1 << 3
	attrTransactional = 1 << 4
	attrControl       = 1 << 5
	attrDeleteHorizon = 1 << 6
)

// The checks of ParseBatch. Each is an ErrCorruptRecord.
var (
	errBatchShort   = fmt.Errorf("%w: batch shorter than its header", ErrCorruptRecord)
	errBatchLength  = fmt.Errorf("%w: batch length differs from the bytes there are", ErrCorruptRecord)
	errMagic        = fmt.Errorf("%w: magic is not 2", ErrCorruptRecord)
	errCRC          = fmt.Errorf("%w: CRC mismatch", ErrCorruptRecord)
	errUnknownCodec = fmt.Errorf("%w: unknown compression codec", ErrCorruptRecord)
	errOffsets      = fmt.Errorf("%w: batch offsets out of range", ErrCorruptRecord)
	errCount        = fmt.Errorf("%w: record count does not fit the batch", ErrCorruptRecord)
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ParseBatch checks that b is exactly one whole batch and returns it, without copying or
// decompressing: length, magic, CRC, codec, and that its offsets and its record count can
// be. What is wrong with the records themselves shows in AppendRecords and RecordReader.
// Every failure is ErrCorruptRecord and says which check failed.
//
// A count below what the offsets span is allowed, down to none: compaction takes records
// out of a batch and leaves its offsets.
func ParseBatch(b []byte) (Batch, error) {
	if err := checkFrame(b); err != nil {
		return nil, err
	}
	batch := Batch(b)
	if !batch.CRCHolds() {
		return nil, fmt.Errorf("%w: %08x, not %08x", errCRC, batch.crc(), binary.BigEndian.Uint32(b[posCRC:]))
	}
	if err := batch.checkFields(); err != nil {
		return nil, err
	}
	return batch, nil
}

// openBatch is ParseBatch of what a store has, but for the CRC: the CRC was checked, or made,
// before the batch was stored, and the store vouches for the bytes.
func openBatch(b []byte) (Batch, error) {
	if err := checkFrame(b); err != nil {
		return nil, err
	}
	if err := Batch(b).checkFields(); err != nil {
		return nil, err
	}
	return b, nil
}

// BatchLength returns how long the batch at the front of p says that it is, in bytes, and its
// magic, which is 2 for what ParseBatch takes. It fails with ErrCorruptRecord on less than
// the part of a header that all magics share.
func BatchLength(p []byte) (length int64, magic int8, err error) {
	if len(p) <= posMagic {
		return 0, 0, fmt.Errorf("%w: %d bytes", errBatchShort, len(p))
	}
	return batchLengthFrom + int64(int32(binary.BigEndian.Uint32(p[posBatchLength:]))), int8(p[posMagic]), nil
}

// CRCHolds reports whether the CRC of b, which has a whole header, is that of its bytes.
func (b Batch) CRCHolds() bool { return b.crc() == binary.BigEndian.Uint32(b[posCRC:]) }

// checkFrame checks what must hold before the CRC can be computed.
func checkFrame(b []byte) error {
	if len(b) < BatchHeaderSize {
		return fmt.Errorf("%w: %d bytes", errBatchShort, len(b))
	}
	length := int64(int32(binary.BigEndian.Uint32(b[posBatchLength:])))
	if length != int64(len(b)-batchLengthFrom) {
		return fmt.Errorf("%w: %d, not %d", errBatchLength, length, len(b)-batchLengthFrom)
	}
	if b[posMagic] != batchMagic {
		return fmt.Errorf("%w but %d", errMagic, int8(b[posMagic]))
	}
	return nil
}

// checkFields checks the fields that a sender may have got wrong under a good CRC.
func (b Batch) checkFields() error {
	if !b.Codec().known() {
		return fmt.Errorf("%w: %d", errUnknownCodec, b.Codec())
	}
	base, delta, count := b.BaseOffset(), int64(b.lastOffsetDelta()), int64(b.Records())
	// One below the largest offset, so that the log end, one beyond the last, is one too.
	if base < 0 || delta < 0 || base > math.MaxInt64-1-delta {
		return fmt.Errorf("%w: base %d, last delta %d", errOffsets, base, delta)
	}
	if count < 0 || count > delta+1 {
		return fmt.Errorf("%w: %d records in %d offsets", errCount, count, delta+1)
	}
	if b.Codec() == CodecNone && count > int64(len(b)-BatchHeaderSize)/minRecordSize {
		return fmt.Errorf("%w: %d records in %d bytes", errCount, count, len(b)-BatchHeaderSize)
	}
	return nil
}

// BaseOffset is the offset that the batch's first record had when the batch was built.
func (b Batch) BaseOffset() int64 { return b.i64(posBaseOffset) }

// LastOffset is the offset that the batch's last record had when the batch was built.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.lastOffsetDelta()) }

// Records is the number of records, as the header claims. Allocate by it only after
// AppendRecords has succeeded, which checks that so many could be there.
func (b Batch) Records() int { return int(b.i32(posCount)) }

// Dense reports whether every offset of the batch has a record, as in those that a producer
// sends, and no others.
func (b Batch) Dense() bool { return int64(b.Records()) == int64(b.lastOffsetDelta())+1 }

// Codec is the compression of the records.
func (b Batch) Codec() Codec { return Codec(b[posAttributes+1] & attrCodec) }

// BaseTimestamp is what the records' timestamps are relative to, in milliseconds since
// the epoch.
func (b Batch) BaseTimestamp() int64 { return b.i64(posBaseTimestamp) }

// DeleteHorizon is when the tombstones of the batch may go, in milliseconds since the epoch
// (KIP-534); ok is false until a cleaning has kept them and said so. The horizon is the base
// timestamp then: that of the records is what it always is, the sum of base and delta.
func (b Batch) DeleteHorizon() (ms int64, ok bool) {
	return b.BaseTimestamp(), b[posAttributes+1]&attrDeleteHorizon != 0
}

// ClearDeleteHorizon takes a horizon away that is not the cleaner's, and computes the CRC
// again, which reads the whole batch.
func (b Batch) ClearDeleteHorizon() {
	b[posAttributes+1] &^= attrDeleteHorizon
	b.putCRC()
}

// MaxTimestamp is the largest timestamp of the records, in milliseconds since the epoch, or
// NoTimestamp if none has one. With LogAppendTime it is the timestamp of every record.
func (b Batch) MaxTimestamp() int64 { return b.i64(posMaxTimestamp) }

// LogAppendTime reports whether the records' time is that of the append, not the producer's.
func (b Batch) LogAppendTime() bool { return b[posAttributes+1]&attrLogAppendTime != 0 }

// Transactional reports whether the batch is part of a Kafka transaction.
func (b Batch) Transactional() bool { return b[posAttributes+1]&attrTransactional != 0 }

// Control reports whether the batch holds a transaction marker and not records of a user.
func (b Batch) Control() bool { return b[posAttributes+1]&attrControl != 0 }

// ProducerID is the id of an idempotent or transactional producer, otherwise -1.
func (b Batch) ProducerID() int64 { return b.i64(posProducerID) }

// ProducerEpoch goes with ProducerID; it is -1 if there is none.
func (b Batch) ProducerEpoch() int16 {
	return int16(binary.BigEndian.Uint16(b[posProducerEpoch:]))
}

// BaseSequence is the sequence number of the first record, -1 without a ProducerID.
func (b Batch) BaseSequence() int32 { return b.i32(posBaseSequence) }

// SetBaseOffset gives the batch its place in the log. The CRC leaves this field out.
// The caller sees to it that the last offset does not overflow.
func (b Batch) SetBaseOffset(offset int64) {
	binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(offset))
}

// LeaderEpoch is the partition leader epoch in which the batch was appended.
func (b Batch) LeaderEpoch() int32 { return b.i32(posLeaderEpoch) }

// SetLeaderEpoch sets the partition leader epoch. The CRC leaves this field out.
func (b Batch) SetLeaderEpoch(epoch int32) {
	binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(epoch))
}

// StampAppendTime gives every record the time ms, in milliseconds since the epoch, in
// place of its producer's: it marks the batch as LogAppendTime, sets the max timestamp
// and computes the CRC again, which reads the whole batch.
func (b Batch) StampAppendTime(ms int64) {
	b[posAttributes+1] |= attrLogAppendTime
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(ms))
	b.putCRC()
}

// SetMaxTimestamp corrects the max timestamp, in ms since the epoch, and computes the CRC
// again, which reads the whole batch.
func (b Batch) SetMaxTimestamp(ms int64) {
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(ms))
	b.putCRC()
}

// SetProducer makes the batch one of an idempotent producer, whose first record has the given
// sequence, and computes the CRC again, which reads the whole batch.
func (b Batch) SetProducer(id int64, epoch int16, baseSequence int32) {
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(id))
	binary.BigEndian.PutUint16(b[posProducerEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(b[posBaseSequence:], uint32(baseSequence))
	b.putCRC()
}

// EncodedRecords returns the records as they lie in an uncompressed batch, without copying;
// false when the batch is compressed, and AppendRecords has to be used.
func (b Batch) EncodedRecords() ([]byte, bool) {
	return b[BatchHeaderSize:], b.Codec() == CodecNone
}

// AppendRecords appends the batch's records to dst, decompressed and still encoded as
// RecordReader reads them; without compression that is a copy. At most
// MaxDecompressedBytes are appended, and at least the size that Records() records need.
// Every failure is ErrCorruptRecord and leaves dst as it was.
func (b Batch) AppendRecords(dst []byte) ([]byte, error) {
	return b.appendRecords(dst, MaxDecompressedBytes)
}

func (b Batch) appendRecords(dst []byte, limit int) ([]byte, error) {
	out, err := Decompress(dst, b[BatchHeaderSize:], b.Codec(), limit)
	if err != nil {
		return dst, err
	}
	if size := len(out) - len(dst); b.Records() > size/minRecordSize {
		return dst, fmt.Errorf("%w: %d records in %d bytes", errCount, b.Records(), size)
	}
	return out, nil
}

// putHeader writes the header of a batch of count records without a producer, and the
// CRC. b is the whole batch, its records in place.
func (b Batch) putHeader(codec Codec, baseTimestamp, maxTimestamp int64, count int) {
	clear(b[:BatchHeaderSize])
	b.putLength()
	b[posMagic] = batchMagic
	b[posAttributes+1] = byte(codec)
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(count-1))
	binary.BigEndian.PutUint64(b[posBaseTimestamp:], uint64(baseTimestamp))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(maxTimestamp))
	for i := posProducerID; i < posCount; i++ {
		b[i] = 0xff // producer id, epoch and base sequence -1
	}
	binary.BigEndian.PutUint32(b[posCount:], uint32(count))
	b.putCRC()
}

func (b Batch) putLength() {
	binary.BigEndian.PutUint32(b[posBatchLength:], uint32(len(b)-batchLengthFrom))
}
func (b Batch) putCRC()     { binary.BigEndian.PutUint32(b[posCRC:], b.crc()) }
func (b Batch) crc() uint32 { return crc32.Checksum(b[posAttributes:], castagnoli) }

func (b Batch) lastOffsetDelta() int32 { return b.i32(posLastOffsetDelta) }

func (b Batch) i32(pos int) int32 { return int32(binary.BigEndian.Uint32(b[pos:])) }
func (b Batch) i64(pos int) int64 { return int64(binary.BigEndian.Uint64(b[pos:])) }

// SetTransactional makes the batch one of a transaction. SetProducer has to follow, which computes the CRC.
func (b Batch) SetTransactional() { b[posAttributes+1] |= attrTransactional }

// Detach makes a batch of a producer or a transaction one of nobody, and computes the CRC again if it was not that before.
func (b Batch) Detach() {
	if b.ProducerID() < 0 && b.ProducerEpoch() < 0 && b.BaseSequence() < 0 && !b.Transactional() {
		return
	}
	b[posAttributes+1] &^= attrTransactional
	b.SetProducer(-1, -1, -1)
}

package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

// Builder collects the records of one batch and encodes it. The zero value is ready.
// It is for one goroutine at a time. It keeps its memory over Reset.
type Builder struct {
	plain    []byte // the batch uncompressed, its header blank; empty without records
	count    int
	baseTime int64 // ms; of the first record, or the delete horizon
	horizon  bool  // baseTime is the delete horizon
	maxTime  int64 // ms
	tooLarge bool  // a record has more than maxHeaders headers
}

var errNoRecords = errors.New("batch without records")

// Grow makes room for records of n bytes in all, as Size counts them.
func (b *Builder) Grow(n int) { b.plain = slices.Grow(b.plain, max(0, n-len(b.plain))) }

// Append adds a record, of which it copies the bytes. ts is its timestamp in milliseconds
// since the epoch; timestamps need not be in order. A nil key or value is null.
func (b *Builder) Append(ts int64, key, value []byte, headers []Header) {
	b.appendAt(int64(b.count), ts, key, value, headers)
}

// appendAt is Append of a record with the given offset delta, which is larger than that
// of the record before.
func (b *Builder) appendAt(offsetDelta, ts int64, key, value []byte, headers []Header) {
	if b.count == 0 {
		b.plain = append(b.plain[:0], make([]byte, BatchHeaderSize)...)
		b.maxTime = ts
		if !b.horizon {
			b.baseTime = ts
		}
	}
	b.maxTime = max(b.maxTime, ts)
	b.tooLarge = b.tooLarge || len(headers) > maxHeaders

	delta := zigzag(ts - b.baseTime) // may wrap around, and does so back in the reader
	offset := zigzag(offsetDelta)
	size := 1 + uvarintSize(delta) + uvarintSize(offset) + contentSize(key, value, headers)
	at := len(b.plain)
	b.plain = slices.Grow(b.plain, maxVarintSize+size)
	p := b.plain[at : at : at+maxVarintSize+size]
	p = binary.AppendVarint(p, int64(size))
	p = append(p, 0) // attributes
	p = binary.AppendUvarint(p, delta)
	p = binary.AppendUvarint(p, offset)
	p = appendBytes(p, key)
	p = appendBytes(p, value)
	p = binary.AppendVarint(p, int64(len(headers)))
	for i := range headers {
		h := &headers[i]
		p = binary.AppendVarint(p, int64(len(h.Key)))
		p = append(p, h.Key...)
		p = appendBytes(p, h.Value)
	}
	b.plain = b.plain[:at+len(p)]
	b.count++
}

// AppendBatch adds the records of an uncompressed batch, of which it copies the bytes. A
// failure is ErrCorruptRecord, or ErrUnsupportedCodec for a compressed one; then the
// builder holds some of the records.
func (b *Builder) AppendBatch(src Batch) error {
	if src.Codec() != CodecNone {
		return fmt.Errorf("%w: %s where no compression was expected", ErrUnsupportedCodec, src.Codec())
	}
	r := NewRecordReader(src, src[BatchHeaderSize:])
	var rec Record
	for {
		more, err := r.Next(&rec)
		if err != nil || !more {
			return err
		}
		b.Append(rec.millis(), rec.Key, rec.Value, rec.Headers)
	}
}

// Records is the number of records appended.
func (b *Builder) Records() int { return b.count }

// Size is the number of bytes of the batch as it is now, header included, uncompressed.
func (b *Builder) Size() int { return max(BatchHeaderSize, len(b.plain)) }

// SizeWith is at least what Size would be after Append with these arguments, and at most
// some ten bytes more.
func (b *Builder) SizeWith(key, value []byte, headers []Header) int {
	size := 1 + maxVarintSize + uvarintSize(zigzag(int64(b.count))) + contentSize(key, value, headers)
	return b.Size() + uvarintSize(zigzag(int64(size))) + size
}

// Reset takes all records out. The builder's memory stays with it.
func (b *Builder) Reset() { *b = Builder{plain: b.plain[:0]} }

// Keep is Reset that returns a copy of p in the builder's memory, which nothing but Reset may touch until the
// copy is done with.
func (b *Builder) Keep(p []byte) []byte {
	b.plain = append(b.plain[:0], p...)
	kept := b.plain
	b.Reset()
	return kept
}

// Seal encodes the records as a batch without a producer, at base offset 0
// until Log.Stage gives it another. The batch is appended to dst and returned alone, without
// the bytes of dst before it; it shares dst's memory if that was enough.
// Seal does not change the builder and keeps nothing of dst.
//
// Where compression would not make the records smaller they are stored without.
//
// It fails without records, with ErrUnsupportedCodec for a codec that is not Kafka's,
// and with ErrRecordTooLarge for more than a reader would take: MaxDecompressedBytes, or
// 1,048,576 headers in a record.
func (b *Builder) Seal(dst []byte, codec Codec) (Batch, error) {
	batch, _, err := b.seal(dst, codec, false, false)
	return batch, err
}

// SealAs is Seal that compresses the records even if they become larger by it.
func (b *Builder) SealAs(dst []byte, codec Codec) (Batch, error) {
	batch, _, err := b.seal(dst, codec, true, false)
	return batch, err
}

// SealOwn is Seal, or with always SealAs, that does not copy what is not compressed: then own is true,
// and the batch lies in the builder's memory, which nothing but Reset may touch, once the
// batch is done with.
func (b *Builder) SealOwn(dst []byte, codec Codec, always bool) (batch Batch, own bool, err error) {
	return b.seal(dst, codec, always, true)
}

func (b *Builder) seal(dst []byte, codec Codec, always, own bool) (Batch, bool, error) {
	if b.count == 0 {
		return nil, false, errNoRecords
	}
	if b.tooLarge || len(b.plain)-BatchHeaderSize > MaxDecompressedBytes {
		return nil, false, fmt.Errorf("%w: batch of %d records, %d bytes", ErrRecordTooLarge, b.count, b.Size())
	}
	start := len(dst)
	out := dst
	if codec != CodecNone {
		out = slices.Grow(out, BatchHeaderSize)
		var err error
		if out, err = compress(out[:start+BatchHeaderSize], b.plain[BatchHeaderSize:], codec); err != nil {
			return nil, false, err
		}
		if !always && len(out)-start >= len(b.plain) {
			codec, out = CodecNone, out[:start]
		}
	}
	own = own && codec == CodecNone
	switch {
	case own:
		out, start = b.plain, 0
	case codec == CodecNone:
		out = append(out, b.plain...)
	}
	batch := Batch(out[start:])
	batch.putHeader(codec, b.baseTime, b.maxTime, b.count)
	if b.horizon {
		batch[posAttributes+1] |= attrDeleteHorizon
		batch.putCRC()
	}
	return batch, own, nil
}

// HorizonBytes is the most that a delete horizon adds to the encoded size of a record: far from
// all timestamps, it makes every delta a long one.
const HorizonBytes = maxVarintSize - 1

// withHorizon returns a builder of the same records, which uses memory of its own, with a
// delete horizon.
func (b *Builder) withHorizon(ms int64) (*Builder, error) {
	h := &Builder{plain: make([]byte, 0, len(b.plain)+HorizonBytes*b.count), baseTime: ms, horizon: true, tooLarge: b.tooLarge}
	r := RecordReader{records: b.plain[BatchHeaderSize:], left: b.count, last: math.MaxInt32, baseTime: b.baseTime}
	var rec Record
	for {
		more, err := r.Next(&rec)
		if err != nil || !more {
			return h, err
		}
		h.appendAt(rec.Offset, rec.millis(), rec.Key, rec.Value, rec.Headers)
	}
}

func appendBytes(dst, p []byte) []byte {
	if p == nil {
		return append(dst, 1) // -1
	}
	dst = binary.AppendVarint(dst, int64(len(p)))
	return append(dst, p...)
}

func zigzag(x int64) uint64 { return uint64(x<<1) ^ uint64(x>>63) }

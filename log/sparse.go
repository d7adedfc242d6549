package log

import (
	"encoding/binary"
	"fmt"
	"math"
)

// MaxSpan is the largest number of offsets that one batch can cover.
const MaxSpan = math.MaxInt32 + 1

// SparseBuilder encodes a batch of records that have their offsets already, with others
// missing in between: what compaction leaves. Reset begins a batch. It is for one
// goroutine at a time and keeps its memory.
type SparseBuilder struct {
	b    Builder
	base int64
	next int64 // the least offset that the next record can have
}

// Reset begins a batch that covers the offsets from base on.
func (s *SparseBuilder) Reset(base int64) {
	s.b.Reset()
	s.base, s.next = base, base
}

// Append adds rec, of which it copies the bytes, at rec.Offset. Offsets rise, from base on
// and by less than MaxSpan; a record out of order is an error and is left out.
func (s *SparseBuilder) Append(rec *Record) error {
	if rec.Offset < s.next || rec.Offset-s.base >= MaxSpan {
		return fmt.Errorf("%w: record %d in a batch that has got to %d", errOffsets, rec.Offset, s.next)
	}
	s.b.appendAt(rec.Offset-s.base, rec.millis(), rec.Key, rec.Value, rec.Headers)
	s.next = rec.Offset + 1
	return nil
}

// Size is the number of bytes of the batch as it is now, header included, uncompressed.
func (s *SparseBuilder) Size() int { return s.b.Size() }

// Cover says what a sparse batch tells besides its records.
type Cover struct {
	LastOffset int64 // which the batch covers, whether there is a record or not
	// LogAppendTime gives every record the time MaxTimestamp. Without it the
	// maximum is that of the records, and MaxTimestamp counts only if there are none.
	LogAppendTime bool
	MaxTimestamp  int64 // ms since the epoch
	// DeleteHorizon is when the tombstones may go, in ms since the epoch; 0 for a batch that
	// has none, or of which that is not decided.
	DeleteHorizon int64
}

// Seal encodes a new batch, at the base offset of Reset and without a producer. A batch
// without records is allowed. Where compression would not
// make the records smaller they are stored without. It fails like Builder.Seal, and when
// the batch would cover MaxSpan offsets or more, or less than its records.
func (s *SparseBuilder) Seal(codec Codec, c Cover) (Batch, error) {
	if c.LastOffset < max(s.base, s.next-1) || c.LastOffset-s.base >= MaxSpan {
		return nil, fmt.Errorf("%w: base %d, records up to %d, last %d", errOffsets, s.base, s.next, c.LastOffset)
	}
	var b Batch
	if s.b.Records() == 0 {
		b = make(Batch, BatchHeaderSize)
		b.putHeader(CodecNone, c.MaxTimestamp, c.MaxTimestamp, 0)
	} else {
		builder := &s.b
		var err error
		if c.DeleteHorizon > 0 {
			if builder, err = s.b.withHorizon(c.DeleteHorizon); err != nil {
				return nil, err
			}
		}
		if b, err = builder.Seal(nil, codec); err != nil {
			return nil, err
		}
	}
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(c.LastOffset-s.base))
	if c.LogAppendTime {
		b.StampAppendTime(c.MaxTimestamp)
	} else {
		b.putCRC()
	}
	b.SetBaseOffset(s.base)
	return b, nil
}

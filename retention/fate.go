package retention

import (
	"math"

	"github.com/samsa-go/samsa/log"
)

const never = math.MaxInt64

// fate is what becomes of a record.
type fate int8

const (
	stays fate = iota
	superseded
	expired
)

// fate decides about one record of the section, and notes in s what it sees.
//
// A tombstone may go only if no earlier record of its key is left, or that one would come
// back. All earlier ones go in this pass, or went in an earlier one, if the batches that
// hold them are rewritten; hence pinned.
func (p *pass) fate(rec *log.Record, s *seen) fate {
	if rec.Key == nil {
		s.keyless++
		return stays
	}
	if rec.Offset >= p.to {
		return stays
	}
	if latest, ok := p.keys.get(rec.Key); ok && latest > rec.Offset {
		return superseded
	}
	if rec.Value != nil || p.pinned {
		return stays
	}
	ms := rec.Timestamp.UnixMilli()
	if p.opts.NowMs >= dueMs(Batch{MaxTimestamp: ms}, p.opts.DeleteRetentionMs) {
		return expired
	}
	if !s.tombstone || ms < s.oldestMs {
		s.tombstone, s.oldestMs = true, ms
	}
	return stays
}

// sizeOf is about what rec takes in an uncompressed batch.
func sizeOf(rec *log.Record) int {
	size := 12 + len(rec.Key) + len(rec.Value)
	for i := range rec.Headers {
		size += 4 + len(rec.Headers[i].Key) + len(rec.Headers[i].Value)
	}
	return size
}

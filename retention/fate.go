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
// hold them are rewritten; hence pinned. Its time runs from then on, not from its own
// timestamp: whoever has read an earlier record has DeleteRetentionMs to read it too.
func (p *pass) fate(rec *log.Record, s *seen) fate {
	if rec.Key == nil {
		s.keyless++
		return stays
	}
	if rec.Offset < p.to {
		if latest, ok := p.keys.get(rec.Key); ok && latest > rec.Offset {
			return superseded
		}
	}
	if rec.Value != nil {
		return stays
	}
	if rec.Offset < p.to && !p.pinned {
		if s.horizon != 0 && p.opts.NowMs >= s.horizon {
			return expired
		}
		s.ripening = true
	}
	s.tombstones = true
	return stays
}

// horizon returns the delete horizon of tombstones that are the last of their keys since now.
func (o *CleanOptions) horizon() int64 {
	if o.NowMs >= never-o.DeleteRetentionMs {
		return never
	}
	return o.NowMs + o.DeleteRetentionMs
}

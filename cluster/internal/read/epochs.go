package read

import (
	"slices"

	"github.com/samsa-go/samsa/log"
)

// epochs are the epochs of the leaders that have stored what was read of a partition. Who commits an offset says with it of which
// epoch the record before is; who goes on from there says so to the leader, which knows then whether that record is still there (KIP-320).
type epochs struct {
	spans []span // in the order of their offsets, at most mostSpans

	offset    int64 // that was committed
	committed int32 // the epoch that came with it
}

// span says that the records of some offsets are of an epoch.
type span struct {
	from, to int64 // to is behind the last one
	epoch    int32
}

// mostSpans is enough for what is committed soon after it was read.
const mostSpans = 16

// note adds what was read.
func (e *epochs) note(s span) {
	kept := e.spans[:0]
	for _, o := range e.spans { // what was read before counts no more where it was read again
		switch {
		case o.to <= s.from && o.to == s.from && o.epoch == s.epoch:
			s.from = o.from
		case o.to <= s.from:
			kept = append(kept, o)
		case o.from < s.from:
			o.to = s.from
			kept = append(kept, o)
		}
	}
	e.spans = append(kept, s)
	if n := len(e.spans) - mostSpans; n > 0 {
		e.spans = slices.Delete(e.spans, 0, n)
	}
}

// before returns the epoch of the record before an offset, -1 if it is not known.
func (e *epochs) before(offset int64) int32 {
	for _, s := range e.spans {
		if s.from < offset && offset <= s.to {
			return s.epoch
		}
	}
	return -1
}

// noteRead notes of which epochs batches are.
func (p *part) noteRead(batches []log.StoredBatch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sb := range batches {
		p.epochs.note(span{sb.Batch.BaseOffset(), sb.LastOffset + 1, leaderEpoch(sb.Batch)})
	}
}

// Epoch returns the epoch of the record before an offset, as it is to be committed with that; -1 if it is not known.
func (s *Topics) Epoch(tp log.TopicPartition, offset int64) int32 {
	p := s.part(tp)
	if p == nil {
		return -1
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epochs.before(offset)
}

// Committed notes an offset that was committed, and the epoch that came with it: who begins to read there is told if what is before
// it is not there any more.
func (s *Topics) Committed(tp log.TopicPartition, offset int64, epoch int32) {
	if p := s.part(tp); p != nil && epoch >= 0 {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.epochs.offset, p.epochs.committed = offset, epoch
	}
}

// beginEpoch returns the epoch of the record before an offset from which somebody begins to read.
func (p *part) beginEpoch(from int64) int32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if from > 0 && from == p.epochs.offset {
		return p.epochs.committed
	}
	return -1
}

func (s *Topics) part(tp log.TopicPartition) *part {
	t := s.get(tp.Topic)
	if t == nil {
		return nil
	}
	if parts := *t.parts.Load(); tp.Partition >= 0 && int(tp.Partition) < len(parts) {
		return parts[tp.Partition]
	}
	return nil
}

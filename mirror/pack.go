package mirror

import (
	"bytes"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// piece is a batch of the source that is to be copied, of which the offsets before from were copied already.
type piece struct {
	from  int64
	batch log.Batch // the piece's own
}

// packed is a batch for the target.
type packed struct {
	batch log.Batch
	base  int64 // in the target, where that keeps offsets
	runs  []run // source offsets, and records of the batch by number
}

// packer makes batches for a target of what one partition has.
type packer struct {
	out   []packed
	plain []byte

	joined  log.Builder // of records that do not go as they were
	runs    []run
	codec   log.Codec
	maximum int // bytes of a batch that is made here
}

const (
	joinBelow = 256 << 10 // bytes of batches that are joined with their neighbours: a batch of a partition waits for the one before
	joinTo    = 1 << 20   // bytes of what is joined, before compression
)

// keep makes batches for a target that keeps offsets, shifted, and covers what the source has nothing for, from at up to end.
// lastMs is the time of what comes without records behind the last piece. With an error it returns the number of the piece.
func (p *packer) keep(pieces []piece, at, end, shift, lastMs int64) (bad int, err error) {
	for i, piece := range pieces {
		b := piece.batch
		if err := p.cover(at, piece.from, shift, b.MaxTimestamp()); err != nil {
			return i, err
		}
		if piece.from > b.BaseOffset() {
			if b, err = p.rest(piece); err != nil {
				return i, err
			}
		}
		b.Detach()
		at = b.LastOffset() + 1
		p.out = append(p.out, packed{batch: b, base: b.BaseOffset() + shift})
	}
	return len(pieces), p.cover(at, end, shift, lastMs)
}

// cover makes batches without records for offsets.
func (p *packer) cover(from, to, shift, ms int64) error {
	for from < to {
		last := min(to, from+log.MaxSpan-1) - 1
		var s log.SparseBuilder
		s.Reset(from)
		b, err := s.Seal(log.CodecNone, log.Cover{LastOffset: last, MaxTimestamp: ms})
		if err != nil {
			return err
		}
		p.out = append(p.out, packed{batch: b, base: from + shift})
		from = last + 1
	}
	return nil
}

// rest makes a batch of the offsets from piece.from on.
func (p *packer) rest(piece piece) (log.Batch, error) {
	b := piece.batch
	var s log.SparseBuilder
	s.Reset(piece.from)
	var err error
	p.plain, err = eachRecord(b, p.plain, func(r *log.Record) error {
		if r.Offset < piece.from {
			return nil
		}
		return s.Append(r)
	})
	if err != nil {
		return nil, err
	}
	return s.Seal(b.Codec(), log.Cover{LastOffset: b.LastOffset(), LogAppendTime: b.LogAppendTime(), MaxTimestamp: b.MaxTimestamp()})
}

// move makes batches for a target that gives offsets: dense ones, with the times of producers. With an error it returns the number of the piece.
func (p *packer) move(pieces []piece) (bad int, err error) {
	for i, piece := range pieces {
		b := piece.batch
		_, horizon := b.DeleteHorizon()
		asIs := b.Dense() && !b.LogAppendTime() && !horizon && piece.from <= b.BaseOffset()
		if asIs && len(b) >= joinBelow || asIs && len(pieces) == 1 && p.joined.Records() == 0 {
			if err = p.flush(); err != nil {
				return i, err
			}
			p.out = append(p.out, packed{batch: b, runs: []run{{from: b.BaseOffset(), n: int64(b.Records())}}})
			continue
		}
		switch codec := b.Codec(); { // who compresses leaves a batch that would grow as it is: that does not end what is joined
		case p.joined.Records() == 0 || p.codec == log.CodecNone:
			p.codec = codec
		case codec != p.codec && codec != log.CodecNone:
			if err = p.flush(); err != nil {
				return i, err
			}
			p.codec = codec
		}
		p.plain, err = eachRecord(b, p.plain, func(r *log.Record) error {
			if r.Offset < piece.from {
				return nil
			}
			return p.add(r)
		})
		if err != nil {
			return i, err
		}
	}
	return len(pieces), p.flush()
}

// add adds a record to the batch that is being made.
func (p *packer) add(r *log.Record) error {
	if p.joined.Records() > 0 && p.joined.SizeWith(r.Key, r.Value, r.Headers) > p.maximum {
		if err := p.flush(); err != nil {
			return err
		}
	}
	ms := int64(log.NoTimestamp)
	if !r.Timestamp.IsZero() {
		ms = r.Timestamp.UnixMilli()
	}
	p.runs = join(p.runs, run{from: r.Offset, to: int64(p.joined.Records()), n: 1})
	p.joined.Append(ms, r.Key, r.Value, r.Headers)
	return nil
}

// flush has the batch that is being made be one.
func (p *packer) flush() error {
	if p.joined.Records() == 0 {
		return nil
	}
	b, err := p.joined.Seal(nil, p.codec)
	if err != nil {
		return err
	}
	p.out = append(p.out, packed{batch: b, runs: p.runs})
	p.joined.Reset()
	p.runs = nil
	return nil
}

// copied returns the batches as the target takes them.
func (p *packer) copied(to []engine.CopiedBatch, tp log.TopicPartition, id [16]byte) []engine.CopiedBatch {
	for i := range p.out {
		to = append(to, engine.CopiedBatch{TopicPartition: tp, TopicID: id, Batch: p.out[i].batch, Base: p.out[i].base})
	}
	return to
}

// clone returns a piece with a batch of its own.
func clone(from int64, b log.Batch) piece { return piece{max(from, b.BaseOffset()), bytes.Clone(b)} }

package retention

import (
	"context"
	"errors"

	"github.com/samsa-go/samsa/log"
)

// stepBytes is how much is read before others get their turn.
const stepBytes = 4 << 20

// pass is one pass over a section: first it notes where the latest record of each
// dirty key is, as far as there is memory, then it takes out what these supersede.
type pass struct {
	cleaner *Cleaner
	log     *log.Log
	opts    CleanOptions
	keys    *keyMap
	join    joiner
	done    Cleaned

	to       int64 // the keys up to here are in the map
	outcomes *log.Outcomes
	pinned   bool // a batch that is not rewritten was passed
	remains  remains
	batch    filtered
	keep     []bool
	buf      []byte // a stored batch
	raw      []byte // its records
}

// run cleans s as far as the map reaches and returns the offset up to which it did.
func (p *pass) run(ctx context.Context, s section) (int64, error) {
	p.keys.reset()
	p.to, p.outcomes = s.end, p.log.Outcomes()
	if err := p.each(ctx, s.dirty, s.end, p.index); err != nil {
		return 0, err
	}
	p.outcomes, p.pinned, p.remains = p.log.Outcomes(), false, remains{}
	p.done.Keyless, p.done.Pinned, p.done.NextTombstoneMs = 0, 0, never
	if err := p.each(ctx, s.start, p.to, p.filter); err != nil {
		return 0, err
	}
	if err := p.join.close(); err != nil {
		return 0, err
	}
	return p.to, p.flush()
}

// each calls fn for the batches from the one that holds from to the one that holds to-1,
// until fn returns false. Outside of the store's scan, which must not last, it writes
// what is to be written and lets others have their turn.
func (p *pass) each(ctx context.Context, from, to int64, fn func(log.StoredBatch) (bool, error)) error {
	for from < to {
		if err := ctx.Err(); err != nil {
			return err
		}
		var (
			fnErr error
			size  int
			more  = true
			at    = from
		)
		buf, err := p.log.Read(from, p.buf, func(sb log.StoredBatch) bool {
			from = sb.LastOffset + 1
			size += len(sb.Batch)
			more, fnErr = fn(sb)
			return more && fnErr == nil && from < to && size < stepBytes && !p.join.must()
		})
		p.buf = buf
		if err := errors.Join(err, fnErr); err != nil {
			return err
		}
		if p.join.must() {
			if err := p.flush(); err != nil {
				return err
			}
		}
		if p.cleaner.Pace != nil {
			if err := p.cleaner.Pace(ctx, int64(size)); err != nil {
				return err
			}
		}
		if !more || from == at {
			return nil
		}
	}
	return nil
}

// flush writes what was decided and counts it.
func (p *pass) flush() error {
	if err := p.join.flush(); err != nil {
		return err
	}
	c := p.join.sealed
	p.join.sealed = count{}
	d := &p.done
	d.Records += c.records
	d.Tombstones += c.tombstones
	d.Aborted += c.aborted
	d.Markers += c.markers
	d.BytesBefore += c.bytes
	d.BytesAfter += c.newBytes
	d.BatchesBefore += c.batches
	d.BatchesAfter += c.newBatches
	return nil
}

// index notes the keys of a dirty batch. It returns false when the map is full: then
// p.to is the first record that is not in it.
func (p *pass) index(sb log.StoredBatch) (bool, error) {
	kind, err := p.kindOf(sb)
	if err != nil {
		return false, err
	}
	if kind != ofRecords || !p.decompress(sb.Batch) || !wellFormed(sb.Batch, p.raw) {
		return true, nil // it supersedes nothing
	}
	from := p.done.NextDirty
	r := log.NewRecordReader(sb.Batch, p.raw)
	var rec log.Record
	for {
		more, err := r.Next(&rec)
		if err != nil || !more {
			return true, err
		}
		if rec.Key != nil && rec.Offset >= from && !p.keys.put(rec.Key, rec.Offset) {
			p.to = rec.Offset
			return false, nil
		}
	}
}

// kind is what a stored batch is to a pass.
type kind int8

const (
	ofRecords kind = iota // of no transaction, or of one that was committed
	aborted
	marker
	unclear // damaged, or nobody can tell whether it was aborted
)

func (p *pass) kindOf(sb log.StoredBatch) (kind, error) {
	switch b := sb.Batch; {
	case sb.Err != nil:
		return unclear, nil
	case b.Control():
		return marker, nil
	case !b.Transactional():
		return ofRecords, nil
	}
	is, err := p.outcomes.Aborted(sb.Batch)
	switch {
	case errors.Is(err, log.ErrCorruptValue):
		return unclear, nil
	case is:
		return aborted, err
	}
	return ofRecords, err
}

// decompress reads the records of b into p.raw. It returns false if it cannot.
func (p *pass) decompress(b log.Batch) bool {
	var err error
	p.raw, err = b.AppendRecords(p.raw[:0])
	return err == nil
}

// wellFormed reports whether every record can be read.
func wellFormed(b log.Batch, records []byte) bool {
	r := log.NewRecordReader(b, records)
	var rec log.Record
	for {
		more, err := r.Next(&rec)
		if err != nil || !more {
			return err == nil
		}
	}
}

// filter decides which records of a batch stay and hands it to the joiner.
func (p *pass) filter(sb log.StoredBatch) (bool, error) {
	kind, err := p.kindOf(sb)
	switch {
	case err != nil:
		return false, err
	case kind == marker:
		return true, p.settle(sb)
	case kind == aborted:
		n := int64(sb.Batch.Records())
		gone := count{records: n, aborted: n}
		return true, p.join.add(&filtered{source: sourceOf(sb), batch: sb.Batch, unbound: true, lost: gone})
	case kind == ofRecords && p.rewritable(sb) && p.sift(sb):
		return true, p.join.add(&p.batch)
	}
	p.pinned = true
	p.done.Pinned++
	p.remains.leave(sb)
	return true, p.join.close()
}

// settle decides about the marker of a transaction: it stays as it is while there are records of the transaction.
// Then it has a delete horizon, as a tombstone has: whoever has read of the records has DeleteRetentionMs to read the
// marker too.
func (p *pass) settle(sb log.StoredBatch) error {
	b := sb.Batch
	commit, err := b.Outcome()
	if err != nil { // no marker that is known
		p.done.Pinned++
		return p.join.close()
	}
	if p.remains.end(b.ProducerID()) {
		return p.join.close()
	}
	f := filtered{source: sourceOf(sb), batch: b}
	horizon, ok := b.DeleteHorizon()
	if ok && p.opts.NowMs >= horizon {
		f.unbound, f.forgets, f.lost.markers = true, !commit, 1
		return p.join.add(&f)
	}
	if ok {
		err = p.join.close()
	} else {
		horizon = p.opts.horizon()
		if b, err = b.WithHorizon(horizon); err == nil {
			err = p.join.replace(&f, b)
		}
	}
	p.done.NextTombstoneMs = min(p.done.NextTombstoneMs, horizon)
	return err
}

// rewritable reports whether sb may be rewritten, and reads its records into p.raw.
func (p *pass) rewritable(sb log.StoredBatch) bool {
	if !p.decompress(sb.Batch) {
		return false
	}
	size := len(p.raw) + log.HorizonBytes*sb.Batch.Records()
	return size <= min(p.join.rewriter.maxBytes()/2, log.MaxDecompressedBytes)
}

// sift fills p.batch with what stays of sb. It returns false if a record is malformed.
func (p *pass) sift(sb log.StoredBatch) bool {
	b := sb.Batch
	f := &p.batch
	*f = filtered{source: sourceOf(sb), batch: b, records: p.raw, unbound: b.Transactional()}
	p.keep = p.keep[:0]
	r := log.NewRecordReader(b, p.raw)
	var rec log.Record
	var seen seen
	if ms, ok := b.DeleteHorizon(); ok {
		seen.horizon = ms
	}
	for {
		more, err := r.Next(&rec)
		if err != nil {
			return false
		}
		if !more {
			break
		}
		fate := p.fate(&rec, &seen)
		p.keep = append(p.keep, fate == stays)
		switch fate {
		case stays:
			f.kept++
			f.size += log.RecordSize(&rec)
		case expired:
			f.lost.tombstones++
			f.lost.records++
		case superseded:
			f.lost.records++
		}
	}
	if f.lost.records > 0 {
		f.keep = p.keep
	}
	p.done.Keyless += seen.keyless
	if seen.ripening {
		if seen.horizon == 0 {
			seen.horizon, f.marked = p.opts.horizon(), true
		}
		p.done.NextTombstoneMs = min(p.done.NextTombstoneMs, seen.horizon)
	}
	if f.tombstones = seen.tombstones; f.tombstones {
		f.horizon = seen.horizon
	}
	return true
}

// seen is what a batch has besides what goes.
type seen struct {
	keyless    int64
	tombstones bool  // there are some
	ripening   bool  // that go at the horizon
	horizon    int64 // of the batch, in ms; 0 for none
}

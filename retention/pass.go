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

	to     int64 // the keys up to here are in the map
	pinned bool  // a batch that is not rewritten was passed
	batch  filtered
	keep   []bool
	buf    []byte // a stored batch
	raw    []byte // its records
}

// run cleans s as far as the map reaches and returns the offset up to which it did.
func (p *pass) run(ctx context.Context, s section) (int64, error) {
	p.keys.reset()
	p.to = s.end
	if err := p.each(ctx, s.dirty, s.end, p.index); err != nil {
		return 0, err
	}
	p.pinned = false
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
	d.BytesBefore += c.bytes
	d.BytesAfter += c.newBytes
	d.BatchesBefore += c.batches
	d.BatchesAfter += c.newBatches
	return nil
}

// index notes the keys of a dirty batch. It returns false when the map is full: then
// p.to is the first record that is not in it.
func (p *pass) index(sb log.StoredBatch) (bool, error) {
	if !p.decompress(sb) || !wellFormed(sb.Batch, p.raw) {
		return true, nil // stays as it is
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

// decompress reads the records of sb into p.raw. It returns false for a batch that cannot
// be read, or whose records do not count: markers, and records of transactions, which may
// have been aborted.
func (p *pass) decompress(sb log.StoredBatch) bool {
	if sb.Err != nil {
		return false
	}
	b := sb.Batch
	if b.Control() || b.Transactional() {
		return false
	}
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
	if !p.rewritable(sb) || !p.sift(sb) {
		p.pinned = true
		p.done.Pinned++
		return true, p.join.close()
	}
	return true, p.join.add(&p.batch)
}

// rewritable reports whether sb may be rewritten, and reads its records into p.raw.
func (p *pass) rewritable(sb log.StoredBatch) bool {
	if !p.decompress(sb) {
		return false
	}
	size := len(p.raw) + log.HorizonBytes*sb.Batch.Records()
	return size <= min(p.join.rewriter.maxBytes()/2, log.MaxDecompressedBytes)
}

// sift fills p.batch with what stays of sb. It returns false if a record is malformed.
func (p *pass) sift(sb log.StoredBatch) bool {
	b := sb.Batch
	f := &p.batch
	*f = filtered{source: source{sb.LastOffset, sb.MaxTimestamp}, batch: sb.Batch, records: p.raw}
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

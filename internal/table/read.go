package table

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// getter is Rows, or a snapshot of them.
type getter interface {
	Get(key []byte) ([]byte, error)
}

// Get returns the row of key.
func (t *Table) Get(key []byte) (log.Record, error) {
	r, err := t.row(t.rowKey(key))
	if err == nil && t.b.Hooks.Intercepts() {
		r, err = t.intercepted(r)
	}
	return r, err
}

// intercepted is what interceptors make of a row.
func (t *Table) intercepted(r log.Record) (log.Record, error) {
	r, err := t.b.Hooks.BeforeDeliverOne(t.ctx, r)
	if err != nil {
		return r, t.wrap(err)
	}
	return r, nil
}

// row returns the row that is stored under key, as it is stored.
func (t *Table) row(key []byte) (log.Record, error) {
	for overtaken := false; ; overtaken = true {
		r, err := t.get(t.rows, key)
		switch {
		case !errors.Is(err, errMoved):
			return r, err
		case (overtaken || t.still) && errors.Is(err, errGone):
			return log.Record{}, t.noRow(key)
		case t.still: // a later record has its place, which nothing brings here
			return r, err
		}
		if err := t.CatchUp(t.ctx); err != nil {
			return log.Record{}, err
		}
	}
}

// errMoved is for a row whose record has gone from the log, as there is a later one, and errGone, which is one too, if the log start has
// passed it: then the row is about to go.
var (
	errMoved = fmt.Errorf("%w: the record of a row", log.ErrOffsetOutOfRange)
	errGone  = fmt.Errorf("%w is before the log start", errMoved)
)

// rowAgain is row for one that has moved.
func (t *Table) rowAgain(key []byte, _ error) (log.Record, error) { return t.row(key) }

// get returns the row that is stored under key, which belongs to it.
func (t *Table) get(rows getter, key []byte) (r log.Record, err error) {
	if err := t.Err(); err != nil {
		return r, err
	}
	row, err := rows.Get(key)
	if errors.Is(err, store.ErrNotFound) {
		return r, t.noRow(key)
	}
	if err == nil {
		r, err = t.open(t.head(key), row)
	}
	if err != nil {
		if ended := t.Err(); ended != nil {
			err = ended
		}
		return log.Record{}, fmt.Errorf("get %.100q: %w", t.head(key), err)
	}
	return r, nil
}

// head returns the key of the record whose row is stored under key, or its first KeyHead bytes and a hash.
func (t *Table) head(key []byte) []byte { return key[len(t.prefix)+1:] }

func (t *Table) noRow(key []byte) error {
	return t.wrap(fmt.Errorf("%w: %.100q", log.ErrKeyNotFound, t.head(key)))
}

// open returns the record of a row that is stored under key, from the log if the row is not whole. The bytes belong to it.
func (t *Table) open(key, row []byte) (r log.Record, err error) {
	whole, err := parseRow(key, row, &r)
	if err == nil && !whole {
		r, err = t.fetched(r)
	}
	r.Topic = t.opts.Topic
	return r, err
}

// fetched returns the record from the log that r has the partition and the offset of: see open. It is apart from get, whose record is not to
// be in memory of its own.
func (t *Table) fetched(r log.Record) (log.Record, error) {
	of, err := t.topic.Partition(r.Partition)
	if err != nil {
		return r, err
	}
	offset, found := r.Offset, false
	_, err = of.Fetch(t.ctx, t.opts.ClientID, log.ReadUncommitted, offset, nil, func(sb log.StoredBatch) bool {
		if err = sb.Err; err != nil || sb.Batch.Control() {
			return false
		}
		var records []byte
		if records, err = sb.Batch.AppendRecords(nil); err != nil {
			return false
		}
		reader := log.NewRecordReader(sb.Batch, records)
		if err = reader.SkipTo(offset); err == nil && reader.Left() > 0 {
			_, err = reader.Next(&r)
			found = err == nil && r.Offset == offset
		}
		return false
	})
	switch {
	case offset < of.LogStart() && (err == nil && !found || errors.Is(err, log.ErrOffsetOutOfRange)):
		err = errGone
	case err == nil && !found:
		err = errMoved
	}
	return r, err
}

// How many rows are read ahead, and no more than of so many bytes.
const (
	firstRows = 16
	maxRows   = 1024
	aheadSize = 256 << 10
)

// stored is a row as it is stored, in memory of its own.
type stored struct{ key, row []byte }

// some reads the first rows of r, and leaves the others in it. With heads it reads no more of each row than that.
func some(snap store.Snapshot, r *store.Range, limit int, heads bool) (rows []stored, more bool, err error) {
	size := 0
	err = snap.Scan(*r, func(e store.Entry) (bool, error) {
		s := stored{key: bytes.Clone(e.Key)}
		var err error
		if heads {
			s.row, err = e.AppendHead(nil, rowHead)
		} else {
			s.row, err = e.AppendValue(nil)
		}
		if err != nil {
			return false, err
		}
		rows = append(rows, s)
		size += len(s.key) + len(s.row)
		more = len(rows) == limit || size >= aheadSize
		return !more, nil
	})
	if n := len(rows); more && r.Reverse {
		r.To = bytes.Clone(rows[n-1].key) // whose bytes are given away
	} else if more {
		r.From = append(bytes.Clone(rows[n-1].key), 0)
	}
	return rows, more, err
}

// each yields the rows of r in a snapshot, holding nothing of the store meanwhile.
func each(snap store.Snapshot, r store.Range, heads bool) iter.Seq2[stored, error] {
	return func(yield func(stored, error) bool) {
		for limit := firstRows; ; limit = min(2*limit, maxRows) {
			rows, more, err := some(snap, &r, limit, heads)
			for _, s := range rows {
				if !yield(s, nil) {
					return
				}
			}
			if err != nil {
				yield(stored{}, err)
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// Range iterates over rows as of when the iteration begins.
func (t *Table) Range(r Range) iter.Seq2[log.Record, error] {
	return func(yield func(log.Record, error) bool) {
		snap, err := t.snapshot()
		if err != nil {
			yield(log.Record{}, err)
			return
		}
		defer snap.Close()
		t.iterate(snap, r, t.rowAgain, yield)
	}
}

func (t *Table) snapshot() (store.Snapshot, error) {
	if err := t.Err(); err != nil {
		return nil, err
	}
	return t.rows.Snapshot()
}

// iterate yields the rows of r in a snapshot. Where the record of one has gone from the log, another is asked for it; if that has none either it is an
// error, and the others come all the same.
func (t *Table) iterate(snap store.Snapshot, r Range, another func(key []byte, moved error) (log.Record, error), yield func(log.Record, error) bool) {
	for s, err := range each(snap, r.stored(t.prefix), false) {
		var rec log.Record
		if err == nil {
			err = t.Err()
		}
		if err == nil {
			rec, err = t.opened(s, another)
		}
		switch {
		case errors.Is(err, log.ErrKeyNotFound):
		case err != nil:
			moved := errors.Is(err, errMoved)
			if ended := t.Err(); ended != nil {
				err, moved = ended, false
			} else {
				err = t.wrap(err)
			}
			if !yield(log.Record{}, err) || !moved {
				return
			}
		case r.holds(rec.Key) && !t.give(rec, yield):
			return
		}
	}
}

// give yields a row, or what is wrong with it.
func (t *Table) give(rec log.Record, yield func(log.Record, error) bool) bool {
	if !t.b.Hooks.Intercepts() {
		return yield(rec, nil)
	}
	return yield(t.intercepted(rec))
}

// opened returns the record of a row.
func (t *Table) opened(s stored, another func(key []byte, moved error) (log.Record, error)) (rec log.Record, err error) {
	rec, err = t.open(t.head(s.key), s.row)
	if errors.Is(err, errMoved) {
		return another(s.key, err)
	}
	return rec, err
}

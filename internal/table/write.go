package table

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// What one commit has at most, unless a single record has more.
const (
	commitBytes = 1 << 20
	commitRows  = 1024
)

// writer is the memory of a table's goroutine.
type writer struct {
	buf    []byte // a stored batch
	arena  []byte // decompressed records
	read   []opened
	edits  map[string]*edit // by the keys of rows
	order  []*edit
	bytes  int
	batch  store.Batch
	row    log.Record
	broken bool // what is stored is not what the log says: after a crash it is of no use
}

// edit is what becomes of a row.
type edit struct {
	key, row []byte // stored ones; no row is its end
	name     []byte // the record's key where key is not
	was      bool   // there is one
	had      int    // bytes of it and its key
}

// opened is a batch that was read: its records, or why there are none, and where it begins and ends.
type opened struct {
	records   log.RecordReader
	base, end int64
	epoch     int32
	gaps      bool // offsets of it have no records
	err       error
}

// meta is what the table is, in JSON under kindMeta.
type meta struct {
	Version  int    `json:"version"` // of the format
	Identity string `json:"identity"`
	Rows     int64  `json:"rows"`
	Bytes    int64  `json:"bytes"` // of them and their keys
}

const formatVersion = 4

func (t *Table) metaKey() []byte { return append(bytes.Clone(t.prefix), kindMeta) }

// restore goes on with what is kept, or removes it if it is another's or not whole.
func (t *Table) restore(ctx context.Context) error {
	var m meta
	value, err := t.rows.Get(t.metaKey())
	if err == nil {
		err = json.Unmarshal(value, &m)
	}
	if err == nil && m.Version == formatVersion && m.Identity == t.opts.identity() {
		t.size.Store(m.Rows)
		t.bytes.Store(m.Bytes)
		return nil
	}
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		t.b.Logger.Warn("what is kept of a table is damaged, it is built anew", zap.String("topic", t.opts.Topic), zap.Error(err))
	}
	if err == nil || !errors.Is(err, store.ErrNotFound) {
		t.rebuilds.Add(1)
	}
	return t.Wipe(ctx, false) // who opens a table is told that there is no room for it
}

// Wipe removes all that is kept, beginning with what says that it is whole. With full it does so on a full disk too.
func (t *Table) Wipe(ctx context.Context, full bool) error {
	var b store.Batch
	b.Delete(t.metaKey())
	for more := true; more; {
		if err := t.rows.Commit(ctx, &b, full); err != nil {
			return t.wrap(err)
		}
		b.Reset()
		snap, err := t.rows.Snapshot()
		if err != nil {
			return t.wrap(err)
		}
		err = snap.Scan(store.Range{From: t.prefix, To: store.Behind(t.prefix), KeysOnly: true}, func(e store.Entry) (bool, error) {
			b.Delete(bytes.Clone(e.Key))
			return b.Len() < commitRows, nil
		})
		snap.Close()
		if err != nil {
			return t.wrap(err)
		}
		more = b.Len() > 0
	}
	t.size.Store(0)
	t.bytes.Store(0)
	return nil
}

// advance brings the table further in a partition, and reports whether it did.
func (t *Table) advance(p *part) (did bool, err error) {
	now, start, from, end := time.Now(), p.LogStart(), p.next.Load(), engine.End(p, t.opts.Isolation)
	there := end
	if c := t.cut(); c != nil { // without one this is all of before the next one
		s := c.parts[p.index]
		start, there = min(start, s.start), min(there, s.end)
	}
	if start > p.start {
		return true, t.trim(p, start)
	}
	if p.wasCut() {
		return true, t.rebuild(p, cutOff)
	}
	if from >= end {
		p.at(now)
	}
	remote, elsewhere := p.Partition.(engine.Remote)
	if from >= there && from <= p.HighWatermark() && p.Err() == nil {
		if elsewhere {
			remote.Await(t.opts.Isolation, from)
		}
		t.step.Take()
		p.follow() // nothing comes, but there may be more that is not to be read yet
		t.step.Give()
		if !elsewhere {
			return false, nil
		} // else it may have heard that the log was cut
	}
	next, err := t.fetch(p, from, there)
	switch {
	case errors.Is(err, engine.ErrNotYet):
		return false, nil
	case errors.Is(err, log.ErrOffsetOutOfRange) && from < p.LogStart():
		t.miss()         // what a cut would have
		return true, nil // trim comes first
	case errors.Is(err, log.ErrOffsetOutOfRange): // the log was cut
		return true, t.rebuild(p, cutOff)
	case err == nil && p.away && !whole(t.writer.read, from, next):
		return true, t.rebuild(p, "it was away for longer than tombstones stay, and a log was compacted meanwhile")
	case err != nil || next == from && len(t.writer.read) == 0:
		return false, err
	}
	next = t.within(p, from, next)
	for i := range t.writer.read {
		o := &t.writer.read[i]
		p.epoch = max(p.epoch, o.epoch) // what is stored of the batch is of it
		if err := t.apply(p, o); err != nil {
			return false, err
		}
	}
	if next >= end {
		p.at(now)
	}
	return next > from, t.commit(p, next)
}

// fetch reads batches of about commitBytes, and returns the offset behind them.
func (t *Table) fetch(p *part, from, there int64) (next int64, err error) {
	w := &t.writer
	clear(w.read)
	w.read, w.arena = w.read[:0], w.arena[:0]
	if cap(w.arena) > maxWhole {
		w.arena = nil
	}
	next = from
	w.buf, err = p.Fetch(t.ctx, t.opts.ClientID, t.opts.Isolation, from, w.buf, func(sb log.StoredBatch) bool {
		o := opened{base: next, end: sb.LastOffset + 1, err: sb.Err}
		if sb.Err == nil {
			o.base, o.epoch = sb.Batch.BaseOffset(), sb.Batch.LeaderEpoch()
			o.gaps = int64(sb.Batch.Records()) < o.end-o.base
		}
		next = o.end
		if b := sb.Batch; o.err == nil && !b.Control() && !sb.Aborted {
			at := len(w.arena)
			if w.arena, o.err = b.AppendRecords(w.arena); o.err == nil {
				o.records = log.NewRecordReader(b, w.arena[at:len(w.arena):len(w.arena)])
				o.err = o.records.SkipTo(from)
			}
		}
		w.read = append(w.read, o)
		return len(w.arena) < commitBytes
	})
	if err == nil && len(w.read) == 0 && next < there && next >= p.LogStart() {
		next = there // the last offsets have no batches any more
	}
	return next, err
}

// apply adds the records of a batch to what is committed next, and commits when that is enough.
func (t *Table) apply(p *part, o *opened) error {
	w := &t.writer
	r := &w.row
	for o.err == nil && o.records.Left() > 0 {
		var more bool
		if more, o.err = o.records.Next(r); !more {
			break
		}
		r.Topic, r.Partition = t.opts.Topic, p.index
		if r.Key == nil {
			continue
		}
		var row []byte
		if r.Value != nil {
			row = appendRow(make([]byte, 0, rowHead+1+len(r.Value)), r)
		}
		if err := t.edit(t.rowKey(r.Key), row, r.Key); err != nil {
			return err
		}
		if w.bytes >= commitBytes || len(w.order) == commitRows {
			if err := t.commit(p, r.Offset+1); err != nil {
				return err
			}
		}
	}
	if o.err == nil {
		return nil
	}
	err := fmt.Errorf("%s: batch ending at offset %d: %w", p.TopicPartition(), o.end-1, o.err)
	if !t.opts.SkipDamaged {
		return err
	}
	t.b.Logger.Warn("a table goes on behind a damaged batch", zap.Error(err))
	return nil
}

// edit has a row be stored under that key, or go if it is nil. Both belong to the edit. name is the record's key.
func (t *Table) edit(stored, row, name []byte) error {
	w := &t.writer
	e := w.edits[string(stored)]
	if e == nil {
		had, was, err := t.has(stored)
		if err != nil {
			return err
		}
		if w.edits == nil {
			w.edits = make(map[string]*edit)
		}
		e = &edit{key: stored, was: was, had: had}
		if len(name) >= keySize {
			e.name = bytes.Clone(name)
		}
		w.edits[string(stored)] = e
		w.order = append(w.order, e)
	}
	w.bytes += len(stored) + len(e.name) + len(row)
	e.row = row
	return nil
}

// nameOf returns the key of the record of a row, whose stored key, without the prefix, is that if it is short; nil if only the log has it.
func nameOf(key []byte, e store.Entry) ([]byte, error) {
	if len(key) < keySize {
		return key, nil
	}
	var r log.Record
	row, err := e.AppendValue(nil)
	if err == nil {
		_, err = parseRow(key, row, &r)
	}
	return r.Key, err
}

// rowKey returns what the row of that key is stored under.
func (t *Table) rowKey(key []byte) []byte {
	return appendKey(append(make([]byte, 0, len(t.prefix)+1+min(len(key), keySize)), t.prefix...), key)
}

// has reports whether a row is stored, and how many bytes of it and its key.
func (t *Table) has(stored []byte) (size int, is bool, err error) {
	row, err := t.rows.Get(stored)
	if errors.Is(err, store.ErrNotFound) {
		return 0, false, nil
	}
	if store.Lost(err) {
		err = nil // it is replaced
	}
	return len(stored) + len(row), err == nil, err
}

// commit stores what was edited, and that the table has come to next in p.
func (t *Table) commit(p *part, next int64) error {
	w := &t.writer
	defer w.reset()
	size, held, less := t.size.Load(), t.bytes.Load(), true
	for _, e := range w.order {
		held -= int64(e.had)
		switch {
		case e.row != nil:
			less = false
			w.batch.Set(e.key, e.row)
			held += int64(len(e.key) + len(e.row))
			if !e.was {
				size++
			}
		case e.was:
			w.batch.Delete(e.key)
			size--
		}
	}
	m := meta{Version: formatVersion, Identity: t.opts.identity(), Rows: size, Bytes: held}
	if w.broken {
		m.Version = 0
	}
	value, err := json.Marshal(m)
	if err != nil {
		return err
	}
	w.batch.Set(t.metaKey(), value)
	if next == math.MaxInt64 {
		w.batch.Delete(t.positionKey(p.index))
	} else {
		w.batch.Set(t.positionKey(p.index), position{next, p.start, p.seen, p.epoch}.encoded())
	}
	t.step.Take()
	if err = t.rows.Commit(t.ctx, &w.batch, less); err == nil {
		p.next.Store(next)
		p.follow()
		t.size.Store(size)
		t.bytes.Store(held)
		for watcher := range t.watchers {
			watcher.note(w.order)
		}
	}
	t.step.Give()
	t.signal()
	return err
}

// reset forgets what was edited.
func (w *writer) reset() {
	clear(w.edits)
	clear(w.order)
	w.order, w.bytes = w.order[:0], 0
	w.batch.Reset()
}

// trim removes the rows of p from before start, the whole partition's if that is math.MaxInt64.
func (t *Table) trim(p *part, start int64) error {
	if p.next.Load() > p.start { // else there are none
		if err := t.sweep(p, start); err != nil {
			return err
		}
	}
	p.start = start
	return t.commit(p, max(p.next.Load(), start))
}

// forget gives p up.
func (t *Table) forget(p *part) error {
	if err := t.trim(p, math.MaxInt64); err != nil {
		return err
	}
	p.leave(t)
	t.step.Take()
	delete(t.parts, p.index)
	t.step.Give()
	return nil
}

// wasCut reports whether records that the table has read were cut off, though there may be as many new ones now: those are of a later leader
// epoch. A partition that is elsewhere tells so by itself.
func (p *part) wasCut() bool {
	here, ok := p.Partition.(Here)
	if !ok {
		return false
	}
	l := here.Here().Log()
	epochs := l.Epochs()
	if epochs.Latest() == p.looked {
		return false
	}
	p.looked = epochs.Latest()
	_, end := epochs.End(p.epoch, l.End())
	return end >= 0 && end < p.next.Load()
}

const cutOff = "a log was cut off behind what it had read"

// rebuild begins p anew.
func (t *Table) rebuild(p *part, why string) error {
	t.b.Logger.Warn("a table is built anew, as "+why, zap.Stringer("partition", p.TopicPartition()), zap.Int64("read to", p.next.Load()))
	t.miss()
	t.rebuilds.Add(1)
	t.writer.broken = true
	if err := t.sweep(p, math.MaxInt64); err != nil {
		return err
	}
	t.writer.broken = false
	p.start, p.epoch = p.LogStart(), 0
	p.at(time.Now())
	return t.commit(p, p.start)
}

// sweep removes the rows of p from before an offset. It goes over all rows, as none is found by its offset.
func (t *Table) sweep(p *part, before int64) error {
	snap, err := t.rows.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	head := make([]byte, 0, rowHead)
	rows := (&Range{}).stored(t.prefix)
	for more := true; more; {
		more = false
		err := snap.Scan(rows, func(e store.Entry) (bool, error) {
			h, err := e.AppendHead(head, rowHead)
			if err != nil {
				return false, err
			}
			partition, offset, err := place(h)
			if err != nil || partition != p.index || offset >= before {
				return err == nil, err
			}
			stored := bytes.Clone(e.Key)
			name, err := nameOf(t.head(stored), e)
			if err == nil {
				err = t.edit(stored, nil, name)
			}
			if err != nil {
				return false, err
			}
			if more = len(t.writer.order) == commitRows; more {
				rows.From = append(stored, 0)
			}
			return !more && t.ctx.Err() == nil, nil
		})
		if err == nil {
			err = t.ctx.Err()
		}
		if err == nil {
			err = t.commit(p, p.next.Load())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

package log

import (
	"github.com/samsa-go/samsa/internal/store"
)

// KeyTime is the timestamp of the key under which b is stored: what retention goes by. It is
// the max timestamp, or, of records without, the time of their append.
func (b Batch) KeyTime(appendMs int64) int64 {
	if ms := b.MaxTimestamp(); ms != NoTimestamp {
		return ms
	}
	return appendMs
}

// AsksTime reports whether the time of its append counts for b: no record has a timestamp, or it is one of a producer
// with an id.
func (b Batch) AsksTime() bool {
	return b.MaxTimestamp() == NoTimestamp || b.Sequenced() || b.Control()
}

// OffsetForTime returns the offset and timestamp (ms since the epoch) of the first
// record whose timestamp is ts or later; ok is false when there is none. Records
// without a timestamp are none of these. It reads keys, and the values of the batches that
// can hold the answer: as a rule one. A corrupt batch among those is ErrCorruptRecord. As with Kafka, where
// to begin is all that it says: for ReadCommitted, too, the record may be of an aborted transaction or a marker.
func (l *Log) OffsetForTime(iso Isolation, ts int64) (offset, timestamp int64, ok bool, err error) {
	start := l.Start()
	var c candidate
	err = l.scan(iso, start, false, func(e store.Entry, key store.BatchKey) (bool, error) {
		if key.MaxTimestamp < ts {
			return true, nil
		}
		err := c.read(l, e, key, func(rec *Record) bool {
			if ms := rec.millis(); ms >= ts && ms != NoTimestamp && rec.Offset >= start {
				offset, timestamp, ok = rec.Offset, ms, true
			}
			return !ok
		})
		return !ok, err
	})
	return offset, timestamp, ok, l.wrap(err)
}

// TimeFrom returns the timestamp, in ms since the epoch, of the first visible batch that has an offset from from on, which
// is its largest one, or without timestamps the time of its append; ok is false when there is none. It reads a key.
func (l *Log) TimeFrom(from int64) (ms int64, ok bool, err error) {
	return new(TimeReader).TimeFrom(l, from)
}

// TimeReader is memory for who asks TimeFrom of many logs. The zero value is ready.
type TimeReader struct {
	keys store.BatchRangeKeys
	l    *Log
	ms   int64
	ok   bool
	see  func(store.Entry) (bool, error) // once it is needed
}

// TimeFrom is that of l.
func (t *TimeReader) TimeFrom(l *Log, from int64) (ms int64, ok bool, err error) {
	if t.see == nil {
		t.see = t.first
	}
	t.l, t.ms, t.ok = l, 0, false
	r := t.keys.Range(l.id, max(from, l.Start()))
	r.KeysOnly = true
	err = l.st.Scan(r, t.see)
	return t.ms, t.ok, l.wrap(err)
}

func (t *TimeReader) first(e store.Entry) (more bool, err error) {
	key, err := store.ParseBatchKey(e.Key)
	if err == nil && key.LastOffset < t.l.bound(ReadUncommitted) {
		t.ms, t.ok = key.MaxTimestamp, true
	}
	return false, err
}

// MaxTimestamp returns the largest timestamp of the visible records, in ms since the epoch, and
// NoTimestamp when none has one. It reads like OffsetForTime, from the end of the log on.
func (l *Log) MaxTimestamp() (int64, error) {
	start, newest := l.Start(), int64(NoTimestamp)
	r := store.BatchRange(l.id, start)
	r.Reverse = true
	var c candidate
	err := l.st.Scan(r, func(e store.Entry) (bool, error) {
		key, err := store.ParseBatchKey(e.Key)
		if err != nil || key.LastOffset >= l.End() || key.MaxTimestamp <= newest {
			return err == nil, err
		}
		return true, c.read(l, e, key, func(rec *Record) bool {
			if rec.Offset >= start {
				newest = max(newest, rec.millis())
			}
			return true
		})
	})
	return newest, l.wrap(err)
}

// candidate is memory for a batch that the key alone does not decide about.
type candidate struct{ buf, records []byte }

// read calls fn for the records of the batch until it returns false.
func (c *candidate) read(l *Log, e store.Entry, key store.BatchKey, fn func(*Record) bool) error {
	batch, err := l.open(e, key, c.buf)
	if err != nil {
		return err
	}
	c.buf = batch
	if c.records, err = batch.AppendRecords(c.records[:0]); err != nil {
		return l.corrupt(key, err)
	}
	r := NewRecordReader(batch, c.records)
	var rec Record
	for {
		more, err := r.Next(&rec)
		if err != nil {
			return l.corrupt(key, err)
		}
		if !more || !fn(&rec) {
			return nil
		}
	}
}

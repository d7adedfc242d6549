package log

import (
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/internal/store"
)

// ReadBefore reads the visible batch that holds the offset before-1, which may end behind it, and tells where it
// begins: base, known even when the batch is corrupt. So a log is read from its end to its start, a call for each
// batch with the base of the one before. Batches of transactions, and markers, come like others; with ReadCommitted it
// tells of them what Log.ReadCommitted does.
//
// The batch lives in buf, or in memory of its own if that is too short. Unless Start < before <= End, or LastStable with
// ReadCommitted, also when Start moves meanwhile, it is ErrOffsetOutOfRange.
func (l *Log) ReadBefore(iso Isolation, before int64, buf []byte) (sb StoredBatch, base int64, err error) {
	start := l.Start()
	if before <= start || before > l.bound(iso) {
		return sb, 0, l.noneBefore(before)
	}
	base = before // nothing was found
	w, outdated := l.abortedWindow(), false
	err = l.scan(iso, before-1, false, func(e store.Entry, key store.BatchKey) (bool, error) {
		b, err := l.open(e, key, buf)
		if err != nil && !errors.Is(err, ErrCorruptRecord) {
			return false, err
		}
		sb = StoredBatch{LastOffset: key.LastOffset, MaxTimestamp: key.MaxTimestamp, Batch: b, Err: err}
		if err == nil {
			base = b.BaseOffset()
		}
		if err == nil && iso == ReadCommitted {
			sb.Aborted, _, err = w.has(b) // whether the log start has passed it is looked at below
			outdated = w.outdated(b)
			return false, err
		}
		return false, nil
	})
	if outdated && err == nil {
		return l.ReadBefore(iso, before, buf) // a cleaning goes on
	}
	if sb.Err != nil {
		base, err = l.endBefore(start, sb)
	}
	if err == nil && (base >= before || before <= l.Start()) { // the batch was removed
		return StoredBatch{}, 0, l.noneBefore(before)
	}
	return sb, base, l.wrap(err)
}

func (l *Log) noneBefore(before int64) error {
	return fmt.Errorf("%w: %s: there is nothing before offset %d within [%d, %d)", ErrOffsetOutOfRange, l.tp, before, l.Start(), l.End())
}

// endBefore returns the offset behind the batch that lies before sb, and start when there is none.
func (l *Log) endBefore(start int64, sb StoredBatch) (int64, error) {
	last := store.BatchKey{PartitionID: l.id, LastOffset: sb.LastOffset, MaxTimestamp: sb.MaxTimestamp}
	r := store.BatchRange(l.id, start)
	r.To, r.Reverse, r.KeysOnly = store.AppendBatchKey(nil, last), true, true
	err := l.st.Scan(r, func(e store.Entry) (bool, error) {
		key, err := store.ParseBatchKey(e.Key)
		start = key.LastOffset + 1
		return false, err
	})
	return start, err
}

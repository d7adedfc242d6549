package log

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/samsa-go/samsa/internal/store"
)

// Cut says what OpenLog removed from the end of a damaged log.
type Cut struct {
	TopicPartition
	From, To int64 // offsets [From, To) are gone
	Batches  int   // stored batches removed, whole or damaged
	Cause    error // what was wrong with the first of them
}

// OpenLog finds the bounds of a partition's log and checks its tail.
//
// It trusts what was fsynced before the last owner ended (store.Recovery) and checks
// every batch stored after that: bytes against checksum, and each batch beginning
// where the one before it ended. The newest batch is always checked, unless the store is
// sound; damage in older ones that are trusted is left for Read to report. From the first
// bad batch on the log is cut: those batches are deleted before OpenLog returns, and Cut,
// else nil, says which. Batches that end before the log start offset are not looked at.
//
// The caller owns the store: no commit may be in flight. After a cut, and in any case
// when the store was not clean, he calls the store's Sync before he appends anything:
// were the deletions lost with the power, and what is appended next were not, old
// batches would come back behind it. But not before all logs of the store are open: a
// Sync makes the next owner trust them all.
func OpenLog(st store.Store, id store.PartitionID, tp TopicPartition) (*Log, *Cut, error) {
	l := NewLog(st, id, tp)
	start, err := l.readStart()
	if err != nil {
		return nil, nil, err
	}
	l.start.Store(start)
	t := tailCheck{log: l, trusted: math.MaxUint64, sound: true, end: start} // the store has had this state
	scan := store.BatchRange(id, start)
	scan.Reverse = true
	if err := st.Scan(scan, t.visit); err != nil {
		return nil, nil, l.wrap(err)
	}
	t.checkOldest()
	cut, err := t.cut()
	if err != nil {
		return nil, nil, err
	}
	l.end.Store(t.end)
	l.next = t.end
	if err := l.recoverProducers(t.sequenced()); err != nil {
		return nil, cut, err
	}
	return l, cut, nil
}

// tailCheck walks a log from its newest batch towards older ones. At any time the
// batches seen so far are those in bad, to be deleted, and behind them (older) a good
// contiguous run that begins at newerBase and ends at end.
type tailCheck struct {
	log       *Log
	trusted   uint64 // entries of this version or lower were fsynced
	sound     bool   // and cannot have been damaged since
	end       int64  // of the good run; the log start offset while it is empty
	newerBase int64  // base offset of the oldest good batch in good
	good      [][]byte
	headers   []Batch  // of those of good that are of idempotent producers and not trusted
	bad       [][]byte // keys, newest first
	badTo     int64
	reached   bool // a trusted batch; the walk ended there, not for want of older ones
	cause     error
	buf       []byte
}

// visit looks at the next older batch and reports whether to go on.
func (t *tailCheck) visit(e store.Entry) (bool, error) {
	key, err := store.ParseBatchKey(e.Key)
	if err != nil {
		return false, err
	}
	end := key.LastOffset + 1
	trusted := e.Version <= t.trusted
	if trusted && t.sound && len(t.good)+len(t.bad) == 0 {
		t.end, t.reached = max(t.end, end), true
		return false, nil
	}
	if trusted && len(t.good) > 0 && end == t.newerBase {
		t.reached = true // its key says all that matters here
		return false, nil
	}
	env, buf, err := t.log.open(e, key, t.buf)
	t.buf = buf
	switch {
	case errors.Is(err, ErrCorruptRecord):
		t.condemn(err)
		t.bad = append(t.bad, bytes.Clone(e.Key))
		t.badTo = max(t.badTo, end)
		return true, nil
	case err != nil:
		return false, err // says nothing about the batch
	case len(t.good) > 0 && end < t.newerBase:
		t.condemn(missing(end, t.newerBase))
	case len(t.good) > 0 && end > t.newerBase:
		t.condemn(fmt.Errorf("%w: batches overlap at offset %d", ErrCorruptRecord, t.newerBase))
	}
	if len(t.good) == 0 {
		t.end = max(t.end, end)
	}
	t.newerBase = env.Batch().BaseOffset()
	t.good = append(t.good, bytes.Clone(e.Key))
	if b := env.Batch(); !trusted && b.Sequenced() {
		t.headers = append(t.headers, b.header())
	}
	t.reached = trusted
	return !trusted, nil
}

func missing(from, to int64) error {
	return fmt.Errorf("%w: offsets %d to %d are missing", ErrCorruptRecord, from, to-1)
}

// checkOldest ends the walk: unless it met a trusted batch, the good run must reach
// back to the log start offset.
func (t *tailCheck) checkOldest() {
	if start := t.log.Start(); !t.reached && len(t.good) > 0 && t.newerBase > start {
		t.condemn(missing(start, t.newerBase))
	}
}

// condemn moves the good batches seen so far to the bad ones: something older than
// them is missing or damaged.
func (t *tailCheck) condemn(cause error) {
	if len(t.good) > 0 {
		t.badTo = max(t.badTo, t.end)
	}
	t.bad = append(t.bad, t.good...)
	t.good, t.headers = t.good[:0], t.headers[:0]
	t.end = t.log.Start()
	t.cause = cause
}

// sequenced returns the headers of what idempotent producers have left in the good run,
// oldest first.
func (t *tailCheck) sequenced() []Batch {
	slices.Reverse(t.headers)
	return t.headers
}

// cut deletes the bad batches, newest first, so that an interrupted cut leaves a
// shorter damaged tail and never a hole.
func (t *tailCheck) cut() (*Cut, error) {
	if len(t.bad) == 0 {
		return nil, nil
	}
	step := t.log.st.Limits().Entries / 2
	for keys := t.bad; len(keys) > 0; {
		n := min(step, len(keys))
		if err := deleteKeys(t.log.st, keys[:n]); err != nil {
			return nil, t.log.wrap(err)
		}
		keys = keys[n:]
	}
	return &Cut{TopicPartition: t.log.tp, From: t.end, To: t.badTo, Batches: len(t.bad), Cause: t.cause}, nil
}

func deleteKeys(st store.Store, keys [][]byte) error {
	var b store.Batch
	for _, key := range keys {
		b.Delete(key)
	}
	return write(st, &b)
}

// write stores b and waits for it.
func write(st store.Store, b *store.Batch) error {
	return st.Commit(b)
}

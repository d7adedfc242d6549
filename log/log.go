// Package log holds the vocabulary (records, batches, errors) and one partition's log: a
// run of batches in the store. Users import the module root, which shows the vocabulary.
//
// A batch is Kafka's RecordBatch v2, bit for bit, in the store too (batch.go). Builder makes
// batches, RecordReader reads them, and Log puts them one behind the other.
package log

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/samsa-go/samsa/internal/store"
)

var (
	errMisplaced  = fmt.Errorf("%w: batch does not match its key", ErrCorruptRecord)
	errUnreadable = fmt.Errorf("%w: value cannot be read", ErrCorruptRecord)
)

// Acks is what a write waits for before it is acknowledged.
type Acks int8

const (
	// AckStored waits until the records are in the store: they survive the death of
	// the process (kill -9). The default.
	AckStored Acks = iota
	// AckSynced waits for fsync: the records survive power loss.
	AckSynced
	// AckNone waits for nothing. The offset is not known, and a failure is only logged.
	AckNone
)

// String returns the name in lower case.
func (a Acks) String() string {
	switch a {
	case AckStored:
		return "stored"
	case AckSynced:
		return "synced"
	case AckNone:
		return "none"
	}
	return fmt.Sprintf("acks(%d)", int8(a))
}

// MarshalText returns the name of String.
func (a Acks) MarshalText() ([]byte, error) {
	if a < AckStored || a > AckNone {
		return nil, fmt.Errorf("%w: %s", ErrInvalidOption, a)
	}
	return []byte(a.String()), nil
}

// UnmarshalText takes what MarshalText returns.
func (a *Acks) UnmarshalText(text []byte) error {
	for known := AckStored; known <= AckNone; known++ {
		if known.String() == string(text) {
			*a = known
			return nil
		}
	}
	return fmt.Errorf("%w: acks %q, want stored, synced or none", ErrInvalidOption, text)
}

// Log is one partition's run of batches in a store: records at the offsets from
// Start up to End, exclusive.
//
// Start <= LastStable <= End <= next. Readers see [Start, End), and those of what is committed [Start, LastStable); the
// batches between End and next are staged, on their way into the store. One writer, the committer, calls Stage
// and Applied; everything else may be called by anybody at any time.
type Log struct {
	st    store.Store
	id    store.PartitionID
	tp    TopicPartition
	start atomic.Int64
	end   atomic.Int64

	stable atomic.Int64 // the first offset of a transaction that is open, or the end; it rises after end does
	next   int64        // the writer's: the offset that the next batch begins at

	epochs    atomic.Pointer[Epochs] // nil: none is stored
	staged    Epochs                 // the writer's: of what is staged next
	epochsErr error                  // why those that were stored could not be read

	producers producers
	forgotten atomic.Int64 // rises before aborted transactions are forgotten
}

// NewLog returns the empty log of a partition that was never written.
func NewLog(st store.Store, id store.PartitionID, tp TopicPartition) *Log {
	return &Log{st: st, id: id, tp: tp, producers: producers{known: map[int64]*producerState{}}}
}

// ID returns the partition's name in the store.
func (l *Log) ID() store.PartitionID { return l.id }

// Limits returns what one commit to the log's store can have.
func (l *Log) Limits() store.Limits { return l.st.Limits() }

// TopicPartition returns the partition's name.
func (l *Log) TopicPartition() TopicPartition { return l.tp }

// Start returns the log start offset: the first offset that can be read.
func (l *Log) Start() int64 { return l.start.Load() }

// End returns the offset behind the last visible record: the high watermark.
func (l *Log) End() int64 { return l.end.Load() }

// Next returns the offset that the next batch to be staged begins at. It is for the writer.
func (l *Log) Next() int64 { return l.next }

// LastStable returns Kafka's last stable offset: all transactions with records before it have ended. It is Start if a
// transaction that is open began before that.
func (l *Log) LastStable() int64 {
	stable := l.stable.Load() // before start, which may pass it, and is not behind the end
	return max(stable, l.Start())
}

// bound returns the offset behind what a reader gets: End, or LastStable.
func (l *Log) bound(iso Isolation) int64 {
	if iso == ReadCommitted {
		return l.LastStable()
	}
	return l.End()
}

// Staged is one batch between Stage and Applied.
type Staged struct {
	BaseOffset int64
	End        int64 // the log's end once the batch is stored

	stable int64 // likewise
}

// Stage gives batch the log's next offsets and its leader epoch, and adds it to b. The key is appended to
// keys, which is returned and belongs to b, like batch, until b is committed. The batch stays invisible until Applied.
// nowMs is the time of the append, which counts for a batch that AsksTime.
//
// A batch that is Sequenced is noted as its producer's last one, and begins the transaction that it is of, if none is
// open; a marker ends it. StageProducers adds to b what has come of that.
func (l *Log) Stage(b *store.Batch, keys []byte, batch Batch, nowMs int64) (Staged, []byte) {
	batch.SetBaseOffset(l.next)
	batch.SetLeaderEpoch(l.staged.Latest())
	last := batch.LastOffset()
	at := len(keys)
	keys = store.AppendBatchKey(keys, store.BatchKey{
		PartitionID:  l.id,
		LastOffset:   last,
		MaxTimestamp: batch.KeyTime(nowMs),
	})
	b.Set(keys[at:len(keys):len(keys)], batch)
	if batch.Sequenced() || batch.Control() {
		l.producers.note(batch, nowMs)
	}
	s := Staged{BaseOffset: l.next, End: last + 1, stable: l.producers.stable(last + 1)}
	l.next = s.End
	return s, keys
}

// Applied makes s, and the staged batches before it, visible to readers. Calls come in the
// order of the offsets, after the store holds the batches.
func (l *Log) Applied(s Staged) {
	l.end.Store(s.End)
	l.stable.Store(s.stable)
}

// SetStart moves the log start offset forward, after the store holds it. Calls must not
// overlap.
func (l *Log) SetStart(start int64) { l.start.Store(max(l.start.Load(), min(start, l.End()))) }

// BatchInfo is what is known of a stored batch without reading it.
type BatchInfo struct {
	LastOffset   int64
	MaxTimestamp int64 // ms since the epoch; without timestamps the time of the append
	Bytes        int   // as stored
}

// Batches calls fn for the visible batches in order until it returns false. It reads no
// values.
func (l *Log) Batches(fn func(BatchInfo) bool) error {
	return l.wrap(l.scan(ReadUncommitted, l.Start(), true, func(e store.Entry, key store.BatchKey) (bool, error) {
		return fn(BatchInfo{LastOffset: key.LastOffset, MaxTimestamp: key.MaxTimestamp, Bytes: e.Size}), nil
	}))
}

// StoredBatch is one batch as the store holds it.
type StoredBatch struct {
	LastOffset   int64 // of its last record; known even when the batch is corrupt
	MaxTimestamp int64 // as of BatchInfo; known too
	Batch        Batch // verified; nil when Err is set; a Control batch has no records for users
	Aborted      bool  // of a transaction that was aborted, which only ReadCommitted tells
	Err          error // ErrCorruptRecord, with the partition and the offset
}

// Read calls fn for the visible batches from the one that holds offset from, in order,
// until fn returns false or End is reached. A corrupt batch does not stop it.
//
// The batch given to fn lives in buf and is valid during the call only; Read returns
// buf, grown as needed, for the next call. The first batch may begin before from. An
// offset outside [Start, End] gets ErrOffsetOutOfRange. fn must not write to the store.
func (l *Log) Read(from int64, buf []byte, fn func(StoredBatch) bool) ([]byte, error) {
	return l.read(ReadUncommitted, from, buf, fn)
}

func (l *Log) read(iso Isolation, from int64, buf []byte, fn func(StoredBatch) bool) ([]byte, error) {
	err := l.readInto(iso, from, func(int) ([]byte, bool) { return buf, true }, func(sb StoredBatch) bool {
		if sb.Err == nil {
			buf = sb.Batch
		}
		return fn(sb)
	})
	return buf, err
}

// ReadInto is Read for those who keep the batches. Before a batch is read, place is told its
// length, and returns the memory that it shall live in, or false to stop before it. A batch lives in the
// capacity of that memory if that is enough, otherwise in memory of its own, and stays as it is.
func (l *Log) ReadInto(from int64, place func(length int) ([]byte, bool), fn func(StoredBatch) bool) error {
	return l.readInto(ReadUncommitted, from, place, fn)
}

// ReadCommitted is Read up to LastStable, and tells of each batch whether it was aborted. These batches, and the
// markers of transactions, come too. It also ends where Start has come to be behind what it reads, or where a
// cleaning that goes on meanwhile has made what it knows of transactions outdated; but not before the first batch.
// ErrCorruptValue says that what is known of an aborted transaction is damaged, so that nobody can tell.
func (l *Log) ReadCommitted(from int64, buf []byte, fn func(StoredBatch) bool) ([]byte, error) {
	return l.read(ReadCommitted, from, buf, fn)
}

// ReadCommittedInto is to ReadCommitted what ReadInto is to Read.
func (l *Log) ReadCommittedInto(from int64, place func(length int) ([]byte, bool), fn func(StoredBatch) bool) error {
	return l.readInto(ReadCommitted, from, place, fn)
}

func (l *Log) readInto(iso Isolation, from int64, place func(length int) ([]byte, bool), fn func(StoredBatch) bool) error {
	for begun, outdated := false, true; outdated && !begun; {
		w := l.abortedWindow()
		outdated = false
		err := l.visit(iso, from, false, func(e store.Entry, key store.BatchKey) (bool, error) {
			memory, ok := place(e.Size)
			if !ok {
				return false, nil
			}
			b, err := l.open(e, key, memory)
			if err != nil && !errors.Is(err, ErrCorruptRecord) {
				return false, err
			}
			sb := StoredBatch{LastOffset: key.LastOffset, MaxTimestamp: key.MaxTimestamp, Batch: b, Err: err}
			if iso == ReadCommitted && err == nil {
				var overtaken bool
				if sb.Aborted, overtaken, err = w.has(b); overtaken || err != nil {
					return false, err
				}
				if outdated = w.outdated(b); outdated {
					return false, nil
				}
			}
			begun = true
			return fn(sb), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// BytesFrom returns how many bytes the batches that a reader gets take from the one that holds offset
// from, and stops counting once that is enough. It reads no values. An offset
// outside [Start, End] gets ErrOffsetOutOfRange.
func (l *Log) BytesFrom(iso Isolation, from int64, enough int) (n int, err error) {
	err = l.visit(iso, from, true, func(e store.Entry, _ store.BatchKey) (bool, error) {
		if n < enough {
			n += e.Size
		}
		return n < enough, nil
	})
	return n, err
}

// visit calls fn for the batches that a reader gets from the one that holds offset from.
func (l *Log) visit(iso Isolation, from int64, keysOnly bool, fn func(store.Entry, store.BatchKey) (bool, error)) error {
	switch {
	case from < l.Start() || from > l.End():
		return l.outOfRange(from)
	case from >= l.bound(iso):
		return nil
	default:
		return l.wrap(l.scan(iso, from, keysOnly, fn))
	}
}

func (l *Log) outOfRange(from int64) error {
	return fmt.Errorf("%w: %s: offset %d is not within [%d, %d]", ErrOffsetOutOfRange, l.tp, from, l.Start(), l.End())
}

// scan calls fn for the stored batches from the one that holds offset from, up to where a reader gets something when
// it comes there, and not when it began: compaction may have joined a batch with those that came since.
func (l *Log) scan(iso Isolation, from int64, keysOnly bool, fn func(store.Entry, store.BatchKey) (bool, error)) error {
	r := store.BatchRange(l.id, from)
	r.KeysOnly = keysOnly
	return l.st.Scan(r, func(e store.Entry) (bool, error) {
		key, err := store.ParseBatchKey(e.Key)
		if err != nil || key.LastOffset >= l.bound(iso) {
			return false, err
		}
		return fn(e, key)
	})
}

// open reads the value of e into buf, or memory of its own if that is too short, and verifies it
// against its key. What is wrong with the batch is ErrCorruptRecord; any other error comes from the
// store, as it is.
func (l *Log) open(e store.Entry, key store.BatchKey, buf []byte) (Batch, error) {
	value, err := e.AppendValue(buf[:0])
	if errors.Is(err, store.ErrCorrupt) {
		return nil, l.corrupt(key, fmt.Errorf("%w: %s", errUnreadable, err.Error()))
	}
	if err != nil {
		return nil, err
	}
	b, err := openBatch(value)
	if err != nil {
		return nil, l.corrupt(key, err)
	}
	if b.LastOffset() != key.LastOffset || b.KeyTime(key.MaxTimestamp) != key.MaxTimestamp {
		return nil, l.corrupt(key, errMisplaced)
	}
	return b, nil
}

func (l *Log) corrupt(key store.BatchKey, err error) error {
	return fmt.Errorf("%s: batch ending at offset %d: %w", l.tp, key.LastOffset, err)
}

// wrap names the partition in an error of the store.
func (l *Log) wrap(err error) error {
	if err == nil || errors.Is(err, ErrCorruptRecord) {
		return err
	}
	return fmt.Errorf("%s: %w", l.tp, err)
}

// readStart returns the stored log start offset, 0 when none is stored.
func (l *Log) readStart() (int64, error) {
	v, err := l.st.Get(store.LogStartKey(l.id))
	if errors.Is(err, store.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, l.wrap(err)
	}
	start, err := store.ParseOffset(v)
	if err != nil {
		return 0, fmt.Errorf("%s: log start offset: %w", l.tp, err)
	}
	return start, nil
}

package log

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa/internal/store"
)

// AbortedTx is a transaction that was aborted, in one partition: the transactional batches of the producer
// from offset First to the marker at offset Last. As Kafka's transaction index has it, it is a value of the store, under
// the offset of the marker and in the same commit:
//
//	0        1           9             17             25                      33
//	+--------+-----------+-------------+--------------+-----------------------+
//	|version |xxhash64   |producer id  |first offset  |last stable offset     |
//	|u8 = 1  |u64 of --->|u64          |u64           |behind the marker u64  |
//	+--------+-----------+-------------+--------------+-----------------------+
//
// The last stable offsets rise with those of the markers. So who looks for the transactions that have records in
// [from, to) reads from the marker at from on, and ends with one that has left to or more stable: what
// ended later began there or later.
type AbortedTx struct {
	ProducerID  int64
	First, Last int64

	stable int64
}

const (
	abortedVersion = 1
	abortedHashed  = 1 + 8
	abortedSize    = abortedHashed + 8 + 8 + 8

	// MaxAbortedSize bounds the key and the value of an aborted transaction, in bytes.
	MaxAbortedSize = store.AbortedKeySize + abortedSize
)

var errAborted = fmt.Errorf("%w: aborted transaction", ErrCorruptValue)

func (tx AbortedTx) append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, abortedVersion, 0, 0, 0, 0, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, uint64(tx.ProducerID))
	dst = binary.BigEndian.AppendUint64(dst, uint64(tx.First))
	dst = binary.BigEndian.AppendUint64(dst, uint64(tx.stable))
	v := dst[start:]
	binary.BigEndian.PutUint64(v[1:], xxhash.Sum64(v[abortedHashed:]))
	return dst
}

// decodeAborted reads what is stored of the transaction that ended with the marker at offset last. What is wrong with it
// is ErrCorruptValue.
func decodeAborted(last int64, v []byte) (AbortedTx, error) {
	if len(v) != abortedSize || v[0] != abortedVersion || binary.BigEndian.Uint64(v[1:]) != xxhash.Sum64(v[abortedHashed:]) {
		return AbortedTx{}, fmt.Errorf("%w: %x", errAborted, v)
	}
	tx := AbortedTx{
		ProducerID: int64(binary.BigEndian.Uint64(v[9:])),
		First:      int64(binary.BigEndian.Uint64(v[17:])),
		Last:       last,
		stable:     int64(binary.BigEndian.Uint64(v[25:])),
	}
	if tx.ProducerID < 0 || tx.First < 0 || tx.First >= last || tx.stable < 0 || tx.stable > last+1 {
		return AbortedTx{}, fmt.Errorf("%w: %x", errAborted, v)
	}
	return tx, nil
}

// Aborted returns the transactions with records in the offsets [from, to) that were aborted, by First. What has
// ended when it is called counts. It is what a reader needs who has read these offsets up to LastStable at most
// and is to pass over what was aborted.
//
// It is for who knows that the log is not cleaned meanwhile, or whom it does not matter to: the records that a reader
// has got may be removed by one cleaning, and what is known of their transaction by a later one. ReadCommitted copes
// with that.
//
// An offset before Start gets ErrOffsetOutOfRange, also when Start has come to be behind it meanwhile: what is known of
// transactions goes with their records. A transaction of which that is damaged is ErrCorruptValue.
func (l *Log) Aborted(from, to int64) ([]AbortedTx, error) {
	var found []AbortedTx
	var err error
	if from < to {
		err = l.scanAborted(from, func(tx AbortedTx, err error) (bool, error) {
			if err == nil && tx.First < to {
				found = append(found, tx)
			}
			return tx.stable < to, err
		})
	}
	if err != nil {
		return nil, l.wrap(err)
	}
	if from < l.Start() {
		return nil, l.outOfRange(from)
	}
	slices.SortFunc(found, func(a, b AbortedTx) int { return cmp.Compare(a.First, b.First) })
	return found, nil
}

// scanAborted calls fn for the aborted transactions whose markers are at from or later, in the order of these, until it
// returns false. Of one that is damaged it tells the error.
func (l *Log) scanAborted(from int64, fn func(AbortedTx, error) (bool, error)) error {
	var buf []byte
	return l.st.Scan(store.AbortedRange(l.id, from), func(e store.Entry) (bool, error) {
		key, err := store.ParseAbortedKey(e.Key)
		if err != nil {
			return false, err
		}
		var tx AbortedTx
		if buf, err = e.AppendValue(buf[:0]); err == nil {
			tx, err = decodeAborted(key.Marker, buf)
		}
		if err != nil && !errors.Is(err, ErrCorruptValue) {
			return false, err
		}
		if err != nil {
			err = fmt.Errorf("transaction that ended at offset %d: %w", key.Marker, err)
		}
		return fn(tx, err)
	})
}

// Outcomes tells of batches before LastStable, which come in the order of their offsets, whether they were aborted.
// It is for who cleans the log, and so the only one to remove batches and to forget transactions.
type Outcomes struct{ w abortedWindow }

// Outcomes returns what tells which batches were aborted.
func (l *Log) Outcomes() *Outcomes {
	o := &Outcomes{l.abortedWindow()}
	o.w.limit = mostOutcomes
	return o
}

// Aborted reports whether b was aborted. ErrCorruptValue says that nobody can tell, as what is known of a transaction
// is damaged; others than b may be told even then.
func (o *Outcomes) Aborted(b Batch) (bool, error) {
	aborted, _, err := o.w.has(b)
	return aborted, o.w.l.wrap(err)
}

// ForgetAborted adds to b that nothing is known any more of the aborted transaction that ended with a marker, if it is
// known. b takes away the marker, and the records of the transaction went with an earlier commit. It is for who
// cleans the log, and called for each commit.
//
// So who has read records of the transaction has begun before that. ReadCommitted, which reads about transactions
// later than their records, looks whether any were forgotten since it began.
func (l *Log) ForgetAborted(b *store.Batch, marker int64) {
	l.forgotten.Add(1)
	b.Delete(store.AppendAbortedKey(nil, store.AbortedKey{PartitionID: l.id, Marker: marker}))
}

// How many aborted transactions a reader learns of at a time: twice as many as the last time.
const (
	firstAborted = 4
	abortedChunk = 128
)

// How many are known at a time to a reader, and to who cleans the log, besides those that are open where it is. There may
// be many more, which have begun and ended while another transaction was open: these are read about again later.
const (
	mostAborted  = 4096
	mostOutcomes = 64 * mostAborted
)

// abortedWindow tells a reader which batches were aborted. It reads about the transactions as it comes to their records.
type abortedWindow struct {
	l         *Log
	forgotten int64 // how often transactions had been forgotten before the batches were read

	chunk  int                   // how many were read about the last time
	next   int64                 // markers before it were read, or are before what is read
	stable int64                 // all that began before it were read
	to     int64                 // those that began there or later are not known
	known  map[int64][]AbortedTx // by producer, in order, without those that were passed
	n      int                   // of known
	limit  int                   // of n
	most   int                   // the same, if so many are open where it is
}

// has reports whether b, which is before the last stable offset, was aborted. The batches come in the order of
// their offsets. overtaken says that the log start has passed b, so that nobody can tell.
func (w *abortedWindow) has(b Batch) (aborted, overtaken bool, err error) {
	if !b.Transactional() || b.Control() {
		return false, false, nil
	}
	base, id := b.BaseOffset(), b.ProducerID()
	if base >= w.to {
		w.next, w.stable, w.to, w.known, w.n = base, base, math.MaxInt64, nil, 0
	}
	for !w.decided(base, id) {
		found, err := w.load(base, id)
		if err != nil {
			return false, false, err
		}
		if w.l.Start() > b.LastOffset() {
			return false, true, nil
		}
		if found {
			break
		}
	}
	txs := w.known[id]
	return len(txs) > 0 && txs[0].First <= base, false, nil
}

// decided reports whether enough was read to tell of a batch of a producer at offset base whether it was aborted: the next
// transaction of the producer that was, or all that began there or before.
func (w *abortedWindow) decided(base, id int64) bool {
	txs := w.known[id]
	for len(txs) > 0 && txs[0].Last < base {
		txs = txs[1:]
		w.known[id] = txs
		w.n--
	}
	return len(txs) > 0 || w.stable > base
}

// abortedWindow returns a window for who begins to read batches now.
func (l *Log) abortedWindow() abortedWindow {
	return abortedWindow{l: l, forgotten: l.forgotten.Load(), limit: mostAborted}
}

// outdated reports whether b may be of an aborted transaction of which the window has learned nothing, because it was
// forgotten after b was read.
func (w *abortedWindow) outdated(b Batch) bool {
	return b.Transactional() && !b.Control() && w.l.forgotten.Load() != w.forgotten
}

// load reads about some more transactions, for who has come to a batch of a producer at offset base. It goes on until it has
// found one of the producer, or all that began there or before were read.
func (w *abortedWindow) load(base, id int64) (found bool, err error) {
	if w.known == nil {
		w.known = make(map[int64][]AbortedTx)
	}
	w.look(func(tx AbortedTx) bool { return tx.Last >= base })
	w.chunk = min(max(firstAborted, 2*w.chunk), abortedChunk)
	n, all, stable := 0, true, w.l.LastStable()
	w.next = max(w.next, base)
	err = w.l.scanAborted(w.next, func(tx AbortedTx, err error) (bool, error) {
		if err != nil && w.stable > base {
			all = false // it is told to who comes to it
			return false, nil
		}
		if err != nil {
			return false, err
		}
		w.add(base, tx)
		w.next, w.stable = tx.Last+1, tx.stable
		n++
		found = found || tx.ProducerID == id
		all = n < w.chunk || w.stable <= base && !found
		return all, nil
	})
	if err == nil && all {
		w.stable = max(w.stable, stable) // there were no more
	}
	return found, err
}

// add makes a transaction known, unless it begins too late for who has come to offset base. If too many are known, half of
// them are dropped, those that begin last.
func (w *abortedWindow) add(base int64, tx AbortedTx) {
	if tx.First >= w.to {
		return
	}
	w.known[tx.ProducerID] = append(w.known[tx.ProducerID], tx)
	if w.n++; w.n <= max(w.most, w.limit) {
		return
	}
	firsts := make([]int64, 0, w.n)
	for _, txs := range w.known {
		for _, tx := range txs {
			firsts = append(firsts, tx.First)
		}
	}
	slices.Sort(firsts)
	w.to = max(base+1, firsts[len(firsts)/2])
	w.look(func(tx AbortedTx) bool { return tx.First < w.to })
	w.most = 2 * w.n // many may be open here
}

// look looks through what is known, and keeps what is to be kept.
func (w *abortedWindow) look(keep func(AbortedTx) bool) {
	w.n = 0
	for id, txs := range w.known {
		if txs = slices.DeleteFunc(txs, func(tx AbortedTx) bool { return !keep(tx) }); len(txs) == 0 {
			delete(w.known, id)
		} else {
			w.known[id] = txs
			w.n += len(txs)
		}
	}
}

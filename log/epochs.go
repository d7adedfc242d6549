package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa/internal/store"
)

// Epochs are the leader epochs of a log, as Kafka's leader-epoch-checkpoint has them: each with the offset at which it
// begins. Both rise. Without any the log is in epoch 0, and always was. They are replaced, and not changed.
//
// As a value of the store:
//
//	0        1           9         13           21
//	+--------+-----------+---------+------------+----
//	|version |xxhash64   |epoch    |its start   | ... for each
//	|u8 = 1  |u64 of --->|u32      |u64         |
//	+--------+-----------+---------+------------+----
type Epochs []EpochStart

// EpochStart is one leader epoch, and the offset of the first record that a leader of it could append.
type EpochStart struct {
	Epoch int32
	Start int64
}

const (
	epochsVersion = 1
	epochsHashed  = 1 + 8
	epochSize     = 4 + 8

	// maxEpochs bounds what a log remembers. Of more the oldest are forgotten.
	maxEpochs = 256

	// MaxEpochsSize bounds the key and the value of epochs, in bytes.
	MaxEpochsSize = store.EpochsKeySize + epochsHashed + maxEpochs*epochSize
)

var errEpochs = fmt.Errorf("%w: leader epochs", ErrCorruptValue)

// Latest returns the epoch that the log is in.
func (e Epochs) Latest() int32 {
	if len(e) == 0 {
		return 0
	}
	return e[len(e)-1].Epoch
}

// At returns the epoch of the record at offset, or the oldest that is remembered if that is later.
func (e Epochs) At(offset int64) int32 {
	i := sort.Search(len(e), func(i int) bool { return e[i].Start > offset })
	switch {
	case i > 0:
		return e[i-1].Epoch
	case len(e) > 0:
		return e[0].Epoch
	}
	return 0
}

// End returns the last epoch up to the given one that has records, and the offset behind them, in a log that ends at
// end: Kafka's answer to OffsetForLeaderEpoch. Both are -1 for an epoch that has not been yet, and for a negative one. One that is
// forgotten ends where the first begins that is not: never before its own end, as who has read it would take that for a cut.
func (e Epochs) End(epoch int32, end int64) (int32, int64) {
	latest := e.Latest()
	switch {
	case epoch < 0 || epoch > latest:
		return -1, -1
	case epoch == latest:
		return epoch, end
	}
	i := sort.Search(len(e), func(i int) bool { return e[i].Epoch > epoch })
	if i > 0 {
		epoch = e[i-1].Epoch
	}
	return epoch, e[i].Start
}

// next returns e with one epoch more, which begins at start, in a log that begins at logStart. Epochs without records,
// and those before the log start, are left out. The last one that there can be has none behind it.
func (e Epochs) next(start, logStart int64) Epochs {
	if e.Latest() == math.MaxInt32 {
		return e
	}
	next := slices.Clone(e)
	if len(next) == 0 {
		next = Epochs{{Epoch: 0, Start: 0}}
	}
	next = append(next, EpochStart{Epoch: e.Latest() + 1, Start: start})
	last := len(next) - 1
	for last > 0 && next[last-1].Start >= start {
		next = slices.Delete(next, last-1, last)
		last--
	}
	for len(next) > 1 && next[1].Start <= logStart {
		next = next[1:]
	}
	return next[max(0, len(next)-maxEpochs):]
}

// append appends the value of the store to dst.
func (e Epochs) append(dst []byte) []byte {
	at := len(dst)
	dst = append(dst, epochsVersion, 0, 0, 0, 0, 0, 0, 0, 0)
	for _, s := range e {
		dst = binary.BigEndian.AppendUint32(dst, uint32(s.Epoch))
		dst = binary.BigEndian.AppendUint64(dst, uint64(s.Start))
	}
	v := dst[at:]
	binary.BigEndian.PutUint64(v[1:], xxhash.Sum64(v[epochsHashed:]))
	return dst
}

// decodeEpochs is the inverse of append. What is wrong with v is ErrCorruptValue.
func decodeEpochs(v []byte) (Epochs, error) {
	n := (len(v) - epochsHashed) / epochSize
	switch {
	case len(v) < epochsHashed+epochSize || (len(v)-epochsHashed)%epochSize != 0 || n > maxEpochs:
		return nil, fmt.Errorf("%w: %d bytes", errEpochs, len(v))
	case v[0] != epochsVersion:
		return nil, fmt.Errorf("%w: version %d, this library knows %d", errEpochs, v[0], epochsVersion)
	case binary.BigEndian.Uint64(v[1:]) != xxhash.Sum64(v[epochsHashed:]):
		return nil, fmt.Errorf("%w: checksum mismatch", errEpochs)
	}
	e := make(Epochs, n)
	for i := range e {
		at := v[epochsHashed+i*epochSize:]
		epoch, start := binary.BigEndian.Uint32(at), binary.BigEndian.Uint64(at[4:])
		if epoch > math.MaxInt32 || start > math.MaxInt64 {
			return nil, fmt.Errorf("%w: epoch %d at offset %d", errEpochs, epoch, start)
		}
		e[i] = EpochStart{Epoch: int32(epoch), Start: int64(start)}
		if i > 0 && (e[i].Epoch <= e[i-1].Epoch || e[i].Start <= e[i-1].Start) {
			return nil, fmt.Errorf("%w: epoch %d at offset %d, before %d at %d", errEpochs, e[i].Epoch, e[i].Start, e[i-1].Epoch, e[i-1].Start)
		}
	}
	return e, nil
}

// LeaderEpoch returns the epoch of the partition's leader, which the batches have that are staged now. It rises only,
// also over a restart, and is 0 where there has always been one node.
func (l *Log) LeaderEpoch() int32 { return l.Epochs().Latest() }

// Epochs returns the leader epochs, which are not to be changed.
func (l *Log) Epochs() Epochs {
	if e := l.epochs.Load(); e != nil {
		return *e
	}
	return nil
}

// NextEpoch returns the epochs with one more, which begins with what is staged next, and appends their key and value to
// b. It is for the log's writer, which calls BeginEpoch when it is staged and SetEpochs when it is stored.
func (l *Log) NextEpoch(b *store.Batch) Epochs { return l.NextEpochAt(b, l.next) }

// NextEpochAt is NextEpoch of a log that is cut, and goes on at start.
func (l *Log) NextEpochAt(b *store.Batch, start int64) Epochs {
	next := l.staged.next(start, l.Start())
	b.Set(store.EpochsKey(l.id), next.append(nil))
	return next
}

// BeginEpoch has the batches that are staged from now on be of the latest of the given epochs.
func (l *Log) BeginEpoch(e Epochs) { l.staged = e }

// SetEpochs makes e, which is stored, the log's epochs for readers.
func (l *Log) SetEpochs(e Epochs) { l.epochs.Store(&e) }

// readEpochs reads what is stored of the epochs. If that is damaged the log is in that of its newest batch, which
// damaged tells of.
func (l *Log) readEpochs() error {
	v, err := l.st.Get(store.EpochsKey(l.id))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	var e Epochs
	if err == nil {
		e, err = decodeEpochs(v)
	}
	if errors.Is(err, ErrCorruptValue) {
		l.epochsErr = l.wrap(err)
		e, err = l.newestEpoch()
	}
	if err != nil {
		return l.wrap(err)
	}
	l.staged = e
	l.SetEpochs(e)
	return nil
}

// newestEpoch finds the epoch of the newest batch. Where it began nobody knows: at that batch's last record, so that none that
// was before it ends too early.
func (l *Log) newestEpoch() (Epochs, error) {
	newest := store.BatchRange(l.id, l.Start())
	newest.Reverse = true
	var e Epochs
	err := l.st.Scan(newest, func(entry store.Entry) (bool, error) {
		head, err := entry.AppendHead(nil, BatchHeaderSize)
		if store.Lost(err) || err == nil && len(head) < BatchHeaderSize {
			return true, nil // the one before it
		}
		if epoch := int32(0); err == nil {
			if epoch = Batch(head).LeaderEpoch(); epoch > 0 {
				e = Epochs{{Epoch: epoch, Start: Batch(head).LastOffset()}}
			}
		}
		return false, err
	})
	return e, err
}

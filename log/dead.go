package log

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/samsa-go/samsa/internal/store"
)

// An index that was made anew (store.RebuiltKey) may have batches that were gone: those that were
// trimmed, those of deleted topics, and those that compaction has put others in the place of.
// Everything else in the store is as it was, and tells which they are:
//
//   - Whose topic or partition is not there any more is dead, and who ends before the log start.
//   - What compaction writes covers exactly the offsets of what it replaces. So of two batches that share
//     offsets one covers the other, and counts. If they cover the same, the records of the newer one are
//     some of those of the older, and its key another one because the youngest went: the one with the smaller
//     timestamp counts.
//
// The versions of their entries say nothing: the store moves what is dead too, until it is removed.
//
// What is left follows one another without a hole, as it did.

// Ownership says what the catalogue knows of a partition.
type Ownership int8

const (
	// Nobodys says that there is no such partition any more.
	Nobodys Ownership = iota
	// Owned says that the partition is there.
	Owned
	// Unclear says that the partition may be there, or that its log start is not known. Its batches are left alone.
	Unclear
)

// RemoveDead removes the batches that came back with an index that was made anew, and returns how many.
// owner says whose a partition is, and its name if it is Owned. Then it deletes
// store.RebuiltKey, unless something is Unclear.
//
// Where offsets are missing in between, or batches cannot have been written like that, it is
// ErrCorruptValue, with the partition and the offsets: value files are damaged or missing. The caller
// owns the store, and has opened no log.
func RemoveDead(st store.Store, owner func(store.PartitionID) (TopicPartition, Ownership)) (removed int, err error) {
	r := remover{st: st, most: st.Limits().Entries / 2}
	if err := r.run(owner); err != nil {
		return r.removed, fmt.Errorf("rebuilt index: %w", err)
	}
	return r.removed, nil
}

// remover deletes batches, several with each commit.
type remover struct {
	st      store.Store
	most    int // deletions of one commit
	dead    store.Batch
	removed int
	unclear bool
}

func (r *remover) run(owner func(store.PartitionID) (TopicPartition, Ownership)) error {
	var first store.PartitionID
	rest := store.BatchRange(first, 0)
	rest.To = store.BatchRange(store.PartitionID{Topic: math.MaxUint32, Partition: math.MaxUint32}, 0).To
	for {
		id, found, err := r.next(rest)
		if err != nil {
			return err
		}
		if !found {
			break
		}
		switch tp, is := owner(id); is {
		case Nobodys:
			err = r.removeAll(store.BatchRange(id, 0))
		case Owned:
			err = r.clean(NewLog(r.st, id, tp))
		default:
			r.unclear = true
		}
		if err != nil {
			return err
		}
		rest.From = store.BatchRange(id, 0).To
	}
	if !r.unclear {
		r.dead.Delete(store.RebuiltKey())
	}
	return r.flush()
}

// next returns the partition of the first batch in rest.
func (r *remover) next(rest store.Range) (id store.PartitionID, found bool, err error) {
	rest.KeysOnly = true
	err = r.st.Scan(rest, func(e store.Entry) (bool, error) {
		key, err := store.ParseBatchKey(e.Key)
		id, found = key.PartitionID, true
		return false, err
	})
	return id, found, err
}

// removeAll removes the batches of a range.
func (r *remover) removeAll(rest store.Range) error {
	rest.KeysOnly = true
	return r.scan(rest, func(e store.Entry) error {
		r.remove(bytes.Clone(e.Key))
		return nil
	})
}

// clean removes what is dead of a partition.
func (r *remover) clean(l *Log) error {
	start, err := l.readStart()
	if errors.Is(err, ErrCorruptValue) {
		r.unclear = true
		return nil
	}
	if err != nil {
		return err
	}
	alive := store.BatchRange(l.id, start)
	if err := r.removeAll(store.Range{From: store.BatchRange(l.id, 0).From, To: alive.From}); err != nil {
		return l.wrap(err)
	}
	alive.Reverse = true
	w := deadWalk{remover: r}
	if err := r.scan(alive, w.visit); err != nil {
		return l.wrap(err)
	}
	if w.begun && w.covered.base > start {
		return l.wrap(w.missing(start))
	}
	return nil
}

// scan calls fn for the entries of a range, and deletes in between what it removes.
func (r *remover) scan(rest store.Range, fn func(store.Entry) error) error {
	for {
		more := false
		err := r.st.Scan(rest, func(e store.Entry) (bool, error) {
			if r.dead.Len() >= r.most {
				more = true
				if rest.Reverse {
					rest.To = append(bytes.Clone(e.Key), 0)
				} else {
					rest.From = bytes.Clone(e.Key)
				}
				return false, nil
			}
			return true, fn(e)
		})
		if err != nil || !more {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
	}
}

// remove has a batch deleted with the next flush. The key is the remover's from then on.
func (r *remover) remove(key []byte) {
	r.dead.Delete(key)
	r.removed++
}

func (r *remover) flush() error {
	if r.dead.Len() == 0 {
		return nil
	}
	if err := r.st.Room(r.dead.Bytes(), true); err != nil {
		return err
	}
	if err := r.st.Commit(&r.dead); err != nil {
		return err
	}
	r.dead.Reset()
	return nil
}

// deadWalk visits the batches of a log from the newest to the oldest, and knows the last that counts.
// So whatever is covered by another comes behind it, or is that other's neighbour with the
// same last offset: of these the one with the smaller timestamp comes last.
type deadWalk struct {
	*remover
	begun   bool
	covered covering
	buf     []byte
}

// covering is a batch that counts as far as is known.
type covering struct {
	key        []byte
	base, last int64
}

func (w *deadWalk) visit(e store.Entry) error {
	key, err := store.ParseBatchKey(e.Key)
	if err != nil {
		return err
	}
	base, err := w.baseOf(e, key)
	if err != nil {
		return err
	}
	c := covering{bytes.Clone(e.Key), base, key.LastOffset}
	switch was := w.covered; {
	case !w.begun:
	case c.last+1 < was.base:
		return w.missing(c.last + 1)
	case c.last < was.base:
	case c.base > was.base || c.base == was.base && c.last < was.last:
		w.remove(c.key)
		return nil
	case c.last < was.last:
		return fmt.Errorf("%w: batches ending at offsets %d and %d overlap", ErrCorruptValue, c.last, was.last)
	default:
		w.remove(was.key)
	}
	w.covered, w.begun = c, true
	return nil
}

// baseOf reads the base offset of a batch, of which it reads the header only: all bytes were checked when
// the index was made.
func (w *deadWalk) baseOf(e store.Entry, key store.BatchKey) (int64, error) {
	var err error
	if w.buf, err = e.AppendHead(w.buf[:0], BatchHeaderSize); err != nil {
		return 0, err
	}
	if len(w.buf) < BatchHeaderSize || w.buf[posMagic] != batchMagic {
		return 0, w.unlike(key)
	}
	b := Batch(w.buf)
	if base, delta := b.BaseOffset(), int64(b.lastOffsetDelta()); base < 0 || delta < 0 || base != key.LastOffset-delta {
		return 0, w.unlike(key)
	}
	return b.BaseOffset(), nil
}

func (w *deadWalk) unlike(key store.BatchKey) error {
	return fmt.Errorf("%w: batch ending at offset %d does not match its key", ErrCorruptValue, key.LastOffset)
}

func (w *deadWalk) missing(from int64) error {
	return fmt.Errorf("%w: offsets %d to %d are missing", ErrCorruptValue, from, w.covered.base-1)
}

package writer

import (
	"context"
	"errors"
	"testing"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

const erasedSize = 10 // of every value of stock

// stock puts n batches of a partition into the store, beside the committer.
func (s *scene) stock(id store.PartitionID, n int) {
	s.t.Helper()
	var b store.Batch
	write := func() {
		if err := s.desk.Store.Commit(&b); err != nil {
			s.t.Fatal(err)
		}
		b.Reset()
	}
	for i := range n {
		b.Set(store.AppendBatchKey(nil, store.BatchKey{PartitionID: id, LastOffset: int64(i)}), make([]byte, erasedSize))
		if b.Len() == 1000 {
			write()
		}
	}
	write()
}

// offsets returns the first and the last offset that are left of a partition, and how many
// there are.
func (s *scene) offsets(id store.PartitionID) (first, last int64, n int) {
	s.t.Helper()
	first, last = -1, -1
	err := s.desk.Scan(store.BatchRange(id, 0), func(e store.Entry) (bool, error) {
		key, err := store.ParseBatchKey(e.Key)
		if n++; n == 1 {
			first = key.LastOffset
		}
		last = key.LastOffset
		return true, err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return first, last, n
}

// erasePart is how many keys one transaction of an Eraser deletes.
func (s *scene) erasePart() int { return min(s.desk.Limits().Entries/eraseShare, eraseEntries) }

func erased(batches int) Erased {
	return Erased{Batches: int64(batches), Bytes: int64(batches) * erasedSize}
}

var (
	before = store.PartitionID{Topic: 1, Partition: 1}
	middle = store.PartitionID{Topic: 1, Partition: 2}
	behind = store.PartitionID{Topic: 1, Partition: 3}
)

func TestEraseDeletesTheRange(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		n := 2*s.erasePart() + 200
		for _, id := range []store.PartitionID{before, middle, behind} {
			s.stock(id, n)
		}
		r := store.BatchRange(middle, 50)
		r.To = store.BatchRange(middle, int64(n-50)).From
		e := NewEraser(s.Committer)
		var done Erased
		if err := errors.Join(e.Erase(t.Context(), r, &done), e.Wait()); err != nil {
			t.Fatal(err)
		}
		if done != erased(n-100) {
			t.Errorf("counted %+v of %d batches", done, n-100)
		}
		if first, last, left := s.offsets(middle); first != 0 || last != int64(n-1) || left != 100 {
			t.Errorf("%d batches are left, from %d to %d", left, first, last)
		}
		for _, id := range []store.PartitionID{before, behind} {
			if _, _, left := s.offsets(id); left != n {
				t.Errorf("%d batches of %d are left of %v", left, n, id)
			}
		}
		if got := s.Stats().Txs; got != 3 {
			t.Errorf("%d transactions", got)
		}
	})
}

// Keys that are no batches go too, but are not counted; an empty range is no work.
func TestEraseCountsBatches(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		s.stock(middle, 7)
		start := store.LogStartKey(middle)
		tx := &Tx{}
		tx.Writes.Set(start, store.OffsetValue(3))
		s.submit("log start", tx)
		s.hears("log start")
		e := NewEraser(s.Committer)
		var done Erased
		for _, r := range store.TopicRanges(middle.Topic) {
			for range 2 {
				if err := errors.Join(e.Erase(t.Context(), r, &done), e.Wait()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if done != erased(7) {
			t.Errorf("counted %+v", done)
		}
		if _, err := s.desk.Get(start); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("the log start: %v", err)
		}
		if got := s.Stats().Txs; got != 3 {
			t.Errorf("%d transactions, want that of the log start and two more", got)
		}
	})
}

// A transaction that fails ends it; what was deleted by then is counted.
func TestEraseFailsInTheMiddle(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		part := s.erasePart()
		n := (2*eraseFlight + 5) * part // more than two commits can have
		s.stock(middle, n)
		gone := 0
		s.desk.commit = func(nth int) error {
			if nth == 3 {
				_, _, left := s.offsets(middle)
				gone = n - left
				return errBroken
			}
			return nil
		}
		e := NewEraser(s.Committer)
		var done Erased
		err := errors.Join(e.Erase(t.Context(), store.BatchRange(middle, 0), &done), e.Wait())
		if !errors.Is(err, log.ErrFailed) || !errors.Is(err, errBroken) {
			t.Errorf("got error %v", err)
		}
		if gone < 2*part || done != erased(gone) {
			t.Errorf("counted %+v, %d batches are gone", done, gone)
		}
		if first, _, left := s.offsets(middle); first != int64(gone) || left != n-gone {
			t.Errorf("%d batches are left, from %d", left, first)
		}
		if err := e.Erase(t.Context(), store.BatchRange(middle, 0), &done); !errors.Is(err, log.ErrFailed) {
			t.Errorf("later: %v", err)
		}
	})
}

// It may use the disk's reserve, and stops when that is used up, to go on another time.
func TestEraseOnFullDisk(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		n := 20 * s.erasePart()
		s.stock(middle, n)
		erase := func() (done Erased, err error) {
			e := NewEraser(s.Committer)
			err = e.Erase(t.Context(), store.BatchRange(middle, 0), &done)
			return done, errors.Join(err, e.Wait())
		}
		s.desk.set(func(d *desk) { d.room = full })
		if done, err := erase(); !errors.Is(err, log.ErrDiskFull) || done != (Erased{}) {
			t.Errorf("counted %+v, %v", done, err)
		}
		if got := s.Stats().Failures; got > eraseFlight {
			t.Errorf("%d transactions failed, it should have ended sooner", got)
		}
		if _, _, left := s.offsets(middle); left != n {
			t.Errorf("%d batches of %d are left", left, n)
		}
		s.desk.set(func(d *desk) {
			d.room = func(n int, essential bool) error {
				if essential {
					return nil
				}
				return full(n, essential)
			}
		})
		if done, err := erase(); err != nil || done != erased(n) {
			t.Errorf("counted %+v of %d batches, %v", done, n, err)
		}
	})
}

func TestEraseEndsWithItsContext(t *testing.T) {
	play(t, func(t *testing.T, s *scene) {
		part := s.erasePart()
		n := 10 * part
		s.stock(middle, n)
		ctx, cancel := context.WithCancel(t.Context())
		s.desk.commit = func(nth int) error {
			if nth == 2 {
				cancel()
			}
			return nil
		}
		e := NewEraser(s.Committer)
		var done Erased
		if err := e.Erase(ctx, store.BatchRange(middle, 0), &done); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v", err)
		}
		if err := e.Wait(); err != nil {
			t.Errorf("Wait: %v", err)
		}
		first, _, left := s.offsets(middle)
		if done != erased(n-left) || first != int64(n-left) && left > 0 || left == n {
			t.Errorf("counted %+v, %d batches of %d are left, from %d", done, left, n, first)
		}
		if err := e.Erase(ctx, store.BatchRange(middle, 0), &done); !errors.Is(err, context.Canceled) {
			t.Errorf("later: %v", err)
		}
		if err := errors.Join(e.Erase(t.Context(), store.BatchRange(middle, 0), &done), e.Wait()); err != nil || done != erased(n) {
			t.Errorf("in the end: counted %+v of %d batches, %v", done, n, err)
		}
	})
}

package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Backward returns an iterator over the records of tp that are before s, from the newest to the oldest.
func (b *Broker) Backward(ctx context.Context, tp log.TopicPartition, s engine.Start) iter.Seq2[log.Record, error] {
	return func(yield func(log.Record, error) bool) {
		fail := func(err error) bool { return yield(log.Record{}, fmt.Errorf("backward: %w", err)) }
		w, err := b.before(ctx, tp, s)
		for err == nil {
			more := false
			if more, err = w.next(ctx); !more {
				break
			}
			records, damage := w.records()
			if damage != nil && !fail(damage) {
				return
			}
			records, wrong := b.opened(ctx, records)
			for i, r := range slices.Backward(records) {
				if err = ctx.Err(); err != nil {
					break
				}
				if wrong[i] != nil && !fail(wrong[i]) || wrong[i] == nil && !yield(r, nil) {
					return
				}
			}
		}
		if err != nil {
			fail(err)
		}
	}
}

// before returns what reads tp backwards from s on.
func (b *Broker) before(ctx context.Context, tp log.TopicPartition, s engine.Start) (w backwards, err error) {
	if err := cmp.Or(ctx.Err(), b.Clients.Err()); err != nil {
		return w, err
	}
	t, err := b.Topics.Find(ctx, tp.Topic, false)
	if err != nil {
		return w, err
	}
	p, err := t.Partition(tp.Partition)
	if err != nil {
		return w, err
	}
	offset, err := s.Resolve(ctx, p, log.ReadCommitted)
	if hi := p.HighWatermark(); err == nil && (offset < 0 || offset > hi) {
		err = fmt.Errorf("%s: %w: offset %d is not within [0, %d]", tp, log.ErrOffsetOutOfRange, offset, hi)
	}
	w.begin(p, "", log.ReadCommitted, offset)
	return w, err
}

// backwards reads a partition from the newest batch to the oldest, one at a time. Begun anew it keeps its memory.
type backwards struct {
	p      engine.Partition
	client string
	iso    log.Isolation
	before int64           // of what comes next
	batch  log.StoredBatch // that next has read
	to     int64           // of it counts what is before to
	buf    []byte          // where it lives
	read   []log.Record    // of it
}

// begin has what is before the offset before come next, and is for a reader of that isolation.
func (w *backwards) begin(p engine.Partition, client string, iso log.Isolation, before int64) {
	w.p, w.client, w.iso, w.before = p, client, iso, min(before, engine.End(p, iso))
}

// empty reports whether nobody gets a record of the batch that next has read.
func (w *backwards) empty() bool {
	return w.batch.Err == nil && (w.batch.Batch.Control() || w.batch.Aborted)
}

// next reads the batch before those that were read, and returns false when there is none. One that is corrupt is no
// error.
func (w *backwards) next(ctx context.Context) (bool, error) {
	err := ctx.Err()
	if err != nil || w.before <= w.p.LogStart() {
		return false, err
	}
	sb, base, err := w.p.FetchBefore(ctx, w.client, w.iso, w.before, w.buf)
	switch {
	case errors.Is(err, log.ErrOffsetOutOfRange) && w.before <= w.p.LogStart(): // all that is left has gone meanwhile
		return false, nil
	case err != nil:
		return false, err
	case sb.Err == nil:
		w.buf = sb.Batch
	}
	w.batch, w.to, w.before = sb, w.before, base
	return true, nil
}

// records returns the records of the batch that count, which are valid until the next call. Their bytes stay. If the
// batch is corrupt they are those before the damage, which is the error.
func (w *backwards) records() ([]log.Record, error) {
	if w.batch.Err != nil || w.empty() {
		return nil, w.batch.Err
	}
	start, tp := w.p.LogStart(), w.p.TopicPartition()
	clear(w.read)
	w.read = w.read[:0]
	encoded, err := w.batch.Batch.AppendRecords(nil)
	for r, more := log.NewRecordReader(w.batch.Batch, encoded), err == nil; more; {
		var rec log.Record
		if more, err = r.Next(&rec); more && rec.Offset >= start && rec.Offset < w.to {
			rec.Topic, rec.Partition = tp.Topic, tp.Partition
			w.read = append(w.read, rec)
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: batch ending at offset %d: %w", tp, w.batch.LastOffset, err)
	}
	return w.read, err
}

// last returns the offset of the n-th record from the end, or where the partition begins if there are fewer. A
// damaged batch counts for none: reading tells of it.
func (w *backwards) last(ctx context.Context, n int64) (int64, error) {
	offset := w.before
	for n > 0 {
		more, err := w.next(ctx)
		if err != nil {
			return 0, err
		}
		if !more {
			offset = w.p.LogStart()
			break
		}
		if b := w.batch.Batch; w.batch.Err == nil && !w.empty() && w.batch.LastOffset < w.to && int64(b.Records()) < n {
			n -= int64(b.Records())
			continue
		}
		records, _ := w.records()
		if int64(len(records)) >= n {
			offset = records[int64(len(records))-n].Offset
		}
		n -= int64(len(records))
	}
	return offset, w.p.Err()
}

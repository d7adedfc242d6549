package writer

import (
	"context"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
)

// Trimmed counts what a Trim has removed.
type Trimmed struct {
	Records int64  // offsets passed by the log start
	Passed  Erased // batches passed by it
	Left    Erased // batches that an earlier Trim had left
}

// Move is a partition whose log start offset is to move.
type Move struct {
	Partition *partition.Partition
	Start     int64 // the new log start offset; one that is not ahead of the old moves nothing
}

// Trim moves log start offsets, and then removes the batches that end before them, and what is known of aborted
// transactions that ended there, as well as those that an earlier Trim had to leave. The new log starts come first, and commits outlive a
// power cut in their order: nothing that is gone comes back. Readers before them get
// ErrOffsetOutOfRange. ctx ends it before a transaction is begun: the starts that are moved stay so, and the
// next Trim removes what is before them. What was removed is returned for each move, also with an error. The
// caller has the Turn of every partition.
func Trim(ctx context.Context, c *Committer, moves []Move) ([]Trimmed, error) {
	done := make([]Trimmed, len(moves))
	for at := 0; at < len(moves); {
		n := min(len(moves)-at, c.st.Limits().Entries/4)
		if err := moveStarts(ctx, c, moves[at:at+n], done[at:at+n]); err != nil {
			return done, err
		}
		at += n
	}
	e := NewEraser(c)
	var err error
	for i, m := range moves {
		p := m.Partition
		if p.Err() != nil {
			continue // its data goes with its topic
		}
		start := p.LogStart()
		left, passed := store.BatchRange(p.ID(), 0), store.BatchRange(p.ID(), start-done[i].Records)
		left.To, passed.To = passed.From, store.BatchRange(p.ID(), start).From
		// Readers who find nothing of a transaction look whether the log start has passed it: it has moved by now.
		aborted := store.AbortedRange(p.ID(), 0)
		aborted.To = store.AbortedRange(p.ID(), start).From
		if err = e.Erase(ctx, left, &done[i].Left); err == nil {
			err = e.Erase(ctx, passed, &done[i].Passed)
		}
		if err == nil {
			err = e.Erase(ctx, aborted, &done[i].Left) // no batches
		}
		if err != nil {
			break
		}
	}
	return done, store.Join(err, e.Wait())
}

// moveStarts stores new log starts and then makes them visible.
func moveStarts(ctx context.Context, c *Committer, moves []Move, done []Trimmed) error {
	tx := &Tx{Essential: true, Ahead: true}
	starts := make([]int64, len(moves))
	for i, m := range moves {
		starts[i] = min(m.Start, m.Partition.HighWatermark())
		if starts[i] > m.Partition.LogStart() {
			tx.Writes.Set(store.LogStartKey(m.Partition.ID()), store.OffsetValue(starts[i]))
		}
	}
	if tx.Writes.Len() == 0 {
		return nil
	}
	if err := c.DoUntil(ctx, tx); err != nil {
		return err
	}
	for i, m := range moves {
		p := m.Partition
		if old := p.LogStart(); starts[i] > old {
			p.SetStart(starts[i])
			done[i].Records = starts[i] - old
		}
	}
	return nil
}

// Commit writes b as a transaction that may use the disk's reserve and goes ahead, and waits for it;
// for who cleans a log.
func (c *Committer) Commit(b *store.Batch) error {
	tx := &Tx{Essential: true, Ahead: true}
	tx.Writes.Append(b)
	return c.Do(tx)
}

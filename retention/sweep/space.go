package sweep

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// tally is the account of the bytes of a partition's batches, as stored.
type tally struct {
	counted  bool  // live is known
	live     int64 // bytes
	appended int64 // Partition.Appended when they were so many
}

// at returns the bytes when so many have been appended.
func (t *tally) at(appended int64) int64 { return t.live + appended - t.appended }

// trimmed notes that n bytes have gone, and perhaps more if err is set.
func (t *tally) trimmed(n int64, err error) {
	t.live -= n // which counts for nothing before it is known
	t.counted = t.counted && err == nil
}

// space is the account of what has been removed and the store still holds. The store gives
// space back by itself too, but cannot know when a sweep has ended.
type space struct {
	garbage int64     // bytes of batches removed since the store was asked last
	tried   time.Time // when it was asked because the disk was full
}

// removed notes n bytes of garbage.
func (s *space) removed(n int64) { s.garbage += n }

// fullPause is the least time between two attempts to make room on a full disk.
const fullPause = 5 * time.Second

// try reports whether to make room on a disk that is full now, and notes that it is tried.
func (s *space) try(now time.Time) bool {
	if s.garbage == 0 || now.Sub(s.tried) < fullPause {
		return false
	}
	s.tried = now
	return true
}

// take returns the garbage, which the store is asked for. What it cannot give back is removed again.
func (s *space) take() (n int64) {
	n, s.garbage = s.garbage, 0
	return n
}

// giveBack is the goroutine that gives space back: after full sweeps, and when the disk is full.
func (w *Sweeper) giveBack(ctx context.Context) {
	for {
		select {
		case <-w.freed.C():
		case <-w.full.C():
			w.mu.Lock()
			try := w.space.try(time.Now())
			w.mu.Unlock()
			if !try {
				continue
			}
		case <-ctx.Done():
			return
		}
		if err := w.reclaim(ctx); err != nil && ctx.Err() == nil {
			w.logger.Warn("giving space back to the file system failed, it is tried again after the next sweep", zap.Error(err))
		}
	}
}

// reclaim gives space back to the file system.
func (w *Sweeper) reclaim(ctx context.Context) error {
	if err := w.reclaiming.TakeUntil(ctx); err != nil {
		return err
	}
	defer w.reclaiming.Give()
	w.mu.Lock()
	garbage := w.space.take()
	w.mu.Unlock()
	err := w.targets.Store.Reclaim(ctx)
	if err != nil {
		w.mu.Lock()
		w.space.removed(garbage)
		w.mu.Unlock()
	}
	return err
}

package sweep

import (
	"context"
	"time"
)

// maxAhead is how many bytes producers may be ahead of sweeps, where a topic has a limit in bytes.
const maxAhead = 32 << 20

// bound has producers wait for the next sweep when much was written since one had seen so many bytes.
func (w *Sweeper) bound(seen int64) {
	if w.bounded = len(w.limited) > 0; w.bounded {
		w.targets.Committer.Bound(seen + maxAhead)
	} else {
		w.targets.Committer.Bound(0)
	}
}

// stored returns how many bytes of batches were stored so far, of all partitions.
func (w *Sweeper) stored() int64 { return w.targets.Committer.Stored() }

// paceBytes is what compaction reads and writes in a second, at most: enough to follow a
// busy producer, and half of what a common disk can do.
const paceBytes = 256 << 20

// pace waits as long as n bytes may take.
func pace(ctx context.Context, n int64) error {
	timer := time.NewTimer(time.Duration(n) * time.Second / paceBytes)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

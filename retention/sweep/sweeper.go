// Package sweep is retention in the background: when and how fast records go by the decisions of
// package retention, and what has gone. Users import the module root, which shows Swept and
// Stats under its own names.
package sweep

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Sweeper removes in the background what may go: records by the policies of their
// topics, and the data of deleted topics. Then it gives the space back to the file
// system. It sweeps at every interval and when asked, and in between looks at
// topics that were changed, and at partitions with a limit in bytes to which enough was
// written. What cannot have anything new to go is passed over.
type Sweeper struct {
	targets Targets
	logger  *zap.Logger

	wg      sync.WaitGroup
	cancel  context.CancelFunc
	changed *partition.Waiter // topics were changed or deleted
	written *partition.Waiter // much was stored
	freed   *partition.Waiter // it is worth giving space back
	full    *partition.Waiter // the disk is full

	reclaiming turns.Turn                // held by whoever gives space back
	sweeping   turns.Turn                // held by whoever sweeps, who uses what follows
	changes    topic.Changes             // what the sweeps have seen of the catalogue
	limited    map[*topic.Topic]struct{} // those with a limit in bytes
	bounded    bool                      // see bound

	mu     sync.Mutex // guards what follows
	last   time.Time  // when the last full sweep ended
	sum    Removed    // since Start
	space  space
	tracks map[*partition.Partition]*tracked
}

// Start returns a sweeper that sweeps at every interval, until Close.
func Start(targets Targets, interval time.Duration, logger *zap.Logger) *Sweeper {
	w := New(targets, logger)
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	targets.Committer.WakeOnBytes(w.written)
	targets.Committer.WakeWhenFull(w.full)
	if targets.Topics.Doomed() {
		w.Wake() // what the last owner left
	}
	w.wg.Go(func() { w.run(ctx, interval) })
	w.wg.Go(func() { w.giveBack(ctx) })
	return w
}

// New returns a sweeper that does nothing by itself.
func New(targets Targets, logger *zap.Logger) *Sweeper {
	w := &Sweeper{
		targets: targets, logger: logger, cancel: func() {},
		changed: partition.NewWaiter(), written: partition.NewWaiter(), freed: partition.NewWaiter(), full: partition.NewWaiter(),
		reclaiming: turns.New(), sweeping: turns.New(),
		limited: make(map[*topic.Topic]struct{}), tracks: make(map[*partition.Partition]*tracked),
	}
	w.follow()
	return w
}

// Close ends what the sweeper does in the background, and waits for that.
func (w *Sweeper) Close() {
	w.cancel()
	w.wg.Wait()
}

// Wake asks for a look at what has changed in the catalogue.
func (w *Sweeper) Wake() { w.changed.Wake() }

// run is the goroutine that sweeps.
func (w *Sweeper) run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		full := false
		select {
		case <-w.changed.C():
		case <-w.written.C():
		case <-ticker.C:
			full = true
		case <-ctx.Done():
			return
		}
		full = full || !w.swept() // the first counts what there is
		if _, err := w.sweep(ctx, full); err != nil && ctx.Err() == nil {
			w.logger.Warn("retention sweep failed, the next one tries again", zap.Error(err))
		}
	}
}

// Sweep sweeps everything now and gives the space back. Beside an error it returns what was
// done.
func (w *Sweeper) Sweep(ctx context.Context) (Swept, error) {
	before, err := w.targets.Store.Size()
	if err != nil {
		return Swept{}, err
	}
	done, err := w.sweep(ctx, true)
	if err == nil {
		err = w.reclaim(ctx)
	}
	if err != nil {
		return done, err
	}
	after, err := w.targets.Store.Size()
	if err == nil {
		done.BytesFreed = max(0, before-after)
	}
	return done, err
}

// sweep removes what may go: of all partitions where something may that could not go before,
// or only of those of changed topics and of those that have a limit in bytes and were written
// to.
func (w *Sweeper) sweep(ctx context.Context, full bool) (Swept, error) {
	if err := w.sweeping.TakeUntil(ctx); err != nil {
		return Swept{}, err
	}
	defer w.sweeping.Give()
	seen := w.stored()
	topics, deleted := w.catchUp()
	if !w.bounded {
		w.bound(seen)
	}
	if full {
		topics = w.targets.Topics.List()
	}
	done, err := w.remove(ctx, full, full || deleted, topics)
	w.note(full, done.Removed)
	if err != nil {
		seen = w.stored() // producers wait for a sweep that is made, not for one that succeeds
	}
	w.bound(seen)
	return done, err
}

// remove does the work of a sweep, one kind after the other.
func (w *Sweeper) remove(ctx context.Context, full, purge bool, topics []*topic.Topic) (done Swept, err error) {
	var errs []error
	if purge {
		purged, err := w.targets.Topics.Purge(ctx)
		done.Topics = purged.Topics
		done.add(Removed{Batches: purged.Batches, Bytes: purged.Bytes})
		w.mu.Lock()
		w.space.removed(purged.Bytes)
		w.mu.Unlock()
		errs = append(errs, err)
	}
	for jobs := range slices.Chunk(w.jobs(full, topics), maxTrims) {
		removed, err := w.trim(ctx, jobs)
		done.add(removed)
		errs = append(errs, err)
		if over(ctx, err) {
			break
		}
	}
	if ctx.Err() == nil {
		removed, err := w.compact(ctx, topics)
		done.add(removed)
		errs = append(errs, err)
	}
	if full && ctx.Err() == nil {
		errs = append(errs, w.targets.Producers.Expire(ctx, time.Now(), w.targets.Topics.Partitions()))
	}
	return done, store.Join(errs...)
}

// swept reports whether there was a full sweep.
func (w *Sweeper) swept() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.last.IsZero()
}

// note accounts for a sweep. After a full one any garbage is worth giving back.
func (w *Sweeper) note(full bool, removed Removed) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sum.add(removed)
	if full {
		w.last = time.Now()
		if w.space.garbage > 0 {
			w.freed.Wake()
		}
	}
}

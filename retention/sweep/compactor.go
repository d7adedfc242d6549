package samsa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/retention"
	"github.com/samsa-go/samsa/topic"
)

// compactor removes in the background what may go: records by the policies of their
// topics, and the data of deleted topics. Then it gives the space back to the file
// system. It sweeps every Options.RetentionInterval and when asked, and in between looks at
// topics that were changed, and at partitions with a limit in bytes to which enough was
// written. What cannot have anything new to go is passed over.
type compactor struct {
	b       *Broker
	wg      sync.WaitGroup
	cancel  context.CancelFunc
	work    chan struct{}     // capacity 1: topics were changed or deleted
	written *partition.Waiter // much was stored
	turn    chan struct{}     // capacity 1: held by whoever sweeps
	space   space

	// Used by whoever has the turn.
	changes topic.Changes             // what the sweeps have seen of the catalogue
	limited map[*topic.Topic]struct{} // those with a limit in bytes
	bounded bool                      // see bound

	mu     sync.Mutex // guards what follows
	last   time.Time  // when the last full sweep ended
	sum    Removed    // since the broker was opened
	tracks map[*partition.Partition]*swept
}

// Removed counts what retention has removed.
type Removed struct {
	Records int64 // in compacted topics those that were superseded, else the offsets passed by the log start
	Batches int64 // fewer than before; compaction joins batches too
	Bytes   int64 // of stored batches
}

func (r *Removed) add(o Removed) {
	r.Records += o.Records
	r.Batches += o.Batches
	r.Bytes += o.Bytes
}

func (k *compactor) start(b *Broker) {
	ctx, cancel := context.WithCancel(context.Background())
	k.b, k.cancel = b, cancel
	k.work, k.turn = make(chan struct{}, 1), make(chan struct{}, 1)
	k.space.init(b)
	k.written = partition.NewWaiter()
	k.follow()
	b.committer.WakeOnBytes(k.written)
	b.committer.WakeWhenFull(k.space.full)
	if b.catalogue.Doomed() {
		k.wake() // what the last owner left
	}
	k.wg.Go(func() { k.run(ctx) })
	k.wg.Go(func() { k.space.run(ctx) })
}

func (k *compactor) stop() {
	k.cancel()
	k.wg.Wait()
}

// wake asks for a look at what has changed in the catalogue.
func (k *compactor) wake() {
	select {
	case k.work <- struct{}{}:
	default:
	}
}

// run is the compactor's goroutine.
func (k *compactor) run(ctx context.Context) {
	ticker := time.NewTicker(k.b.opts.RetentionInterval)
	defer ticker.Stop()
	for {
		full := false
		select {
		case <-k.work:
		case <-k.written.C():
		case <-ticker.C:
			full = true
		case <-ctx.Done():
			return
		}
		full = full || !k.swept() // the first counts what there is
		if _, err := k.sweep(ctx, full); err != nil && ctx.Err() == nil {
			k.b.logger.Warn("retention sweep failed, the next one tries again", zap.Error(err))
		}
	}
}

// sweep removes what may go: of all partitions where something may that could not go before,
// or only of those of changed topics and of those that have a limit in bytes and were written
// to.
func (k *compactor) sweep(ctx context.Context, full bool) (Compaction, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return Compaction{}, ctx.Err()
	}
	var done Compaction
	var errs []error
	seen := k.b.committer.Stats().Bytes
	topics, deleted := k.catchUp()
	if !k.bounded {
		k.bound(seen)
	}
	if full {
		topics = k.b.catalogue.List()
	}
	if full || deleted {
		purged, err := k.b.catalogue.Purge(ctx)
		done.Topics = purged.Topics
		done.add(Removed{Batches: purged.Batches, Bytes: purged.Bytes})
		k.space.removed(purged.Bytes)
		errs = append(errs, err)
	}
	for jobs := range slices.Chunk(k.jobs(full, topics), maxTrims) {
		removed, err := k.trim(ctx, jobs)
		done.add(removed)
		errs = append(errs, err)
		if ctx.Err() != nil || errors.Is(err, ErrFailed) {
			break
		}
	}
	if ctx.Err() == nil {
		removed, err := k.compact(ctx, topics)
		done.add(removed)
		errs = append(errs, err)
	}
	if full && ctx.Err() == nil {
		errs = append(errs, k.expireProducers(ctx))
	}
	k.note(full, done.Removed)
	err := store.Join(errs...)
	if err != nil {
		seen = k.b.committer.Stats().Bytes // they wait for a sweep that is made, not for one that succeeds
	}
	k.bound(seen)
	return done, err
}

// maxAhead is how many bytes producers may be ahead of sweeps, where a topic has a limit in bytes.
const maxAhead = 32 << 20

// bound has producers wait for the next sweep when much was written since one had seen so many bytes.
func (k *compactor) bound(seen int64) {
	if k.bounded = len(k.limited) > 0; k.bounded {
		k.b.committer.Bound(seen + maxAhead)
	} else {
		k.b.committer.Bound(0)
	}
}

// swept reports whether there was a full sweep.
func (k *compactor) swept() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.last.IsZero()
}

// note accounts for a sweep.
func (k *compactor) note(full bool, removed Removed) {
	k.mu.Lock()
	k.sum.add(removed)
	if full {
		k.last = time.Now()
	}
	k.mu.Unlock()
	if full {
		k.space.swept()
	}
}

// maxTrims is how many partitions are trimmed together.
const maxTrims = 500

// sweepJob is the sweep of one partition.
type sweepJob struct {
	k        *compactor
	p        *partition.Partition
	s        *swept
	config   TopicConfig
	count    bool  // the bytes anew
	consumed int64 // passed by all groups; -1 for nothing
	appended int64 // when the batches were looked at
	live     int64 // bytes then
	start    int64 // the log start offset that the policies ask for
	due      time.Time
}

// trim removes the oldest batches of the jobs' partitions by time, size and consumption.
func (k *compactor) trim(ctx context.Context, jobs []*sweepJob) (Removed, error) {
	moves := make([]partition.Move, 0, len(jobs))
	planned := jobs[:0:0]
	for _, j := range jobs {
		release, err := j.p.Turn(ctx)
		if err != nil {
			return Removed{}, err
		}
		defer release()
		if err := j.plan(ctx); err != nil {
			if j.p.Err() != nil {
				continue // deleted meanwhile
			}
			return Removed{}, err
		}
		planned = append(planned, j)
		moves = append(moves, partition.Move{Partition: j.p, Start: j.start})
	}
	trimmed, err := partition.Trim(ctx, k.b.committer, moves)
	var sum Removed
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, j := range planned {
		removed := removedBy(trimmed[i])
		sum.add(removed)
		j.s.removed.add(removed)
		j.s.counted, j.s.settled = err == nil, err == nil
		j.s.due, j.s.config, j.s.consumed = j.due, j.config, j.consumed
		j.s.live, j.s.appended = j.live-trimmed[i].Passed.Bytes, j.appended
	}
	k.space.removed(sum.Bytes)
	return sum, err
}

// plan decides what of the partition may go.
func (j *sweepJob) plan(ctx context.Context) error {
	var err error
	batches := func(yield func(retention.Batch) bool) {
		if e := j.p.Log().Batches(func(b retention.Batch) bool { return ctx.Err() == nil && yield(b) }); e != nil {
			err = e
		}
	}
	j.appended = j.p.Appended()
	if j.count || !j.s.counted {
		j.live = retention.Size(batches)
	} else {
		j.live = j.s.live + j.appended - j.s.appended
	}
	old := j.p.LogStart()
	j.start = retention.ByConsumption(batches, old, j.consumed)
	if j.config.CleanupPolicy&CleanupDelete != 0 {
		ms := int64(-1)
		if j.config.Retention > 0 {
			ms = j.config.Retention.Milliseconds()
		}
		j.start = max(j.start,
			retention.ByTime(batches, old, time.Now().UnixMilli(), ms),
			retention.BySize(batches, old, j.live, j.config.RetentionBytes))
		for b := range batches {
			if b.LastOffset < j.start {
				continue
			}
			if next, ok := retention.NextDue(func(yield func(retention.Batch) bool) { yield(b) }, ms); ok {
				j.due = time.UnixMilli(next)
			}
			break
		}
	}
	return store.Join(err, ctx.Err())
}

// compact removes superseded records from the partitions of those topics that are compacted.
func (k *compactor) compact(ctx context.Context, topics []*topic.Topic) (Removed, error) {
	var sum Removed
	for _, t := range topics {
		config := t.Config()
		if config.CleanupPolicy&CleanupCompact == 0 {
			continue
		}
		for _, p := range t.Partitions() {
			removed, err := k.clean(ctx, p, config)
			sum.add(removed)
			if err != nil && p.Err() == nil {
				return sum, err
			}
		}
	}
	return sum, nil
}

// clean compacts a partition if that can remove anything that it could not the last time.
func (k *compactor) clean(ctx context.Context, p *partition.Partition, config TopicConfig) (Removed, error) {
	s := k.track(p)
	now := time.Now().UnixMilli()
	if s.cleaned && s.cleanedEnd == p.HighWatermark() && s.cleanedBy == config && now < s.tombstones && config.MinCompactionLag == 0 {
		return Removed{}, nil
	}
	release, err := p.Turn(ctx)
	if err != nil {
		return Removed{}, err
	}
	defer release()
	end := p.HighWatermark()
	cleaner := retention.Cleaner{Codec: config.Compression.Codec(), Pace: pace}
	done, err := cleaner.Clean(ctx, p.Log(), k.b.committer, retention.CleanOptions{
		NowMs: now, DeleteRetentionMs: config.DeleteRetention.Milliseconds(),
		MinLagMs: config.MinCompactionLag.Milliseconds(), From: s.dirty,
	})
	removed := Removed{
		Records: done.Records, Batches: done.BatchesBefore - done.BatchesAfter,
		Bytes: max(0, done.BytesBefore-done.BytesAfter), // a delete horizon may take more than went
	}
	k.space.removed(done.BytesBefore)
	k.mu.Lock()
	defer k.mu.Unlock()
	s.dirty = done.NextDirty
	s.cleaned, s.cleanedEnd, s.cleanedBy, s.tombstones = err == nil, end, config, done.NextTombstoneMs
	s.live -= done.BytesBefore - done.BytesAfter
	s.removed.add(removed)
	return removed, err
}

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

// trimmed accounts for what was removed by hand, until err.
func (k *compactor) trimmed(p *partition.Partition, t partition.Trimmed, err error) {
	removed := removedBy(t)
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.trackLocked(p)
	k.sum.add(removed)
	s.removed.add(removed)
	s.settled = false // not everything may have gone
	s.counted = s.counted && err == nil
	s.live -= t.Passed.Bytes // which counts for nothing before live is known
	k.space.removed(removed.Bytes)
}

func removedBy(t partition.Trimmed) Removed {
	return Removed{Records: t.Records, Batches: t.Passed.Batches + t.Left.Batches, Bytes: t.Passed.Bytes + t.Left.Bytes}
}

// trim removes records by hand.
func (b *Broker) trim(ctx context.Context, p *partition.Partition, start int64) error {
	release, err := p.Turn(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := p.Err(); err != nil {
		return err
	}
	trimmed, err := partition.Trim(ctx, b.committer, []partition.Move{{Partition: p, Start: start}})
	b.compactor.trimmed(p, trimmed[0], err)
	return err
}

// Compaction is what Broker.Compact did.
type Compaction struct {
	Removed
	Topics     int   // deleted topics whose data was removed
	BytesFreed int64 // by which the data directory shrank
}

// Compact sweeps now: it removes all that may go by the policies of the topics, and the
// data of deleted topics, and gives the space back to the file system. The broker does so
// by itself in the background; Compact is for those who want to wait for it. Producers and
// consumers go on meanwhile.
func (b *Broker) Compact(ctx context.Context) (Compaction, error) {
	if err := b.check(ctx); err != nil {
		return Compaction{}, fmt.Errorf("compact: %w", err)
	}
	before, err := b.st.Size()
	if err != nil {
		return Compaction{}, fmt.Errorf("compact: %w", err)
	}
	c, err := b.compactor.sweep(ctx, true)
	if err == nil {
		err = b.compactor.space.reclaim(ctx)
	}
	if err != nil {
		return c, fmt.Errorf("compact: %w", err)
	}
	after, err := b.st.Size()
	if err != nil {
		return c, fmt.Errorf("compact: %w", err)
	}
	c.BytesFreed = max(0, before-after)
	return c, nil
}

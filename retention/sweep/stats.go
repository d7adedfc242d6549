package sweep

import (
	"context"
	"slices"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/retention"
	"github.com/samsa-go/samsa/topic"
)

// Removed counts what retention has removed.
type Removed struct {
	Records int64 // in compacted topics those that were superseded or aborted, else the offsets passed by the log start
	Batches int64 // fewer than before, markers of transactions among them; compaction joins batches too
	Bytes   int64 // of stored batches
}

func (r *Removed) add(o Removed) {
	r.Records += o.Records
	r.Batches += o.Batches
	r.Bytes += o.Bytes
}

// Swept is what a sweep has done.
type Swept struct {
	Removed
	Topics     int   // deleted topics whose data was removed
	BytesFreed int64 // by which the data directory shrank
}

// Stats is what retention has done since the broker was opened, and what it knows since its last sweep.
type Stats struct {
	LastSweep  time.Time // of all topics; zero before the first
	Removed    Removed
	BytesLive  int64 // of stored batches
	BytesDisk  int64 // that the data directory takes
	Partitions []PartitionStats
}

// PartitionStats is one partition's part of Stats.
type PartitionStats struct {
	Topic     string
	Partition int32
	Removed   Removed
	BytesLive int64     // of stored batches
	NextDue   time.Time // when the oldest batch of the last sweep will be too old; zero if there was none, or for never
}

// Stats returns statistics, the partitions by topic and index.
func (w *Sweeper) Stats(ctx context.Context) (Stats, error) {
	size, err := w.targets.Store.Size()
	if err != nil {
		return Stats{}, err
	}
	topics := w.targets.Topics.List()
	w.mu.Lock()
	stats := Stats{LastSweep: w.last, Removed: w.sum, BytesDisk: size}
	w.mu.Unlock()
	for _, t := range topics {
		for i, p := range t.Partitions() {
			ps, err := w.Partition(ctx, p)
			if err != nil {
				return Stats{}, err
			}
			ps.Topic, ps.Partition = t.Name(), int32(i)
			stats.BytesLive += ps.BytesLive
			stats.Partitions = append(stats.Partitions, ps)
		}
	}
	return stats, nil
}

// Known returns what Partition does, but counts nothing: bytes that nobody knows yet are -1.
func (w *Sweeper) Known(p *partition.Partition) PartitionStats {
	s := w.track(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	ps := PartitionStats{Removed: s.removed, NextDue: s.due, BytesLive: -1}
	switch {
	case s.counted:
		ps.BytesLive = s.at(p.Appended())
	case s.shown.counted:
		ps.BytesLive = max(0, s.shown.at(p.Appended()))
	}
	return ps
}

// Partition returns what is known of a partition, without its name. Its bytes are counted if nobody has done so yet; until
// a sweep does, what goes meanwhile may be missed.
func (w *Sweeper) Partition(ctx context.Context, p *partition.Partition) (PartitionStats, error) {
	before := p.Appended()
	ps := w.Known(p)
	if ps.BytesLive >= 0 {
		return ps, nil
	}
	live, err := w.countBytes(ctx, p, before)
	ps.BytesLive = live
	return ps, err
}

// countBytes counts the bytes of a partition of which so many were appended before.
func (w *Sweeper) countBytes(ctx context.Context, p *partition.Partition, before int64) (live int64, err error) {
	err = p.Log().Batches(func(b retention.Batch) bool {
		live += int64(b.Bytes)
		return ctx.Err() == nil
	})
	s := w.track(p)
	w.mu.Lock()
	if err == nil && ctx.Err() == nil {
		s.shown = tally{counted: true, live: live, appended: before}
	}
	w.mu.Unlock()
	if p.Err() != nil {
		err = nil // deleted meanwhile
	}
	return live, store.Join(err, ctx.Err())
}

// Due returns when the oldest batch of p that has the offset start, or is behind it, will be too old by config; zero if there is none, or for
// never. It reads one entry of the index.
func Due(p *partition.Partition, start int64, config topic.Config) (due time.Time, err error) {
	if config.CleanupPolicy&topic.Delete == 0 || config.Retention <= 0 {
		return due, nil
	}
	err = p.Log().Batches(func(b retention.Batch) bool {
		if b.LastOffset < start {
			return true
		}
		if next, ok := retention.NextDue(slices.Values([]retention.Batch{b}), config.Retention.Milliseconds()); ok {
			due = time.UnixMilli(next)
		}
		return false
	})
	return due, err
}

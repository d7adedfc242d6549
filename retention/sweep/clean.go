package sweep

import (
	"context"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/retention"
	"github.com/samsa-go/samsa/topic"
)

// compact removes superseded and aborted records from the partitions of those topics that are compacted.
func (w *Sweeper) compact(ctx context.Context, topics []*topic.Topic) (Removed, error) {
	var sum Removed
	var errs []error
	for _, t := range topics {
		config := t.Config()
		if config.CleanupPolicy&topic.Compact == 0 {
			continue
		}
		for _, p := range t.Partitions() {
			removed, err := w.clean(ctx, p, config)
			sum.add(removed)
			if err != nil && p.Err() == nil {
				errs = append(errs, err)
			}
			if over(ctx, err) {
				return sum, store.Join(errs...)
			}
		}
	}
	return sum, store.Join(errs...)
}

// clean compacts a partition if that can remove anything that it could not the last time.
func (w *Sweeper) clean(ctx context.Context, p *partition.Partition, config topic.Config) (Removed, error) {
	s := w.track(p)
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
	cleaner := retention.Cleaner{Codec: log.ProducerCodec(config.Compression), Pace: pace}
	done, err := cleaner.Clean(ctx, p.Log(), w.targets.Committer, retention.CleanOptions{
		NowMs: now, DeleteRetentionMs: config.DeleteRetention.Milliseconds(),
		MinLagMs: config.MinCompactionLag.Milliseconds(), From: s.dirty,
	})
	shrunk := done.BytesBefore - done.BytesAfter
	removed := Removed{
		Records: done.Records, Batches: done.BatchesBefore - done.BatchesAfter,
		Bytes: max(0, shrunk), // a delete horizon may take more than went
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.space.removed(done.BytesBefore)
	s.dirty = done.NextDirty
	s.cleaned, s.cleanedEnd, s.cleanedBy, s.tombstones = err == nil, end, config, done.NextTombstoneMs
	s.live -= shrunk
	s.shown.live -= shrunk
	s.removed.add(removed)
	return removed, err
}

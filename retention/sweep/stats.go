package samsa

import (
	"context"
	"fmt"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/retention"
)

// RetentionStats is what retention has done since the broker was opened, and what it
// knows since its last sweep.
type RetentionStats struct {
	LastSweep  time.Time // of all topics; zero before the first
	Removed    Removed
	BytesLive  int64 // of stored batches
	BytesDisk  int64 // that the data directory takes
	Partitions []PartitionRetention
}

// PartitionRetention is one partition's part of RetentionStats.
type PartitionRetention struct {
	Topic     string
	Partition int32
	Removed   Removed
	BytesLive int64     // of stored batches
	NextDue   time.Time // when the oldest batch of the last sweep will be too old; zero if there was none, or for never
}

// RetentionStats returns statistics of retention, the partitions by topic and index.
func (b *Broker) RetentionStats(ctx context.Context) (RetentionStats, error) {
	if err := b.check(ctx); err != nil {
		return RetentionStats{}, fmt.Errorf("retention statistics: %w", err)
	}
	size, err := b.st.Size()
	if err != nil {
		return RetentionStats{}, fmt.Errorf("retention statistics: %w", err)
	}
	k := &b.compactor
	topics := b.catalogue.List()
	k.mu.Lock()
	stats := RetentionStats{LastSweep: k.last, Removed: k.sum, BytesDisk: size}
	k.mu.Unlock()
	for _, t := range topics {
		for i, p := range t.Partitions() {
			pr, err := k.stats(ctx, p)
			if err != nil {
				return RetentionStats{}, fmt.Errorf("retention statistics: %w", err)
			}
			pr.Topic, pr.Partition = t.Name(), int32(i)
			stats.BytesLive += pr.BytesLive
			stats.Partitions = append(stats.Partitions, pr)
		}
	}
	return stats, nil
}

// stats returns what is known of a partition. Its bytes are counted if no sweep has done
// so yet.
func (k *compactor) stats(ctx context.Context, p *partition.Partition) (PartitionRetention, error) {
	s := k.track(p)
	k.mu.Lock()
	pr := PartitionRetention{Removed: s.removed, NextDue: s.due, BytesLive: s.live + p.Appended() - s.appended}
	counted := s.counted
	k.mu.Unlock()
	if counted {
		return pr, nil
	}
	pr.BytesLive = 0
	err := p.Log().Batches(func(b retention.Batch) bool {
		pr.BytesLive += int64(b.Bytes)
		return ctx.Err() == nil
	})
	if p.Err() != nil {
		err = nil // deleted meanwhile
	}
	return pr, store.Join(err, ctx.Err())
}

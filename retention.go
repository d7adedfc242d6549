package samsa

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/retention/sweep"
)

type (
	// Removed counts what retention has removed: Records, Batches and Bytes.
	Removed = sweep.Removed
	// Compaction is what Broker.Compact did: Removed, the deleted Topics whose data was removed,
	// and the BytesFreed, by which the data directory shrank.
	Compaction = sweep.Compaction
	// RetentionStats is what retention has done since the broker was opened, and what it knows
	// since its last sweep: LastSweep of all topics, Removed, BytesLive of stored batches,
	// BytesDisk that the data directory takes, and Partitions.
	RetentionStats = sweep.Stats
	// PartitionRetention is one partition's part of RetentionStats: Topic, Partition, Removed,
	// BytesLive, and NextDue, when its oldest batch will be too old.
	PartitionRetention = sweep.PartitionStats
)

// Compact sweeps now: it removes all that may go by the policies of the topics, and the
// data of deleted topics, and gives the space back to the file system. The broker does so
// by itself in the background; Compact is for those who want to wait for it. Producers and
// consumers go on meanwhile.
func (b *Broker) Compact(ctx context.Context) (Compaction, error) {
	if err := b.check(ctx); err != nil {
		return Compaction{}, fmt.Errorf("compact: %w", err)
	}
	c, err := b.compactor.Compact(ctx)
	if err != nil {
		err = fmt.Errorf("compact: %w", err)
	}
	return c, err
}

// RetentionStats returns statistics of retention, the partitions by topic and index.
func (b *Broker) RetentionStats(ctx context.Context) (RetentionStats, error) {
	if err := b.check(ctx); err != nil {
		return RetentionStats{}, fmt.Errorf("retention statistics: %w", err)
	}
	stats, err := b.compactor.Stats(ctx)
	if err != nil {
		err = fmt.Errorf("retention statistics: %w", err)
	}
	return stats, err
}

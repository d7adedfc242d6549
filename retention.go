package samsa

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/retention/sweep"
)

type (
	// Removed counts what retention has removed.
	//
	//	type Removed struct {
	//		Records int64 // in compacted topics those that were superseded or aborted, else the offsets passed by the log start
	//		Batches int64 // fewer than before, markers of transactions among them; compaction joins batches too
	//		Bytes   int64 // of stored batches
	//	}
	Removed = sweep.Removed
	// Swept is what a sweep has done.
	//
	//	type Swept struct {
	//		Removed
	//		Topics     int   // deleted topics whose data was removed
	//		BytesFreed int64 // by which the data directory shrank
	//	}
	Swept = sweep.Swept
	// RetentionStats is what retention has done since the broker was opened, and what it knows since its last sweep.
	//
	//	type RetentionStats struct {
	//		LastSweep  time.Time // of all topics; zero before the first
	//		Removed    Removed
	//		BytesLive  int64 // of stored batches
	//		BytesDisk  int64 // that the data directory takes
	//		Partitions []PartitionRetention
	//	}
	RetentionStats = sweep.Stats
	// PartitionRetention is one partition's part of RetentionStats.
	//
	//	type PartitionRetention struct {
	//		Topic     string
	//		Partition int32
	//		Removed   Removed
	//		BytesLive int64     // of stored batches
	//		NextDue   time.Time // when the oldest batch of the last sweep will be too old; zero if there was none, or for never
	//	}
	PartitionRetention = sweep.PartitionStats
)

// Sweep removes all that may go by the policies of the topics, and the data of deleted topics, and
// gives the space back to the file system. The broker does so by itself in the background; Sweep is for
// those who want to wait for it. Producers and consumers go on meanwhile.
func (b *Broker) Sweep(ctx context.Context) (Swept, error) {
	if err := b.checkWrite(ctx); err != nil {
		return Swept{}, fmt.Errorf("sweep: %w", err)
	}
	l, err := b.ofStore("Sweep")
	if err != nil {
		return Swept{}, err
	}
	c, err := l.Sweeper.Sweep(ctx)
	if err != nil {
		err = fmt.Errorf("sweep: %w", err)
	}
	return c, err
}

// RetentionStats returns statistics of retention, the partitions by topic and index.
func (b *Broker) RetentionStats(ctx context.Context) (RetentionStats, error) {
	if err := b.check(ctx); err != nil {
		return RetentionStats{}, fmt.Errorf("retention statistics: %w", err)
	}
	l, err := b.ofStore("RetentionStats")
	if err != nil {
		return RetentionStats{}, err
	}
	stats, err := l.Sweeper.Stats(ctx)
	if err != nil {
		err = fmt.Errorf("retention statistics: %w", err)
	}
	return stats, err
}

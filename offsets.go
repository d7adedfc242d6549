package samsa

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/internal/engine"
)

// PartitionOffset is an offset of a partition.
type PartitionOffset struct {
	Partition int32
	Offset    int64
}

// ListOffsets returns, for every partition of a topic, the offset that at stands for
// now: Earliest the first record that can be read, Latest the offset that the next
// record will get, AtTime the first record of that timestamp or later (the Latest
// offset where there is none), AtOffset that offset, or ErrOffsetOutOfRange. Records of transactions count,
// however these end: what consumers get ends at the PartitionInfo.LastStable of Topics.Describe.
func (b *Broker) ListOffsets(ctx context.Context, topic string, at Start) ([]PartitionOffset, error) {
	if err := b.check(ctx); err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	t, err := b.consumers.Topics.Find(ctx, topic, false)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	offsets := make([]PartitionOffset, t.Partitions())
	for i := range offsets {
		offset, err := offsetAt(ctx, t, int32(i), at)
		if err != nil {
			return nil, fmt.Errorf("list offsets: %w", err)
		}
		offsets[i] = PartitionOffset{int32(i), offset}
	}
	return offsets, nil
}

// offsetAt returns the offset that s stands for in the partition of t with that index.
func offsetAt(ctx context.Context, t engine.Topic, i int32, s Start) (int64, error) {
	p, err := t.Partition(i)
	if err != nil {
		return 0, err
	}
	offset, err := s.at.Resolve(ctx, p, ReadUncommitted)
	if err != nil {
		return 0, err
	}
	if lo, hi := p.LogStart(), p.HighWatermark(); offset < lo || offset > hi {
		return 0, fmt.Errorf("%s: %w: offset %d is not within [%d, %d]", p.TopicPartition(), ErrOffsetOutOfRange, offset, lo, hi)
	}
	return offset, nil
}

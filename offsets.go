package samsa

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/partition"
)

// PartitionOffset is an offset of a partition.
type PartitionOffset struct {
	Partition int32
	Offset    int64
}

// ListOffsets returns, for every partition of a topic, the offset that at stands for
// now: Earliest the first record that can be read, Latest the offset that the next
// record will get, AtTime the first record of that timestamp or later (the Latest
// offset where there is none), AtOffset that offset, or ErrOffsetOutOfRange.
func (b *Broker) ListOffsets(ctx context.Context, topic string, at Start) ([]PartitionOffset, error) {
	if err := b.check(ctx); err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	t, err := b.catalogue.Get(topic)
	if err != nil {
		return nil, fmt.Errorf("list offsets: %w", err)
	}
	ps := t.Partitions()
	offsets := make([]PartitionOffset, len(ps))
	for i, p := range ps {
		offset, err := at.resolve(p)
		if err == nil {
			err = inRange(p, offset)
		}
		if err != nil {
			return nil, fmt.Errorf("list offsets: %w", err)
		}
		offsets[i] = PartitionOffset{int32(i), offset}
	}
	return offsets, nil
}

// resolve returns the offset of p that s stands for. It need not be within p's range.
func (s Start) resolve(p *partition.Partition) (int64, error) {
	switch s.kind {
	case startLatest:
		return p.HighWatermark(), p.Err()
	case startOffset:
		return s.offset, p.Err()
	case startCommitted:
		return 0, fmt.Errorf("%w: Committed is where a consumer of a group begins, and nothing else", ErrInvalidOption)
	case startTime:
		end := p.HighWatermark() // before the search: what comes during it is later
		offset, _, ok, err := p.OffsetForTime(s.time.UnixMilli())
		if !ok {
			offset = end
		}
		return offset, err
	}
	return p.LogStart(), p.Err()
}

func inRange(p *partition.Partition, offset int64) error {
	if lo, hi := p.LogStart(), p.HighWatermark(); offset < lo || offset > hi {
		return fmt.Errorf("%s: %w: offset %d is not within [%d, %d]", p.TopicPartition(), ErrOffsetOutOfRange, offset, lo, hi)
	}
	return nil
}

package local

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// topicAdmin is engine.TopicAdmin. Errors of the catalogue name the topic.
type topicAdmin struct{ *Broker }

func (a topicAdmin) Create(ctx context.Context, name string, config topic.Config) error {
	_, err := a.Catalogue.Create(ctx, name, topic.Merge(config, a.TopicDefaults))
	return err
}

func (a topicAdmin) Ensure(ctx context.Context, name string, config topic.Config) (created bool, err error) {
	return a.Catalogue.Ensure(ctx, name, config, a.TopicDefaults)
}

func (a topicAdmin) Delete(ctx context.Context, name string) error {
	err := a.Catalogue.Delete(ctx, name)
	if err == nil {
		a.Sweeper.Wake()
	}
	return err
}

func (a topicAdmin) Names(context.Context) ([]string, error) {
	names := a.Catalogue.Damaged()
	for _, t := range a.Catalogue.List() {
		names = append(names, t.Name())
	}
	slices.Sort(names)
	return names, nil
}

func (a topicAdmin) Describe(_ context.Context, name string) (engine.TopicInfo, error) {
	t, err := a.Catalogue.Get(name)
	if err != nil {
		return engine.TopicInfo{}, err
	}
	info := engine.TopicInfo{ID: t.ID(), Config: t.Config()}
	for _, p := range t.Partitions() {
		info.Partitions = append(info.Partitions, engine.PartitionInfo{LogStart: p.LogStart(), LastStable: p.LastStable(), HighWatermark: p.HighWatermark()})
	}
	return info, nil
}

func (a topicAdmin) Alter(ctx context.Context, name string, edit func(*topic.Config) error) error {
	err := a.Catalogue.Change(ctx, name, func(c *topic.Config) error {
		partitions := c.Partitions
		err := edit(c)
		*c = topic.Refill(*c, a.TopicDefaults)
		c.Partitions = cmp.Or(c.Partitions, partitions)
		return err
	})
	if err == nil {
		a.Sweeper.Wake() // more may go now
	}
	return err
}

func (a topicAdmin) DeleteRecords(ctx context.Context, name string, before map[int32]int64) error {
	t, err := a.Catalogue.Get(name)
	if err != nil {
		return err
	}
	starts := make(map[*partition.Partition]int64, len(before))
	for i, offset := range before {
		p, err := t.Partition(i)
		if err != nil {
			return err
		}
		if offset == -1 {
			offset = p.HighWatermark()
		}
		if offset < 0 || offset > p.HighWatermark() {
			return fmt.Errorf("delete records: %s: %w: offset %d is neither -1 nor within [0, %d]", p.TopicPartition(), log.ErrOffsetOutOfRange, offset, p.HighWatermark())
		}
		starts[p] = offset
	}
	removed := false
	for p, start := range starts {
		if err := a.Sweeper.DeleteBefore(ctx, p, start); err != nil {
			err = fmt.Errorf("delete records: %s: %w", p.TopicPartition(), err)
			if removed {
				err = family.Of(log.ErrOutcomeUnknown, err)
			}
			return err
		}
		removed = true
	}
	return nil
}

package local

import (
	"context"
	"slices"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Topics is engine.Topics of a catalogue.
type Topics struct {
	*topic.Catalogue
	// Create returns the topic of that name, and creates it if the broker does so by itself; nil if it never does.
	Create func(ctx context.Context, name string) (*topic.Topic, error)
}

// Find implements engine.Topics.
func (l *Topics) Find(ctx context.Context, name string, create bool) (engine.Topic, error) {
	if !create || l.Create == nil {
		return l.Get(name)
	}
	return known(l.Create(ctx, name))
}

// Get implements engine.Topics.
func (l *Topics) Get(name string) (engine.Topic, error) {
	return known(l.Catalogue.Get(name))
}

// List implements engine.Topics.
func (l *Topics) List() []engine.Topic {
	listed := l.Catalogue.List()
	all := make([]engine.Topic, len(listed))
	for i, t := range listed {
		all[i] = topicOf{t}
	}
	return all
}

// Changes implements engine.Topics.
func (l *Topics) Changes() engine.Changes { return &changes{l.Catalogue.Changes()} }

type changes struct{ at topic.Changes }

func (c *changes) Next() (engine.Topic, bool) {
	t, gone := c.at.Next()
	if t == nil {
		return nil, false
	}
	return topicOf{t}, gone
}

// topicOf and partitionOf are but pointers: to make an interface of one costs nothing, and those of the same
// topic are equal.
type topicOf struct{ *topic.Topic }

func known(t *topic.Topic, err error) (engine.Topic, error) {
	if err != nil {
		return nil, err
	}
	return topicOf{t}, nil
}

func (t topicOf) ID() [16]byte { return t.Topic.ID() }

// DeleteRetention is how long tombstones stay when nothing else of their keys is there.
func (t topicOf) DeleteRetention() time.Duration { return t.Config().DeleteRetention }

func (t topicOf) Partitions() int32 { return int32(len(t.Topic.Partitions())) }

func (t topicOf) Partition(i int32) (engine.Partition, error) {
	p, err := t.Topic.Partition(i)
	if err != nil {
		return nil, err
	}
	return partitionOf{p}, nil
}

type partitionOf struct{ *partition.Partition }

// Here implements table.Here.
func (p partitionOf) Here() *partition.Partition { return p.Partition }

func (p partitionOf) OffsetForTime(_ context.Context, iso log.Isolation, ts int64) (offset int64, ok bool, err error) {
	offset, _, ok, err = p.Partition.OffsetForTime(iso, ts)
	return offset, ok, err
}

// Groups is engine.Coordinator, engine.Offsets and engine.Admin of a coordinator.
type Groups struct{ *group.Coordinator }

// Heartbeat implements engine.Coordinator.
func (l Groups) Heartbeat(_ context.Context, name, memberID, instanceID string, generation int32) error {
	return l.Coordinator.Heartbeat(name, memberID, instanceID, generation)
}

// Leave implements engine.Coordinator.
func (l Groups) Leave(_ context.Context, name string, members []group.LeaveMember) []error {
	return l.Coordinator.Leave(name, members)
}

// Describe implements engine.Coordinator and engine.Admin.
func (l Groups) Describe(_ context.Context, name string) (group.Description, error) {
	return l.Coordinator.Describe(name)
}

// Committed implements engine.Offsets.
func (l Groups) Committed(_ context.Context, name string, tps ...log.TopicPartition) (map[log.TopicPartition]group.Offset, error) {
	return l.Fetch(name, tps...)
}

// Stable implements engine.Offsets.
func (l Groups) Stable(_ context.Context, name string, tps ...log.TopicPartition) (offsets map[log.TopicPartition]group.Offset, open []log.TopicPartition, err error) {
	open = l.Pending(name, tps...) // before the offsets, which its end changes
	rest := tps
	if len(open) > 0 {
		unstable := make(map[log.TopicPartition]bool, len(open))
		for _, tp := range open {
			unstable[tp] = true
		}
		rest = slices.DeleteFunc(slices.Clone(tps), func(tp log.TopicPartition) bool { return unstable[tp] })
	}
	if len(rest) > 0 {
		offsets, err = l.Fetch(name, rest...)
	}
	return offsets, open, err
}

// List implements engine.Admin.
func (l Groups) List(context.Context) ([]group.Listing, error) { return l.Coordinator.List(), nil }

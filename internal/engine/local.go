package engine

import (
	"context"
	"slices"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// LocalTopics are the topics of a broker of this process.
type LocalTopics struct {
	*topic.Catalogue
	// Create returns the topic of that name, and creates it if the broker does so by itself; nil if it never does.
	Create func(ctx context.Context, name string) (*topic.Topic, error)
}

// Find implements Topics.
func (l *LocalTopics) Find(ctx context.Context, name string, create bool) (Topic, error) {
	if !create || l.Create == nil {
		return l.Get(name)
	}
	return local(l.Create(ctx, name))
}

// Get implements Topics.
func (l *LocalTopics) Get(name string) (Topic, error) {
	return local(l.Catalogue.Get(name))
}

// List implements Topics.
func (l *LocalTopics) List() []Topic {
	listed := l.Catalogue.List()
	all := make([]Topic, len(listed))
	for i, t := range listed {
		all[i] = localTopic{t}
	}
	return all
}

// Changes implements Topics.
func (l *LocalTopics) Changes() Changes { return &localChanges{l.Catalogue.Changes()} }

type localChanges struct{ at topic.Changes }

func (c *localChanges) Next() (Topic, bool) {
	t, gone := c.at.Next()
	if t == nil {
		return nil, false
	}
	return localTopic{t}, gone
}

// localTopic and localPartition are but pointers: to make an interface of one costs nothing, and those of the same
// topic are equal.
type localTopic struct{ *topic.Topic }

func local(t *topic.Topic, err error) (Topic, error) {
	if err != nil {
		return nil, err
	}
	return localTopic{t}, nil
}

func (t localTopic) ID() [16]byte { return t.Topic.ID() }

func (t localTopic) Partitions() int32 { return int32(len(t.Topic.Partitions())) }

func (t localTopic) Partition(i int32) (Partition, error) {
	p, err := t.Topic.Partition(i)
	if err != nil {
		return nil, err
	}
	return localPartition{p}, nil
}

type localPartition struct{ *partition.Partition }

func (p localPartition) OffsetForTime(_ context.Context, iso log.Isolation, ts int64) (offset int64, ok bool, err error) {
	offset, _, ok, err = p.Partition.OffsetForTime(iso, ts)
	return offset, ok, err
}

// LocalGroups are the groups of a broker of this process.
type LocalGroups struct{ *group.Coordinator }

// Heartbeat implements Coordinator.
func (l LocalGroups) Heartbeat(_ context.Context, name, memberID, instanceID string, generation int32) error {
	return l.Coordinator.Heartbeat(name, memberID, instanceID, generation)
}

// Leave implements Coordinator.
func (l LocalGroups) Leave(_ context.Context, name string, members []group.LeaveMember) []error {
	return l.Coordinator.Leave(name, members)
}

// Describe implements Coordinator and Admin.
func (l LocalGroups) Describe(_ context.Context, name string) (group.Description, error) {
	return l.Coordinator.Describe(name)
}

// Committed implements Offsets.
func (l LocalGroups) Committed(_ context.Context, name string, tps ...log.TopicPartition) (map[log.TopicPartition]group.Offset, error) {
	return l.Fetch(name, tps...)
}

// Stable implements Offsets.
func (l LocalGroups) Stable(_ context.Context, name string, tps ...log.TopicPartition) (offsets map[log.TopicPartition]group.Offset, open []log.TopicPartition, err error) {
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

// List implements Admin.
func (l LocalGroups) List(context.Context) ([]group.Listing, error) { return l.Coordinator.List(), nil }

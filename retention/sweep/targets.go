package sweep

import (
	"context"
	"time"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Targets are what a Sweeper sweeps, and whom it asks.
type Targets struct {
	Topics    Topics
	Groups    Groups
	Producers Producers
	Store     Store
	Committer *writer.Committer // of all that is written
}

// Topics is what a Sweeper needs of topic.Catalogue, which says what the methods promise.
type Topics interface {
	List() []*topic.Topic
	Partitions() []*partition.Partition
	Changes() topic.Changes
	Doomed() bool
	Purge(ctx context.Context) (topic.Purged, error)
}

// Groups knows what consumer groups have read; group.Coordinator does.
type Groups interface {
	// Consumed returns, for each of n partitions, the offset that all groups have passed; ok is
	// false, and the offsets are nil, when no group reads the topic.
	Consumed(topic string, n int) (offsets []int64, ok bool)
}

// AllGroups are groups of several kinds: what all of them have passed.
type AllGroups []Groups

// Consumed implements Groups.
func (all AllGroups) Consumed(topic string, n int) (offsets []int64, ok bool) {
	for _, g := range all {
		more, some := g.Consumed(topic, n)
		switch {
		case !some:
		case !ok:
			offsets, ok = more, true
		default:
			for i, o := range more {
				offsets[i] = min(offsets[i], o)
			}
		}
	}
	return offsets, ok
}

// Producers are those that have an ID or a sequence; producers.Registry is.
type Producers interface {
	// Expire forgets those that nobody has used for long.
	Expire(ctx context.Context, now time.Time, partitions []*partition.Partition) error
}

// Store is what a Sweeper needs of store.Store.
type Store interface {
	// Size returns the bytes that the data directory takes on disk.
	Size() (int64, error)
	// Reclaim gives the space of what was removed back to the file system.
	Reclaim(ctx context.Context) error
}

package engine

import (
	"context"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// ShareAdmin administers how far share groups are.
type ShareAdmin interface {
	// Describe returns how far a group is, by topic and partition: nothing for one that is nowhere.
	Describe(ctx context.Context, name string) ([]share.PartitionInfo, error)
	// DeadLetter returns the topic of a group's dead letters, "" for none.
	DeadLetter(ctx context.Context, name string) (string, error)
	// Alter has a group without members begin anew at an offset, else it is ErrGroupNotEmpty. It may make the group.
	Alter(ctx context.Context, name string, tp log.TopicPartition, offset int64) error
	// Delete has a group without members forget partitions, else it is ErrGroupNotEmpty.
	Delete(ctx context.Context, name string, tps ...log.TopicPartition) error
}

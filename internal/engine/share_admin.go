package engine

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// ShareAdmin administers how far share groups are.
type ShareAdmin interface {
	// Describe returns how far a group is, by topic and partition: nothing for one that is nowhere.
	Describe(ctx context.Context, name string) ([]share.PartitionInfo, error)
	// Alter has a group without members begin anew at an offset, else it is ErrGroupNotEmpty. It may make the group.
	Alter(ctx context.Context, name string, tp log.TopicPartition, offset int64) error
	// Delete has a group without members forget partitions, else it is ErrGroupNotEmpty.
	Delete(ctx context.Context, name string, tps ...log.TopicPartition) error
}

// LocalShareAdmin are the share groups of a broker of this process.
type LocalShareAdmin struct {
	*share.Coordinator
	// HasMembers reports whether somebody is in a group.
	HasMembers func(name string) bool
	// Forgot is told of partitions that a group has forgotten.
	Forgot func(name string, tps []log.TopicPartition)
}

// Describe implements ShareAdmin.
func (l LocalShareAdmin) Describe(ctx context.Context, name string) ([]share.PartitionInfo, error) {
	for _, known := range l.Groups() {
		if known == name {
			return l.Coordinator.Describe(ctx, name)
		}
	}
	return nil, nil // it has members, if anything
}

// Alter implements ShareAdmin.
func (l LocalShareAdmin) Alter(ctx context.Context, name string, tp log.TopicPartition, offset int64) error {
	if err := l.checkEmpty(name); err != nil {
		return err
	}
	return l.Coordinator.Alter(ctx, share.Key{Group: name, TopicPartition: tp}, offset)
}

// Delete implements ShareAdmin.
func (l LocalShareAdmin) Delete(ctx context.Context, name string, tps ...log.TopicPartition) error {
	if err := l.checkEmpty(name); err != nil {
		return err
	}
	keys := make([]share.Key, len(tps))
	for i, tp := range tps {
		keys[i] = share.Key{Group: name, TopicPartition: tp}
	}
	err := l.Coordinator.Delete(ctx, keys...)
	l.Forgot(name, tps)
	return err
}

func (l LocalShareAdmin) checkEmpty(name string) error {
	if l.HasMembers(name) {
		return fmt.Errorf("group %s: %w", name, log.ErrGroupNotEmpty)
	}
	return nil
}

package engine

import (
	"context"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Shares are the records of share groups, and who has them: see share.Coordinator.
type Shares interface {
	// Enter has a member be in a group until Leave.
	Enter(m share.Member, group string) error
	Leave(id, group string)
	// InitializeAt has the group begin in a partition that is new to it.
	InitializeAt(ctx context.Context, k share.Key, reset share.Reset) error
	// AcquireRecords returns records that are the member's until their locks end, and none where there is none now.
	AcquireRecords(ctx context.Context, req share.AcquireRequest) ([]share.Delivery, error)
	// Acknowledge says what becomes of records that a member has: of all that acks say or of none.
	Acknowledge(ctx context.Context, k share.Key, member string, synced bool, acks ...share.Ack) error
	// Hand is Acknowledge that does not wait: then is called with the outcome, and must not block.
	Hand(k share.Key, member string, synced bool, then func(error), acks ...share.Ack)
	// ReleaseAll gives back what a member has.
	ReleaseAll(group, member string)
	// Watch wakes w when something may have become available, until Unwatch.
	Watch(k share.Key, w Watcher) error
	Unwatch(k share.Key, w Watcher)
	// Describe returns how far a group is, ErrUnknownGroup for none.
	Describe(ctx context.Context, group string) ([]share.PartitionInfo, error)
}

// ShareKey names a group in a partition.
func ShareKey(group string, tp log.TopicPartition) share.Key {
	return share.Key{Group: group, TopicPartition: tp}
}

package engine

import (
	"context"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// Coordinator is where the members of a group meet: see group.Coordinator.
type Coordinator interface {
	Join(ctx context.Context, name string, req group.JoinRequest) group.JoinResponse
	Sync(ctx context.Context, name string, req group.SyncRequest) group.SyncResponse
	Heartbeat(ctx context.Context, name, memberID, instanceID string, generation int32) error
	Leave(ctx context.Context, name string, members []group.LeaveMember) []error
	Describe(ctx context.Context, name string) (group.Description, error)
	// Watch wakes w when members may have to act, until Unwatch. Where nobody can tell, it need not:
	// they hear it with the next heartbeat.
	Watch(name string, w *Waiter) error
	Unwatch(name string, w *Waiter)
}

// Offsets are the committed offsets of groups.
type Offsets interface {
	// Commit stores offsets, all or none as a rule: see group.Coordinator. It may complete req.Offsets, and
	// keeps nothing of them.
	Commit(ctx context.Context, name string, req group.CommitRequest) error
	// Committed returns the offsets of a group for tps, or without any all that it has. Partitions without
	// one are missing, and so is everything of a group that nobody knows. One that is damaged, or whose
	// topic is, is ErrCorruptValue.
	Committed(ctx context.Context, name string, tps ...log.TopicPartition) (map[log.TopicPartition]group.Offset, error)
	// Stable is Committed for who goes on from there. Partitions of which a transaction that is open commits offsets
	// are left out, and told: what is committed for them is about to change. Who watches the group is woken when it has, or
	// asks again.
	Stable(ctx context.Context, name string, tps ...log.TopicPartition) (offsets map[log.TopicPartition]group.Offset, open []log.TopicPartition, err error)
}

// Admin administers groups: see group.Coordinator.
type Admin interface {
	List(ctx context.Context) ([]group.Listing, error)
	Describe(ctx context.Context, name string) (group.Description, error)
	Delete(ctx context.Context, name string) error
	DeleteOffsets(ctx context.Context, name string, tps ...log.TopicPartition) (kept []log.TopicPartition, err error)
	AlterOffsets(ctx context.Context, name string, offsets map[log.TopicPartition]group.Offset) error
}

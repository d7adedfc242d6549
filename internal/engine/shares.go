package engine

import (
	"context"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Shares are share groups: who is in them gets records, each of them to itself.
type Shares interface {
	// Enter has a member be in a group until it leaves. m.Settings are the group's, and say where it begins in what is new to it
	// now; in what comes later it begins with the first record. ErrInvalidOption says that others are inside with other settings.
	Enter(ctx context.Context, group string, m share.Member) (ShareMember, error)
	// Describe returns how far a group is, ErrUnknownGroup for none.
	Describe(ctx context.Context, group string) ([]share.PartitionInfo, error)
}

// ShareMember is a member of a share group: see share.Coordinator.
type ShareMember interface {
	// Receive returns records that are the member's until their locks end, at most so many, as soon as there are any. Errors that
	// concern a part of what it reads come once. After Stop it is ErrClosed.
	Receive(ctx context.Context, most int) ([]share.Delivery, error)
	// Reads reports whether there is a partition of its topics.
	Reads() bool
	// Acknowledge says what becomes of records that the member has: of all that acks say or of none.
	Acknowledge(ctx context.Context, k share.Key, synced bool, acks ...share.Ack) error
	// Hand is Acknowledge that does not wait: then is called with the outcome, and must not block.
	Hand(k share.Key, synced bool, then func(error), acks ...share.Ack)
	// Stop ends Receive. What the member has it may acknowledge until Leave.
	Stop()
	// Leave gives back what the member has, and ends it. Nothing of it runs any more when it returns.
	Leave()
}

// ShareKey names a group in a partition.
func ShareKey(group string, tp log.TopicPartition) share.Key {
	return share.Key{Group: group, TopicPartition: tp}
}

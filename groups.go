package samsa

import (
	"context"
	"fmt"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/admin"
)

// Groups administers the groups of a broker, of all kinds: those of consumers, and those of queues.
type Groups struct{ b *Broker }

// Groups returns the group administration.
func (b *Broker) Groups() Groups { return Groups{b} }

// GroupState is where a group stands, this is the way of a classic group:
//
//	Empty -> PreparingRebalance -> CompletingRebalance -> Stable
//	  |  ^         |   ^                  |                 |
//	  |  |_________|   |__________________|_________________|
//	  v  no member left      a member joins, leaves, expires
//	Dead
//
//	const (
//		GroupEmpty               GroupState = iota // no members
//		GroupPreparingRebalance                    // the members are asked to join
//		GroupCompletingRebalance                   // all have joined, the leader has not said who gets what
//		GroupStable                                // every member has its assignment, or can fetch it
//		GroupDead                                  // deleted: this value is of no more use
//
//		// Those of groups whose partitions or tasks the broker assigns, besides GroupEmpty, GroupStable and GroupDead.
//		GroupAssigning   // what the members are to have is being found
//		GroupReconciling // some members do not have it yet
//		GroupNotReady    // of a GroupStreams group: a topic is missing, or is not as it is needed
//	)
type GroupState = group.State

// The states of a group.
const (
	GroupEmpty               = group.Empty
	GroupPreparingRebalance  = group.PreparingRebalance
	GroupCompletingRebalance = group.CompletingRebalance
	GroupStable              = group.Stable
	GroupDead                = group.Dead
	// Those of groups whose partitions or tasks the broker assigns, besides GroupEmpty, GroupStable and GroupDead.
	GroupAssigning   = group.Assigning
	GroupReconciling = group.Reconciling
	GroupNotReady    = group.NotReady
)

// GroupKind is the protocol by which the members of a group share what they read. A group has one at a time.
//
//	const (
//		GroupClassic  GroupKind = iota // the members agree among themselves: JoinGroup and SyncGroup
//		GroupConsumer                  // the broker assigns partitions (KIP-848)
//		GroupShare                     // members share partitions, and acknowledge records (KIP-932)
//		GroupStreams                   // the broker assigns tasks of Kafka Streams (KIP-1071)
//	)
type GroupKind = group.Kind

// The kinds of groups.
const (
	GroupClassic  = group.Classic
	GroupConsumer = group.Consumer
	GroupShare    = group.Share
	GroupStreams  = group.Streams
)

// GroupInfo describes a group at one moment.
type GroupInfo struct {
	Name       string
	Kind       GroupKind
	State      GroupState
	Assignor   string // that the members have agreed on; "" when there are none
	Generation int32
	Members    []MemberInfo
	Partitions []GroupPartition // that are assigned or have a committed offset, by topic and partition
	DeadLetter string           // of a GroupShare, the topic of its dead letters; "" for none
}

// MemberInfo describes a member of a group.
type MemberInfo struct {
	ID, InstanceID, ClientID, ClientHost string
	Topics                               []string
	Assigned                             []TopicPartition
}

// GroupPartition is how far a group is in a partition.
type GroupPartition struct {
	Topic         string
	Partition     int32
	Committed     int64 // -1 when there is no committed offset; of a GroupShare all before is acknowledged
	Metadata      string
	HighWatermark int64
	Lag           int64  // records behind the committed offset, or all when there is none; of a GroupShare those not acknowledged
	MemberID      string // who has it, "" for nobody, or of a GroupShare
	Share         SharePartition
}

// SharePartition is what a share group has under way in a partition. Of other groups it is zero.
type SharePartition struct {
	InFlight    int       // records that members have
	Waiting     int       // records that are to come later
	Oldest      time.Time // the timestamp of the first record that is not acknowledged; zero without one
	Deliveries  int64     // since Open
	DeadLetters int64     // since Open
}

// List returns the names of all groups, sorted.
func (g Groups) List(ctx context.Context) ([]string, error) {
	if err := g.b.check(ctx); err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	listed, err := g.b.admin.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list groups: %w", err)
	}
	names := make([]string, len(listed))
	for i, l := range listed {
		names[i] = l.Name
	}
	return names, nil
}

// Describe returns what is known about a group, or ErrUnknownGroup, or ErrCorruptValue where it, a committed offset or
// the topic of one is damaged.
func (g Groups) Describe(ctx context.Context, name string) (GroupInfo, error) {
	if err := g.b.check(ctx); err != nil {
		return GroupInfo{}, fmt.Errorf("describe group %s: %w", name, err)
	}
	d, err := g.b.admin.Describe(ctx, name)
	if err != nil {
		return GroupInfo{}, err
	}
	info := GroupInfo{Name: name, Kind: d.Kind, State: d.State, Assignor: d.Assignor, Generation: d.Generation}
	for _, m := range d.Members {
		info.Members = append(info.Members, MemberInfo(m))
	}
	for _, p := range d.Partitions {
		info.Partitions = append(info.Partitions, GroupPartition{
			Topic: p.Topic, Partition: p.Partition, Committed: p.Committed, Metadata: p.Metadata, HighWatermark: p.HighWatermark, Lag: p.Lag,
			MemberID: p.MemberID, Share: SharePartition{
				InFlight: p.Share.InFlight, Waiting: p.Share.Waiting, Oldest: p.Share.Oldest, Deliveries: p.Share.Deliveries, DeadLetters: p.Share.DeadLetters,
			},
		})
	}
	if info.Kind == GroupShare {
		info.DeadLetter, err = g.b.on.ShareAdmin.DeadLetter(ctx, name)
	}
	return info, err
}

// Committed returns the committed offsets of a group for tps, or without any all that it
// has. Partitions without one are missing, as is everything of an unknown group. One that is damaged, or whose
// topic is, is ErrCorruptValue. A GroupShare has none, which is ErrGroupKind: Describe tells how far it is.
func (g Groups) Committed(ctx context.Context, name string, tps ...TopicPartition) (map[TopicPartition]CommittedOffset, error) {
	if err := g.b.check(ctx); err != nil {
		return nil, fmt.Errorf("committed offsets of group %s: %w", name, err)
	}
	found, err := g.b.admin.Offsets.Committed(ctx, name, tps...)
	if err != nil {
		return nil, err
	}
	return committedOffsets(found), nil
}

// Delete removes a group without members and its offsets, else it is ErrGroupNotEmpty. It is the
// way to be rid of a group that is damaged.
func (g Groups) Delete(ctx context.Context, name string) error {
	if err := g.b.checkWrite(ctx); err != nil {
		return fmt.Errorf("delete group %s: %w", name, err)
	}
	return g.b.admin.Delete(ctx, name)
}

// DeleteOffsets removes committed offsets of a group. Those of topics that members of the group
// subscribe to stay: ErrGroupSubscribed names their partitions, and the others are removed. Members
// from elsewhere that are no consumers are ErrGroupNotEmpty, and nothing is removed.
func (g Groups) DeleteOffsets(ctx context.Context, name string, tps ...TopicPartition) error {
	if err := g.b.checkWrite(ctx); err != nil {
		return fmt.Errorf("delete offsets of group %s: %w", name, err)
	}
	return g.b.admin.DeleteOffsets(ctx, name, tps...)
}

// AlterOffsets moves the committed offsets of a group without members, else it is
// ErrGroupNotEmpty: in tps, or without any in all partitions the group has offsets for.
// A target outside the log becomes the nearer end of it. A group that does not exist is created by it,
// if tps name any. A committed offset that is damaged is replaced if tps name its partition, but
// not by a Shift. A GroupShare, which has no queue open then, begins anew there: all before is done, and all from there on
// comes, whatever was done of it.
func (g Groups) AlterOffsets(ctx context.Context, name string, to GroupOffset, tps ...TopicPartition) error {
	if err := g.b.checkWrite(ctx); err != nil {
		return fmt.Errorf("alter offsets of group %s: %w", name, err)
	}
	return g.b.admin.AlterOffsets(ctx, name, to.target, tps...)
}

// PlanOffsets returns the offsets to which AlterOffsets would move a group now, and moves nothing. Members do not matter. Errors are those of
// AlterOffsets.
func (g Groups) PlanOffsets(ctx context.Context, name string, to GroupOffset, tps ...TopicPartition) (map[TopicPartition]CommittedOffset, error) {
	if err := g.b.check(ctx); err != nil {
		return nil, fmt.Errorf("plan offsets of group %s: %w", name, err)
	}
	planned, err := g.b.admin.PlanOffsets(ctx, name, to.target, tps...)
	if err != nil {
		return nil, err
	}
	return committedOffsets(planned), nil
}

// SetOffsets moves the committed offsets of a group without members to exactly these, else it is ErrGroupNotEmpty, as
// PlanOffsets returns them. Those of a GroupShare, which has no metadata, it moves one after the other; of others all or
// none, unless it is ErrOutcomeUnknown. Other errors are those of AlterOffsets, and ErrOffsetOutOfRange for an
// offset before the first record or behind the last one.
func (g Groups) SetOffsets(ctx context.Context, name string, offsets map[TopicPartition]CommittedOffset) error {
	if err := g.b.checkWrite(ctx); err != nil {
		return fmt.Errorf("set offsets of group %s: %w", name, err)
	}
	exact := groupOffsets(offsets)
	for tp, o := range exact {
		t, err := g.b.admin.Topics.Find(ctx, tp.Topic, false)
		if err == nil {
			_, err = offsetAt(ctx, t, tp.Partition, AtOffset(o.Offset))
		}
		if err != nil {
			return fmt.Errorf("set offsets of group %s: %w", name, err)
		}
		o.LeaderEpoch = -1
		exact[tp] = o
	}
	return g.b.admin.SetOffsets(ctx, name, exact)
}

// Configs returns the configs of a group that are in force, under Kafka's names: those that it has set, within the bounds
// of the broker, and the defaults of the others. There need not be a group of that name.
func (g Groups) Configs(ctx context.Context, name string) (map[string]string, error) {
	if err := g.b.check(ctx); err != nil {
		return nil, fmt.Errorf("configs of group %s: %w", name, err)
	}
	return g.b.on.GroupConfigs.Values(ctx, name)
}

// SetConfigs sets configs of a group, under Kafka's names, and "" unsets one: Kafka's GROUP resources, of share groups,
// and of groups of the newer protocols. They are stored when SetConfigs returns, and in force. There need not be a group
// of that name: who sets them before it is there has it begin with them, and they stay when it goes.
//
//	err := b.Groups().SetConfigs(ctx, "mailer", map[string]string{
//		"share.auto.offset.reset":          "earliest",
//		"errors.deadletterqueue.topic.name": "dlq.mails",
//	})
//
// A config that groups have not, and a value that it cannot have, within the bounds that are Options.Groups.Configs, is
// ErrInvalidConfig, and nothing is set. The classic protocol has no configs: what it can be told are the options of its
// members.
func (g Groups) SetConfigs(ctx context.Context, name string, configs map[string]string) error {
	if err := g.b.checkWrite(ctx); err != nil {
		return fmt.Errorf("configs of group %s: %w", name, err)
	}
	return g.b.on.GroupConfigs.Set(ctx, name, configs)
}

// GroupOffset is where Groups.AlterOffsets moves a group to: To, Ago or Shift.
type GroupOffset struct{ target admin.Target }

// To moves to where a Start stands; not Committed.
func To(s Start) GroupOffset { return GroupOffset{admin.Target{Start: s.at}} }

// Ago moves to the records of the last d.
func Ago(d time.Duration) GroupOffset { return To(AtTime(time.Now().Add(-d))) }

// Shift moves by n records, back if n is negative. A partition without a committed offset
// is ErrNoOffset.
func Shift(n int64) GroupOffset { return GroupOffset{admin.Target{Shift: true, By: n}} }

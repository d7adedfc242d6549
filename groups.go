package samsa

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/engine"
)

// Groups administers the consumer groups of a broker.
type Groups struct{ b *Broker }

// Groups returns the group administration.
func (b *Broker) Groups() Groups { return Groups{b} }

// GroupState is where a group stands in Kafka's classic protocol.
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
//	)
type GroupState = group.State

// The states of a group.
const (
	GroupEmpty               = group.Empty
	GroupPreparingRebalance  = group.PreparingRebalance
	GroupCompletingRebalance = group.CompletingRebalance
	GroupStable              = group.Stable
	GroupDead                = group.Dead
)

// GroupInfo describes a group at one moment.
type GroupInfo struct {
	Name       string
	State      GroupState
	Assignor   string // that the members have agreed on; "" when there are none
	Generation int32
	Members    []MemberInfo
	Partitions []GroupPartition // that are assigned or have a committed offset, by topic and partition
}

// MemberInfo describes a member of a group.
type MemberInfo struct {
	ID, InstanceID, ClientID, ClientHost string
	Topics                               []string
	Assignment                           []TopicPartition
}

// GroupPartition is how far a group is in a partition.
type GroupPartition struct {
	Topic         string
	Partition     int32
	Committed     int64 // -1 when there is no committed offset
	Metadata      string
	HighWatermark int64
	Lag           int64  // records behind the committed offset, or all when there is none
	MemberID      string // who has it, "" for nobody
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
	committed, err := g.b.consumers.Offsets.Committed(ctx, name)
	if err != nil {
		return GroupInfo{}, err
	}
	info := GroupInfo{Name: name, State: d.State, Assignor: d.ProtocolName, Generation: d.Generation}
	owner := make(map[TopicPartition]string)
	for _, m := range d.Members {
		mi := MemberInfo{ID: m.ID, InstanceID: m.InstanceID, ClientID: m.ClientID, ClientHost: m.ClientHost}
		if sub, err := group.DecodeSubscription(m.Metadata); err == nil {
			mi.Topics = sub.Topics
		}
		if a, err := group.DecodeAssignment(m.Assignment); err == nil {
			mi.Assignment = member.Partitions(a)
		}
		for _, tp := range mi.Assignment {
			owner[tp] = m.ID
		}
		info.Members = append(info.Members, mi)
	}
	if info.Partitions, err = g.partitions(ctx, committed, owner); err != nil {
		return GroupInfo{}, fmt.Errorf("describe group %s: %w", name, err)
	}
	return info, nil
}

// partitions joins what is committed and what is assigned.
func (g Groups) partitions(ctx context.Context, committed map[TopicPartition]group.Offset, owner map[TopicPartition]string) ([]GroupPartition, error) {
	tps := make(map[string][]int32)
	for tp := range committed {
		tps[tp.Topic] = append(tps[tp.Topic], tp.Partition)
	}
	for tp := range owner {
		if _, ok := committed[tp]; !ok {
			tps[tp.Topic] = append(tps[tp.Topic], tp.Partition)
		}
	}
	var all []GroupPartition
	for _, tp := range member.Partitions(tps) {
		p, err := g.partition(ctx, tp)
		if errors.Is(err, ErrUnknownTopic) || errors.Is(err, ErrUnknownPartition) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		gp := GroupPartition{Topic: tp.Topic, Partition: tp.Partition, Committed: -1, HighWatermark: p.HighWatermark(), MemberID: owner[tp]}
		from := p.LogStart()
		if o, ok := committed[tp]; ok {
			gp.Committed, gp.Metadata = o.Offset, o.Metadata
			from = max(from, o.Offset)
		}
		gp.Lag = max(0, gp.HighWatermark-from)
		all = append(all, gp)
	}
	return all, nil
}

func (g Groups) partition(ctx context.Context, tp TopicPartition) (engine.Partition, error) {
	t, err := g.b.consumers.Topics.Find(ctx, tp.Topic, false)
	if err != nil {
		return nil, err
	}
	return t.Partition(tp.Partition)
}

// Committed returns the committed offsets of a group for tps, or without any all that it
// has. Partitions without one are missing, as is everything of an unknown group. One that is damaged, or whose
// topic is, is ErrCorruptValue.
func (g Groups) Committed(ctx context.Context, name string, tps ...TopicPartition) (map[TopicPartition]CommittedOffset, error) {
	if err := g.b.check(ctx); err != nil {
		return nil, fmt.Errorf("committed offsets of group %s: %w", name, err)
	}
	found, err := g.b.consumers.Offsets.Committed(ctx, name, tps...)
	if err != nil {
		return nil, err
	}
	return committedOffsets(found), nil
}

// Delete removes a group without members and its offsets, else it is ErrGroupNotEmpty. It is the
// way to be rid of a group that is damaged.
func (g Groups) Delete(ctx context.Context, name string) error {
	if err := g.b.check(ctx); err != nil {
		return fmt.Errorf("delete group %s: %w", name, err)
	}
	return g.b.admin.Delete(ctx, name)
}

// DeleteOffsets removes committed offsets of a group. Those of topics that members of the group
// subscribe to stay: ErrGroupSubscribed names their partitions, and the others are removed. Members
// from elsewhere that are no consumers are ErrGroupNotEmpty, and nothing is removed.
func (g Groups) DeleteOffsets(ctx context.Context, name string, tps ...TopicPartition) error {
	if err := g.b.check(ctx); err != nil {
		return fmt.Errorf("delete offsets of group %s: %w", name, err)
	}
	kept, err := g.b.admin.DeleteOffsets(ctx, name, tps...)
	if err == nil && len(kept) > 0 {
		err = fmt.Errorf("group %s: %w: offsets of %v", name, ErrGroupSubscribed, kept)
	}
	return err
}

// Reset moves the committed offsets of a group without members, else it is
// ErrGroupNotEmpty: in tps, or without any in all partitions the group has offsets for.
// A target outside the log becomes the nearer end of it. A group that does not exist is created by it,
// if tps name any. A committed offset that is damaged is replaced if tps name its partition, but
// not by a Shift.
func (g Groups) Reset(ctx context.Context, name string, to GroupReset, tps ...TopicPartition) error {
	if err := g.b.check(ctx); err != nil {
		return fmt.Errorf("reset group %s: %w", name, err)
	}
	if len(tps) == 0 {
		committed, err := g.b.consumers.Offsets.Committed(ctx, name)
		if err != nil {
			return err
		}
		tps = slices.Collect(maps.Keys(committed))
	}
	offsets := make(map[TopicPartition]group.Offset, len(tps))
	for _, tp := range tps {
		committed, err := g.b.consumers.Offsets.Committed(ctx, name, tp)
		if err != nil && (to.shift || !errors.Is(err, ErrCorruptValue)) {
			return err
		}
		old, ok := committed[tp]
		if !ok {
			old.Offset = -1
		}
		offset, err := g.target(ctx, tp, to, old.Offset)
		if err != nil {
			return fmt.Errorf("reset group %s: %w", name, err)
		}
		offsets[tp] = group.Offset{Offset: offset, LeaderEpoch: -1, Metadata: old.Metadata}
	}
	return g.b.admin.Reset(ctx, name, offsets)
}

// target returns the offset that to means for tp, where the group is at committed, or -1.
func (g Groups) target(ctx context.Context, tp TopicPartition, to GroupReset, committed int64) (int64, error) {
	p, err := g.partition(ctx, tp)
	if err != nil {
		return 0, err
	}
	offset, err := to.resolve(ctx, p, committed)
	if err != nil {
		return 0, err
	}
	return min(max(offset, p.LogStart()), p.HighWatermark()), nil
}

// GroupReset is where Groups.Reset moves a group to: To, Ago or Shift.
type GroupReset struct {
	start Start
	shift bool
	by    int64
}

// To moves to where a Start stands; not Committed.
func To(s Start) GroupReset { return GroupReset{start: s} }

// Ago moves to the records of the last d.
func Ago(d time.Duration) GroupReset { return To(AtTime(time.Now().Add(-d))) }

// Shift moves by n records, back if n is negative. A partition without a committed offset
// is ErrNoOffset.
func Shift(n int64) GroupReset { return GroupReset{shift: true, by: n} }

// resolve returns the offset that r means for p, where the group is at committed, or -1.
func (r GroupReset) resolve(ctx context.Context, p engine.Partition, committed int64) (int64, error) {
	switch {
	case !r.shift && r.start == Committed:
		return 0, fmt.Errorf("%w: a reset to Committed", ErrInvalidOption)
	case !r.shift:
		return r.start.at.Resolve(ctx, p)
	case committed < 0:
		return 0, fmt.Errorf("%s: %w", p.TopicPartition(), ErrNoOffset)
	}
	if r.by > math.MaxInt64-committed {
		return math.MaxInt64, nil
	}
	return committed + r.by, nil
}

// Package admin is the administration of consumer groups over internal/engine. Users import the module root.
package admin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// Groups administers groups: what is no single call of engine.Admin. The methods are described in the root.
type Groups struct {
	engine.Admin
	Offsets engine.Offsets
	Topics  engine.Topics
	Shares  engine.ShareAdmin
}

// Info describes a group, as the root's GroupInfo does.
type Info struct {
	Kind       group.Kind
	State      group.State
	Assignor   string
	Generation int32
	Rebalances int64 // since Open
	Members    []Member
	Partitions []Partition
}

// Member is a member, as the root's MemberInfo is.
type Member struct {
	ID, InstanceID, ClientID, ClientHost string
	Topics                               []string
	Assigned                             []log.TopicPartition
}

// Partition is how far a group is in a partition, as the root's GroupPartition is.
type Partition struct {
	Topic         string
	Partition     int32
	Committed     int64
	Metadata      string
	HighWatermark int64
	Lag           int64
	MemberID      string
	Share         Share
}

// Share is how far a share group is in a partition, as the root's SharePartition is.
type Share struct {
	InFlight, Waiting       int
	Oldest                  time.Time
	Deliveries, DeadLetters int64

	Acknowledged, Released, Rejected, Expired int64 // since Open, as these
}

// Describe returns what is known about a group.
func (g Groups) Describe(ctx context.Context, name string) (Info, error) {
	d, err := g.Admin.Describe(ctx, name)
	if err != nil {
		return Info{}, err
	}
	var committed map[log.TopicPartition]group.Offset
	if d.Kind != group.Share {
		if committed, err = g.Offsets.Committed(ctx, name); err != nil {
			return Info{}, err
		}
	}
	info := Info{Kind: d.Kind, State: d.State, Assignor: d.ProtocolName, Generation: d.Generation, Rebalances: d.Rebalances}
	owner := make(map[log.TopicPartition]string)
	for _, md := range d.Members {
		m := Member{ID: md.ID, InstanceID: md.InstanceID, ClientID: md.ClientID, ClientHost: md.ClientHost}
		if sub, err := group.DecodeSubscription(md.Metadata); err == nil {
			m.Topics = sub.Topics
		}
		if assigned, err := group.DecodeAssignment(md.Assignment); err == nil {
			m.Assigned = member.Partitions(assigned)
		}
		for _, tp := range m.Assigned {
			owner[tp] = m.ID
		}
		info.Members = append(info.Members, m)
	}
	if d.Kind == group.Share {
		info.Partitions, err = g.shared(ctx, name)
		return info, err
	}
	if info.Partitions, err = g.partitions(ctx, committed, owner); err != nil {
		return Info{}, fmt.Errorf("describe group %s: %w", name, err)
	}
	return info, nil
}

// shared returns how far a share group is.
func (g Groups) shared(ctx context.Context, name string) ([]Partition, error) {
	infos, err := g.Shares.Describe(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("describe group %s: %w", name, err)
	}
	all := make([]Partition, len(infos))
	for i, p := range infos {
		all[i] = Partition{
			Topic: p.Topic, Partition: p.Partition, Committed: p.Start, HighWatermark: p.End, Lag: p.Lag,
			Share: Share{
				InFlight: p.InFlight, Waiting: p.Waiting, Oldest: p.Oldest, Deliveries: p.Deliveries, DeadLetters: p.DeadLetters,
				Acknowledged: p.Acknowledged, Released: p.Released, Rejected: p.Rejected, Expired: p.Expired,
			},
		}
	}
	return all, nil
}

// isShare reports whether the group of that name is a share group.
func (g Groups) isShare(ctx context.Context, name string) (bool, error) {
	d, err := g.Admin.Describe(ctx, name)
	if errors.Is(err, log.ErrUnknownGroup) || errors.Is(err, log.ErrCorruptValue) {
		return false, nil
	}
	return err == nil && d.Kind == group.Share, err
}

// partitions joins what is committed and what is assigned.
func (g Groups) partitions(ctx context.Context, committed map[log.TopicPartition]group.Offset, owner map[log.TopicPartition]string) ([]Partition, error) {
	tps := make([]log.TopicPartition, 0, len(committed)+len(owner))
	for tp := range committed {
		tps = append(tps, tp)
	}
	for tp := range owner {
		if _, ok := committed[tp]; !ok {
			tps = append(tps, tp)
		}
	}
	slices.SortFunc(tps, func(a, b log.TopicPartition) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	all := slices.Grow([]Partition(nil), len(tps))
	for _, tp := range tps {
		p, err := g.partition(ctx, tp)
		if errors.Is(err, log.ErrUnknownTopic) || errors.Is(err, log.ErrUnknownPartition) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, err
		}
		gp := Partition{Topic: tp.Topic, Partition: tp.Partition, Committed: -1, HighWatermark: p.HighWatermark(), MemberID: owner[tp]}
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

func (g Groups) partition(ctx context.Context, tp log.TopicPartition) (engine.Partition, error) {
	t, err := g.Topics.Find(ctx, tp.Topic, false)
	if err != nil {
		return nil, err
	}
	return t.Partition(tp.Partition)
}

// DeleteOffsets removes committed offsets. Those that members subscribe to stay: ErrGroupSubscribed.
func (g Groups) DeleteOffsets(ctx context.Context, name string, tps ...log.TopicPartition) error {
	if shares, err := g.isShare(ctx, name); shares || err != nil {
		if err == nil {
			err = g.Shares.Delete(ctx, name, tps...)
		}
		return err
	}
	kept, err := g.Admin.DeleteOffsets(ctx, name, tps...)
	if err == nil && len(kept) > 0 {
		err = fmt.Errorf("group %s: %w: offsets of %v", name, log.ErrGroupSubscribed, kept)
	}
	return err
}

// Target is where a group is moved to: to Start, not engine.Committed, or with Shift by so many records.
type Target struct {
	Start engine.Start
	Shift bool
	By    int64
}

// AlterOffsets moves the committed offsets of a group without members, of tps, or without any of all partitions
// that it has offsets for.
func (g Groups) AlterOffsets(ctx context.Context, name string, to Target, tps ...log.TopicPartition) error {
	planned, err := g.PlanOffsets(ctx, name, to, tps...)
	if err != nil {
		return err
	}
	return g.SetOffsets(ctx, name, planned)
}

// SetOffsets moves the committed offsets of a group without members to these. Those of a share group it moves one after the
// other.
func (g Groups) SetOffsets(ctx context.Context, name string, offsets map[log.TopicPartition]group.Offset) error {
	shares, err := g.isShare(ctx, name)
	if err != nil {
		return err
	}
	if !shares {
		return g.Admin.AlterOffsets(ctx, name, offsets)
	}
	for tp, o := range offsets {
		if err := g.Shares.Alter(ctx, name, tp, o.Offset); err != nil {
			return fmt.Errorf("alter offsets of group %s: %w", name, err)
		}
	}
	return nil
}

// PlanOffsets returns the offsets to which AlterOffsets would move.
func (g Groups) PlanOffsets(ctx context.Context, name string, to Target, tps ...log.TopicPartition) (map[log.TopicPartition]group.Offset, error) {
	shares, err := g.isShare(ctx, name)
	if err != nil {
		return nil, err
	}
	committed := func(tp log.TopicPartition) (map[log.TopicPartition]group.Offset, error) {
		return g.Offsets.Committed(ctx, name, tp)
	}
	var all map[log.TopicPartition]group.Offset
	switch {
	case shares:
		if all, err = g.starts(ctx, name); err != nil && (to.Shift || len(tps) == 0 || !errors.Is(err, log.ErrCorruptValue)) {
			return nil, err
		}
		committed = func(log.TopicPartition) (map[log.TopicPartition]group.Offset, error) { return all, nil }
	case len(tps) == 0:
		if all, err = g.Offsets.Committed(ctx, name); err != nil {
			return nil, err
		}
	}
	if len(tps) == 0 {
		tps = slices.Collect(maps.Keys(all))
	}
	offsets := make(map[log.TopicPartition]group.Offset, len(tps))
	for _, tp := range tps {
		committed, err := committed(tp)
		if err != nil && (to.Shift || !errors.Is(err, log.ErrCorruptValue)) {
			return nil, err
		}
		old, ok := committed[tp]
		if !ok {
			old.Offset = -1
		}
		offset, err := g.offset(ctx, tp, to, old.Offset)
		if err != nil {
			return nil, fmt.Errorf("alter offsets of group %s: %w", name, err)
		}
		offsets[tp] = group.Offset{Offset: offset, LeaderEpoch: -1, Metadata: old.Metadata}
	}
	return offsets, nil
}

// starts returns the offsets at which a share group begins.
func (g Groups) starts(ctx context.Context, name string) (map[log.TopicPartition]group.Offset, error) {
	infos, err := g.Shares.Describe(ctx, name)
	starts := make(map[log.TopicPartition]group.Offset, len(infos))
	for _, p := range infos {
		starts[p.TopicPartition] = group.Offset{Offset: p.Start}
	}
	return starts, err
}

// offset returns the offset that to means for tp, where the group is at committed, or -1: the nearer end
// of the log instead of one outside.
func (g Groups) offset(ctx context.Context, tp log.TopicPartition, to Target, committed int64) (int64, error) {
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

// resolve returns the offset that t means for p, where the group is at committed, or -1.
func (t Target) resolve(ctx context.Context, p engine.Partition, committed int64) (int64, error) {
	switch {
	case !t.Shift && t.Start.Kind == engine.Committed:
		return 0, fmt.Errorf("%w: offsets cannot be altered to Committed", log.ErrInvalidOption)
	case !t.Shift:
		return t.Start.Resolve(ctx, p, log.ReadUncommitted)
	case committed < 0:
		return 0, fmt.Errorf("%s: %w", p.TopicPartition(), log.ErrNoOffset)
	case t.By > math.MaxInt64-committed:
		return math.MaxInt64, nil
	}
	return committed + t.By, nil
}

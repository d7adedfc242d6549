package backend

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
)

// Kinds of groups.
const (
	kindClassic  = "classic"
	kindConsumer = "consumer"
	kindShare    = "share"
)

// groupList returns all groups of the cluster, by name.
func (k *Kafka) groupList(ctx context.Context) (map[string]api.GroupSummary, error) {
	listed, err := k.adm.ListGroups(ctx)
	if err != nil {
		return nil, explained("groups", err)
	}
	all := make(map[string]api.GroupSummary, len(listed))
	for name, g := range listed {
		kind := strings.ToLower(g.GroupType)
		if kind == "" { // an old cluster knows no others
			kind = kindClassic
		}
		all[name] = api.GroupSummary{Name: name, Kind: kind, State: g.State}
	}
	return all, nil
}

// Groups implements Backend.
func (k *Kafka) Groups(ctx context.Context, r api.GroupsRequest) (api.GroupPage, error) {
	if kinds := []string{"", kindClassic, "consumer", kindShare, "streams"}; !slices.Contains(kinds, r.Kind) {
		return api.GroupPage{}, fmt.Errorf("%w: kind is %q, want one of %q", samsa.ErrInvalidOption, r.Kind, kinds[1:])
	}
	all, err := k.groupList(ctx)
	if err != nil {
		return api.GroupPage{}, err
	}
	for name, g := range all {
		if r.Kind != "" && g.Kind != r.Kind {
			delete(all, name)
		}
	}
	names, next := page(keys(all), r.After, r.Prefix, r.Limit)
	p := api.GroupPage{Next: next, Groups: make([]api.GroupSummary, 0, len(names))}
	for _, name := range names {
		p.Groups = append(p.Groups, all[name])
	}
	return p, nil
}

// Group implements Backend.
func (k *Kafka) Group(ctx context.Context, name string) (api.Group, error) {
	all, err := k.groupList(ctx)
	if err != nil {
		return api.Group{}, err
	}
	g := api.Group{GroupSummary: all[name]}
	if g.Name == "" {
		return g, fmt.Errorf("group %s: %w", name, samsa.ErrUnknownGroup)
	}
	owners := make(map[api.TopicPartition]string)
	switch g.Kind {
	case kindConsumer:
		err = k.describeConsumers(ctx, &g)
	case kindShare:
		err = k.describeShare(ctx, &g)
	case kindClassic:
		err = k.describeClassic(ctx, &g)
	}
	if err != nil {
		return g, explained("group "+name, err)
	}
	for _, m := range g.Members {
		for _, tp := range m.Assigned {
			owners[tp] = m.ID
		}
	}
	if err := k.addOffsets(ctx, &g, owners); err != nil {
		return g, explained("group "+name, err)
	}
	return g, nil
}

func (k *Kafka) describeClassic(ctx context.Context, g *api.Group) error {
	all, err := k.adm.DescribeGroups(ctx, g.Name)
	if err != nil {
		return err
	}
	d := all[g.Name]
	g.State, g.Assignor = d.State, d.Protocol
	for _, m := range d.Members {
		a := api.Member{ID: m.MemberID, ClientID: m.ClientID, ClientHost: m.ClientHost}
		if m.InstanceID != nil {
			a.InstanceID = *m.InstanceID
		}
		if join, ok := m.Join.AsConsumer(); ok {
			a.Topics = join.Topics
		}
		if assigned, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range assigned.Topics {
				for _, p := range t.Partitions {
					a.Assigned = append(a.Assigned, api.TopicPartition{Topic: t.Topic, Partition: p})
				}
			}
		}
		g.Members = append(g.Members, a)
	}
	return d.Err
}

func (k *Kafka) describeConsumers(ctx context.Context, g *api.Group) error {
	all, err := k.adm.DescribeConsumerGroups(ctx, g.Name)
	if err != nil {
		return err
	}
	d := all[g.Name]
	g.State, g.Assignor, g.Generation = d.State, d.AssignorName, d.Epoch
	for _, m := range d.Members {
		a := api.Member{ID: m.MemberID, ClientID: m.ClientID, ClientHost: m.ClientHost, Topics: m.SubscribedTopics, Assigned: partitionsOf(m.Assignment)}
		if m.InstanceID != nil {
			a.InstanceID = *m.InstanceID
		}
		g.Members = append(g.Members, a)
	}
	return d.Err
}

func (k *Kafka) describeShare(ctx context.Context, g *api.Group) error {
	all, err := k.adm.DescribeShareGroups(ctx, g.Name)
	if err != nil {
		return err
	}
	d := all[g.Name]
	g.State, g.Assignor, g.Generation = d.GroupState, d.Assignor, d.GroupEpoch
	for _, m := range d.Members {
		g.Members = append(g.Members, api.Member{
			ID: m.MemberID, ClientID: m.ClientID, ClientHost: m.ClientHost, Topics: m.SubscribedTopicNames, Assigned: partitionsOf(m.Assignment),
		})
	}
	return d.Err
}

func partitionsOf(set kadm.TopicsSet) []api.TopicPartition {
	var list []api.TopicPartition
	for _, t := range set.Sorted() {
		for _, p := range t.Partitions {
			list = append(list, api.TopicPartition{Topic: t.Topic, Partition: p})
		}
	}
	return list
}

// committed returns the committed offsets of a group, and their metadata; of a share group where it begins.
func (k *Kafka) committed(ctx context.Context, g api.GroupSummary) (map[api.TopicPartition]int64, map[api.TopicPartition]string, error) {
	offsets, metadata := make(map[api.TopicPartition]int64), make(map[api.TopicPartition]string)
	if g.Kind == kindShare {
		all, err := k.adm.DescribeShareGroupOffsets(ctx, g.Name)
		if err == nil {
			err = all[g.Name].Err
		}
		if err != nil {
			return nil, nil, err
		}
		all[g.Name].Offsets.Each(func(o kadm.ShareOffset) {
			offsets[api.TopicPartition{Topic: o.Topic, Partition: o.Partition}] = o.StartOffset
		})
		return offsets, metadata, nil
	}
	all, err := k.adm.FetchOffsets(ctx, g.Name)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return nil, nil, err
	}
	all.Each(func(o kadm.OffsetResponse) {
		tp := api.TopicPartition{Topic: o.Topic, Partition: o.Partition}
		offsets[tp], metadata[tp] = o.At, o.Metadata
	})
	return offsets, metadata, nil
}

// addOffsets adds the partitions of a group: those with an offset, and those that members have.
func (k *Kafka) addOffsets(ctx context.Context, g *api.Group, owners map[api.TopicPartition]string) error {
	offsets, metadata, err := k.committed(ctx, g.GroupSummary)
	if err != nil {
		return err
	}
	for tp := range owners {
		if _, ok := offsets[tp]; !ok {
			offsets[tp] = -1
		}
	}
	var topics []string
	for tp := range offsets {
		if !slices.Contains(topics, tp.Topic) {
			topics = append(topics, tp.Topic)
		}
	}
	var e ends
	if len(topics) > 0 {
		if e, err = k.ends(ctx, topics); err != nil {
			return err
		}
	}
	for tp, o := range offsets {
		p := api.GroupPartition{TopicPartition: tp, Committed: o, Metadata: metadata[tp], MemberID: owners[tp]}
		p.LogStart, p.HighWatermark = e.start[tp.Topic][tp.Partition].Offset, e.end[tp.Topic][tp.Partition].Offset
		p.Lag = max(0, p.HighWatermark-max(o, p.LogStart))
		g.Lag += p.Lag
		g.Partitions = append(g.Partitions, p)
	}
	slices.SortFunc(g.Partitions, func(a, b api.GroupPartition) int { return compare(a.TopicPartition, b.TopicPartition) })
	return nil
}

func compare(a, b api.TopicPartition) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Partition) - int(b.Partition)
}

// DeleteGroup implements Backend.
func (k *Kafka) DeleteGroup(ctx context.Context, name string) error {
	resp, err := k.adm.DeleteGroup(ctx, name)
	if err == nil {
		err = resp.Err
	}
	return explained("group "+name, err)
}

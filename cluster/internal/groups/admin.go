package groups

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// Admin is Groups as engine.Admin, whose Describe is the Coordinator's.
type Admin struct{ *Groups }

// List implements engine.Admin.
func (a Admin) List(ctx context.Context) ([]group.Listing, error) {
	r, err := link.Ask[*kmsg.ListGroupsResponse](ctx, a.link.Client, "groups", kmsg.NewPtrListGroupsRequest())
	if err == nil {
		err = link.Code("groups", r.ErrorCode, nil)
	}
	if err != nil {
		return nil, err
	}
	all := make([]group.Listing, 0, len(r.Groups))
	for _, g := range r.Groups {
		l := group.Listing{Name: g.Group, State: state(g.GroupState), ProtocolType: g.ProtocolType}
		if g.GroupType != "" {
			_ = l.Kind.UnmarshalText([]byte(g.GroupType)) // one that nobody knows yet counts as classic
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b group.Listing) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// state returns the state of Kafka's name; Dead for one that nobody knows yet.
func state(name string) group.State {
	var s group.State
	if err := s.UnmarshalText([]byte(name)); err != nil {
		return group.Dead
	}
	return s
}

// Describe implements engine.Coordinator and engine.Admin. A cluster does not say of which kind a group is: it is asked for
// each of them.
func (g *Groups) Describe(ctx context.Context, name string) (group.Description, error) {
	if err := group.CheckName(name); err != nil {
		return group.Description{}, err
	}
	for _, ask := range []func(context.Context, string) (group.Description, error){
		g.describeClassic, g.describeConsumer, g.describeShare, g.describeStreams,
	} {
		var d group.Description
		err := link.Again(ctx, func() (err error) {
			d, err = ask(ctx, name)
			return err
		})
		if !errors.Is(err, log.ErrUnknownGroup) && !errors.Is(err, log.ErrUnsupported) {
			return d, err
		}
	}
	return group.Description{}, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
}

func (g *Groups) describeClassic(ctx context.Context, name string) (d group.Description, err error) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{name}
	dg, err := link.AskOne(ctx, g.link.Client, about(name, ""), req,
		func(r *kmsg.DescribeGroupsResponse) []kmsg.DescribeGroupsResponseGroup { return r.Groups },
		func(p *kmsg.DescribeGroupsResponseGroup) (int16, *string) { return p.ErrorCode, p.ErrorMessage })
	if err != nil {
		return d, err
	}
	if d.State = state(dg.State); d.State == group.Dead { // so older clusters call one that is not there
		return d, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	d.Kind, d.ProtocolType, d.ProtocolName = group.Classic, dg.ProtocolType, dg.Protocol
	for _, m := range dg.Members {
		d.Members = append(d.Members, group.MemberDescription{
			ID: m.MemberID, InstanceID: text(m.InstanceID), ClientID: m.ClientID, ClientHost: m.ClientHost,
			Metadata: m.ProtocolMetadata, Assignment: m.MemberAssignment,
		})
	}
	return d, nil
}

func (g *Groups) describeConsumer(ctx context.Context, name string) (d group.Description, err error) {
	req := kmsg.NewPtrConsumerGroupDescribeRequest()
	req.Groups = []string{name}
	dg, err := link.AskOne(ctx, g.link.Client, about(name, ""), req,
		func(r *kmsg.ConsumerGroupDescribeResponse) []kmsg.ConsumerGroupDescribeResponseGroup { return r.Groups },
		func(p *kmsg.ConsumerGroupDescribeResponseGroup) (int16, *string) { return p.ErrorCode, p.ErrorMessage })
	if err != nil {
		return d, err
	}
	d = group.Description{Kind: group.Consumer, State: state(dg.State), ProtocolType: "consumer", ProtocolName: dg.AssignorName, Generation: dg.Epoch}
	for _, m := range dg.Members {
		d.Members = append(d.Members, group.MemberDescription{
			ID: m.MemberID, InstanceID: text(m.InstanceID), ClientID: m.ClientID, ClientHost: m.ClientHost,
			Metadata: group.EncodeSubscription(group.Subscription{Topics: m.SubscribedTopics}), Assignment: encode(m.Assignment.TopicPartitions),
		})
	}
	return d, nil
}

// encode returns what a member has as the members of classic groups say it.
func encode(tps []kmsg.AssignmentTopicPartition) []byte {
	a := make(group.Assignment)
	for _, tp := range tps {
		a[tp.Topic] = append(a[tp.Topic], tp.Partitions...)
	}
	return group.EncodeAssignment(a)
}

func (g *Groups) describeShare(ctx context.Context, name string) (d group.Description, err error) {
	req := kmsg.NewPtrShareGroupDescribeRequest()
	req.GroupIDs = []string{name}
	dg, err := link.AskOne(ctx, g.link.Client, about(name, ""), req,
		func(r *kmsg.ShareGroupDescribeResponse) []kmsg.ShareGroupDescribeResponseGroup { return r.Groups },
		func(p *kmsg.ShareGroupDescribeResponseGroup) (int16, *string) { return p.ErrorCode, p.ErrorMessage })
	if err != nil {
		return d, err
	}
	d = group.Description{Kind: group.Share, State: state(dg.GroupState), ProtocolType: "share", ProtocolName: dg.Assignor, Generation: dg.GroupEpoch}
	for _, m := range dg.Members {
		a := make(group.Assignment)
		for _, tp := range m.Assignment.TopicPartitions {
			a[tp.Topic] = append(a[tp.Topic], tp.Partitions...)
		}
		d.Members = append(d.Members, group.MemberDescription{
			ID: m.MemberID, ClientID: m.ClientID, ClientHost: m.ClientHost,
			Metadata: group.EncodeSubscription(group.Subscription{Topics: m.SubscribedTopicNames}), Assignment: group.EncodeAssignment(a),
		})
	}
	return d, nil
}

func (g *Groups) describeStreams(ctx context.Context, name string) (d group.Description, err error) {
	req := kmsg.NewPtrStreamsGroupDescribeRequest()
	req.Groups = []string{name}
	r, err := link.AskCoordinator[*kmsg.StreamsGroupDescribeResponse](ctx, g.link.Client, about(name, ""), name, req)
	if err != nil {
		return d, err
	}
	if len(r.Groups) != 1 {
		return d, fmt.Errorf("group %s: %w: the cluster did not say", name, log.ErrUnavailable)
	}
	dg := &r.Groups[0]
	if err := link.Code(about(name, ""), dg.ErrorCode, dg.ErrorMessage); err != nil {
		return d, err
	}
	d = group.Description{Kind: group.Streams, State: state(dg.State), ProtocolType: "streams", Generation: dg.Epoch}
	for _, m := range dg.Members {
		d.Members = append(d.Members, group.MemberDescription{ID: m.MemberID, InstanceID: text(m.InstanceID), ClientID: m.ClientID, ClientHost: m.ClientHost})
	}
	return d, nil
}

// Delete implements engine.Admin.
func (a Admin) Delete(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), group.CheckName(name)); err != nil {
		return err
	}
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{name}
	_, err := link.AskOne(ctx, a.link.Client, about(name, ""), req,
		func(r *kmsg.DeleteGroupsResponse) []kmsg.DeleteGroupsResponseGroup { return r.Groups },
		func(p *kmsg.DeleteGroupsResponseGroup) (int16, *string) { return p.ErrorCode, p.ErrorMessage })
	return link.Unknown(err)
}

// DeleteOffsets implements engine.Admin.
func (a Admin) DeleteOffsets(ctx context.Context, name string, tps ...log.TopicPartition) (kept []log.TopicPartition, err error) {
	if err := errors.Join(ctx.Err(), group.CheckName(name)); err != nil {
		return nil, err
	}
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = name
	for topic, partitions := range link.ByTopic(slices.Values(tps)) {
		t := kmsg.NewOffsetDeleteRequestTopic()
		t.Topic = topic
		for _, i := range partitions {
			p := kmsg.NewOffsetDeleteRequestTopicPartition()
			p.Partition = i
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	}
	r, err := link.Ask[*kmsg.OffsetDeleteResponse](ctx, a.link.Client, about(name, ""), req)
	if err != nil {
		return nil, link.Unknown(err)
	}
	if err := link.Code(about(name, ""), r.ErrorCode, nil); err != nil {
		return nil, err
	}
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			tp := log.TopicPartition{Topic: t.Topic, Partition: p.Partition}
			switch p.ErrorCode {
			case 0, kerr.UnknownTopicOrPartition.Code: // there is none any more
			case kerr.GroupSubscribedToTopic.Code:
				kept = append(kept, tp)
			default:
				if err == nil {
					err = link.Code(about(name, "")+": "+tp.String(), p.ErrorCode, nil)
				}
			}
		}
	}
	return kept, err
}

// AlterOffsets implements engine.Admin.
func (a Admin) AlterOffsets(ctx context.Context, name string, offsets map[log.TopicPartition]group.Offset) error {
	if len(offsets) == 0 { // a cluster says nothing to that
		_, err := a.Describe(ctx, name)
		return err
	}
	err := a.Commit(ctx, name, group.CommitRequest{Generation: -1, Offsets: offsets})
	if errors.Is(err, log.ErrUnknownMember) { // so Kafka says that there are others
		return fmt.Errorf("group %s: %w", name, log.ErrGroupNotEmpty)
	}
	return err
}

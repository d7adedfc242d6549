package groups

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// Commit implements engine.Offsets. Kafka may store some of the offsets and refuse others: then the error is that of one of
// those, and ErrOutcomeUnknown besides.
func (g *Groups) Commit(ctx context.Context, name string, req group.CommitRequest) error {
	if err := errors.Join(ctx.Err(), group.CheckName(name)); err != nil {
		return err
	}
	c := kmsg.NewPtrOffsetCommitRequest()
	c.Group, c.Generation, c.MemberID, c.InstanceID = name, req.Generation, req.MemberID, optional(req.InstanceID)
	if req.Generation < 0 {
		c.MemberID, c.InstanceID = "", nil
	}
	for topic, partitions := range link.ByTopic(maps.Keys(req.Offsets)) {
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = topic
		for _, i := range partitions {
			tp := log.TopicPartition{Topic: topic, Partition: i}
			o := req.Offsets[tp]
			var err error
			if t.TopicID, err = g.topicID(topic, o.TopicID); err != nil {
				return err
			}
			p := kmsg.NewOffsetCommitRequestTopicPartition()
			p.Partition, p.Offset, p.LeaderEpoch, p.Metadata = i, o.Offset, o.LeaderEpoch, &o.Metadata
			if o.LeaderEpoch < 0 {
				p.LeaderEpoch = g.topics.Epoch(tp, o.Offset)
			}
			t.Partitions = append(t.Partitions, p)
		}
		c.Topics = append(c.Topics, t)
	}
	cl, done := g.of(memberKey{name, req.MemberID})
	defer done()
	r, err := link.Ask[*kmsg.OffsetCommitResponse](ctx, cl, about(name, req.MemberID), c)
	if err != nil {
		return link.Unknown(err)
	}
	stored := 0
	for _, t := range r.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode == 0 {
				stored++
			} else if err == nil {
				err = link.Code(fmt.Sprintf("%s: %s/%d", about(name, req.MemberID), g.nameOf(t.Topic, t.TopicID), p.Partition), p.ErrorCode, nil)
			}
		}
	}
	if req.Generation >= 0 && errors.Is(err, log.ErrUnknownGroup) {
		err = fmt.Errorf("%w: %w", log.ErrUnknownMember, err)
	}
	if err != nil && stored > 0 {
		return fmt.Errorf("%w: %w", log.ErrOutcomeUnknown, err)
	}
	return err
}

// topicID returns the identity of the topic of that name, which must be want unless that is zero.
func (g *Groups) topicID(name string, want [16]byte) ([16]byte, error) {
	t, err := g.topics.Get(name)
	if err != nil {
		return want, err
	}
	if want != [16]byte{} && t.ID() != want {
		return want, fmt.Errorf("topic %s: %w: it was created again", name, log.ErrUnknownTopic)
	}
	return t.ID(), nil
}

// nameOf returns the name of a topic of an answer, which has a name or an id.
func (g *Groups) nameOf(name string, id [16]byte) string {
	if name == "" {
		name, _ = g.topics.Name(id)
	}
	return name
}

// Committed implements engine.Offsets.
func (g *Groups) Committed(ctx context.Context, name string, tps ...log.TopicPartition) (map[log.TopicPartition]group.Offset, error) {
	offsets, _, err := g.fetch(ctx, name, false, tps)
	if err == nil && len(offsets) == 0 { // nor has a group that cannot have any
		err = g.otherKind(ctx, name)
	}
	return offsets, err
}

// Stable implements engine.Offsets.
func (g *Groups) Stable(ctx context.Context, name string, tps ...log.TopicPartition) (offsets map[log.TopicPartition]group.Offset, open []log.TopicPartition, err error) {
	return g.fetch(ctx, name, true, tps)
}

// fetch returns committed offsets, of tps or if there are none of all, and with stable those partitions of which a
// transaction is open that commits one.
func (g *Groups) fetch(ctx context.Context, name string, stable bool, tps []log.TopicPartition) (offsets map[log.TopicPartition]group.Offset, open []log.TopicPartition, err error) {
	offsets = make(map[log.TopicPartition]group.Offset)
	topics := g.fetchTopics(tps)
	if len(tps) > 0 && len(topics) == 0 {
		return offsets, nil, nil
	}
	req := kmsg.NewPtrOffsetFetchRequest()
	req.RequireStable = stable
	fg := kmsg.NewOffsetFetchRequestGroup()
	fg.Group, fg.Topics, fg.MemberEpoch = name, topics, -1
	req.Groups = append(req.Groups, fg)
	r, err := link.Ask[*kmsg.OffsetFetchResponse](ctx, g.link.Client, about(name, ""), req)
	if err != nil {
		return nil, nil, err
	}
	if len(r.Groups) != 1 {
		return nil, nil, fmt.Errorf("group %s: %w: the cluster did not say", name, log.ErrUnavailable)
	}
	switch code := r.Groups[0].ErrorCode; code {
	case 0:
	case kerr.GroupIDNotFound.Code:
		return offsets, nil, nil
	default:
		return nil, nil, link.Code(about(name, ""), code, nil)
	}
	for _, t := range r.Groups[0].Topics {
		topic := g.nameOf(t.Topic, t.TopicID)
		known, err := g.topics.Get(topic)
		if err != nil {
			continue // it is gone
		}
		for _, p := range t.Partitions {
			tp := log.TopicPartition{Topic: topic, Partition: p.Partition}
			switch {
			case p.ErrorCode == kerr.UnstableOffsetCommit.Code:
				open = append(open, tp)
			case p.ErrorCode == kerr.UnknownTopicOrPartition.Code, p.ErrorCode == kerr.UnknownTopicID.Code:
			case p.ErrorCode != 0:
				return nil, nil, link.Code(about(name, "")+": "+tp.String(), p.ErrorCode, nil)
			case p.Offset >= 0:
				g.topics.Committed(tp, p.Offset, p.LeaderEpoch)
				offsets[tp] = group.Offset{Offset: p.Offset, LeaderEpoch: p.LeaderEpoch, Metadata: text(p.Metadata), TopicID: known.ID()}
			}
		}
	}
	return offsets, open, nil
}

// fetchTopics returns what is to be asked of tps, without topics that nobody knows; nil for all.
func (g *Groups) fetchTopics(tps []log.TopicPartition) (topics []kmsg.OffsetFetchRequestGroupTopic) {
	for topic, partitions := range link.ByTopic(slices.Values(tps)) {
		known, err := g.topics.Get(topic)
		if err != nil {
			continue
		}
		t := kmsg.NewOffsetFetchRequestGroupTopic()
		t.Topic, t.TopicID, t.Partitions = topic, known.ID(), partitions
		topics = append(topics, t)
	}
	return topics
}

package kafka

import (
	"cmp"
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// DescribeShareGroupOffsets: how far share groups are in partitions.
//
// Versions 0 and 1, which tells the lag (KIP-1226). A group that does not exist, or has not begun in a partition, is
// at -1, and nowhere if all partitions are asked for.
func (c *call) describeShareGroupOffsets(req *kmsg.DescribeShareGroupOffsetsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeShareGroupOffsetsResponse()
	all := make(map[string]bool) // of which all is told, once: what is short in a request is long in the answer
	for i := range req.Groups {
		rg := &req.Groups[i]
		if rg.Topics == nil && all[rg.GroupID] {
			continue
		}
		all[rg.GroupID] = all[rg.GroupID] || rg.Topics == nil
		g := kmsg.NewDescribeShareGroupOffsetsResponseGroup()
		g.GroupID = rg.GroupID
		err := c.checkShareVersion()
		if err == nil {
			err = cmp.Or(c.checkGroup(acl.Describe, rg.GroupID), c.coordinatesGroup(rg.GroupID))
		}
		switch {
		case err != nil:
		case rg.Topics == nil:
			g.Topics, err = c.allShareOffsets(rg.GroupID)
		default:
			for _, rt := range rg.Topics {
				g.Topics = append(g.Topics, c.shareOffsets(rg.GroupID, rt))
			}
		}
		g.ErrorCode, g.ErrorMessage = c.s.groupCodeOf(err), message(err)
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

// shareOffsets returns how far a group is in partitions of a topic.
func (c *call) shareOffsets(group string, rt kmsg.DescribeShareGroupOffsetsRequestGroupTopic) kmsg.DescribeShareGroupOffsetsResponseGroupTopic {
	t := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
	t.Topic = rt.Topic
	if found, err := c.topic(rt.Topic, noTopic, false); err == nil {
		t.TopicID = found.ID()
	}
	for _, index := range rt.Partitions {
		key := share.Key{Group: group, TopicPartition: log.TopicPartition{Topic: rt.Topic, Partition: index}}
		info, ok, err := c.s.in.Shares.DescribePartition(c.ctx, key)
		if refused := c.refusal(rt.Topic, index); refused != nil {
			err = refused
		}
		p := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
		p.Partition, p.StartOffset, p.Lag = index, -1, -1
		switch {
		case errors.Is(err, log.ErrUnknownTopic), errors.Is(err, log.ErrUnknownPartition):
		case err != nil:
			p.ErrorCode, p.ErrorMessage = c.s.codeOf(err), messageOf(err, maxPartitionMessageBytes)
		case ok:
			p.StartOffset, p.LeaderEpoch, p.Lag = info.Start, c.epochOf(key.TopicPartition), info.Lag
		}
		t.Partitions = append(t.Partitions, p)
	}
	return t
}

// allShareOffsets returns how far a group is wherever it has begun.
func (c *call) allShareOffsets(group string) ([]kmsg.DescribeShareGroupOffsetsResponseGroupTopic, error) {
	infos, err := c.s.in.Shares.Describe(context.WithoutCancel(c.ctx), group)
	if err != nil && !errors.Is(err, log.ErrUnknownGroup) {
		return nil, err
	}
	var all []kmsg.DescribeShareGroupOffsetsResponseGroupTopic
	for _, info := range infos {
		if c.deniedTopic(info.Topic) != nil {
			continue
		}
		if len(all) == 0 || all[len(all)-1].Topic != info.Topic {
			t := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopic()
			t.Topic = info.Topic
			if found, err := c.topic(info.Topic, noTopic, false); err == nil {
				t.TopicID = found.ID()
			}
			all = append(all, t)
		}
		t := &all[len(all)-1]
		p := kmsg.NewDescribeShareGroupOffsetsResponseGroupTopicPartition()
		p.Partition, p.StartOffset, p.Lag = info.Partition, info.Start, info.Lag
		p.LeaderEpoch = c.epochOf(log.TopicPartition{Topic: info.Topic, Partition: info.Partition})
		t.Partitions = append(t.Partitions, p)
	}
	return all, nil
}

package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// AlterShareGroupOffsets: has a share group without members begin anew at offsets.
//
// Version 0. It makes the group if there is none.
func (c *call) alterShareGroupOffsets(req *kmsg.AlterShareGroupOffsetsRequest) kmsg.Response {
	resp := kmsg.NewPtrAlterShareGroupOffsetsResponse()
	if err := c.checkShareEmpty(req.GroupID); err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.groupCodeOf(err), message(err)
		return resp
	}
	for _, rt := range req.Topics {
		t := kmsg.NewAlterShareGroupOffsetsResponseTopic()
		t.Topic = rt.Topic
		if found, err := c.topic(rt.Topic, noTopic, false); err == nil {
			t.TopicID = found.ID()
		}
		for _, rp := range rt.Partitions {
			_, err := c.partition(rt.Topic, noTopic, false, rp.Partition)
			if err == nil {
				key := share.Key{Group: req.GroupID, TopicPartition: log.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}}
				err = c.s.in.Shares.Alter(c.s.ctx, key, rp.StartOffset)
			}
			p := kmsg.NewAlterShareGroupOffsetsResponseTopicPartition()
			p.Partition, p.ErrorCode, p.ErrorMessage = rp.Partition, c.s.codeOf(err), messageOf(err, maxPartitionMessageBytes)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// checkShareEmpty refuses to alter the offsets of a group that cannot be, that is another kind of group, or that has
// members.
func (c *call) checkShareEmpty(name string) error {
	err := c.checkShareVersion()
	if err == nil {
		err = group.CheckName(name)
	}
	if kind, ok := c.s.in.Groups.Names().Of(name); err == nil && ok && kind != group.Share {
		_, err = c.s.in.Members.Describe(name)
	}
	if err == nil && c.s.in.Members.HasMembers(name) {
		err = fmt.Errorf("group %s: %w", name, log.ErrGroupNotEmpty)
	}
	return err
}

package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/share"
	"github.com/samsa-go/samsa/share/members"
	"github.com/samsa-go/samsa/topic"
)

// DeleteShareGroupOffsets: has a share group without members forget topics.
//
// Version 0.
func (c *call) deleteShareGroupOffsets(req *kmsg.DeleteShareGroupOffsetsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteShareGroupOffsetsResponse()
	err := c.checkShareEmpty(req.GroupID)
	if err == nil {
		_, err = c.s.in.Members.Describe(req.GroupID)
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.groupCodeOf(err), message(err)
		return resp
	}
	for _, rt := range req.Topics {
		t := kmsg.NewDeleteShareGroupOffsetsResponseTopic()
		t.Topic = rt.Topic
		found, err := c.topic(rt.Topic, noTopic, false)
		if err == nil {
			t.TopicID = found.ID()
			err = c.deleteShareOffsets(req.GroupID, found)
		}
		t.ErrorCode, t.ErrorMessage = c.s.codeOf(err), message(err)
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// deleteShareOffsets has a group forget a topic.
func (c *call) deleteShareOffsets(group string, t *topic.Topic) error {
	var keys []share.Key
	for _, p := range t.Partitions() {
		key := share.Key{Group: group, TopicPartition: p.TopicPartition()}
		_, ok, err := c.s.in.Shares.DescribePartition(c.ctx, key)
		if ok || err != nil { // one that is damaged goes too
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return protocolError{codeUnknownTopicOrPartition, "there are no offsets to delete"}
	}
	err := c.s.in.Shares.Delete(c.s.ctx, keys...)
	c.s.in.Members.Forget(group, func(p members.Partition) bool { return p.Topic == t.Name() })
	return err
}

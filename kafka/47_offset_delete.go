package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// OffsetDelete: forgets committed offsets of a group.
//
// Version 0. The group must have no members, else it is NON_EMPTY_GROUP: Kafka deletes the
// offsets of topics that its consumers are not subscribed to. Partitions that do not exist
// have an error of their own.
func (c *call) offsetDelete(req *kmsg.OffsetDeleteRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetDeleteResponse()
	var tps []log.TopicPartition
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetDeleteResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			_, err := c.s.partition(rt.Topic, noTopic, false, rp.Partition)
			if err == nil {
				tps = append(tps, log.TopicPartition{Topic: rt.Topic, Partition: rp.Partition})
			}
			p := kmsg.NewOffsetDeleteResponseTopicPartition()
			p.Partition, p.ErrorCode = rp.Partition, c.s.codeOf(err)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if err := c.s.in.Groups.DeleteOffsets(c.ctx, req.Group, tps...); err != nil {
		resp.ErrorCode, resp.Topics = c.s.codeOf(err), nil
	}
	return resp
}

package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// OffsetDelete: forgets committed offsets of a group.
//
// Version 0. Offsets of topics that consumers of the group subscribe to stay, with
// GROUP_SUBSCRIBED_TO_TOPIC; a group of other members is NON_EMPTY_GROUP. Partitions that do not
// exist have an error of their own.
func (c *call) offsetDelete(req *kmsg.OffsetDeleteRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetDeleteResponse()
	errs := make(map[log.TopicPartition]error)
	var tps []log.TopicPartition
	for _, rt := range req.Topics {
		for _, rp := range rt.Partitions {
			tp := log.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
			if _, err := c.partition(rt.Topic, noTopic, false, rp.Partition); err != nil {
				errs[tp] = err
			} else {
				tps = append(tps, tp)
			}
		}
	}
	kept, err := c.s.in.Groups.DeleteOffsets(c.ctx, req.Group, tps...)
	if err != nil {
		resp.ErrorCode = c.s.groupCodeOf(err)
		return resp
	}
	for _, tp := range kept {
		errs[tp] = log.ErrGroupSubscribed
	}
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetDeleteResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p := kmsg.NewOffsetDeleteResponseTopicPartition()
			p.Partition, p.ErrorCode = rp.Partition, c.s.groupCodeOf(errs[log.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}])
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

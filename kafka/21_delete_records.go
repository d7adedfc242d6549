package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/topic"
)

// DeleteRecords: removes the records before an offset, -1 for all.
//
// Versions 0 to 2. The removal is stored when the answer comes, whatever the timeout. Those of a topic that is compacted and
// no more are refused, as by Kafka; the Go API removes them.
func (c *call) deleteRecords(req *kmsg.DeleteRecordsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	for _, rt := range req.Topics {
		t := kmsg.NewDeleteRecordsResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			out := kmsg.NewDeleteRecordsResponseTopicPartition()
			out.Partition, out.LowWatermark = rp.Partition, -1
			p, err := c.led(rt.Topic, noTopic, false, rp.Partition)
			if err == nil {
				err = c.removable(rt.Topic)
			}
			if err == nil {
				err = c.s.b.Topics().DeleteRecords(c.s.ctx, rt.Topic, map[int32]int64{rp.Partition: rp.Offset})
			}
			if err == nil {
				out.LowWatermark = p.LogStart()
			}
			out.ErrorCode = c.s.codeOf(err)
			t.Partitions = append(t.Partitions, out)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// removable refuses a topic that keeps, by its policy, the latest record of each key.
func (c *call) removable(name string) error {
	t, err := c.s.in.Catalogue.Get(name)
	if err == nil && t.Config().CleanupPolicy == topic.Compact {
		err = protocolError{codePolicyViolation, "the topic is compacted, and no records are deleted by its cleanup.policy"}
	}
	return err
}

package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetForLeaderEpoch: where the records of a leader's epoch end.
//
// Versions 0 to 4. An epoch ends where the next one that has records begins, the last one at the high watermark. One that has not
// been yet is unknown, -1.
func (c *call) offsetForLeaderEpoch(req *kmsg.OffsetForLeaderEpochRequest) kmsg.Response {
	resp := kmsg.NewPtrOffsetForLeaderEpochResponse()
	for _, rt := range req.Topics {
		t := kmsg.NewOffsetForLeaderEpochResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			t.Partitions = append(t.Partitions, c.epochEnd(rt.Topic, rp))
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (c *call) epochEnd(name string, rp kmsg.OffsetForLeaderEpochRequestTopicPartition) kmsg.OffsetForLeaderEpochResponseTopicPartition {
	out := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
	out.Partition, out.LeaderEpoch, out.EndOffset = rp.Partition, -1, -1
	p, err := c.ledIn(name, rp.Partition, rp.CurrentLeaderEpoch)
	if err == nil {
		out.LeaderEpoch, out.EndOffset = p.Log().Epochs().End(rp.LeaderEpoch, p.HighWatermark())
	}
	out.ErrorCode = c.s.codeOf(err)
	return out
}

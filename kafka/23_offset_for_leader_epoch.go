package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetForLeaderEpoch: where the records of a leader's epoch end.
//
// Versions 0 to 4. There is one epoch, 0, which ends at the high watermark; any other is
// unknown, -1.
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
	p, err := c.partition(name, noTopic, false, rp.Partition)
	if err == nil {
		err = checkLeaderEpoch(rp.CurrentLeaderEpoch)
	}
	if err == nil && rp.LeaderEpoch == leaderEpoch {
		out.LeaderEpoch, out.EndOffset = leaderEpoch, p.HighWatermark()
	}
	out.ErrorCode = c.s.codeOf(err)
	return out
}

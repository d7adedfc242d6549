package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteRecords: removes the records before an offset, -1 for all.
//
// Versions 0 to 2. The removal is stored when the answer comes, whatever the timeout.
func (c *call) deleteRecords(req *kmsg.DeleteRecordsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteRecordsResponse()
	for _, rt := range req.Topics {
		t := kmsg.NewDeleteRecordsResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			out := kmsg.NewDeleteRecordsResponseTopicPartition()
			out.Partition, out.LowWatermark = rp.Partition, -1
			p, err := c.partition(rt.Topic, noTopic, false, rp.Partition)
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

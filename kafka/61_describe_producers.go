package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/log"
)

// DescribeProducers: the idempotent producers that a partition remembers (KIP-664).
//
// Version 0. Each replica tells. Producers of the Go API that have names are among them. Left out: epochs of coordinators, of which there is one.
func (c *call) describeProducers(req *kmsg.DescribeProducersRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeProducersResponse()
	told := make(map[log.TopicPartition]bool) // once: what is short in a request is long in the answer
	for _, rt := range req.Topics {
		t := kmsg.NewDescribeProducersResponseTopic()
		t.Topic = rt.Topic
		for _, i := range rt.Partitions {
			if tp := (log.TopicPartition{Topic: rt.Topic, Partition: i}); !told[tp] {
				told[tp] = true
				t.Partitions = append(t.Partitions, c.producersOf(rt.Topic, i))
			}
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

func (c *call) producersOf(name string, i int32) kmsg.DescribeProducersResponseTopicPartition {
	out := kmsg.NewDescribeProducersResponseTopicPartition()
	p, err := c.hosted(name, i)
	out.Partition, out.ErrorCode, out.ErrorMessage = i, c.s.codeOf(err), message(err)
	if err != nil {
		return out
	}
	for _, info := range p.Log().Producers() {
		a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		a.ProducerID, a.ProducerEpoch = info.ID, int32(info.Epoch)
		a.LastSequence, a.LastTimestamp, a.CurrentTxnStartOffset = info.LastSequence, info.UsedAt, info.OpenSince
		out.ActiveProducers = append(out.ActiveProducers, a)
	}
	return out
}

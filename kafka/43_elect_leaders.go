package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ElectLeaders: every partition is led by the one node.
//
// Versions 0 to 2. Partitions that are named get ELECTION_NOT_NEEDED; asked for all, those are
// left out, as in Kafka, and none remains.
func (c *call) electLeaders(req *kmsg.ElectLeadersRequest) kmsg.Response {
	resp := kmsg.NewPtrElectLeadersResponse()
	for _, rt := range req.Topics {
		t := kmsg.NewElectLeadersResponseTopic()
		t.Topic = rt.Topic
		for _, i := range rt.Partitions {
			_, err := c.s.partition(rt.Topic, noTopic, false, i)
			if err == nil {
				err = protocolError{codeElectionNotNeeded, "there is one node, which leads"}
			}
			p := kmsg.NewElectLeadersResponseTopicPartition()
			p.Partition, p.ErrorCode, p.ErrorMessage = i, c.s.codeOf(err), message(err)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

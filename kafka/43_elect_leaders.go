package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of election. Version 0 knows the first alone.
const (
	electPreferred = 0
	electUnclean   = 1
)

// ElectLeaders: every partition is led by the one node.
//
// Versions 0 to 2. Partitions that are named get ELECTION_NOT_NEEDED; asked for all, those are
// left out, as in Kafka, and none remains. Kafka lists the topics, without partitions, all the same.
func (c *call) electLeaders(req *kmsg.ElectLeadersRequest) kmsg.Response {
	resp := kmsg.NewPtrElectLeadersResponse()
	if req.ElectionType != electPreferred && req.ElectionType != electUnclean {
		resp.ErrorCode = codeInvalidRequest
		return resp
	}
	for _, rt := range req.Topics {
		t := kmsg.NewElectLeadersResponseTopic()
		t.Topic = rt.Topic
		for _, i := range rt.Partitions {
			_, err := c.partition(rt.Topic, noTopic, false, i)
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

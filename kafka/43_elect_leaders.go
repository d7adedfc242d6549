package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The kinds of election. Version 0 knows the first alone.
const (
	electPreferred = 0
	electUnclean   = 1
)

// ElectLeaders: has the preferred leaders of partitions lead them, or any replica those that nobody leads.
//
// Versions 0 to 2. Partitions that are named and need none get ELECTION_NOT_NEEDED; asked for all, those are
// left out, and their topics are not.
func (c *call) electLeaders(req *kmsg.ElectLeadersRequest) kmsg.Response {
	resp := kmsg.NewPtrElectLeadersResponse()
	if req.ElectionType != electPreferred && req.ElectionType != electUnclean {
		return c.failed(codeInvalidRequest)
	}
	if req.Topics == nil && c.s.cluster != nil {
		resp.Topics = c.electAll(req.ElectionType)
		return resp
	}
	for _, rt := range req.Topics {
		t := kmsg.NewElectLeadersResponseTopic()
		t.Topic = rt.Topic
		for _, i := range rt.Partitions {
			_, err := c.partition(rt.Topic, noTopic, false, i)
			if err == nil {
				err = c.elect(rt.Topic, i, req.ElectionType)
			}
			p := kmsg.NewElectLeadersResponseTopicPartition()
			p.Partition, p.ErrorCode, p.ErrorMessage = i, c.s.codeOf(err), message(err)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	return resp
}

// elect holds an election in a partition.
func (c *call) elect(topic string, i int32, kind int8) error {
	if c.s.cluster == nil {
		return protocolError{codeElectionNotNeeded, "there is one node, which leads"}
	}
	return c.s.cluster.changePlace(topic, i, func(v *view, p *seat) error {
		if kind == electUnclean {
			return p.takeAny(v)
		}
		return p.prefer(v)
	})
}

// electAll holds elections in all partitions, and returns those that needed one, by topic.
func (c *call) electAll(kind int8) []kmsg.ElectLeadersResponseTopic {
	var all []kmsg.ElectLeadersResponseTopic
	for _, t := range c.s.in.Catalogue.List() {
		out := kmsg.NewElectLeadersResponseTopic()
		out.Topic = t.Name()
		for i := range t.Partitions() {
			p := kmsg.NewElectLeadersResponseTopicPartition()
			err := c.elect(t.Name(), int32(i), kind)
			if p.Partition, p.ErrorCode, p.ErrorMessage = int32(i), c.s.codeOf(err), message(err); p.ErrorCode != codeElectionNotNeeded {
				out.Partitions = append(out.Partitions, p)
			}
		}
		all = append(all, out)
	}
	return all
}

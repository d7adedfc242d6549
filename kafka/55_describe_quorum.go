package kafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataTopic is what Kafka's controllers keep the metadata in. Here it is in the catalogue, and
// the topic has no records.
const metadataTopic = "__cluster_metadata"

// DescribeQuorum: the controllers that vote: the nodes.
//
// Versions 0 to 2. Any other partition than the one of the metadata is
// UNKNOWN_TOPIC_OR_PARTITION.
func (c *call) describeQuorum(req *kmsg.DescribeQuorumRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeQuorumResponse()
	valid := len(req.Topics) == 1 && req.Topics[0].Topic == metadataTopic &&
		len(req.Topics[0].Partitions) == 1 && req.Topics[0].Partitions[0].Partition == 0
	for _, rt := range req.Topics {
		t := kmsg.NewDescribeQuorumResponseTopic()
		t.Topic = rt.Topic
		for _, rp := range rt.Partitions {
			p := kmsg.NewDescribeQuorumResponseTopicPartition()
			p.Partition = rp.Partition
			err := c.refusal(rt.Topic, rp.Partition)
			if err == nil && !valid {
				err = protocolError{codeUnknownTopicOrPartition, fmt.Sprintf("only %s-0 has a quorum", metadataTopic)}
			}
			if err == nil {
				c.describeVoter(&p)
			}
			p.ErrorCode, p.ErrorMessage = c.s.codeOf(err), message(err)
			t.Partitions = append(t.Partitions, p)
		}
		resp.Topics = append(resp.Topics, t)
	}
	if valid {
		for _, b := range c.brokers() {
			n := kmsg.NewDescribeQuorumResponseNode()
			n.NodeID = b.NodeID
			n.Listeners = []kmsg.DescribeQuorumResponseNodeListener{{Name: "CONTROLLER", Host: b.Host, Port: uint16(b.Port)}}
			resp.Nodes = append(resp.Nodes, n)
		}
	}
	return resp
}

func (c *call) describeVoter(p *kmsg.DescribeQuorumResponseTopicPartition) {
	now := time.Now().UnixMilli()
	p.LeaderID, p.LeaderEpoch = c.controller(), 0
	for _, b := range c.brokers() {
		voter := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		voter.ReplicaID, voter.LastFetchTimestamp, voter.LastCaughtUpTimestamp = b.NodeID, now, now
		p.CurrentVoters = append(p.CurrentVoters, voter)
	}
}

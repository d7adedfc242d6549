package kafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// metadataTopic is what Kafka's controllers keep the metadata in. Here it is in the catalogue, and
// the topic has no records.
const metadataTopic = "__cluster_metadata"

// DescribeQuorum: the controllers that vote, of which there is one, this node.
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
		host, port := c.advertised()
		n := kmsg.NewDescribeQuorumResponseNode()
		n.NodeID = c.s.opts.NodeID
		n.Listeners = []kmsg.DescribeQuorumResponseNodeListener{{Name: "CONTROLLER", Host: host, Port: uint16(port)}}
		resp.Nodes = append(resp.Nodes, n)
	}
	return resp
}

func (c *call) describeVoter(p *kmsg.DescribeQuorumResponseTopicPartition) {
	now := time.Now().UnixMilli()
	voter := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
	voter.ReplicaID, voter.LastFetchTimestamp, voter.LastCaughtUpTimestamp = c.s.opts.NodeID, now, now
	p.LeaderID, p.LeaderEpoch = c.s.opts.NodeID, leaderEpoch
	p.CurrentVoters = append(p.CurrentVoters, voter)
}

package kafka

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// maxDescribedPartitions bounds one answer (max.request.partition.size.limit).
const maxDescribedPartitions = 2000

// DescribeTopicPartitions: the partitions of topics, by name, a page at a time (KIP-966).
//
// Version 0. Where nobody leads, the replica that was in sync last is an eligible leader.
func (c *call) describeTopicPartitions(req *kmsg.DescribeTopicPartitionsRequest) kmsg.Response {
	if at := req.Cursor; at != nil && (at.Partition < 0 || len(req.Topics) > 0 && !slices.ContainsFunc(req.Topics, func(rt kmsg.DescribeTopicPartitionsRequestTopic) bool {
		return rt.Topic == at.Topic
	})) {
		return c.failed(codeInvalidRequest)
	}
	resp := kmsg.NewPtrDescribeTopicPartitionsResponse()
	left := maxDescribedPartitions
	if n := int(req.ResponsePartitionLimit); n > 0 {
		left = min(left, n)
	}
	for _, name := range c.namesFrom(req) {
		if left == 0 {
			resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name}
			break
		}
		t, err := c.topic(name, noTopic, false)
		if err == nil && c.unheard(t) {
			err = log.ErrUnknownTopic
		}
		out := kmsg.NewDescribeTopicPartitionsResponseTopic()
		out.Topic, out.ErrorCode = &name, c.s.codeOf(err)
		if err != nil {
			if out.ErrorCode != codeTopicAuthorizationFailed {
				out.AuthorizedOperations = c.operations(acl.Topic, name)
			}
			resp.Topics = append(resp.Topics, out)
			continue
		}
		first := 0
		if req.Cursor != nil && req.Cursor.Topic == name {
			first = max(0, int(req.Cursor.Partition))
		}
		ps := t.Partitions()
		out.TopicID, out.AuthorizedOperations = t.ID(), c.operations(acl.Topic, name)
		n := len(ps)
		end := min(n, first+left)
		out.Partitions = c.describePartitions(name, ps, first, end)
		left -= len(out.Partitions)
		resp.Topics = append(resp.Topics, out)
		if end < n {
			resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: int32(end)}
			break
		}
	}
	return resp
}

// namesFrom returns the topics asked for, all if none is, sorted, from the cursor on.
func (c *call) namesFrom(req *kmsg.DescribeTopicPartitionsRequest) []string {
	var names []string
	for _, rt := range req.Topics {
		names = append(names, rt.Topic)
	}
	if len(names) == 0 {
		names = slices.DeleteFunc(topicNames(c.s.in.Catalogue.List()), func(name string) bool { return c.deniedTopic(name) != nil })
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if req.Cursor != nil {
		i, _ := slices.BinarySearchFunc(names, req.Cursor.Topic, cmp.Compare[string])
		names = names[i:]
	}
	return names
}

func topicNames(topics []*topic.Topic) []string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name()
	}
	return names
}

func (c *call) describePartitions(name string, ps []*partition.Partition, from, to int) []kmsg.DescribeTopicPartitionsResponseTopicPartition {
	var out []kmsg.DescribeTopicPartitionsResponseTopicPartition
	none := []int32{}
	for i := from; i < to; i++ {
		at, ok := c.told(ps[i])
		if !ok {
			continue // it has come since the node has stopped to learn
		}
		p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		p.Partition, p.LeaderID, p.LeaderEpoch = int32(i), at.leader, at.epoch
		p.Replicas, p.ISR = at.replicas, c.inSync(at)
		if err := c.refusal(name, p.Partition); err != nil {
			p.ErrorCode, p.LeaderID, p.LeaderEpoch = c.s.codeOf(err), -1, -1
		}
		p.EligibleLeaderReplicas = append(none, without(at.isr, p.ISR)...) // null breaks Java's admin
		p.LastKnownELR = p.EligibleLeaderReplicas
		p.OfflineReplicas = append(none, c.offline(at)...)
		out = append(out, p)
	}
	return out
}

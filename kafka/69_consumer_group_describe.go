package kafka

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/internal/feature"
)

// The protocols of members, as ConsumerGroupDescribe calls them.
const (
	memberClassic  = 0
	memberConsumer = 1
)

// ConsumerGroupDescribe: groups of the consumer protocol, their members, and what these have and should have (KIP-848).
//
// Versions 0 to 1. Groups of other kinds are GROUP_ID_NOT_FOUND. Topics that are gone are left out.
func (c *call) consumerGroupDescribe(req *kmsg.ConsumerGroupDescribeRequest) kmsg.Response {
	resp := kmsg.NewPtrConsumerGroupDescribeResponse()
	for _, name := range once(req.Groups, func(name string) string { return name }) {
		g := kmsg.NewConsumerGroupDescribeResponseGroup()
		g.Group = name
		if c.s.in.Features.Level(feature.Groups) == 0 {
			g.ErrorCode = codeUnsupportedVersion
			resp.Groups = append(resp.Groups, g)
			continue
		}
		d, err := c.describeModern(name)
		if err != nil {
			g.ErrorCode, g.ErrorMessage = c.s.groupCodeOf(err), message(err)
			resp.Groups = append(resp.Groups, g)
			continue
		}
		if req.IncludeAuthorizedOperations {
			g.AuthorizedOperations = c.operations(acl.Group, name)
		}
		g.State, g.Epoch, g.AssignmentEpoch, g.AssignorName = d.State.String(), d.Epoch, d.TargetEpoch, d.Assignor
		for _, m := range d.Members {
			rm := kmsg.NewConsumerGroupDescribeResponseGroupMember()
			rm.MemberID, rm.InstanceID, rm.RackID, rm.MemberEpoch = m.ID, orNull(m.InstanceID), orNull(m.Rack), m.Epoch
			rm.ClientID, rm.ClientHost = m.ClientID, m.ClientHost
			rm.SubscribedTopics, rm.SubscribedTopicRegex = m.Topics, &m.Regex
			rm.Assignment, rm.TargetAssignment = c.assignment(m.Assigned), c.assignment(m.Target)
			if rm.MemberType = memberConsumer; m.Classic {
				rm.MemberType = memberClassic
			}
			g.Members = append(g.Members, rm)
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

// describeModern describes a group, if the client may describe it and all topics that its members have or should have.
func (c *call) describeModern(name string) (group.ModernDescription, error) {
	if err := cmp.Or(c.checkGroup(acl.Describe, name), c.coordinatesGroup(name)); err != nil {
		return group.ModernDescription{}, err
	}
	d, err := c.s.in.Groups.DescribeModern(name)
	for _, m := range d.Members {
		for _, ps := range [][]group.PartitionID{m.Assigned, m.Target} {
			for id := range byTopic(ps) {
				if topic, ok := c.s.in.Groups.TopicName(id); ok && c.deniedTopic(topic) != nil {
					return group.ModernDescription{}, errTopicDenied
				}
			}
		}
	}
	return d, err
}

// assignment is partitions by topic, as far as there are such topics.
func (c *call) assignment(ps []group.PartitionID) kmsg.Assignment {
	a := kmsg.NewAssignment()
	for id, partitions := range byTopic(ps) {
		name, ok := c.s.in.Groups.TopicName(id)
		if !ok {
			continue
		}
		t := kmsg.NewAssignmentTopicPartition()
		t.TopicID, t.Topic, t.Partitions = id, name, partitions
		a.TopicPartitions = append(a.TopicPartitions, t)
	}
	return a
}

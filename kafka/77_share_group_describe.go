package kafka

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/share/members"
)

// ShareGroupDescribe: the state and the members of share groups.
//
// Version 1. Queues of the broker's own process are members too, each of which reads all partitions.
func (c *call) shareGroupDescribe(req *kmsg.ShareGroupDescribeRequest) kmsg.Response {
	resp := kmsg.NewPtrShareGroupDescribeResponse()
	for _, name := range once(req.GroupIDs, func(name string) string { return name }) {
		g := kmsg.NewShareGroupDescribeResponseGroup()
		g.GroupID = name
		err := cmp.Or(c.checkShareVersion(), c.coordinatesGroup(name))
		var info members.Info
		if err == nil {
			info, err = c.describeShare(name)
		}
		if err != nil {
			g.ErrorCode, g.ErrorMessage = c.s.groupCodeOf(err), message(err)
			resp.Groups = append(resp.Groups, g)
			continue
		}
		g.GroupState, g.GroupEpoch, g.AssignmentEpoch, g.Assignor = info.State.String(), info.Epoch, info.Assigned, "simple"
		if req.IncludeAuthorizedOperations {
			g.AuthorizedOperations = c.operations(acl.Group, name)
		}
		for _, m := range info.Members {
			g.Members = append(g.Members, describeShareMember(m))
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

// describeShare describes a group, if the client may describe it and all topics that its members have.
func (c *call) describeShare(name string) (members.Info, error) {
	if err := c.checkGroup(acl.Describe, name); err != nil {
		return members.Info{}, err
	}
	info, err := c.s.in.Members.Describe(name)
	for _, m := range info.Members {
		for _, p := range m.Partitions {
			if c.deniedTopic(p.Topic) != nil {
				return members.Info{}, errTopicDenied
			}
		}
	}
	return info, err
}

func describeShareMember(m members.MemberInfo) kmsg.ShareGroupDescribeResponseGroupMember {
	out := kmsg.NewShareGroupDescribeResponseGroupMember()
	out.MemberID, out.RackID, out.MemberEpoch = m.ID, orNull(m.Rack), m.Epoch
	out.ClientID, out.ClientHost, out.SubscribedTopicNames = m.ClientID, m.ClientHost, m.Topics
	for i := 0; i < len(m.Partitions); {
		t := kmsg.NewShareGroupDescribeResponseGroupMemberAssignmentTopicPartition()
		t.Topic, t.TopicID = m.Partitions[i].Topic, m.Partitions[i].ID
		for ; i < len(m.Partitions) && m.Partitions[i].ID == t.TopicID; i++ {
			t.Partitions = append(t.Partitions, m.Partitions[i].Index)
		}
		out.Assignment.TopicPartitions = append(out.Assignment.TopicPartitions, t)
	}
	return out
}

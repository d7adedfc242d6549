package kafka

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/feature"
	"github.com/samsa-go/samsa/share/members"
	"github.com/samsa-go/samsa/topic"
)

// ShareGroupHeartbeat: join a share group, stay in it, leave it, and hear which partitions to read (KIP-932).
//
// Version 1. A member has its partitions with its first heartbeat: Kafka tells it of none until it has begun in them.
func (c *call) shareGroupHeartbeat(req *kmsg.ShareGroupHeartbeatRequest) kmsg.Response {
	resp := kmsg.NewPtrShareGroupHeartbeatResponse()
	err := c.checkShare(&req.GroupID, &req.MemberID)
	if err == nil && req.GroupID == "" {
		err = protocolError{codeInvalidRequest, "the group must not be empty"}
	}
	if err == nil && req.RackID != nil && *req.RackID == "" {
		err = protocolError{codeInvalidRequest, "the rack must not be empty"}
	}
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.groupCodeOf(err), message(err)
		return resp
	}
	a, interval, err := c.s.in.Members.Heartbeat(c.ctx, req.GroupID, members.Heartbeat{
		MemberID: req.MemberID, Epoch: req.MemberEpoch, Rack: orNone(req.RackID), ClientID: c.clientID, ClientHost: c.host(),
		Topics: req.SubscribedTopicNames,
	})
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.groupCodeOf(err), message(err)
		return resp
	}
	resp.MemberID, resp.MemberEpoch = &req.MemberID, a.Epoch
	if a.Epoch == members.Leave {
		return resp
	}
	resp.HeartbeatIntervalMillis = heartbeatMillis(interval)
	if a.Told {
		assignment := kmsg.NewShareGroupHeartbeatResponseAssignment()
		for id, partitions := range eachTopic(a.Partitions) {
			t := kmsg.NewShareGroupHeartbeatResponseAssignmentTopicPartition()
			t.TopicID, t.Partitions = id, partitions
			assignment.TopicPartitions = append(assignment.TopicPartitions, t)
		}
		resp.Assignment = &assignment
	}
	return resp
}

// eachTopic returns the partitions of each topic, in the order of partitions, which those of a topic are together in.
func eachTopic(partitions []members.Partition) func(yield func(id topic.ID, partitions []int32) bool) {
	return func(yield func(topic.ID, []int32) bool) {
		for i := 0; i < len(partitions); {
			id := partitions[i].ID
			var indexes []int32
			for ; i < len(partitions) && partitions[i].ID == id; i++ {
				indexes = append(indexes, partitions[i].Index)
			}
			if !yield(id, indexes) {
				return
			}
		}
	}
}

// maxShareMember is the longest id of a member of a share group, in Kafka's characters.
const maxShareMember = 36

// checkShare refuses requests of share groups that cannot be, and all while share.version is 0.
func (c *call) checkShare(group, member *string) error {
	switch {
	case c.checkShareVersion() != nil:
		return c.checkShareVersion()
	case group == nil:
		return protocolError{codeInvalidRequest, "there is no group"}
	case member == nil || *member == "" || len(*member) > maxShareMember:
		return protocolError{codeInvalidRequest, fmt.Sprintf("the id of a member has 1 to %d characters", maxShareMember)}
	}
	return nil
}

func (c *call) checkShareVersion() error {
	if c.s.in.Features.Level(feature.Shares) == 0 {
		return protocolError{codeUnsupportedVersion, "share.version is 0"}
	}
	return nil
}

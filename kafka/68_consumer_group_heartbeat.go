package kafka

import (
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/epochs"
	"github.com/samsa-go/samsa/internal/feature"
)

// ownMemberID is the version of ConsumerGroupHeartbeat from which members make their ids themselves.
const ownMemberID = 1

// ConsumerGroupHeartbeat: a member's sign of life, by which it joins and leaves, and learns what to give up and what to take
// (KIP-848).
//
// Versions 0 to 1. Regular expressions are resolved at once, and not some time later, and very large ones, like a{1000}{10}, are
// refused. The rack is kept and not looked at. Without the
// feature group.version it is UNSUPPORTED_VERSION.
func (c *call) consumerGroupHeartbeat(req *kmsg.ConsumerGroupHeartbeatRequest) kmsg.Response {
	resp := kmsg.NewPtrConsumerGroupHeartbeatResponse()
	if c.s.in.Features.Level(feature.Groups) == 0 {
		resp.ErrorCode = codeUnsupportedVersion
		return resp
	}
	h, err := c.memberHeartbeat(req)
	if err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.groupCodeOf(err), message(err)
		return resp
	}
	a := c.s.in.Groups.HeartbeatModern(c.ctx, req.Group, h)
	if a.Err != nil {
		resp.ErrorCode, resp.ErrorMessage = c.s.groupCodeOf(a.Err), message(a.Err)
		return resp
	}
	resp.MemberID, resp.MemberEpoch, resp.HeartbeatIntervalMillis = &a.MemberID, a.Epoch, heartbeatMillis(a.Interval)
	if a.Told {
		resp.Assignment = new(kmsg.ConsumerGroupHeartbeatResponseAssignment)
		for id, partitions := range byTopic(a.Assigned) {
			t := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
			t.TopicID, t.Partitions = id, partitions
			resp.Assignment.Topics = append(resp.Assignment.Topics, t)
		}
	}
	return resp
}

// memberHeartbeat is req as the group gets it. What the group keeps is copied: req refers to memory that is used again.
func (c *call) memberHeartbeat(req *kmsg.ConsumerGroupHeartbeatRequest) (group.MemberHeartbeat, error) {
	for _, empty := range []struct {
		is   bool
		what string
	}{
		{req.MemberID == "" && (c.version >= ownMemberID || req.MemberEpoch > 0 || req.MemberEpoch == group.LeaveEpoch), "MemberId"},
		{req.Group == "", "GroupId"},
		{req.InstanceID != nil && *req.InstanceID == "", "InstanceId"},
		{req.RackID != nil && *req.RackID == "", "RackId"},
	} {
		if empty.is {
			return group.MemberHeartbeat{}, protocolError{codeInvalidRequest, empty.what + " can't be empty."}
		}
	}
	h := group.MemberHeartbeat{
		MemberID:         strings.Clone(req.MemberID),
		InstanceID:       strings.Clone(orNone(req.InstanceID)),
		Epoch:            req.MemberEpoch,
		NewMemberID:      newMemberID(c.clientID, ""),
		ClientID:         c.clientID,
		ClientHost:       c.host(),
		Rack:             cloned(req.RackID),
		RebalanceTimeout: time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond,
		Regex:            cloned(req.SubscribedTopicRegex),
		Assignor:         cloned(req.ServerAssignor),
	}
	if c.s.opts.ACLs != nil {
		h.Visible = c.describes()
	}
	if req.SubscribedTopicNames != nil {
		h.Topics = make([]string, len(req.SubscribedTopicNames))
		for i, name := range req.SubscribedTopicNames {
			h.Topics[i] = strings.Clone(name)
		}
	}
	if req.Topics != nil {
		h.Owned = epochs.SetOf[group.PartitionID]()
		for _, t := range req.Topics {
			for _, i := range t.Partitions {
				h.Owned[group.PartitionID{Topic: t.TopicID, Index: i}] = struct{}{}
			}
		}
	}
	return h, nil
}

// heartbeatMillis is when a member is to be heard of next, rounded up: nobody is to come before what is due.
func heartbeatMillis(interval time.Duration) int32 {
	return int32((interval + time.Millisecond - 1) / time.Millisecond)
}

func cloned(s *string) *string {
	if s == nil {
		return nil
	}
	return kmsgString(strings.Clone(*s))
}

// byTopic goes through partitions that are in order, topic by topic.
func byTopic(ps []group.PartitionID) func(yield func(id [16]byte, partitions []int32) bool) {
	return func(yield func([16]byte, []int32) bool) {
		for len(ps) > 0 {
			id, partitions := ps[0].Topic, []int32(nil)
			for len(ps) > 0 && ps[0].Topic == id {
				partitions, ps = append(partitions, ps[0].Index), ps[1:]
			}
			if !yield(id, partitions) {
				return
			}
		}
	}
}

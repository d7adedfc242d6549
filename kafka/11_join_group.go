package kafka

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// The versions of JoinGroup in which clients learned something.
const (
	joinKnownMember    = 4 // to join again with the id they are given (KIP-394)
	joinSkipAssignment = 9 // to lead without assigning (KIP-814)
)

// JoinGroup: become a member of the next generation of a group, which it waits for.
//
// Versions 0 to 9. Before version 1 the rebalance timeout is the session timeout. The reason
// (KIP-800) is not looked at. A client that goes away while it waits is forgotten if it does
// not know its member id yet; else it is a member until its session ends.
func (c *call) joinGroup(req *kmsg.JoinGroupRequest) kmsg.Response {
	resp := kmsg.NewPtrJoinGroupResponse()
	resp.MemberID, resp.Generation = req.MemberID, -1
	join, err := c.joinRequest(req)
	if err != nil {
		resp.ErrorCode = c.s.groupCodeOf(err)
		return resp
	}
	name := req.Group
	c.forgetRequest()
	joined := c.s.in.Groups.Join(c.ctx, name, join)
	resp.MemberID = joined.MemberID
	if joined.Err != nil {
		if resp.ErrorCode = c.s.groupCodeOf(joined.Err); errors.Is(joined.Err, log.ErrGroupKind) {
			resp.MemberID, resp.ErrorCode = "", codeInconsistentGroupProtocol
		}
		return resp
	}
	resp.Generation, resp.LeaderID, resp.SkipAssignment = joined.Generation, joined.Leader, joined.SkipAssignment
	resp.ProtocolType, resp.Protocol = &joined.ProtocolType, &joined.ProtocolName
	size := firstAnswerBytes
	for _, m := range joined.Members {
		size += answerPlace + len(m.ID) + len(m.InstanceID) + len(m.Metadata)
	}
	if _, err := c.answer.takeUpTo(c.s.ctx, size, 0); err != nil {
		resp.ErrorCode = codeNetworkException // the server closes
		return resp
	}
	for _, m := range joined.Members {
		rm := kmsg.NewJoinGroupResponseMember()
		rm.MemberID, rm.InstanceID, rm.ProtocolMetadata = m.ID, orNull(m.InstanceID), m.Metadata
		resp.Members = append(resp.Members, rm)
	}
	return resp
}

// joinRequest is req as the group gets it. What the group keeps is copied: req refers to
// memory that is used again.
func (c *call) joinRequest(req *kmsg.JoinGroupRequest) (group.JoinRequest, error) {
	instance := orNone(req.InstanceID)
	if len(instance) > maxInstanceID {
		text := fmt.Sprintf("instance id of %d bytes, at most %d", len(instance), maxInstanceID)
		return group.JoinRequest{}, protocolError{codeInvalidRequest, text}
	}
	join := group.JoinRequest{
		MemberID:           req.MemberID,
		InstanceID:         instance,
		NewMemberID:        newMemberID(c.clientID, instance),
		RequireKnownMember: c.version >= joinKnownMember,
		SkipAssignment:     c.version >= joinSkipAssignment,
		ClientID:           c.clientID,
		ClientHost:         c.host(),
		SessionTimeout:     time.Duration(req.SessionTimeoutMillis) * time.Millisecond,
		RebalanceTimeout:   time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond,
		ProtocolType:       req.ProtocolType,
	}
	for _, p := range req.Protocols {
		join.Protocols = append(join.Protocols, group.Protocol{Name: p.Name, Metadata: bytes.Clone(p.Metadata)})
	}
	return join, nil
}

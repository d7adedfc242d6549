package kafka

import (
	"bytes"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
)

// syncProtocol is the version of SyncGroup from which members say which protocol they take the
// generation to have (KIP-559).
const syncProtocol = 5

// SyncGroup: a member's assignment, which the leader brings for all. It waits for the leader.
//
// Versions 0 to 5. A group that nobody knows has no members: UNKNOWN_MEMBER_ID.
func (c *call) syncGroup(req *kmsg.SyncGroupRequest) kmsg.Response {
	resp := kmsg.NewPtrSyncGroupResponse()
	if c.version >= syncProtocol && (req.ProtocolType == nil || req.Protocol == nil) {
		resp.ErrorCode = codeInconsistentGroupProtocol
		return resp
	}
	assignments := make(map[string][]byte, len(req.GroupAssignment))
	for _, a := range req.GroupAssignment {
		assignments[a.MemberID] = bytes.Clone(a.MemberAssignment) // the group keeps it
	}
	name, sync := req.Group, group.SyncRequest{
		MemberID:     req.MemberID,
		InstanceID:   orNone(req.InstanceID),
		Generation:   req.Generation,
		ProtocolType: orNone(req.ProtocolType),
		ProtocolName: orNone(req.Protocol),
		Assignments:  assignments,
	}
	c.forgetRequest()
	synced := c.s.in.Groups.Sync(c.ctx, name, sync)
	if synced.Err != nil {
		resp.ErrorCode = c.s.groupCodeOf(synced.Err)
		return resp
	}
	resp.ProtocolType, resp.Protocol = &synced.ProtocolType, &synced.ProtocolName
	resp.MemberAssignment = synced.Assignment
	return resp
}

package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Heartbeat: a member's sign of life. REBALANCE_IN_PROGRESS asks it to join again.
//
// Versions 0 to 4. A group that nobody knows has no members: UNKNOWN_MEMBER_ID.
func (c *call) heartbeat(req *kmsg.HeartbeatRequest) kmsg.Response {
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.ErrorCode = c.s.groupCodeOf(c.s.in.Groups.Heartbeat(req.Group, req.MemberID, orNone(req.InstanceID), req.Generation))
	return resp
}

package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/log"
)

// Heartbeat: a member's sign of life. REBALANCE_IN_PROGRESS asks it to join again.
//
// Versions 0 to 4. A group that nobody knows has no members: UNKNOWN_MEMBER_ID.
func (c *call) heartbeat(req *kmsg.HeartbeatRequest) kmsg.Response {
	resp := kmsg.NewPtrHeartbeatResponse()
	err := c.s.in.Groups.Heartbeat(req.Group, req.MemberID, orNone(req.InstanceID), req.Generation)
	if err == nil && c.s.before(firstCalmSync) {
		if d, gone := c.s.in.Groups.Describe(req.Group); gone == nil && d.State == group.CompletingRebalance {
			err = log.ErrRebalanceInProgress
		}
	}
	resp.ErrorCode = c.s.groupCodeOf(err)
	return resp
}

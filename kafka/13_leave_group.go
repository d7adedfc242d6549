package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
)

// leaveMany is the version of LeaveGroup from which many members leave at a time (KIP-345).
const leaveMany = 3

// LeaveGroup: members leave a group. Static members can be named by their instance ids alone.
//
// Versions 0 to 5. Reasons (KIP-800) are not looked at.
func (c *call) leaveGroup(req *kmsg.LeaveGroupRequest) kmsg.Response {
	resp := kmsg.NewPtrLeaveGroupResponse()
	if err := group.CheckName(req.Group); err != nil {
		resp.ErrorCode = c.s.groupCodeOf(err)
		return resp
	}
	if c.version < leaveMany {
		errs := c.s.in.Groups.Leave(req.Group, []group.LeaveMember{{MemberID: req.MemberID}})
		resp.ErrorCode = c.s.groupCodeOf(errs[0])
		return resp
	}
	leaving := make([]group.LeaveMember, len(req.Members))
	for i, m := range req.Members {
		leaving[i] = group.LeaveMember{MemberID: m.MemberID, InstanceID: orNone(m.InstanceID)}
	}
	for i, err := range c.s.in.Groups.Leave(req.Group, leaving) {
		m := kmsg.NewLeaveGroupResponseMember()
		m.MemberID, m.InstanceID, m.ErrorCode = req.Members[i].MemberID, req.Members[i].InstanceID, c.s.groupCodeOf(err)
		resp.Members = append(resp.Members, m)
	}
	return resp
}

package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/log"
)

// describeNotFound is the version of DescribeGroups from which a group that does not exist
// is an error (KIP-1043).
const describeNotFound = 6

// DescribeGroups: the state and the members of groups.
//
// Versions 0 to 6. A group that does not exist is Dead, and from version 6 on
// GROUP_ID_NOT_FOUND too.
func (c *call) describeGroups(req *kmsg.DescribeGroupsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeGroupsResponse()
	for _, name := range once(req.Groups, func(name string) string { return name }) {
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group = name
		if err := c.checkGroup(acl.Describe, name); err != nil {
			g.ErrorCode, g.ErrorMessage = c.s.codeOf(err), message(err)
			resp.Groups = append(resp.Groups, g)
			continue
		}
		var d group.Description
		err := c.coordinatesGroup(name)
		if err == nil {
			d, err = c.s.in.Groups.Describe(name)
		}
		if err == nil && d.Kind != group.Classic {
			d, err = group.Description{}, fmt.Errorf("group %s: %w: it is a %s group", name, log.ErrUnknownGroup, d.Kind)
		}
		if errors.Is(err, log.ErrUnknownGroup) {
			d.State = group.Dead
		}
		if err != nil && (d.State != group.Dead || c.version >= describeNotFound) {
			g.ErrorCode, g.ErrorMessage = c.s.groupCodeOf(err), message(err)
		}
		if req.IncludeAuthorizedOperations && g.ErrorCode == codeNone {
			g.AuthorizedOperations = c.operations(acl.Group, name)
		}
		if err == nil || d.State == group.Dead {
			g.State, g.ProtocolType, g.Protocol = d.State.String(), d.ProtocolType, d.ProtocolName
		}
		for _, m := range d.Members {
			rm := kmsg.NewDescribeGroupsResponseGroupMember()
			rm.MemberID, rm.InstanceID = m.ID, orNull(m.InstanceID)
			rm.ClientID, rm.ClientHost = m.ClientID, m.ClientHost
			rm.ProtocolMetadata, rm.MemberAssignment = m.Metadata, m.Assignment
			g.Members = append(g.Members, rm)
		}
		resp.Groups = append(resp.Groups, g)
	}
	return resp
}

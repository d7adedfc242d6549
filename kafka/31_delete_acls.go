package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// DeleteAcls: removes the ACLs that filters find, and tells which those were: what several find is told for each.
//
// Versions 0 to 3. Without Options.ACLs each filter is SECURITY_DISABLED, as from a Kafka without an authorizer.
func (c *call) deleteACLs(req *kmsg.DeleteACLsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteACLsResponse()
	var good []acl.Filter
	for i := range req.Filters {
		rf := &req.Filters[i]
		err := c.checkAuthorizer()
		var f acl.Filter
		if err == nil {
			f, err = c.aclFilter(rf.ResourceType, rf.ResourceName, rf.ResourcePatternType, rf.Principal, rf.Host, rf.Operation, rf.PermissionType)
		}
		if err == nil {
			good = append(good, f)
		}
		r := kmsg.NewDeleteACLsResponseResult()
		r.ErrorCode, r.ErrorMessage = c.s.codeOf(err), message(err)
		resp.Results = append(resp.Results, r)
	}
	if len(good) == 0 {
		return resp
	}
	found, err := c.s.in.ACLs.Delete(c.s.ctx, good...)
	for i := range resp.Results {
		r := &resp.Results[i]
		switch {
		case r.ErrorCode != codeNone:
		case err != nil:
			r.ErrorCode, r.ErrorMessage = c.s.codeOf(err), message(err)
		default:
			r.MatchingACLs, found = deletedACLs(found[0]), found[1:]
		}
	}
	return resp
}

func deletedACLs(rules []acl.Rule) (out []kmsg.DeleteACLsResponseResultMatchingACL) {
	for _, r := range rules {
		m := kmsg.NewDeleteACLsResponseResultMatchingACL()
		m.ResourceType, m.ResourceName, m.ResourcePatternType = kmsg.ACLResourceType(r.Resource), r.Name, kmsg.ACLResourcePatternType(r.Pattern)
		m.Principal, m.Host, m.Operation, m.PermissionType = r.Principal, r.Host, kmsg.ACLOperation(r.Operation), kmsg.ACLPermissionType(r.Permission)
		out = append(out, m)
	}
	return out
}

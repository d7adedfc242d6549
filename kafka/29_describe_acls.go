package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// literalACLs is the version of the requests about ACLs before which there are literal names alone.
const literalACLs = 0

// DescribeAcls: the ACLs that a filter finds.
//
// Versions 0 to 3. Without Options.ACLs it is SECURITY_DISABLED, as from a Kafka without an authorizer.
func (c *call) describeACLs(req *kmsg.DescribeACLsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeACLsResponse()
	err := c.checkAuthorizer()
	var f acl.Filter
	if err == nil {
		f, err = c.aclFilter(req.ResourceType, req.ResourceName, req.ResourcePatternType, req.Principal, req.Host, req.Operation, req.PermissionType)
	}
	if resp.ErrorCode, resp.ErrorMessage = c.s.codeOf(err), message(err); err != nil {
		return resp
	}
	for _, r := range c.s.in.ACLs.Now().Rules(f) { // in order
		last := len(resp.Resources) - 1
		if last < 0 || !isOf(&resp.Resources[last], r) {
			res := kmsg.NewDescribeACLsResponseResource()
			res.ResourceType, res.ResourceName, res.ResourcePatternType = kmsg.ACLResourceType(r.Resource), r.Name, kmsg.ACLResourcePatternType(r.Pattern)
			resp.Resources = append(resp.Resources, res)
			last++
		}
		a := kmsg.NewDescribeACLsResponseResourceACL()
		a.Principal, a.Host, a.Operation, a.PermissionType = r.Principal, r.Host, kmsg.ACLOperation(r.Operation), kmsg.ACLPermissionType(r.Permission)
		resp.Resources[last].ACLs = append(resp.Resources[last].ACLs, a)
	}
	return resp
}

func isOf(res *kmsg.DescribeACLsResponseResource, r acl.Rule) bool {
	return res.ResourceName == r.Name && res.ResourceType == kmsg.ACLResourceType(r.Resource) && res.ResourcePatternType == kmsg.ACLResourcePatternType(r.Pattern)
}

// checkAuthorizer refuses requests about ACLs where nobody would ask them.
func (c *call) checkAuthorizer() error {
	if c.s.opts.ACLs == nil {
		return errNoAuthorizer
	}
	return nil
}

var errNoAuthorizer = protocolError{codeSecurityDisabled, "there is no authorizer"}

// aclFilter is a filter of a request, in which each number must be one that there is.
func (c *call) aclFilter(r kmsg.ACLResourceType, name *string, p kmsg.ACLResourcePatternType, principal, host *string, op kmsg.ACLOperation, perm kmsg.ACLPermissionType) (acl.Filter, error) {
	f := acl.Filter{
		Resource: acl.Resource(r), Name: cloned(name), Pattern: acl.Pattern(p), Principal: cloned(principal), Host: cloned(host),
		Operation: acl.Operation(op), Permission: acl.Permission(perm),
	}
	if c.version == literalACLs {
		f.Pattern = acl.Literal
	}
	if f.Resource == 0 || f.Pattern == 0 || f.Operation == 0 || f.Permission == 0 {
		return f, protocolError{codeInvalidRequest, "the filter has unknown elements"}
	}
	return f, f.Check()
}

package kafka

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/internal/acl"
)

// CreateAcls: adds ACLs. One that is there already is no error.
//
// Versions 0 to 3. Those that can be ACLs are added together, and the others are INVALID_REQUEST. Without Options.ACLs each is
// SECURITY_DISABLED, as from a Kafka without an authorizer.
func (c *call) createACLs(req *kmsg.CreateACLsRequest) kmsg.Response {
	resp := kmsg.NewPtrCreateACLsResponse()
	errs := make([]error, len(req.Creations))
	var good []acl.Rule
	for i := range req.Creations {
		r := c.newACL(&req.Creations[i])
		if errs[i] = c.checkAuthorizer(); errs[i] == nil {
			errs[i] = r.Check()
		}
		if errs[i] == nil {
			good = append(good, r)
		}
	}
	var failed error
	if len(good) > 0 {
		failed = c.s.in.ACLs.Create(c.s.ctx, good...)
	}
	for _, err := range errs {
		if err == nil {
			err = failed
		}
		r := kmsg.NewCreateACLsResponseResult()
		r.ErrorCode, r.ErrorMessage = c.s.codeOf(err), message(err)
		resp.Results = append(resp.Results, r)
	}
	return resp
}

// newACL is an ACL of a request, whose memory is used again.
func (c *call) newACL(rc *kmsg.CreateACLsRequestCreation) acl.Rule {
	r := acl.Rule{
		Resource: acl.Resource(rc.ResourceType), Name: strings.Clone(rc.ResourceName), Pattern: acl.Pattern(rc.ResourcePatternType),
		Principal: strings.Clone(rc.Principal), Host: strings.Clone(rc.Host),
		Operation: acl.Operation(rc.Operation), Permission: acl.Permission(rc.PermissionType),
	}
	if c.version == literalACLs {
		r.Pattern = acl.Literal
	}
	return r
}

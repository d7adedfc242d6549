package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DeleteAcls: there are none.
//
// Versions 0 to 3: SECURITY_DISABLED for each filter, as from a Kafka without an authorizer.
func (c *call) deleteACLs(req *kmsg.DeleteACLsRequest) kmsg.Response {
	resp := kmsg.NewPtrDeleteACLsResponse()
	for range req.Filters {
		r := kmsg.NewDeleteACLsResponseResult()
		r.ErrorCode, r.ErrorMessage = c.s.codeOf(errNoAuthorizer), message(errNoAuthorizer)
		resp.Results = append(resp.Results, r)
	}
	return resp
}

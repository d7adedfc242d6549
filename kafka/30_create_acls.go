package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateAcls: nobody would ask them.
//
// Versions 0 to 3: SECURITY_DISABLED for each, as from a Kafka without an authorizer.
func (c *call) createACLs(req *kmsg.CreateACLsRequest) kmsg.Response {
	resp := kmsg.NewPtrCreateACLsResponse()
	for range req.Creations {
		r := kmsg.NewCreateACLsResponseResult()
		r.ErrorCode, r.ErrorMessage = c.s.codeOf(errNoAuthorizer), message(errNoAuthorizer)
		resp.Results = append(resp.Results, r)
	}
	return resp
}

package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeAcls: there are none, and nobody who would ask them.
//
// Versions 0 to 3: SECURITY_DISABLED, as from a Kafka without an authorizer.
func (c *call) describeACLs(*kmsg.DescribeACLsRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeACLsResponse()
	resp.ErrorCode, resp.ErrorMessage = c.s.codeOf(errNoAuthorizer), message(errNoAuthorizer)
	return resp
}

var errNoAuthorizer = protocolError{codeSecurityDisabled, "there is no authorizer"}

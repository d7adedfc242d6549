package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeDelegationToken: there are no tokens, as nobody is authenticated.
//
// Versions 0 to 3: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as from a Kafka without SASL.
func (c *call) describeDelegationToken(*kmsg.DescribeDelegationTokenRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeDelegationTokenResponse()
	resp.ErrorCode = codeDelegationTokenRequestNotAllowed
	return resp
}

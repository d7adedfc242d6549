package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// RenewDelegationToken: there are no tokens, as nobody is authenticated.
//
// Versions 0 to 2: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as from a Kafka without SASL.
func (c *call) renewDelegationToken(*kmsg.RenewDelegationTokenRequest) kmsg.Response {
	resp := kmsg.NewPtrRenewDelegationTokenResponse()
	resp.ErrorCode, resp.ExpiryTimestamp = codeDelegationTokenRequestNotAllowed, -1
	return resp
}

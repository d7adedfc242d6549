package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// RenewDelegationToken: there are no tokens.
//
// Versions 0 to 2: errors as those of CreateDelegationToken.
func (c *call) renewDelegationToken(*kmsg.RenewDelegationTokenRequest) kmsg.Response {
	resp := kmsg.NewPtrRenewDelegationTokenResponse()
	resp.ErrorCode, resp.ExpiryTimestamp = c.tokenCode(), -1
	return resp
}

package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ExpireDelegationToken: there are no tokens.
//
// Versions 0 to 2: errors as those of CreateDelegationToken.
func (c *call) expireDelegationToken(*kmsg.ExpireDelegationTokenRequest) kmsg.Response {
	resp := kmsg.NewPtrExpireDelegationTokenResponse()
	resp.ErrorCode, resp.ExpiryTimestamp = c.tokenCode(), -1
	return resp
}

package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeDelegationToken: there are no tokens.
//
// Versions 0 to 3: errors as those of CreateDelegationToken.
func (c *call) describeDelegationToken(*kmsg.DescribeDelegationTokenRequest) kmsg.Response {
	resp := kmsg.NewPtrDescribeDelegationTokenResponse()
	resp.ErrorCode = c.tokenCode()
	return resp
}

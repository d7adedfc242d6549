package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateDelegationToken: tokens are for who has been authenticated, which nobody is.
//
// Versions 0 to 3: DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, as from a Kafka without SASL. The answer
// names the owner that the request asks a token for, or else who asks.
func (c *call) createDelegationToken(req *kmsg.CreateDelegationTokenRequest) kmsg.Response {
	resp := kmsg.NewPtrCreateDelegationTokenResponse()
	resp.ErrorCode = codeDelegationTokenRequestNotAllowed
	resp.PrincipalType, resp.PrincipalName = c.from.Type, c.from.Name
	if req.OwnerPrincipalName != nil && *req.OwnerPrincipalName != "" {
		resp.PrincipalType, resp.PrincipalName = orNone(req.OwnerPrincipalType), *req.OwnerPrincipalName
	}
	resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = c.from.Type, c.from.Name
	resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = -1, -1, -1
	return resp
}

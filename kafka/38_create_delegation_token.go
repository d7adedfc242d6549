package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateDelegationToken: there are no tokens.
//
// Versions 0 to 3: DELEGATION_TOKEN_AUTH_DISABLED, as from a Kafka without a key for tokens, or
// DELEGATION_TOKEN_REQUEST_NOT_ALLOWED to who has not said who he is. The answer
// names the owner that the request asks a token for, or else who asks.
func (c *call) createDelegationToken(req *kmsg.CreateDelegationTokenRequest) kmsg.Response {
	resp := kmsg.NewPtrCreateDelegationTokenResponse()
	resp.ErrorCode = c.tokenCode()
	resp.PrincipalType, resp.PrincipalName = c.from.Type, c.from.Name
	if req.OwnerPrincipalName != nil && *req.OwnerPrincipalName != "" {
		resp.PrincipalType, resp.PrincipalName = orNone(req.OwnerPrincipalType), *req.OwnerPrincipalName
	}
	resp.TokenRequesterPrincipalType, resp.TokenRequesterPrincipalName = c.from.Type, c.from.Name
	resp.IssueTimestamp, resp.ExpiryTimestamp, resp.MaxTimestamp = -1, -1, -1
	return resp
}

// tokenCode is why there are no delegation tokens for who asks.
func (c *call) tokenCode() int16 {
	if c.conn.auth == nil && c.from == Anonymous {
		return codeDelegationTokenRequestNotAllowed
	}
	return codeDelegationTokenAuthDisabled
}

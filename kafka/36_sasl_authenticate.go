package kafka

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// SaslAuthenticate: a token of the mechanism that SaslHandshake has named.
//
// Versions 0 to 2. How long the session lasts is told from version 1 on, and holds for all. What fails is SASL_AUTHENTICATION_FAILED, and the
// connection ends. ILLEGAL_SASL_STATE is answered to who has logged in, and where nobody is asked.
func (c *call) saslAuthenticate(req *kmsg.SASLAuthenticateRequest) kmsg.Response {
	if a := c.conn.auth; a != nil && a.exchange != nil {
		return a.next(c, req.SASLAuthBytes)
	}
	resp, told := kmsg.NewPtrSASLAuthenticateResponse(), "SaslAuthenticate request received after successful authentication"
	resp.ErrorCode, resp.ErrorMessage = codeIllegalSASLState, &told
	return resp
}

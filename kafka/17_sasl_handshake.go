package kafka

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// SaslHandshake: by which mechanism the client says who it is.
//
// Versions 0 and 1: behind 0 come tokens without a header, behind 1 SaslAuthenticate. A mechanism that is not enabled is
// UNSUPPORTED_SASL_MECHANISM, with those that are, and the connection ends. ILLEGAL_SASL_STATE is answered where nobody is asked, and to who
// has logged in and has no need to do so again (KIP-368), or does it within a second; and where a token is expected, before the end.
func (c *call) saslHandshake(req *kmsg.SASLHandshakeRequest) kmsg.Response {
	resp := kmsg.NewPtrSASLHandshakeResponse()
	a, now := c.conn.auth, time.Now()
	switch {
	case a == nil:
		resp.ErrorCode = codeIllegalSASLState
		return resp
	case a.exchange != nil:
		resp.ErrorCode = codeIllegalSASLState
		a.fail(c, errTwice)
		return resp
	case a.known && (a.until.IsZero() || !a.again.IsZero() && now.Sub(a.again) < minReauth):
		if a.late() {
			a.fail(c, errSession)
			return nil
		}
		resp.ErrorCode = codeIllegalSASLState
		a.open.Store(true)
		return resp
	case a.known:
		a.again = now
	}
	resp.SupportedMechanisms = a.o.mechanisms()
	if !slices.Contains(resp.SupportedMechanisms, req.Mechanism) {
		resp.ErrorCode = codeUnsupportedSASLMechanism
		a.fail(c, errMechanism)
		return resp
	}
	a.bare = c.version == 0
	a.begin(c, req.Mechanism)
	return resp
}

package sasl

import (
	"encoding/json"
	"regexp"
	"strings"
)

// NewOAuthBearer begins a try by OAUTHBEARER. validate tells who has brought a token; what it fails with the client does not hear of.
func NewOAuthBearer(validate func(token string) (Identity, error)) Exchange {
	return &oauthBearer{validate: validate}
}

// oauthBearer is the server of RFC 7628. A token that is refused is answered with JSON, which the client answers with a byte 1, and
// only then it has failed.
type oauthBearer struct {
	validate func(string) (Identity, error)
	refused  string
}

// maxBearer bounds the client's message, in bytes: to look at it takes time, and nobody has logged in. Tokens have some KiB.
const maxBearer = 64 << 10

// Next takes a message.
func (o *oauthBearer) Next(token []byte) ([]byte, *Identity, error) {
	if o.refused != "" {
		if string(token) == "\x01" {
			return nil, nil, Told(o.refused)
		}
		return nil, nil, failed("a message behind a refused token")
	}
	if len(token) > maxBearer {
		return nil, nil, failed("a message of OAUTHBEARER with more than %d bytes", maxBearer)
	}
	as, bearer, err := cutBearer(string(token))
	if err != nil {
		return nil, nil, err
	}
	who, err := o.validate(bearer)
	if err != nil || who.Name == "" {
		refused, _ := json.Marshal(map[string]string{"status": "invalid_token"})
		o.refused = string(refused)
		return refused, nil, nil
	}
	if as != "" && as != who.Name {
		return nil, nil, Told("Authentication failed: Client requested an authorization id that is different from the token's principal name")
	}
	return nil, &who, nil
}

var (
	oauthPairs = regexp.MustCompile(`^n,(?:a=((?:[^=,\x00]|=2C|=3D)+))?,\x01((?:[A-Za-z]+=[\x21-\x7E \t\r\n]+\x01)*)\x01$`)
	oauthToken = regexp.MustCompile(`^(?i:bearer) +([-_~+/.a-zA-Z0-9]+=*)$`)
)

// cutBearer returns the authorization id, "" for none, and the token of a first message:
//
//	n,[a=authzid],^Aauth=Bearer token^A[name=value^A...]^A
func cutBearer(message string) (as, token string, err error) {
	m := oauthPairs.FindStringSubmatch(message)
	if m == nil {
		return "", "", failed("a first message of OAUTHBEARER that is none")
	}
	if as, _ = unescape(m[1]); as == "" && m[1] != "" {
		return "", "", failed("a first message of OAUTHBEARER with a malformed authorization id")
	}
	for pair := range strings.SplitSeq(m[2], "\x01") {
		if auth, ok := strings.CutPrefix(pair, "auth="); ok {
			if t := oauthToken.FindStringSubmatch(auth); t != nil {
				return as, t[1], nil
			}
		}
	}
	return "", "", failed("a first message of OAUTHBEARER without a token")
}

package sasl

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"strconv"
	"strings"
)

// NewScram begins a try by one of the mechanisms of SCRAM.
func NewScram(mechanism string, users Users) Exchange {
	return &scram{mechanism: mechanism, hash: hashOf(mechanism), users: users, nonce: rand.Text()}
}

// scram is the server of RFC 5802 without channel binding (a client that could bind sends y for n):
//
//	client: n,[a=authzid],n=user,r=nonce[,extensions]          first: what follows the second comma is bare
//	server: r=nonce+ours,s=salt,i=iterations                   asked
//	client: c=biws,r=nonce+ours[,extensions],p=proof           final; biws is "n,," in base64
//	server: v=signature
//
// proof is ClientKey xor HMAC(StoredKey, bare "," asked "," final without its proof), signature the HMAC by ServerKey of the same.
type scram struct {
	mechanism string
	hash      func() hash.Hash
	users     Users
	nonce     string // ours

	credential Credential // from here on known once the first message has come
	user       string
	known      bool
	header     string // of the first message, as it came: n,[a=authzid],
	bare       string
	asked      string
}

// maxScram bounds the client's messages, in bytes: what the first one says is kept until the last one comes, of clients that have not
// logged in. A user has at most 255 bytes, and nonces of clients have some dozens.
const maxScram = 4 << 10

// Next takes a message.
func (s *scram) Next(token []byte) ([]byte, *Identity, error) {
	if len(token) > maxScram {
		return nil, nil, failed("a message of SCRAM with more than %d bytes", maxScram)
	}
	if s.asked == "" {
		answer, err := s.first(string(token))
		return answer, nil, err
	}
	answer, err := s.final(string(token))
	if err != nil {
		return nil, nil, err
	}
	return answer, &Identity{Name: s.user}, nil
}

// first takes the client's first message. Who does not exist is answered like everybody else.
func (s *scram) first(message string) ([]byte, error) {
	parts := strings.SplitN(message, ",", 3)
	if len(parts) < 3 || parts[0] != "n" && parts[0] != "y" {
		return nil, failed("a first message of SCRAM that is none, or wants channel binding")
	}
	as, hasID := strings.CutPrefix(parts[1], "a=")
	if !hasID && parts[1] != "" {
		return nil, failed("a first message of SCRAM with a malformed authorization id")
	}
	s.header, s.bare = parts[0]+","+parts[1]+",", parts[2]
	fields := strings.Split(s.bare, ",")
	if len(fields) < 2 {
		return nil, failed("a first message of SCRAM without user and nonce")
	}
	name, isName := strings.CutPrefix(fields[0], "n=")
	nonce, isNonce := strings.CutPrefix(fields[1], "r=")
	user, ok := unescape(name)
	if !isName || !isNonce || !ok || user == "" || !printable(nonce) {
		return nil, failed("a first message of SCRAM without user and nonce")
	}
	for _, extension := range fields[2:] {
		if extension == "tokenauth=true" {
			return nil, failed("a delegation token, of which there are none")
		}
	}
	if id, ok := unescape(as); hasID && (!ok || id != user) {
		return nil, errOtherID
	}
	s.user = user
	s.credential, s.known = s.users.Credential(s.mechanism, user)
	s.nonce = nonce + s.nonce
	s.asked = "r=" + s.nonce + ",s=" + base64.StdEncoding.EncodeToString(s.credential.Salt) + ",i=" + strconv.Itoa(s.credential.Iterations)
	return []byte(s.asked), nil
}

// final takes the client's last message.
func (s *scram) final(message string) ([]byte, error) {
	without, encoded, ok := cutLast(message, ",p=")
	proof, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil {
		return nil, failed("a last message of SCRAM without a proof")
	}
	fields := strings.Split(without, ",")
	if len(fields) < 2 || fields[1] != "r="+s.nonce {
		return nil, failed("a last message of SCRAM with another nonce (librdkafka before 2.6.1 sends one)")
	}
	bound, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fields[0], "c="))
	if err != nil || !strings.HasPrefix(fields[0], "c=") || string(bound) != s.header {
		return nil, failed("a last message of SCRAM with another header")
	}
	text := s.bare + "," + s.asked + "," + without
	if !s.proves(proof, text) || !s.known {
		return nil, failed("a wrong proof")
	}
	signature := sum(s.hash, s.credential.ServerKey, text)
	return []byte("v=" + base64.StdEncoding.EncodeToString(signature)), nil
}

// proves reports whether proof is one that its sender knows the password. It takes the same time for each of the right length.
func (s *scram) proves(proof []byte, text string) bool {
	m := hmac.New(s.hash, s.credential.StoredKey)
	m.Write([]byte(text))
	key := m.Sum(nil)
	if len(proof) != len(key) {
		return false
	}
	subtle.XORBytes(key, key, proof)
	stored := s.hash()
	stored.Write(key)
	return subtle.ConstantTimeCompare(stored.Sum(nil), s.credential.StoredKey) == 1
}

// cutLast cuts s at the last sep.
func cutLast(s, sep string) (before, after string, ok bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// unescape returns a name of which =2C was a comma and =3D an equals sign.
func unescape(name string) (string, bool) {
	var b strings.Builder
	for {
		plain, rest, more := strings.Cut(name, "=")
		b.WriteString(plain)
		switch {
		case !more:
			return b.String(), !strings.Contains(b.String(), "\x00")
		case strings.HasPrefix(rest, "2C"):
			b.WriteByte(',')
		case strings.HasPrefix(rest, "3D"):
			b.WriteByte('=')
		default:
			return "", false
		}
		name = rest[2:]
	}
}

// printable reports whether a nonce is one: some characters of ASCII that can be seen, without commas.
func printable(nonce string) bool {
	return nonce != "" && bytes.IndexFunc([]byte(nonce), func(r rune) bool { return r < '!' || r > '~' }) < 0
}

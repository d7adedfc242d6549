package sasl

import (
	"strconv"
	"strings"
)

// NewPlain begins a try by PLAIN.
func NewPlain(users Users) Exchange { return plain{users} }

type plain struct{ users Users }

// Next takes the one message that there is: authorization id, user and password, with a zero between them (RFC 4616). What the client is
// told is what Kafka says.
func (p plain) Next(token []byte) ([]byte, *Identity, error) {
	parts := strings.SplitN(string(token), "\x00", most)
	if len(parts) != 3 {
		return nil, nil, Told("Invalid SASL/PLAIN response: expected 3 tokens, got " + strconv.Itoa(len(parts)))
	}
	as, user, password := parts[0], parts[1], parts[2]
	switch {
	case user == "":
		return nil, nil, Told("Authentication failed: username not specified")
	case password == "":
		return nil, nil, Told("Authentication failed: password not specified")
	case !p.users.Password(user, password):
		return nil, nil, Told("Authentication failed: Invalid username or password")
	case as != "" && as != user:
		return nil, nil, errOtherID
	}
	return nil, &Identity{Name: user}, nil
}

// errOtherID is for who wants to be somebody else than he is.
const errOtherID = Told("Authentication failed: Client requested an authorization id that is different from username")

// most is how many parts of a message are looked for, as in Kafka: one more than there may be.
const most = 4

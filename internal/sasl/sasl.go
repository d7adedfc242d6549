// Package sasl is the server's side of the ways in which a client of Kafka says who it is: PLAIN (RFC 4616), SCRAM-SHA-256 and SCRAM-SHA-512
// (RFC 5802, RFC 7677), and OAUTHBEARER (RFC 7628). Each is a value, without goroutine, clock or network. Users import package kafka.
package sasl

import (
	"errors"
	"fmt"
	"time"
)

// The names of the mechanisms.
const (
	Plain       = "PLAIN"
	ScramSHA256 = "SCRAM-SHA-256"
	ScramSHA512 = "SCRAM-SHA-512"
	OAuthBearer = "OAUTHBEARER"
)

// Mechanisms are all there are, in the order in which they are told.
var Mechanisms = []string{Plain, ScramSHA256, ScramSHA512, OAuthBearer}

// ErrFailed is that somebody is not who he says. What a client may be told stands in a Told; nothing else of an error may go to it: it
// could say who exists.
var ErrFailed = errors.New("authentication failed")

// Told is an ErrFailed with the words that the client is given. They hold nothing secret.
type Told string

// Error implements error.
func (t Told) Error() string { return string(t) }

// Unwrap returns ErrFailed.
func (t Told) Unwrap() error { return ErrFailed }

// failed is an ErrFailed of which the client is told that it has failed.
func failed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrFailed, fmt.Sprintf(format, args...))
}

// Identity is who somebody is.
type Identity struct {
	Type    string    // of the principal; "" for that of users
	Name    string    // not ""
	Expires time.Time // when that has to be proved anew; zero for never
}

// Exchange is one try to say who somebody is.
type Exchange interface {
	// Next takes what the client has sent and returns what it is answered. The client is who it says once who is not nil; nothing more is
	// taken then. An error is ErrFailed, or that of a validator of tokens, and ends the try. Next keeps no reference to token.
	Next(token []byte) (answer []byte, who *Identity, err error)
}

// Users is the passwords of users.
type Users interface {
	// Credential returns what is known of a user's password for a mechanism of SCRAM. For somebody who does not exist, or has none for
	// it, it is one that no password fits, and ok is false; the same for the same name, so that nobody can tell it from another.
	Credential(mechanism, user string) (c Credential, ok bool)
	// Password reports whether a password is that of a user. It takes the same time for somebody who does not exist.
	Password(user, password string) bool
}

package kafka

import (
	"testing"

	"github.com/samsa-go/samsa"
)

// Who has proved nothing is ANONYMOUS, whoever asks for it.
func TestAnonymous(t *testing.T) {
	if p := PrincipalOf(t.Context()); p != Anonymous || p.String() != "User:ANONYMOUS" {
		t.Errorf("a context of no request is %v's", p)
	}
	k := start(t, samsa.Options{}, Options{})
	c := newConn(k.srv, k.dial())
	defer c.cancel()
	if p := PrincipalOf(c.requests); p != Anonymous || c.principal != Anonymous {
		t.Errorf("a new connection is %v's, and its requests are %v's", c.principal, p)
	}
	alice := Principal{UserType, "alice"}
	c.become(alice)
	if p := PrincipalOf(c.requests); p != alice || c.principal != alice {
		t.Errorf("alice's connection is %v's, and its requests are %v's", c.principal, p)
	}
}

package main

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/samsa-go/samsa/samsatest"
)

// The server has a certificate that the client trusts, and asks for a password.
func TestLogin(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic(orders, 1))
	s := samsatest.Secure(t, b, samsatest.Guard{TLS: true, Users: map[string]string{"alice": "secret"}})
	for password, want := range map[string]error{"secret": nil, "wrong": kerr.SaslAuthenticationFailed} {
		login := scram.Auth{User: "alice", Pass: password}.AsSha256Mechanism()
		cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.DialTLSConfig(s.TLS()), kgo.SASL(login))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		if err := cl.Ping(t.Context()); !errors.Is(err, want) {
			t.Errorf("by %q: %v, want %v", password, err, want)
		}
	}
}

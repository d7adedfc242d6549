package samsatest_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// hello asks for the versions over a connection, with which a server has taken a client's certificate.
func hello(nc net.Conn) error {
	req := kmsg.NewPtrApiVersionsRequest()
	_, err := nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1))
	if err == nil {
		_, err = io.ReadFull(nc, make([]byte, 8))
	}
	return errors.Join(err, nc.Close())
}

// Each certificate that is wrong is refused by who has to refuse it, and the right ones are taken, on both sides.
func TestSecureCertificates(t *testing.T) {
	b := samsatest.New(t)
	s := samsatest.Secure(t, b, samsatest.Guard{TLS: true, Mutual: true})
	is := func(what string, config *tls.Config, ok bool) {
		t.Helper()
		nc, err := tls.Dial("tcp", s.Addr, config)
		if err == nil {
			err = hello(nc)
		}
		if (err == nil) != ok {
			t.Errorf("%s: %v", what, err)
		}
	}
	is("a good one", s.ClientTLS("alice"), true)
	is("none", s.TLS(), false)
	is("one that has ended", s.ExpiredTLS("alice"), false)
	is("a stranger's", s.StrangerTLS("alice"), false)
	is("no trust", s.DistrustTLS(), false)
	s.ShowExpired()
	is("the server's has ended", s.ClientTLS("alice"), false)
	s.ShowStranger()
	is("the server is a stranger", s.ClientTLS("alice"), false)
	s.ShowGood()
	is("a good one again", s.ClientTLS("alice"), true)
	cert, key := s.ClientPEM("bob")
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	config := s.TLS()
	config.Certificates = []tls.Certificate{pair}
	is("one of files", config, true)
}

// Somebody may not do something from now on, and may again; others may. Hooks are told who it is.
func TestSecureDenies(t *testing.T) {
	const unauthorized = 29
	asked := make(chan kafka.Principal, 10)
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Options(samsa.Options{Hooks: []samsa.Hook{{
		Request: func(ctx context.Context, _ samsa.RequestEvent) { asked <- kafka.PrincipalOf(ctx) },
	}}}))
	s := samsatest.Secure(t, b, samsatest.Guard{TLS: true, Mutual: true})
	clients := make(map[string]net.Conn)
	for _, name := range []string{"alice", "bob"} {
		nc, err := tls.Dial("tcp", s.Addr, s.ClientTLS(name))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		clients[name] = nc
	}
	hears := func(name string, want int16) {
		t.Helper()
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{{Topic: kmsg.StringPtr("t")}}
		if got := call(t, clients[name], req).(*kmsg.MetadataResponse).Topics[0].ErrorCode; got != want {
			t.Errorf("%s hears %d, want %d", name, got, want)
		}
		if p := <-asked; p.String() != "User:"+name {
			t.Errorf("the hook is told of %s", p)
		}
	}
	hears("alice", 0)
	denied := samsatest.Requests(b, kmsg.Metadata.Int16()).Of("t").OfPrincipal("User:alice").FailWith(samsatest.Code(unauthorized))
	hears("alice", unauthorized)
	hears("bob", 0)
	if denied.Hits() != 1 || !strings.Contains(denied.String(), "of User:alice") {
		t.Errorf("%s: %d hits", denied, denied.Hits())
	}
	denied.Remove()
	hears("alice", 0)
}

// In a bubble, whose year is 2000, certificates are good too, and a wrong password costs no time.
func TestSecurePipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t)
		s := samsatest.SecurePipe(t, b, samsatest.Guard{TLS: true, SASL: []string{"PLAIN", "OAUTHBEARER"}, Users: map[string]string{"alice": "secret"}})
		for token, code := range map[string]int16{"\x00alice\x00secret": 0, "\x00alice\x00guess": 58} {
			nc, err := s.Pipe.Dial("tcp", s.Addr)
			if err != nil {
				t.Fatal(err)
			}
			tc := tls.Client(nc, s.TLS())
			handshake := kmsg.NewPtrSASLHandshakeRequest()
			handshake.Mechanism = "PLAIN"
			authenticate := kmsg.NewPtrSASLAuthenticateRequest()
			authenticate.SASLAuthBytes = []byte(token)
			call(t, tc, handshake)
			if resp := call(t, tc, authenticate).(*kmsg.SASLAuthenticateResponse); resp.ErrorCode != code {
				t.Errorf("%q: %+v", token, resp)
			}
			_ = tc.Close()
		}
		if st := s.Server.Stats(); st.Logins != 1 || st.FailedLogins != 1 {
			t.Errorf("%d logins, %d in vain", st.Logins, st.FailedLogins)
		}
	})
}

// call sends a request of version 0 or 1 and reads its answer.
func call(t *testing.T, nc net.Conn, req kmsg.Request) kmsg.Response {
	t.Helper()
	req.SetVersion(1)
	if _, err := nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		t.Fatal(err)
	}
	var length [4]byte
	if _, err := io.ReadFull(nc, length[:]); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(length[2])<<8|int(length[3]))
	if _, err := io.ReadFull(nc, body); err != nil {
		t.Fatal(err)
	}
	resp := req.ResponseKind()
	resp.SetVersion(1)
	if err := resp.ReadFrom(body[4:]); err != nil {
		t.Fatal(err)
	}
	return resp
}

// A guard that asks for what it has no means to ask for would let in whoever comes, and say nothing.
func TestSecureWantsMeans(t *testing.T) {
	elsewhere := kafka.Options{Security: kafka.Security{SASL: &kafka.SASL{}}}
	for name, tc := range map[string]struct {
		guard samsatest.Guard
		want  string
	}{
		"certificates in the clear":   {samsatest.Guard{Mutual: true}, "Guard.Mutual wants Guard.TLS"},
		"again without a login":       {samsatest.Guard{MaxReauth: time.Hour}, "Guard.MaxReauth wants Guard.SASL"},
		"again, the login in Options": {samsatest.Guard{MaxReauth: time.Hour, Options: elsewhere}, "Guard.MaxReauth wants Guard.SASL"},
	} {
		t.Run(name, func(t *testing.T) {
			ft := runFake(func(ft *fakeTest) { samsatest.Secure(ft, samsatest.New(ft), tc.guard) })
			if len(ft.errs) != 1 || !strings.Contains(ft.errs[0], tc.want) {
				t.Errorf("got %q, want one error with %q", ft.errs, tc.want)
			}
		})
	}
}

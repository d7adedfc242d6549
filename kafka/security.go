package kafka

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/internal/sasl"
)

// Security says who may connect to a server, and how he says who he is. The zero value asks nobody, and encrypts nothing.
type Security struct {
	// TLS encrypts what is sent, and may ask clients for certificates; nil is neither.
	TLS *TLS
	// SASL asks clients for a name and a password, or for a token; nil does not.
	SASL *SASL
	// AllowAnyone is the word without which Options.AllowRemote demands TLS or SASL: that other machines reach a server that asks
	// nobody who he is, over connections that everybody can read.
	AllowAnyone bool
}

// TLS says how connections are encrypted, with TLS 1.2 or later. The files are PEM. They are read again when they change: the next client
// that connects meets what they hold then, and those that are connected stay. What cannot be read then is logged, and what was read before
// stays in force.
type TLS struct {
	// CertFile has the server's certificate, and those between it and its authority; KeyFile the key to it, which may be the
	// same file.
	CertFile, KeyFile string
	// ClientCAFile has the authorities of clients' certificates.
	ClientCAFile string
	// Config, in place of files, has the certificates, or tells them at each handshake. It is not changed. What it says of ClientAuth and
	// ClientCAs counts where the fields here say nothing. With tls.RequestClientCert and tls.RequireAnyClientCert certificates are
	// verified by VerifyPeerCertificate or VerifyConnection; without either of them a client that shows one is refused.
	Config *tls.Config
	// ClientAuth is whether clients have to show certificates (ssl.client.auth).
	ClientAuth ClientAuth
	// PrincipalRules makes names of the subjects of clients' certificates, as ssl.principal.mapping.rules does:
	// "RULE:^CN=(.*?),OU=Services.*$/$1/L, DEFAULT". The first that matches counts, and a client for whom none does is refused. "" is
	// DEFAULT: the whole subject, as "CN=alice,O=Shop". Patterns are those of package regexp. With SASL the name is that of SASL.
	PrincipalRules string
}

// ClientAuth is whether clients have to show certificates.
type ClientAuth int

// What a server asks for. Certificates that are shown have to be good ones.
const (
	NoClientCert      ClientAuth = iota // none: "none" to Kafka
	RequestClientCert                   // who has none is Anonymous: "requested"
	RequireClientCert                   // who has none is refused: "required"
)

// SASL says how clients say who they are before they may ask for anything. Their passwords are in the broker's store: see UsersOf.
//
// A connection whose login fails is told SASL_AUTHENTICATION_FAILED after 100 ms and ends. Nobody is told whether it was the name or the
// password.
type SASL struct {
	// Mechanisms are those that clients may use: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER. None means the first three, and the
	// fourth if there is a Token. PLAIN sends passwords as they are: without TLS whoever is on the way can read them.
	Mechanisms []string
	// Token tells who has brought a token by OAUTHBEARER, or fails if it is none of yours. What it fails with is logged, and the client
	// does not hear of it; it must not hold the token. It may be called by anybody at any time; ctx ends with the connection. JWKS makes one for signed tokens.
	Token func(ctx context.Context, token string) (Identity, error)
	// MaxReauth is after how long clients have to log in again, on the same connection and as the same principal (KIP-368,
	// connections.max.reauth.ms); 0 means never, or when their tokens end. Who has not is cut off at the next request.
	MaxReauth time.Duration
}

// Identity is who has brought a token.
type Identity struct {
	Principal Principal // no type means UserType
	Expires   time.Time // when the token ends; zero means never
}

// asks reports whether connections are encrypted or clients asked for something.
func (s Security) asks() bool { return s.TLS != nil || s.SASL != nil }

// check reports the wrong fields.
func (s Security) check(m *option.Mistakes) {
	if t := s.TLS; t != nil {
		files := t.CertFile != "" || t.KeyFile != ""
		m.Check(!files || t.CertFile != "" && t.KeyFile != "", "Options.Security.TLS.KeyFile", t.KeyFile, "a file beside CertFile")
		m.Check(files != (t.Config != nil), "Options.Security.TLS.CertFile", t.CertFile, "a file, or Config in its place")
		m.Check(t.ClientAuth >= NoClientCert && t.ClientAuth <= RequireClientCert, "Options.Security.TLS.ClientAuth", int(t.ClientAuth), "NoClientCert, RequestClientCert or RequireClientCert")
		authorities := t.ClientCAFile != "" || t.Config != nil && t.Config.ClientCAs != nil
		m.Check(t.ClientAuth == NoClientCert || authorities, "Options.Security.TLS.ClientCAFile", `""`, "a file with the authorities of clients' certificates")
		m.Check(t.ClientCAFile == "" || t.ClientAuth != NoClientCert, "Options.Security.TLS.ClientAuth", "NoClientCert", "RequestClientCert or RequireClientCert beside ClientCAFile")
		_, err := parseNameRules(t.PrincipalRules)
		m.Check(err == nil, "Options.Security.TLS.PrincipalRules", t.PrincipalRules, errText(err))
	}
	if a := s.SASL; a != nil {
		for _, mechanism := range a.Mechanisms {
			m.Check(slices.Contains(sasl.Mechanisms, mechanism), "Options.Security.SASL.Mechanisms", mechanism, "some of "+strings.Join(sasl.Mechanisms, ", "))
		}
		m.Check(a.Token != nil == slices.Contains(a.mechanisms(), sasl.OAuthBearer), "Options.Security.SASL.Token", "there, or not", "there with OAUTHBEARER, and only then")
		m.Check(a.MaxReauth >= 0, "Options.Security.SASL.MaxReauth", a.MaxReauth, "0 or more")
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// mechanisms returns those that clients may use.
func (s *SASL) mechanisms() []string {
	switch {
	case len(s.Mechanisms) > 0:
		return s.Mechanisms
	case s.Token != nil:
		return sasl.Mechanisms
	}
	return []string{sasl.Plain, sasl.ScramSHA256, sasl.ScramSHA512}
}

// secure prepares a server for what Options.Security says.
func (s *Server) secure() (err error) {
	s.names = defaultRules
	if o := s.opts.Security.TLS; o != nil {
		if s.tls, err = o.Server(s.logger); err != nil {
			return fmt.Errorf("Options.Security.TLS: %w", err)
		}
		if s.names, err = parseNameRules(o.PrincipalRules); err != nil {
			return err
		}
	}
	if s.opts.MaxConnectionsPerAddress > 0 {
		s.from = make(map[string]int)
	}
	return nil
}

// hasRoom reports whether another connection may come from where nc does, and counts it then. The lock is held.
func (s *Server) hasRoom(nc net.Conn) bool {
	if s.from == nil {
		return true
	}
	address := addressOf(nc.RemoteAddr().String())
	if s.from[address] >= s.opts.MaxConnectionsPerAddress {
		return false
	}
	if len(s.conns) < s.opts.MaxConnections && !s.closing {
		s.from[address]++
	}
	return true
}

// address returns the IP address of the client.
func (c *conn) address() string { return addressOf(c.remote) }

func addressOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}

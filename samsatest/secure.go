package samsatest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// Guard says how a Secure door lets clients in.
type Guard struct {
	TLS    bool              // connections are encrypted
	Mutual bool              // with TLS, clients have to show a certificate: see Secured.ClientTLS
	SASL   []string          // mechanisms; none with Users means PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512
	Users  map[string]string // passwords
	// Token, for OAUTHBEARER, tells who has brought a token. nil takes each token for the name of who brings it, but for those that begin with
	// "bad".
	Token     func(ctx context.Context, token string) (kafka.Identity, error)
	MaxReauth time.Duration // after which clients have to log in again, with SASL, Users or Token
	// Options are the others; what they say of Security counts where nothing is said here.
	Options kafka.Options
}

// Secured is a door that asks who its clients are, with certificates that were made for it in memory.
type Secured struct {
	Addr   string        // host:port
	Pipe   *kafka.Pipe   // in place of a network, from SecurePipe; else nil
	Server *kafka.Server // whose Stats count logins; nil from SecureCluster
	// Cluster has what happens to several brokers happen, from SecureCluster; else nil.
	Cluster *kafka.Cluster

	t        TB
	own      *authority
	stranger *authority
	shown    atomic.Pointer[tls.Certificate] // by the server
}

// Secure serves b as Kafka does, to clients that say who they are, until the end of the test: with certificates in memory, and users who are in the
// broker's store from then on. The test fails if g does not go together.
//
//	s := samsatest.Secure(t, b, samsatest.Guard{TLS: true, Users: map[string]string{"alice": "secret"}})
//	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Addr), kgo.DialTLSConfig(s.TLS()), kgo.SASL(scram.Auth{User: "alice", Pass: "secret"}.AsSha256Mechanism()))
//
// What a client does when it is refused a test sees by ExpiredTLS, StrangerTLS, a wrong password, and by ShowExpired and ShowStranger, which
// give the server a certificate that no client takes.
func Secure(t TB, b *samsa.Broker, g Guard) *Secured {
	t.Helper()
	s := &Secured{t: t}
	s.Server = serveKafka(t, "Secure", []kafka.Options{s.prepare(b, g)}, func(o kafka.Options) (*kafka.Server, error) {
		return kafka.Listen(b, "127.0.0.1:0", o)
	})
	if s.Server != nil {
		s.Addr = s.Server.Addr().String()
	}
	return s
}

// SecureCluster is Secure for a cluster of n brokers, which all ask: see Cluster. Addr is the first of them. At most one kafka.ClusterOptions is given, whose
// Options are those of g.
func SecureCluster(t TB, b *samsa.Broker, n int, g Guard, opts ...kafka.ClusterOptions) *Secured {
	t.Helper()
	if len(opts) > 1 {
		t.Fatalf("samsatest: SecureCluster: %d kafka.ClusterOptions, want at most one", len(opts))
		return nil
	}
	s, o := &Secured{t: t}, append(opts, kafka.ClusterOptions{})[0]
	o.Options = s.prepare(b, g)
	if s.Cluster = Cluster(t, b, n, o); s.Cluster != nil {
		s.Addr = s.Cluster.Addrs()[0]
	}
	return s
}

// SecurePipe is Secure without a network: see KafkaPipe.
func SecurePipe(t TB, b *samsa.Broker, g Guard) *Secured {
	t.Helper()
	s := &Secured{t: t, Pipe: kafka.NewPipe()}
	s.Addr = s.Pipe.Addr().String()
	s.Server = serveKafka(t, "SecurePipe", []kafka.Options{s.prepare(b, g)}, func(o kafka.Options) (*kafka.Server, error) {
		return kafka.Serve(b, s.Pipe, o)
	})
	return s
}

// prepare makes users and certificates, and the options that go with them.
func (s *Secured) prepare(b *samsa.Broker, g Guard) kafka.Options {
	s.t.Helper()
	s.own, s.stranger = s.newAuthority("samsatest"), s.newAuthority("a stranger")
	o := g.Options
	if g.Mutual && !g.TLS {
		s.t.Fatalf("samsatest: Secure: Guard.Mutual wants Guard.TLS")
		return o
	}
	if g.TLS {
		s.show(s.own, time.Hour)
		config := &tls.Config{
			ClientCAs:      s.own.pool(),
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return s.shown.Load(), nil },
		}
		o.Security.TLS = &kafka.TLS{Config: config, PrincipalRules: "RULE:^CN=([^,]*)$/$1/, DEFAULT"}
		if g.Mutual {
			o.Security.TLS.ClientAuth = kafka.RequireClientCert
		}
	}
	if len(g.SASL) > 0 || len(g.Users) > 0 || g.Token != nil {
		a := &kafka.SASL{Mechanisms: g.SASL, Token: g.Token, MaxReauth: g.MaxReauth}
		if slices.Contains(g.SASL, "OAUTHBEARER") && g.Token == nil {
			a.Token = tokenIsName
		}
		o.Security.SASL = a
	} else if g.MaxReauth != 0 {
		s.t.Fatalf("samsatest: Secure: Guard.MaxReauth wants Guard.SASL, Guard.Users or Guard.Token")
		return o
	}
	users, err := kafka.UsersOf(b)
	for name, password := range g.Users {
		if err == nil {
			err = users.Set(context.Background(), name, password)
		}
	}
	if err != nil {
		s.t.Fatalf("samsatest: Secure: %v", err)
	}
	return o
}

// errBadToken is what a token is refused with.
type errBadToken struct{}

func (errBadToken) Error() string { return "a bad token" }

func tokenIsName(_ context.Context, token string) (kafka.Identity, error) {
	if len(token) >= 3 && token[:3] == "bad" {
		return kafka.Identity{}, errBadToken{}
	}
	return kafka.Identity{Principal: kafka.Principal{Type: kafka.UserType, Name: token}}, nil
}

// TLS returns what a client needs that trusts the server, and shows no certificate.
func (s *Secured) TLS() *tls.Config {
	return &tls.Config{RootCAs: s.own.pool(), ServerName: serverName, MinVersion: tls.VersionTLS12}
}

// ClientTLS is TLS with a certificate for a client, who is User:name then.
func (s *Secured) ClientTLS(name string) *tls.Config { return s.with(s.own, name, time.Hour) }

// ExpiredTLS is ClientTLS with a certificate that has ended.
func (s *Secured) ExpiredTLS(name string) *tls.Config { return s.with(s.own, name, -time.Minute) }

// StrangerTLS is ClientTLS with a certificate of an authority that the server does not know.
func (s *Secured) StrangerTLS(name string) *tls.Config { return s.with(s.stranger, name, time.Hour) }

// DistrustTLS is TLS of a client that does not know the server's authority.
func (s *Secured) DistrustTLS() *tls.Config {
	config := s.TLS()
	config.RootCAs = s.stranger.pool()
	return config
}

// CA returns the certificate of the server's authority, as PEM, for clients that are not of this process.
func (s *Secured) CA() []byte { return s.own.pem }

// ClientPEM returns the certificate and the key of ClientTLS, as PEM.
func (s *Secured) ClientPEM(name string) (cert, key []byte) {
	c := s.own.issue(name, time.Hour)
	secret, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		s.t.Fatalf("samsatest: Secure: %v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// ShowExpired has the server show a certificate that has ended, to those that connect from now on.
func (s *Secured) ShowExpired() { s.show(s.own, -time.Minute) }

// ShowStranger has the server show a certificate of an authority that clients do not trust.
func (s *Secured) ShowStranger() { s.show(s.stranger, time.Hour) }

// ShowGood has the server show a good certificate again, a new one.
func (s *Secured) ShowGood() { s.show(s.own, time.Hour) }

func (s *Secured) show(a *authority, ends time.Duration) { s.shown.Store(a.issue(serverName, ends)) }

func (s *Secured) with(a *authority, name string, ends time.Duration) *tls.Config {
	config := s.TLS()
	config.Certificates = []tls.Certificate{*a.issue(name, ends)}
	// A client leaves out a certificate of an authority that the server does not name: this one is to be shown all the same.
	config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &config.Certificates[0], nil }
	return config
}

// serverName is in the server's certificate, besides 127.0.0.1 and the address of a Pipe.
const serverName = "localhost"

// authority signs certificates.
type authority struct {
	t    TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func (s *Secured) newAuthority(name string) *authority {
	s.t.Helper()
	a := &authority{t: s.t}
	t := a.template(name, 24*time.Hour)
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage, t.ExtKeyUsage = true, true, x509.KeyUsageCertSign, nil
	a.key = a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, t, t, &a.key.PublicKey, a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		s.t.Fatalf("samsatest: Secure: %v", err)
		return a
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func (a *authority) newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatalf("samsatest: Secure: %v", err)
	}
	return key
}

func (a *authority) template(name string, ends time.Duration) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: new(big.Int).SetBytes(randomBytes()), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ends),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		DNSNames: []string{serverName, "samsa.invalid"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
}

func randomBytes() []byte {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[0] &= 0x7f
	return b
}

// issue makes a certificate, and its key, that ends then.
func (a *authority) issue(name string, ends time.Duration) *tls.Certificate {
	a.t.Helper()
	key := a.newKey()
	der, err := x509.CreateCertificate(rand.Reader, a.template(name, ends), a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatalf("samsatest: Secure: %v", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

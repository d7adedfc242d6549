package kafkatest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// Secure says how a cluster lets clients in. The zero value lets everybody in, unencrypted.
type Secure struct {
	TLS    bool // encrypted: see Cluster.TLS
	Mutual bool // with TLS, clients too need a certificate: see Cluster.ClientTLS
	// SASL are the mechanisms: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER with tokens that are not signed.
	SASL  []string
	Users map[string]string // passwords
	ACLs  bool              // nobody may do anything unless an ACL says so, but at Cluster.Inside
}

// protocol is Kafka's name of what clients speak.
func (s Secure) protocol() string {
	switch {
	case s.TLS && len(s.SASL) > 0:
		return "SASL_SSL"
	case s.TLS:
		return "SSL"
	case len(s.SASL) > 0:
		return "SASL_PLAINTEXT"
	}
	return "PLAINTEXT"
}

// secure writes what a node needs for it.
func (c *Cluster) secure(n *node, configs map[string]string) error {
	s := c.opts.Secure
	const listener, modules = "listener.name.client.", "org.apache.kafka.common.security."
	if s.ACLs {
		configs["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
		configs["super.users"] = "User:ANONYMOUS" // who is inside
	}
	if s.TLS {
		store, trust := filepath.Join(n.dir, "server.pem"), filepath.Join(n.dir, "ca.pem")
		if err := os.WriteFile(store, c.certs.server, 0o600); err != nil {
			return err
		}
		if err := os.WriteFile(trust, c.certs.ca, 0o600); err != nil {
			return err
		}
		configs[listener+"ssl.keystore.type"], configs[listener+"ssl.keystore.location"] = "PEM", store
		configs[listener+"ssl.truststore.type"], configs[listener+"ssl.truststore.location"] = "PEM", trust
		if s.Mutual {
			configs[listener+"ssl.client.auth"] = "required"
		}
	}
	if len(s.SASL) > 0 {
		configs[listener+"sasl.enabled.mechanisms"] = strings.Join(s.SASL, ",")
	}
	for _, m := range s.SASL {
		module := modules + "scram.ScramLoginModule required"
		switch m {
		case "PLAIN":
			module = modules + "plain.PlainLoginModule required"
			for _, user := range slices.Sorted(maps.Keys(s.Users)) {
				module += fmt.Sprintf(" user_%s=%q", user, s.Users[user])
			}
		case "OAUTHBEARER":
			module = modules + `oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker"`
		}
		configs[listener+strings.ToLower(m)+".sasl.jaas.config"] = module + ";"
	}
	return nil
}

// enlist tells the cluster the passwords that it keeps itself.
func (c *Cluster) enlist(ctx context.Context) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Inside()...))
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, m := range c.opts.Secure.SASL {
		kind, ok := map[string]kadm.ScramMechanism{"SCRAM-SHA-256": kadm.ScramSha256, "SCRAM-SHA-512": kadm.ScramSha512}[m]
		if !ok || len(c.opts.Secure.Users) == 0 {
			continue
		}
		var all []kadm.UpsertSCRAM
		for user, password := range c.opts.Secure.Users {
			all = append(all, kadm.UpsertSCRAM{User: user, Mechanism: kind, Iterations: 4096, Password: password})
		}
		done, err := kadm.NewClient(cl).AlterUserSCRAMs(ctx, nil, all) // a user is in a request once
		if err := errors.Join(err, done.Error()); err != nil {
			return err
		}
		for _, n := range c.nodes {
			if err := c.admits(ctx, n.addr(client), all[0], m); err != nil {
				return err
			}
		}
	}
	return nil
}

// admits returns when a node lets a user in by a mechanism of SCRAM: it learns the passwords after the controller has said that they are stored, and
// after it tells of them.
func (c *Cluster) admits(ctx context.Context, addr string, user kadm.UpsertSCRAM, mechanism string) error {
	auth := scram.Auth{User: user.User, Pass: user.Password}
	as := auth.AsSha256Mechanism()
	if mechanism == "SCRAM-SHA-512" {
		as = auth.AsSha512Mechanism()
	}
	opts := []kgo.Opt{kgo.SeedBrokers(addr), kgo.RequestRetries(0), kgo.SASL(as)}
	if c.certs != nil {
		config, err := c.ClientTLS(user.User)
		if err != nil {
			return err
		}
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	for {
		cl, err := kgo.NewClient(opts...)
		if err != nil {
			return err
		}
		err = cl.Ping(ctx)
		cl.Close()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TLS returns what a client needs to trust the cluster.
func (c *Cluster) TLS() *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.certs.ca)
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
}

// ClientTLS is TLS with the certificate of a client, whom the cluster calls CN=name.
func (c *Cluster) ClientTLS(name string) (*tls.Config, error) {
	cert, err := c.certs.issue(name, nil)
	if err != nil {
		return nil, err
	}
	conf := c.TLS()
	pair, err := tls.X509KeyPair(cert, cert)
	conf.Certificates = []tls.Certificate{pair}
	return conf, err
}

// CA returns the certificate of who has signed all others, as PEM.
func (c *Cluster) CA() []byte { return c.certs.ca }

// certs are an authority, and what it has signed, as PEM.
type certs struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	ca     []byte
	server []byte // with its key
}

func newCerts(hosts []string) (c *certs, err error) {
	c = new(certs)
	if c.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	t := template("samsa test authority")
	t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, t, t, &c.key.PublicKey, c.key)
	if err != nil {
		return nil, err
	}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	c.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c.server, err = c.issue("broker", hosts)
	return c, err
}

func template(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
}

// issue returns a key and a certificate, of a server with these addresses or without any of a client.
func (c *certs) issue(name string, hosts []string) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	t := template(name)
	t.KeyUsage, t.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, h := range hosts {
		t.IPAddresses = append(t.IPAddresses, net.ParseIP(h))
	}
	der, err := x509.CreateCertificate(rand.Reader, t, c.cert, &key.PublicKey, c.key)
	if err != nil {
		return nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}),
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...,
	), nil
}

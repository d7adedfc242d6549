//go:build unix

package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa/internal/measure/pairs"
	"github.com/samsa-go/samsa/internal/sasl"
	"github.com/samsa-go/samsa/log"
)

// BenchmarkLocks is what a lock on the door costs the broker, beside a door without one: ACLs that allow, a login by SASL, TLS, and all of
// them. The smallest requests that there are bring one record, the others a batch of 64 KB, compressed with snappy. Connections are there before. "none" is the door
// without a lock beside another one: how well the machine can tell. BenchmarkUnchecked is what the door without a lock pays because there
// are locks. The client is a process of its own.
func BenchmarkLocks(b *testing.B) {
	for _, work := range []string{"produce-one", "produce"} {
		n := 1000
		if work == "produce" {
			n = 100
		}
		for _, lock := range []string{"none", "acls", "sasl", "tls", "acls+sasl+tls"} {
			b.Run("do="+work+"/lock="+lock, func(b *testing.B) {
				side := func(lock string) func(n int) time.Duration {
					k := openBench(b, locked(b, lock))
					k.keys(b)
					return func(n int) time.Duration {
						b.Setenv(lockEnv, lock) // of the client
						return k.client(b, work, log.CodecSnappy, n)
					}
				}
				pairs.Compare(b, n, side("none"), side(lock))
			})
		}
	}
}

// locked is a door with the locks that are named.
func locked(b *testing.B, lock string) (o Options) {
	if strings.Contains(lock, "acls") {
		o.ACLs = &ACLs{}
	}
	if strings.Contains(lock, "sasl") {
		o.Security.SASL = &SASL{}
	}
	if strings.Contains(lock, "tls") {
		cert, err := tls.X509KeyPair(newAuthority(b).sign(certificateFor(pkix.Name{CommonName: "server"})))
		if err != nil {
			b.Fatal(err)
		}
		o.Security.TLS = &TLS{Config: &tls.Config{Certificates: []tls.Certificate{cert}}}
	}
	return o
}

// keys lets alice in, and everybody write.
func (k *benchBroker) keys(b *testing.B) {
	ctx := context.Background()
	users, err := UsersOf(k.Broker)
	if err == nil {
		err = users.Set(ctx, "alice", "right")
	}
	if err != nil {
		b.Fatal(err)
	}
	acls, err := ACLsOf(k.Broker)
	if err == nil {
		err = acls.Create(ctx, ACL{Principal: "User:*", Operation: "WRITE", Resource: "TOPIC", Name: benchTopic})
	}
	if err != nil {
		b.Fatal(err)
	}
}

// unlock opens the locks that are named.
func (c *client) unlock(lock string) {
	c.t.Helper()
	if strings.Contains(lock, "tls") {
		shaken := tls.Client(c.Conn, &tls.Config{InsecureSkipVerify: true}) // the certificate is that of a benchmark
		if err := shaken.Handshake(); err != nil {
			c.t.Fatal(err)
		}
		c.Conn = shaken
	}
	if strings.Contains(lock, "sasl") {
		if resp := c.handshake(1, sasl.Plain); resp.ErrorCode != 0 {
			c.t.Fatalf("got %+v", resp)
		}
		if resp := c.token(2, "\x00alice\x00right"); resp.ErrorCode != 0 {
			c.t.Fatalf("got %+v", resp)
		}
	}
}

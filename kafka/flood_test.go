package kafka

import (
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/sasl"
)

// While all that hash passwords are taken, who logs in by PLAIN waits, and nobody else: SCRAM costs no such time, who is in is served, and the
// server can be closed.
func TestFloodOfPasswords(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		inside := k.dial()
		inside.login(2, sasl.Plain, "alice", "right")
		hashing := k.in().Users.Hashing
		for held := true; held; { // all turns there are
			taken := make(chan bool, 1)
			go func() { taken <- hashing.Take(k.ctx, "flood") == nil }()
			synctest.Wait()
			select {
			case <-taken:
			default:
				held = false
			}
		}
		const flood = 50
		for range flood {
			c := k.dial()
			c.handshake(1, sasl.Plain)
			token := kmsg.NewPtrSASLAuthenticateRequest()
			token.SASLAuthBytes = []byte(plainToken("alice", "wrong"))
			c.send(2, token)
		}
		synctest.Wait()
		if n := hashing.Waiting(); n != flood+1 {
			t.Errorf("%d wait", n)
		}
		if who := inside.whoami(); who != "User:alice" {
			t.Error(who)
		}
		c := k.dial()
		if resp := c.login(2, sasl.ScramSHA256, "bob", "hop"); resp.ErrorCode != 0 {
			t.Errorf("%+v", resp)
		}
		if err := k.srv.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if n := hashing.Waiting(); n != 1 {
			t.Errorf("%d wait behind the end of the server", n)
		}
		hashing.Give() // to the one of the test
	})
}

// A connection that does not log in is not held for as long as one that has; one that has may be silent for long.
func TestSilenceBeforeLogin(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		in := k.dial()
		in.login(2, sasl.ScramSHA256, "alice", "right")
		for name, begin := range map[string]func(c *client){
			"nothing": func(*client) {}, "half a frame": func(c *client) { c.write([]byte{0, 0}) },
			"a handshake":         func(c *client) { c.handshake(1, sasl.Plain) },
			"half a conversation": func(c *client) { c.handshake(1, sasl.ScramSHA256); c.token(1, "n,,n=alice,r=abc") },
			"the same again": func(c *client) {
				for range 3 {
					ask[*kmsg.ApiVersionsResponse](c, 3, kmsg.NewPtrApiVersionsRequest())
					time.Sleep(loginTimeout / 3)
				}
			},
		} {
			c, began := k.dial(), time.Now()
			begin(c)
			c.ended()
			if took := time.Since(began); took != loginTimeout {
				t.Errorf("%s: after %v", name, took)
			}
		}
		if who := in.whoami(); who != "User:alice" {
			t.Error(who)
		}
	})
}

// A pattern that lets engines which go back try for longer than the world has been there is done with at once.
func TestPrincipalRulesDoNotBacktrack(t *testing.T) {
	rules, err := parseNameRules(`RULE:^CN=((a+)+)+b$/$1/,RULE:^CN=(.*)*,(.*)*,(.*)*c$/$1/`)
	if err != nil {
		t.Fatal(err)
	}
	if name, ok := rules.of("CN=" + strings.Repeat("a", 10_000) + "," + strings.Repeat(",", 1000)); ok {
		t.Errorf("it is %.20s", name)
	}
	if _, err := parseNameRules(strings.Repeat(`RULE:\`, 10_000)); err == nil {
		t.Error("rules without an end are taken")
	}
}

// A user who has been deleted, or was given another password, goes on until he has to log in again, and ends there.
func TestUserGoesBetweenLogins(t *testing.T) {
	for name, change := range map[string]func(k *kit, users Users) error{
		"deleted":          func(k *kit, users Users) error { return users.Delete(k.ctx, "alice") },
		"another password": func(k *kit, users Users) error { return users.Set(k.ctx, "alice", "new") },
	} {
		guarded(t, SASL{MaxReauth: time.Minute}, func(k *kit) {
			users, err := UsersOf(k.Broker)
			if err != nil {
				t.Fatal(err)
			}
			for _, mechanism := range scramAndPlain {
				k.user("alice", "right")
				c := k.dial()
				c.login(2, mechanism, "alice", "right")
				if err := change(k, users); err != nil {
					t.Fatal(err)
				}
				if who := c.whoami(); who != "User:alice" {
					t.Errorf("%s: %s before the session has ended", name, who)
				}
				time.Sleep(time.Minute / 2)
				if resp := c.login(2, mechanism, "alice", "right"); resp.ErrorCode != codeSASLAuthenticationFailed {
					t.Errorf("%s: %+v", name, resp)
				}
				c.ended()
			}
		})
	}
}

// A handshake of TLS that is not finished ends.
func TestHandshakeTakesTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newAuthority(t).files(t.TempDir())
		k := startPipe(t, samsa.Options{}, Options{Security: Security{TLS: &TLS{CertFile: o.CertFile, KeyFile: o.KeyFile}}})
		for _, sent := range []string{"", "\x16", "\x16\x03\x01\x02\x00\x01"} {
			c, began := k.dial(), time.Now()
			c.write([]byte(sent))
			c.ended()
			if took := time.Since(began); took != handshakeTimeout {
				t.Errorf("%q: after %v", sent, took)
			}
		}
	})
}

// A client that has gone, and left more requests than are read at a time behind one that waits for weeks, is not waited for as long.
func TestGoneBehindLongWaits(t *testing.T) {
	guarded(t, SASL{MaxReauth: 1000 * time.Hour}, func(k *kit) {
		k.create("t", samsa.TopicConfig{})
		for name, more := range map[string]func() kmsg.Request{
			"requests": func() kmsg.Request { return kmsg.NewPtrMetadataRequest() },
			"a login":  func() kmsg.Request { return kmsg.NewPtrSASLHandshakeRequest() },
		} {
			c := k.dial()
			c.login(2, sasl.Plain, "alice", "right")
			fetch := fetchRequest("t", 0)
			fetch.MaxWaitMillis = math.MaxInt32
			c.send(11, fetch)
			go func() {
				for range 2 * defaultMaxInFlight {
					req := more()
					req.SetVersion(1)
					if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 7)); err != nil {
						return
					}
				}
			}()
			time.Sleep(time.Second)
			_ = c.Close()
			time.Sleep(defaultIdleTimeout)
			synctest.Wait()
			if n := k.srv.Stats().Connections; n != 0 {
				t.Errorf("%s: %d connections", name, n)
			}
		}
	})
}

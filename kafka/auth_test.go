package kafka

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/sasl"
	"github.com/samsa-go/samsa/log"
)

// guarded runs a story in a bubble, with a broker that alice and bob may log in to.
func guarded(t *testing.T, o SASL, story func(k *kit)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{Security: Security{SASL: &o}})
		k.user("alice", "right")
		k.user("bob", "hop")
		story(k)
	})
}

func (k *kit) user(name, password string) {
	k.t.Helper()
	users, err := UsersOf(k.Broker)
	if err == nil {
		err = users.Set(k.ctx, name, password)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// handshake asks for a mechanism.
func (c *client) handshake(version int16, mechanism string) *kmsg.SASLHandshakeResponse {
	c.t.Helper()
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = mechanism
	return ask[*kmsg.SASLHandshakeResponse](c, version, req)
}

// token sends a token, of a version of SaslAuthenticate, or without a header by version -1, and returns what is answered.
func (c *client) token(version int16, token string) *kmsg.SASLAuthenticateResponse {
	c.t.Helper()
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = []byte(token)
	if version >= 0 {
		return ask[*kmsg.SASLAuthenticateResponse](c, version, req)
	}
	c.write(append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...))
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		resp.ErrorCode = codeSASLAuthenticationFailed // there is no place for one
		return resp
	}
	resp.SASLAuthBytes = make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(c, resp.SASLAuthBytes); err != nil {
		c.t.Fatal(err)
	}
	return resp
}

func plainToken(user, password string) string { return "\x00" + user + "\x00" + password }

// login logs in, and returns the last answer.
func (c *client) login(version int16, mechanism, user, password string) *kmsg.SASLAuthenticateResponse {
	c.t.Helper()
	if resp := c.handshake(int16(min(1, version+1)), mechanism); resp.ErrorCode != 0 {
		c.t.Fatalf("handshake: %+v", resp)
	}
	switch mechanism {
	case sasl.Plain:
		return c.token(version, plainToken(user, password))
	case sasl.OAuthBearer:
		return c.token(version, "n,,\x01auth=Bearer "+password+"\x01\x01")
	}
	bare := "n=" + user + ",r=abc"
	resp := c.token(version, "n,,"+bare)
	if resp.ErrorCode != 0 {
		return resp
	}
	return c.token(version, scramFinal(mechanism, password, bare, string(resp.SASLAuthBytes)))
}

// scramFinal is the last message of a client of SCRAM.
func scramFinal(mechanism, password, bare, asked string) string {
	h := map[string]func() hash.Hash{sasl.ScramSHA256: sha256.New, sasl.ScramSHA512: sha512.New}[mechanism]
	parts := strings.Split(asked, ",")
	salt, _ := base64.StdEncoding.DecodeString(parts[1][2:])
	iterations, _ := strconv.Atoi(parts[2][2:])
	salted, err := pbkdf2.Key(h, password, salt, iterations, h().Size())
	if err != nil {
		panic(err)
	}
	sum := func(key []byte, text string) []byte {
		m := hmac.New(h, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	key := sum(salted, "Client Key")
	stored := h()
	stored.Write(key)
	final := "c=biws," + parts[0]
	proof := sum(stored.Sum(nil), bare+","+asked+","+final)
	subtle.XORBytes(proof, proof, key)
	return final + ",p=" + base64.StdEncoding.EncodeToString(proof)
}

// whoami returns who the server takes a client for, as an answer of it tells.
func (c *client) whoami() string {
	c.t.Helper()
	resp := ask[*kmsg.CreateDelegationTokenResponse](c, 3, kmsg.NewPtrCreateDelegationTokenRequest())
	return resp.TokenRequesterPrincipalType + ":" + resp.TokenRequesterPrincipalName
}

var scramAndPlain = []string{sasl.Plain, sasl.ScramSHA256, sasl.ScramSHA512}

// Who logs in by whatever mechanism, and however old his protocol, is who he says.
func TestLogin(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		for _, mechanism := range scramAndPlain {
			for version := int16(-1); version <= 2; version++ {
				c := k.dial()
				ask[*kmsg.ApiVersionsResponse](c, 3, kmsg.NewPtrApiVersionsRequest())
				resp := c.login(version, mechanism, "alice", "right")
				if resp.ErrorCode != 0 || resp.SessionLifetimeMillis != 0 {
					t.Fatalf("%s, version %d: %+v", mechanism, version, resp)
				}
				if who := c.whoami(); who != "User:alice" {
					t.Errorf("%s, version %d: it is %s", mechanism, version, who)
				}
				ask[*kmsg.ApiVersionsResponse](c, 3, kmsg.NewPtrApiVersionsRequest())
			}
		}
		if st := k.srv.Stats(); st.Logins != 12 || st.FailedLogins != 0 {
			t.Errorf("%d logins, %d in vain", st.Logins, st.FailedLogins)
		}
	})
}

// Who is not let in is told so after a while, whatever is wrong, in the same words whether he exists or not, and his connection ends.
func TestWrongLogin(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		failures := int64(0)
		for _, mechanism := range scramAndPlain {
			for _, version := range []int16{-1, 0, 2} {
				told := make(map[string]bool)
				for _, who := range [][2]string{{"alice", "not-it"}, {"alice", "hop"}, {"carol", "right"}, {"ALICE", "right"}} {
					c, began := k.dial(), time.Now()
					resp := c.login(version, mechanism, who[0], who[1])
					if took := time.Since(began); resp.ErrorCode != codeSASLAuthenticationFailed || took != failedDelay {
						t.Errorf("%s, version %d, %s: %+v after %v", mechanism, version, who, resp, took)
					}
					if version >= 0 {
						told[*resp.ErrorMessage] = true
					}
					c.ended()
					failures++
				}
				if version >= 0 && len(told) != 1 {
					t.Errorf("%s: who does not exist is told something else: %v", mechanism, told)
				}
			}
		}
		if st := k.srv.Stats(); st.Logins != 0 || st.FailedLogins != failures {
			t.Errorf("%d logins, %d in vain, want 0 and %d", st.Logins, st.FailedLogins, failures)
		}
		k.keepsSecrets("right", "not-it", "hop", "alice", "carol")
	})
}

// keepsSecrets fails if something is in the log.
func (k *kit) keepsSecrets(secrets ...string) {
	k.t.Helper()
	for _, e := range k.logs.All() {
		for _, secret := range secrets {
			if line := fmt.Sprint(e.Message, e.ContextMap()); strings.Contains(line, secret) {
				k.t.Errorf("%q is in the log: %s", secret, line)
			}
		}
	}
}

// Before somebody has logged in, nothing else is taken, whatever it is: it is not answered, and the connection ends.
func TestRequestsBeforeLogin(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		for _, e := range table {
			if e.key == kmsg.ApiVersions || e.key == kmsg.SASLHandshake {
				continue
			}
			req := e.key.Request()
			for name, before := range map[string]func(c *client){
				"at once":                 func(*client) {},
				"behind ApiVersions":      func(c *client) { ask[*kmsg.ApiVersionsResponse](c, 0, kmsg.NewPtrApiVersionsRequest()) },
				"behind a handshake":      func(c *client) { c.handshake(1, sasl.Plain) },
				"in the middle of a try":  func(c *client) { c.handshake(1, sasl.ScramSHA256); c.token(1, "n,,n=alice,r=abc") },
				"in place of a first try": func(c *client) { c.handshake(0, sasl.Plain) },
			} {
				if e.key == kmsg.SASLAuthenticate && name != "at once" && name != "behind ApiVersions" {
					continue
				}
				c := k.dial()
				before(c)
				began := time.Now()
				c.send(e.min, req)
				c.sent = nil
				c.ended()
				if took := time.Since(began); took != failedDelay {
					t.Errorf("%s %s: after %v", e.key.Name(), name, took)
				}
			}
		}
		if n := len(k.srv.Stats().Requests); n != 3 {
			t.Errorf("%d kinds of requests were carried out", n)
		}
	})
}

// Frames before are short ones, and claims of others cost nothing.
func TestLongFrameBeforeLogin(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		for _, behind := range []int16{-1, 0, 1} {
			c := k.dial()
			if behind >= 0 {
				c.handshake(behind, sasl.Plain)
			}
			c.write([]byte{0, 8, 0, 1, 0, 36, 0, 1}) // a byte more than 512 KiB
			c.ended()
		}
		c := k.dial()
		c.handshake(0, sasl.Plain)
		c.write([]byte{0xff, 0xff, 0xff, 0xff})
		c.ended()
		c = k.dial()
		c.handshake(0, sasl.Plain)
		if resp := c.token(-1, ""); resp.ErrorCode == 0 {
			t.Error("an empty token is let in")
		}
	})
}

// ApiVersions is answered before a handshake, as often as it is asked for, and between it and the tokens.
func TestApiVersionsBeforeLogin(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		c := k.dial()
		c.write([]byte{0, 0, 0, 12, 0, 18, 0x7f, 0xff, 0, 0, 0, 99, 0, 0, 0xde, 0xad}) // version 32767
		c.receiveFrame(99)
		for version := int16(0); version <= 5; version++ {
			if resp := ask[*kmsg.ApiVersionsResponse](c, version, kmsg.NewPtrApiVersionsRequest()); len(resp.ApiKeys) != len(table) {
				t.Errorf("version %d: %d keys", version, len(resp.ApiKeys))
			}
		}
		c.handshake(1, sasl.Plain)
		ask[*kmsg.ApiVersionsResponse](c, 3, kmsg.NewPtrApiVersionsRequest())
		if resp := c.token(1, plainToken("alice", "right")); resp.ErrorCode != 0 {
			t.Errorf("%+v", resp)
		}
		if who := c.whoami(); who != "User:alice" {
			t.Error(who)
		}
	})
}

// A mechanism that is not enabled is refused, with those that are, and the connection ends.
func TestOtherMechanism(t *testing.T) {
	guarded(t, SASL{Mechanisms: []string{sasl.ScramSHA512, sasl.Plain}}, func(k *kit) {
		for _, mechanism := range []string{"GSSAPI", sasl.ScramSHA256, sasl.OAuthBearer, "", "plain"} {
			for version := range int16(2) {
				c, began := k.dial(), time.Now()
				resp := c.handshake(version, mechanism)
				if resp.ErrorCode != codeUnsupportedSASLMechanism || !slices.Equal(resp.SupportedMechanisms, []string{sasl.ScramSHA512, sasl.Plain}) || time.Since(began) != failedDelay {
					t.Errorf("%s: %+v", mechanism, resp)
				}
				c.ended()
			}
		}
	})
}

// What a client sends without waiting for answers is taken one after the other.
func TestLoginWithoutWaiting(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		c := k.dial()
		var all []byte
		add := func(version int16, req kmsg.Request) {
			req.SetVersion(version)
			c.last++
			c.sent = append(c.sent, req)
			all = append(all, kmsg.NewRequestFormatter().AppendRequest(nil, req, c.last)...)
		}
		handshake, token := kmsg.NewPtrSASLHandshakeRequest(), kmsg.NewPtrSASLAuthenticateRequest()
		handshake.Mechanism, token.SASLAuthBytes = sasl.Plain, []byte(plainToken("alice", "right"))
		add(3, kmsg.NewPtrApiVersionsRequest())
		add(1, handshake)
		add(2, token)
		add(3, kmsg.NewPtrCreateDelegationTokenRequest())
		go func() { _, _ = c.Write(all) }()
		for range 3 {
			c.receive()
		}
		if resp := c.receive().(*kmsg.CreateDelegationTokenResponse); resp.TokenRequesterPrincipalName != "alice" || resp.ErrorCode != codeDelegationTokenAuthDisabled {
			t.Errorf("%+v", resp)
		}
	})
}

// Where nobody is asked, and to who has logged in, a login is an error, and the connection goes on.
func TestNeedlessLogin(t *testing.T) {
	needless := func(c *client) {
		t.Helper()
		for version := range int16(2) {
			if resp := c.handshake(version, sasl.Plain); resp.ErrorCode != codeIllegalSASLState || len(resp.SupportedMechanisms) > 0 {
				t.Errorf("%+v", resp)
			}
		}
		for version := range int16(3) {
			if resp := c.token(version, plainToken("bob", "hop")); resp.ErrorCode != codeIllegalSASLState {
				t.Errorf("%+v", resp)
			}
		}
	}
	k := start(t, samsa.Options{}, Options{})
	c := k.dial()
	needless(c)
	if who := c.whoami(); who != "User:ANONYMOUS" {
		t.Error(who)
	}
	guarded(t, SASL{}, func(k *kit) {
		c := k.dial()
		c.login(2, sasl.Plain, "alice", "right")
		needless(c)
		if who := c.whoami(); who != "User:alice" {
			t.Error(who)
		}
	})
}

// A session ends: who logs in again before, or at least before his next request, goes on, and who does not is cut off.
func TestSessionsEnd(t *testing.T) {
	const session = time.Minute
	guarded(t, SASL{MaxReauth: session}, func(k *kit) {
		for _, mechanism := range scramAndPlain {
			c := k.dial()
			for i := range 4 {
				resp := c.login(2, mechanism, "alice", "right")
				if resp.ErrorCode != 0 || resp.SessionLifetimeMillis != session.Milliseconds() {
					t.Fatalf("%s, login %d: %+v", mechanism, i, resp)
				}
				time.Sleep(session / 2 * time.Duration(1+i%3))
				if i%3 == 0 && c.whoami() != "User:alice" {
					t.Errorf("%s, login %d: it is somebody else", mechanism, i)
				}
			}
			time.Sleep(session)
			c.send(3, kmsg.NewPtrApiVersionsRequest())
			c.sent = nil
			c.ended()
		}
	})
}

// What was asked before a login is answered before it, and what comes after it by who has logged in.
func TestLoginWithRequestsInFlight(t *testing.T) {
	guarded(t, SASL{MaxReauth: time.Hour}, func(k *kit) {
		k.create("t", samsa.TopicConfig{})
		c := k.dial()
		c.login(2, sasl.ScramSHA256, "alice", "right")
		time.Sleep(time.Minute)
		var all []byte
		for range 3 {
			req := produceRequest(1, "t", batch(t, log.CodecNone, record{1, "", "a"}))
			req.SetVersion(9)
			c.last++
			c.sent = append(c.sent, req)
			all = append(all, kmsg.NewRequestFormatter().AppendRequest(nil, req, c.last)...)
		}
		handshake := kmsg.NewPtrSASLHandshakeRequest()
		handshake.Mechanism = sasl.ScramSHA256
		handshake.SetVersion(1)
		c.last++
		c.sent = append(c.sent, handshake)
		all = append(all, kmsg.NewRequestFormatter().AppendRequest(nil, handshake, c.last)...)
		go func() { _, _ = c.Write(all) }()
		for range 3 {
			if resp := c.receive().(*kmsg.ProduceResponse); resp.Topics[0].Partitions[0].ErrorCode != 0 {
				t.Errorf("%+v", resp)
			}
		}
		c.receive()
		const bare = "n=alice,r=xyz"
		resp := c.token(2, "n,,"+bare)
		if resp = c.token(2, scramFinal(sasl.ScramSHA256, "right", bare, string(resp.SASLAuthBytes))); resp.ErrorCode != 0 {
			t.Fatalf("%+v", resp)
		}
		if got := k.values("t", 3); len(got) != 3 {
			t.Error(got)
		}
	})
}

// Who logs in again is the same as before, by the same mechanism, and not twice within a second.
func TestOtherLoginAgain(t *testing.T) {
	guarded(t, SASL{MaxReauth: time.Hour}, func(k *kit) {
		fresh := func() *client {
			c := k.dial()
			if resp := c.login(2, sasl.Plain, "alice", "right"); resp.ErrorCode != 0 {
				t.Fatalf("%+v", resp)
			}
			return c
		}
		c := fresh()
		resp := c.login(2, sasl.Plain, "bob", "hop")
		if resp.ErrorCode != codeSASLAuthenticationFailed || *resp.ErrorMessage != "Cannot change principals during re-authentication from User.alice: User.bob" {
			t.Errorf("as another: %+v", resp)
		}
		c.ended()
		c = fresh()
		if resp := c.login(2, sasl.Plain, "alice", "wrong"); resp.ErrorCode != codeSASLAuthenticationFailed {
			t.Errorf("wrong: %+v", resp)
		}
		c.ended()
		c = fresh()
		if resp := c.handshake(1, sasl.ScramSHA256); resp.ErrorCode != 0 {
			t.Errorf("another mechanism: %+v", resp)
		}
		c.send(2, kmsg.NewPtrSASLAuthenticateRequest())
		c.sent = nil
		c.ended()
		c = fresh()
		if resp := c.handshake(1, "GSSAPI"); resp.ErrorCode != codeUnsupportedSASLMechanism {
			t.Errorf("a mechanism that is not enabled: %+v", resp)
		}
		c.ended()
		c = fresh()
		c.login(2, sasl.Plain, "alice", "right")
		if resp := c.handshake(1, sasl.Plain); resp.ErrorCode != codeIllegalSASLState {
			t.Errorf("a third login at once: %+v", resp)
		}
		if who := c.whoami(); who != "User:alice" {
			t.Error(who)
		}
		time.Sleep(minReauth)
		if resp := c.login(2, sasl.Plain, "alice", "right"); resp.ErrorCode != 0 {
			t.Errorf("a third login after a second: %+v", resp)
		}
		c = fresh()
		c.handshake(1, sasl.Plain)
		c.send(3, kmsg.NewPtrMetadataRequest())
		c.sent = nil
		c.ended()
	})
}

// A token says who somebody is, for how long, and what else it fails with only the log knows.
func TestTokens(t *testing.T) {
	validate := func(_ context.Context, token string) (Identity, error) {
		name, age, _ := strings.Cut(token, ".")
		d, err := time.ParseDuration(age)
		switch {
		case name == "bad":
			return Identity{}, errors.New("the key is unknown")
		case err != nil:
			return Identity{Principal: Principal{Name: name}}, nil
		}
		return Identity{Principal: Principal{Type: "Service", Name: name}, Expires: time.Now().Add(d)}, nil
	}
	guarded(t, SASL{Token: validate, MaxReauth: time.Hour}, func(k *kit) {
		for token, want := range map[string]struct {
			who     string
			session time.Duration
		}{"alice": {"User:alice", time.Hour}, "robot.1m": {"Service:robot", time.Minute}, "robot.2h": {"Service:robot", time.Hour}} {
			c := k.dial()
			resp := c.login(2, sasl.OAuthBearer, "", token)
			if resp.ErrorCode != 0 || resp.SessionLifetimeMillis != want.session.Milliseconds() {
				t.Fatalf("%s: %+v", token, resp)
			}
			if who := c.whoami(); who != want.who {
				t.Errorf("%s: %s", token, who)
			}
		}
		for _, token := range []string{"bad", "robot.-1m"} {
			c := k.dial()
			const refused = `{"status":"invalid_token"}`
			if resp := c.login(2, sasl.OAuthBearer, "", token); resp.ErrorCode != 0 || string(resp.SASLAuthBytes) != refused {
				t.Errorf("%s: %+v", token, resp)
			}
			if resp := c.token(2, "\x01"); resp.ErrorCode != codeSASLAuthenticationFailed || *resp.ErrorMessage != refused {
				t.Errorf("%s: %+v", token, resp)
			}
			c.ended()
		}
		if !strings.Contains(fmt.Sprint(k.logs.FilterMessage("kafka: a token is refused").All()), "the key is unknown") {
			t.Error("the log does not say why")
		}
	})
}

// Users are made, changed and told over the wire as in Kafka, and log in by what was sent.
func TestUsersOverTheWire(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		c := k.dial()
		c.login(2, sasl.Plain, "alice", "right")
		up := func(name string, mechanism int8, iterations int32, password string) kmsg.AlterUserSCRAMCredentialsRequestUpsertion {
			h := sha256.New
			if mechanism == 2 {
				h = sha512.New
			}
			u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
			u.Name, u.Mechanism, u.Iterations, u.Salt = name, mechanism, iterations, []byte("salty")
			u.SaltedPassword, _ = pbkdf2.Key(h, password, u.Salt, max(1, int(iterations)), h().Size())
			return u
		}
		alter := func(req *kmsg.AlterUserSCRAMCredentialsRequest) map[string]int16 {
			codes := make(map[string]int16)
			for _, r := range ask[*kmsg.AlterUserSCRAMCredentialsResponse](c, 0, req).Results {
				if _, twice := codes[r.User]; twice {
					t.Errorf("%s is answered twice", r.User)
				}
				codes[r.User] = r.ErrorCode
			}
			return codes
		}
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		req.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{
			up("carol", 1, 8192, "c1"), up("dave", 2, 4096, "d1"), up("few", 1, 4095, "x"), up("many", 1, 16385, "x"), up("", 1, 4096, "x"), up("odd", 3, 4096, "x"),
			up("twice", 1, 4096, "x"), up("twice", 2, 4096, "x"), up("both", 1, 4096, "x"), up("long"+strings.Repeat("g", 300), 1, 4096, "x"),
		}
		req.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "bob", Mechanism: 1}, {Name: "nobody", Mechanism: 1}, {Name: "both", Mechanism: 1}}
		got := alter(req)
		for name, want := range map[string]int16{
			"carol": 0, "dave": 0, "few": codeUnacceptableCredential, "many": codeUnacceptableCredential, "": codeUnacceptableCredential, "odd": codeUnsupportedSASLMechanism,
			"twice": codeDuplicateResource, "both": codeResourceNotFound, "bob": 0, "nobody": codeResourceNotFound, "long" + strings.Repeat("g", 300): codeUnacceptableCredential,
		} {
			if code, ok := got[name]; !ok || code != want {
				t.Errorf("%.20s: %d, %t, want %d", name, code, ok, want)
			}
		}
		describe := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		var told []string
		for _, r := range ask[*kmsg.DescribeUserSCRAMCredentialsResponse](c, 0, describe).Results {
			told = append(told, fmt.Sprint(r.User, r.CredentialInfos))
		}
		if want := "[alice[{1 4096 []} {2 4096 []}] bob[{2 4096 []}] carol[{1 8192 []}] dave[{2 4096 []}]]"; strings.ReplaceAll(fmt.Sprint(told), "{map[]}", "[]") != want {
			t.Errorf("%v, want %s", told, want)
		}
		for _, who := range []struct {
			user, password, mechanism string
			code                      int16
		}{
			{"carol", "c1", sasl.ScramSHA256, 0}, {"carol", "c1", sasl.Plain, 0}, {"carol", "c1", sasl.ScramSHA512, codeSASLAuthenticationFailed},
			{"dave", "d1", sasl.ScramSHA512, 0}, {"dave", "d1", sasl.Plain, 0}, {"bob", "hop", sasl.ScramSHA256, codeSASLAuthenticationFailed}, {"bob", "hop", sasl.ScramSHA512, 0},
		} {
			if resp := k.dial().login(2, who.mechanism, who.user, who.password); resp.ErrorCode != who.code {
				t.Errorf("%+v: %+v", who, resp)
			}
		}
	})
}

// A server that closes does not wait for a failure that is being told.
func TestCloseDuringFailure(t *testing.T) {
	guarded(t, SASL{}, func(k *kit) {
		c := k.dial()
		c.handshake(1, sasl.Plain)
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SASLAuthBytes = []byte(plainToken("alice", "wrong"))
		c.send(2, req)
		synctest.Wait()
		began := time.Now()
		go func() { _, _ = io.Copy(io.Discard, c) }()
		if err := k.srv.Close(); err != nil || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

package clienttest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa/cluster/kafkatest"
	"github.com/samsa-go/samsa/samsatest"
)

// raw is a client that says what it is told to, and notes what it hears.
type raw struct {
	nc    net.Conn
	heard []string
}

// frame returns the next one, or why there is none.
func (r *raw) frame() ([]byte, bool) {
	_ = r.nc.SetReadDeadline(time.Now().Add(patience))
	var length [4]byte
	_, err := io.ReadFull(r.nc, length[:])
	var b []byte
	if err == nil {
		b = make([]byte, binary.BigEndian.Uint32(length[:]))
		_, err = io.ReadFull(r.nc, b)
	}
	if err != nil {
		r.heard = append(r.heard, "the end")
		return nil, false
	}
	return b, true
}

// send sends bytes and notes nothing.
func (r *raw) send(b []byte) { _, _ = r.nc.Write(b) } // that it has ended is heard

// ask sends a request and notes its answer, as far as brokers do not differ in it.
func (r *raw) ask(version int16, req kmsg.Request) {
	if resp := r.call(version, req); resp != nil {
		r.heard = append(r.heard, told(resp))
	}
}

// call sends a request and returns its answer; nil, with a note, if there is none.
func (r *raw) call(version int16, req kmsg.Request) kmsg.Response {
	req.SetVersion(version)
	r.send(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1))
	b, ok := r.frame()
	if !ok {
		return nil
	}
	resp := req.ResponseKind()
	resp.SetVersion(version)
	b = b[4:]
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		b = b[1:]
	}
	if err := resp.ReadFrom(b); err != nil {
		r.heard = append(r.heard, err.Error())
		return nil
	}
	return resp
}

func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// told is what an answer tells.
func told(resp kmsg.Response) string {
	switch resp := resp.(type) {
	case *kmsg.SASLHandshakeResponse:
		slices.Sort(resp.SupportedMechanisms) // Kafka has them in no order
		return fmt.Sprint("handshake ", resp.ErrorCode, resp.SupportedMechanisms)
	case *kmsg.SASLAuthenticateResponse:
		return fmt.Sprint("authenticate ", resp.ErrorCode, " ", text(resp.ErrorMessage), " ", len(resp.SASLAuthBytes) > 0, " ", resp.SessionLifetimeMillis)
	case *kmsg.CreateDelegationTokenResponse:
		return fmt.Sprint("token ", resp.ErrorCode, resp.PrincipalType, resp.PrincipalName, resp.TokenRequesterPrincipalName)
	case *kmsg.AlterUserSCRAMCredentialsResponse:
		var all []string
		for _, u := range resp.Results {
			all = append(all, fmt.Sprint(u.User, " ", u.ErrorCode, " ", text(u.ErrorMessage)))
		}
		slices.Sort(all)
		return strings.Join(all, "; ")
	case *kmsg.DescribeUserSCRAMCredentialsResponse:
		all := []string{fmt.Sprint(resp.ErrorCode)}
		for _, u := range resp.Results {
			slices.SortFunc(u.CredentialInfos, func(a, b kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo) int {
				return int(a.Mechanism - b.Mechanism)
			})
			said := fmt.Sprint(u.User, " ", u.ErrorCode, " ", text(u.ErrorMessage))
			for _, c := range u.CredentialInfos {
				said += fmt.Sprint(" ", c.Mechanism, " ", c.Iterations)
			}
			all = append(all, said)
		}
		slices.Sort(all)
		return strings.Join(all, "; ")
	}
	return fmt.Sprintf("%T", resp)
}

func (r *raw) handshake(version int16, mechanism string) {
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = mechanism
	r.ask(version, req)
}

func (r *raw) token(version int16, token string) {
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = []byte(token)
	r.ask(version, req)
}

func (r *raw) bare(token string) {
	r.send(append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...))
	if b, ok := r.frame(); ok {
		r.heard = append(r.heard, fmt.Sprint("bare ", len(b) > 0))
	}
}

func (r *raw) metadata()  { r.ask(1, kmsg.NewPtrMetadataRequest()) }
func (r *raw) versions()  { r.ask(0, kmsg.NewPtrApiVersionsRequest()) }
func (r *raw) whoAmI()    { r.ask(3, kmsg.NewPtrCreateDelegationTokenRequest()) }
func (r *raw) alice()     { r.handshake(1, "PLAIN"); r.token(2, "\x00alice\x00right") }
func (r *raw) over(n int) { r.send(binary.BigEndian.AppendUint32(nil, uint32(n))) }

// session is how long a login counts in these stories.
const session = 3 * time.Second

// frameStories are what a client does, step by step.
var frameStories = []struct {
	name  string
	story func(r *raw)
}{
	{"log in", func(r *raw) { r.versions(); r.alice(); r.metadata(); r.whoAmI() }},
	{"log in by old versions", func(r *raw) { r.handshake(1, "PLAIN"); r.token(0, "\x00alice\x00right"); r.metadata() }},
	{"log in by tokens without a header", func(r *raw) { r.handshake(0, "PLAIN"); r.bare("\x00alice\x00right"); r.metadata(); r.whoAmI() }},
	{"a wrong token without a header", func(r *raw) { r.handshake(0, "PLAIN"); r.bare("\x00alice\x00wrong") }},
	{"an empty token without a header", func(r *raw) { r.handshake(0, "PLAIN"); r.bare("") }},
	{"a wrong password", func(r *raw) { r.handshake(1, "PLAIN"); r.token(2, "\x00alice\x00wrong"); r.frame() }},
	{"a wrong password, old", func(r *raw) { r.handshake(1, "PLAIN"); r.token(0, "\x00alice\x00wrong"); r.frame() }},
	{"as somebody else", func(r *raw) { r.handshake(1, "PLAIN"); r.token(2, "bob\x00alice\x00right"); r.frame() }},
	{"as oneself", func(r *raw) { r.handshake(1, "PLAIN"); r.token(2, "alice\x00alice\x00right"); r.whoAmI() }},
	{"no user", func(r *raw) { r.handshake(1, "PLAIN"); r.token(2, "\x00\x00right"); r.frame() }},
	{"no password", func(r *raw) { r.handshake(1, "PLAIN"); r.token(2, "\x00alice\x00"); r.frame() }},
	{"one part", func(r *raw) { r.handshake(1, "PLAIN"); r.token(2, "alice"); r.frame() }},
	{"five parts", func(r *raw) { r.handshake(1, "PLAIN"); r.token(2, "a\x00b\x00c\x00d\x00e"); r.frame() }},
	{"another mechanism", func(r *raw) { r.handshake(1, "GSSAPI"); r.frame() }},
	{"another mechanism, old", func(r *raw) { r.handshake(0, "plain"); r.frame() }},
	{"a malformed first message of SCRAM", func(r *raw) { r.handshake(1, "SCRAM-SHA-256"); r.token(2, "hello"); r.frame() }},
	{"a delegation token", func(r *raw) {
		r.handshake(1, "SCRAM-SHA-256")
		r.token(2, "n,,n=alice,r=abc,tokenauth=true")
		r.frame()
	}},
	{"SCRAM as somebody else", func(r *raw) { r.handshake(1, "SCRAM-SHA-256"); r.token(2, "n,a=bob,n=alice,r=abc"); r.frame() }},
	{"a malformed last message of SCRAM", func(r *raw) {
		r.handshake(1, "SCRAM-SHA-256")
		r.token(2, "n,,n=alice,r=abc")
		r.token(2, "c=biws,r=abc,p=AAAA")
		r.frame()
	}},
	{"a request before", func(r *raw) { r.metadata() }},
	{"a request behind ApiVersions", func(r *raw) { r.versions(); r.metadata() }},
	{"a token before a handshake", func(r *raw) { r.token(2, "\x00alice\x00right") }},
	{"ApiVersions twice, and between", func(r *raw) {
		r.versions()
		r.versions()
		r.handshake(1, "PLAIN")
		r.versions()
		r.token(2, "\x00alice\x00right")
	}},
	{"a request between a handshake and its token", func(r *raw) { r.handshake(1, "PLAIN"); r.metadata(); r.frame() }},
	{"two handshakes", func(r *raw) { r.handshake(1, "PLAIN"); r.handshake(1, "PLAIN"); r.frame() }},
	{"a long frame before", func(r *raw) { r.over(600_000); r.frame() }},
	{"a negative length before", func(r *raw) { r.over(-1); r.frame() }},
	{"a token behind a login", func(r *raw) { r.alice(); r.token(2, "\x00alice\x00right"); r.metadata() }},
	{"log in again", func(r *raw) { r.alice(); r.alice(); r.whoAmI() }},
	{"log in a third time at once", func(r *raw) { r.alice(); r.alice(); r.handshake(1, "PLAIN"); r.whoAmI() }},
	{"log in again as another", func(r *raw) { r.alice(); r.handshake(1, "PLAIN"); r.token(2, "\x00bob\x00hop"); r.frame() }},
	{"log in again wrongly", func(r *raw) { r.alice(); r.handshake(1, "PLAIN"); r.token(2, "\x00alice\x00wrong"); r.frame() }},
	{"log in again by SCRAM wrongly", func(r *raw) { r.alice(); r.handshake(1, "SCRAM-SHA-256"); r.token(2, "n,,n=alice,r=abc"); r.frame() }},
	{"log in again by a mechanism that is not enabled", func(r *raw) { r.alice(); r.handshake(1, "GSSAPI"); r.frame() }},
	{"ask in the middle of logging in again", func(r *raw) { r.alice(); r.handshake(0, "PLAIN"); r.send([]byte{0, 0, 0, 0}); r.frame() }},
	{"late", func(r *raw) { r.alice(); r.late(); r.metadata() }},
	{"late, and log in again", func(r *raw) { r.alice(); r.late(); r.alice(); r.whoAmI() }},
	{"users", func(r *raw) {
		r.alice()
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		for _, u := range []struct {
			name       string
			mechanism  int8
			iterations int32
		}{{"carol", 1, 8192}, {"few", 1, 4095}, {"many", 2, 16385}, {"", 1, 4096}, {"odd", 3, 4096}, {"twice", 1, 4096}, {"twice", 2, 4096}, {"both", 1, 4096}} {
			up := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
			up.Name, up.Mechanism, up.Iterations, up.Salt, up.SaltedPassword = u.name, u.mechanism, u.iterations, []byte("salt"), []byte("12345678901234567890123456789012")
			req.Upsertions = append(req.Upsertions, up)
		}
		req.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "nobody", Mechanism: 1}, {Name: "both", Mechanism: 1}, {Name: "nobody", Mechanism: 2}, {Name: "bob", Mechanism: 1}, {Name: "bob", Mechanism: 1}, {Name: "odder", Mechanism: 9}}
		r.ask(0, req)
		r.until(describe("carol"), func(resp kmsg.Response) bool { // Kafka's node learns of it a moment later
			return len(resp.(*kmsg.DescribeUserSCRAMCredentialsResponse).Results[0].CredentialInfos) > 0
		})
		r.ask(0, describe("carol", "few", "nobody"))
		r.ask(0, describe("carol", "carol"))
		gone := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		gone.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "carol", Mechanism: 1}}
		r.ask(0, gone)
	}},
}

func describe(names ...string) kmsg.Request {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	for _, name := range names {
		req.Users = append(req.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: name})
	}
	return req
}

// until asks until an answer is as it is to be, or there is none, and notes none.
func (r *raw) until(req kmsg.Request, is func(kmsg.Response) bool) {
	for {
		resp := r.call(0, req)
		if resp == nil || is(resp) {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
}

// late waits until the session has ended: it is the brokers' time, and nobody can be asked for it.
func (r *raw) late() { <-time.After(session + 100*time.Millisecond) }

// knownOtherwise are the stories that end otherwise at Kafka, and why.
var knownOtherwise = map[string]string{
	"log in again by a mechanism that is not enabled": "Kafka ends without a word",
	"ApiVersions twice, and between":                  "Kafka ends the connection: it is not known who would send that",
	"a request between a handshake and its token":     "Kafka decodes it, to say ILLEGAL_SASL_STATE; then it ends too",
}

// Frame by frame, right and wrong, before a login, behind it and in the middle, Samsa answers what Apache Kafka answers, and ends when it ends.
func TestLoginFramesLikeKafka(t *testing.T) {
	mechanisms, users := []string{"PLAIN", "SCRAM-SHA-256"}, map[string]string{"alice": "right", "bob": "hop"}
	c := kafkatest.New(t, kafkatest.Options{
		Secure:  kafkatest.Secure{SASL: mechanisms, Users: users},
		Configs: map[string]string{"connections.max.reauth.ms": fmt.Sprint(session.Milliseconds())},
	})
	s := samsatest.Secure(t, samsatest.New(t), samsatest.Guard{SASL: mechanisms, Users: users, MaxReauth: session})
	for _, story := range frameStories {
		t.Run(story.name, func(t *testing.T) {
			tell := func(addr string) string {
				nc, err := net.Dial("tcp", addr)
				must(t, err)
				defer func() { _ = nc.Close() }()
				r := &raw{nc: nc}
				story.story(r)
				return strings.Join(r.heard, "\n")
			}
			var here, there string
			for range 3 {
				begun := time.Now()
				here, there = tell(s.Addr), tell(c.Seeds()[0])
				if here == there || time.Since(begun) < time.Second {
					break
				}
				// On a slow machine a session has ended in the middle, or who logs in again at once has done so a second later.
			}
			if why, ok := knownOtherwise[story.name]; ok {
				t.Logf("%s:\n%s\nand at Kafka\n%s", why, here, there)
				return
			}
			if here != there {
				t.Errorf("here it hears\n%s\nand at Kafka\n%s", here, there)
			}
		})
	}
}

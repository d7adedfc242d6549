package kafka

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/sasl"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

var (
	hostileFrames = flag.Int("hostile-frames", 1_500, "frames that TestHostileFrames sends")
	hostileSeed   = flag.Uint64("hostile-seed", 0, "of these; 0 is another one each time")
)

// roundFrames is how many frames one broker gets: with all rights they fill it.
const roundFrames = 20_000

// Frames of somebody who knows the protocol, of each kind that attacker makes, at a broker that has something to hide:
//
//	half    before a login: nobody gets in, and nothing but the three requests of logins is answered
//	a third behind the login of somebody without rights, who logs in again in between: nothing in the store changes, and no name is told
//	a sixth behind the login of somebody with all rights: nothing crashes, and who has a password is served still
//	and some at a port for TLS with certificates: nobody is served
//
// All the while what the server has taken is bounded, and in the end it has given everything back, no connection is left, and no goroutine:
// a bubble does not end while there is one.
func TestHostileFrames(t *testing.T) {
	seed := *hostileSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-hostile-seed %d", seed)
	made := newForger(t)
	total, began := tries{}, time.Now()
	for round, left := uint64(0), *hostileFrames; left > 0 && !t.Failed(); round++ {
		n := min(left, roundFrames)
		left -= n
		synctest.Test(t, func(t *testing.T) {
			s := &siege{attacker: newAttacker(seed, round, made), t: t}
			s.run(n)
			total.add(s.tries)
		})
		if round%25 == 24 {
			t.Logf("%v: %+v", time.Since(began).Round(time.Second), total)
		}
	}
	t.Logf("%+v in %v", total, time.Since(began).Round(time.Millisecond))
}

// tries is what was sent.
type tries struct{ frames, connections, logins, failed int }

func (a *tries) add(b tries) {
	a.frames += b.frames
	a.connections += b.connections
	a.logins += b.logins
	a.failed += b.failed
}

// forger makes tokens that are nearly right. What takes long to make it makes once.
type forger struct {
	dir    string
	good   string // is alice's
	tokens []string
}

const hostileKeys = "hostile.json" // of tokens

func newForger(t *testing.T) *forger {
	f := &forger{dir: t.TempDir()}
	ours, theirs := newKey(t), newKey(t)
	public := webKeyOf(t, "k", ours.Public(), nil)
	text, _ := json.Marshal(map[string]any{"keys": []any{public}})
	write(t, filepath.Join(f.dir, hostileKeys), text)
	now := int64(946684800) // when bubbles begin
	claims := func(changes map[string]any) map[string]any {
		all := map[string]any{"sub": "alice", "iss": "https://shop", "aud": "kafka", "iat": now - 60, "exp": now + 1<<30}
		for name, value := range changes {
			if all[name] = value; value == nil {
				delete(all, name)
			}
		}
		return all
	}
	add := func(token string) { f.tokens = append(f.tokens, token) }
	sign := func(key crypto.Signer, changes map[string]any) string {
		return signToken(t, "ES256", "k", key, claims(changes))
	}
	others := sign(ours, map[string]any{"aud": "others"}) // its parts serve for what follows
	head, rest, _ := strings.Cut(others, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	right, _ := json.Marshal(claims(nil))
	for _, changes := range []map[string]any{
		{"exp": now - 3600}, {"exp": nil}, {"exp": "never"}, {"exp": 1e300}, {"exp": -1}, {"iat": nil}, {"nbf": now + 1<<30}, {"nbf": "now"}, {"aud": "others"}, {"aud": nil}, {"aud": []any{[]any{"kafka"}}},
		{"iss": "https://bank"}, {"iss": nil}, {"sub": nil}, {"sub": ""}, {"sub": []string{"alice"}}, {"sub": map[string]string{"a": "b"}},
	} {
		add(sign(ours, changes))
	}
	f.good = sign(ours, nil)
	add(sign(theirs, nil))
	for _, h := range []string{
		`{"alg":"none"}`, `{"alg":"NONE","kid":"k"}`, `{"alg":"nOnE"}`, `{}`, `null`, `[]`, `{"alg":"ES256","kid":"../../../../dev/null"}`, `{"alg":"ES256","kid":"k\u0000"}`, `{"alg":"ES256","kid":"' OR 1=1"}`,
		`{"alg":"ES256","crit":["exp"]}`, `{"alg":"ES256","jku":"http://localhost/keys"}`, `{"alg":"ES384"}`, `{"alg":"RS256"}`, `{"alg":"PS256"}`, `{"alg":"EdDSA"}`, `{"alg":"ES256","alg":"none"}`,
		`{"alg":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
	} {
		unsigned := base64URL([]byte(h)) + "." + base64URL(right)
		for _, sum := range []string{"", signature, base64URL(make([]byte, 64)), base64URL(bytes.Repeat([]byte{0xff}, 64)), base64URL(make([]byte, 1))} {
			add(unsigned + "." + sum)
		}
	}
	x, _ := base64.RawURLEncoding.DecodeString(public["x"]) // the public key as if it were a secret that is shared
	for _, secret := range [][]byte{x, text, []byte(public["x"]), nil} {
		for _, alg := range []string{"HS256", "ES256"} {
			unsigned := base64URL([]byte(`{"alg":"`+alg+`","kid":"k"}`)) + "." + base64URL(right)
			mac := hmac.New(sha256.New, secret)
			mac.Write([]byte(unsigned))
			add(unsigned + "." + base64URL(mac.Sum(nil)))
		}
	}
	own, _ := json.Marshal(map[string]any{"alg": "ES256", "jwk": webKeyOf(t, "mine", theirs.Public(), nil)}) // brings its own key
	unsigned := base64URL(own) + "." + base64URL(right)
	r, s, err := ecdsa.Sign(rand.NewChaCha8([32]byte{}), theirs, digestOf(crypto.SHA256, unsigned))
	if err != nil {
		t.Fatal(err)
	}
	add(unsigned + "." + base64URL(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)))
	add(others + "=")
	add(others + "." + payload)
	add(head + "." + base64URL(right) + "." + signature)
	add(head + ".." + signature)
	add(strings.Repeat("a.", 5000))
	add(strings.Repeat("a", 500_000))
	return f
}

// attacker makes what somebody sends who knows the protocol.
type attacker struct {
	hostile
	*forger
	batches [][]byte   // whole ones, of each codec
	topics  []topicRef // that it knows of
	known   bool       // it has logged in
}

func newAttacker(seed, round uint64, f *forger) *attacker {
	a := &attacker{hostile: hostile{Rand: rand.New(rand.NewPCG(seed, round)), epochs: []int32{0, 1, 2}, ids: [][16]byte{{}, {9}}}, forger: f}
	for codec := log.CodecNone; codec <= log.CodecZstd; codec++ {
		for _, size := range []int{0, 100, 100_000} { // the last one is small, and becomes large
			var b log.Builder
			b.Append(1, []byte("k"), bytes.Repeat([]byte{'v'}, size), nil)
			b.Append(2, nil, []byte("w"), []log.Header{{Key: "h", Value: []byte("x")}})
			sealed, err := b.Seal(nil, codec)
			if err != nil {
				panic(err)
			}
			if len(sealed) < 4<<10 {
				a.batches = append(a.batches, sealed)
			}
		}
	}
	return a
}

// forbidden is the correlation id of whole requests that nobody may send before he has logged in: an answer that has it is a hole.
const forbidden = 0x5ec2e701

func (a *attacker) encode(req kmsg.Request, version int16, id int32) []byte {
	req.SetVersion(version)
	opt := kmsg.FormatterClientID("hostile")
	if a.IntN(20) == 0 {
		opt = kmsg.FormatterClientID(strings.Repeat("c", a.IntN(40_000)))
	}
	return kmsg.NewRequestFormatter(opt).AppendRequest(nil, req, id)
}

// frame is one request, whole or not.
func (a *attacker) frame() []byte {
	var b []byte
	spoil, kind := a.IntN(2) == 0, a.IntN(12)
	if a.known && a.IntN(8) > 0 { // what ends the connection is not all that there is
		spoil, kind = a.IntN(8) == 0, 4+a.IntN(8)
	}
	id := int32(7)
	e := table[a.IntN(len(table))]
	version := e.min + int16(a.IntN(int(e.max-e.min)+1))
	req := e.key.Request()
	switch kind {
	case 0:
		req := kmsg.NewPtrSASLHandshakeRequest()
		req.Mechanism = a.mechanism()
		b = a.encode(req, int16(a.IntN(2)), id)
	case 1:
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SASLAuthBytes = []byte(a.message())
		b = a.encode(req, int16(a.IntN(3)), id)
	case 2:
		message := a.message() // without a header
		b = append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...)
	case 3:
		return a.otherProtocol()
	case 4:
		b = a.encode(a.produce(), int16(a.IntN(14)), id)
	case 5:
		if d, ok := req.(interface{ Default() }); ok {
			d.Default()
		}
		if spoil = false; e.key != kmsg.ApiVersions && e.key != kmsg.SASLHandshake && e.key != kmsg.SASLAuthenticate {
			id = forbidden
		}
		b = a.encode(req, version, id)
	default:
		if a.IntN(3) == 0 {
			a.fill(reflect.ValueOf(req).Elem())
		} else { // one that would be carried out, but for a few fields
			req = namer{a.topics[a.IntN(len(a.topics))], a.records()}.request(e, version)
			for fields := leaves(reflect.ValueOf(req).Elem(), nil); a.IntN(3) > 0 && len(fields) > 0; {
				a.fill(fields[a.IntN(len(fields))])
			}
		}
		a.calm(req)
		if a.IntN(3) == 0 {
			a.tag(reflect.ValueOf(req).Elem())
		}
		if a.IntN(3) == 0 {
			a.mend(req)
		}
		if a.IntN(20) == 0 {
			version = int16(a.number(16))
			if version < e.min || version > e.max {
				b = a.encode(req, e.max, id)
				binary.BigEndian.PutUint16(b[6:], uint16(version))
				return b
			}
		}
		b = a.encode(req, version, id)
	}
	if spoil {
		b = a.spoil(b)
	}
	return b
}

// calm takes from requests what makes the broker do what it was asked for at length, with good reason.
func (a *attacker) calm(req kmsg.Request) {
	switch r := req.(type) {
	case *kmsg.CreateTopicsRequest:
		for i := range r.Topics {
			r.Topics[i].NumPartitions = min(r.Topics[i].NumPartitions, 50)
			if a.IntN(2) == 0 {
				r.Topics[i].Configs = nil
			}
		}
	case *kmsg.CreatePartitionsRequest:
		for i := range r.Topics {
			r.Topics[i].Count = min(r.Topics[i].Count, 50)
		}
	case *kmsg.AlterClientQuotasRequest: // who is silenced is not heard
		for i := range r.Entries {
			for j := range r.Entries[i].Ops {
				if v := &r.Entries[i].Ops[j].Value; *v >= 0 && a.IntN(50) > 0 {
					*v += 1e9
				}
			}
		}
	}
}

// tag gives what has room for them tags that nobody knows.
func (a *attacker) tag(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		if tags, ok := v.Addr().Interface().(*kmsg.Tags); ok {
			for range a.IntN(4) {
				tags.Set(uint32(a.number(31))&0x7fffffff, bytes.Repeat([]byte{0xff}, a.IntN(40)))
			}
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				a.tag(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if k := v.Type().Elem().Kind(); k == reflect.Struct || k == reflect.Slice {
				a.tag(v.Index(i))
			}
		}
	}
}

// produce brings batches, of which some are nearly right: the checksum is, and what it covers lies.
func (a *attacker) produce() kmsg.Request {
	req := kmsg.NewPtrProduceRequest()
	a.fill(reflect.ValueOf(req).Elem())
	if a.IntN(4) > 0 {
		req.Acks = int16(a.IntN(3) - 1)
	}
	for i := range req.Topics {
		if id := a.topics[a.IntN(len(a.topics))]; a.IntN(2) == 0 {
			req.Topics[i].Topic, req.Topics[i].TopicID = id.name, id.id
		}
		for j := range req.Topics[i].Partitions {
			req.Topics[i].Partitions[j].Records = a.records()
		}
	}
	return req
}

func (a *attacker) records() (all []byte) {
	for range 1 + a.IntN(12)/10 {
		b := bytes.Clone(a.batches[a.IntN(len(a.batches))])
		if a.IntN(4) > 0 {
			for range 1 + a.IntN(3) {
				a.lie(b[8:])
			}
			if a.IntN(4) == 0 {
				b = b[:a.IntN(len(b)+1)]
			}
			if a.IntN(8) > 0 && len(b) >= log.BatchHeaderSize {
				binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
				b[16] = 2
				binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
			}
		}
		all = append(all, b...)
	}
	return all
}

// leaves returns the fields of a request that have none.
func leaves(v reflect.Value, all []reflect.Value) []reflect.Value {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "UnknownTags" && name != "Version" && v.Field(i).CanSet() {
				all = leaves(v.Field(i), all)
			}
		}
		return all
	case reflect.Pointer:
		if !v.IsNil() {
			return leaves(v.Elem(), append(all, v))
		}
	case reflect.Slice:
		for i := range v.Len() {
			all = leaves(v.Index(i), all)
		}
	}
	return append(all, v)
}

// lie writes at some place what a length or a count may not be.
func (a *attacker) lie(b []byte) {
	lies := []string{
		"\x7f\xff\xff\xff", "\xff\xff\xff\xff", "\x80\x00\x00\x00", "\x00\x00\x00\x00", "\x7f\xff", "\xff\xff", "\x80\x00", "\xff", "\x00", "\x01",
		"\xff\xff\xff\xff\x0f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "\x00\x0f\xff\xff",
	}
	if len(b) > 0 {
		copy(b[a.IntN(len(b)):], lies[a.IntN(len(lies))])
	}
}

// spoil makes a frame one that is not right.
func (a *attacker) spoil(b []byte) []byte {
	fits := func() { binary.BigEndian.PutUint32(b[:4:4], uint32(max(0, len(b)-4))) }
	switch a.IntN(9) {
	case 0:
		if len(b) >= 4 {
			a.lie(b[:4])
		}
	case 1:
		b = b[:a.IntN(len(b)+1)]
	case 2:
		for range 1 + a.IntN(4) {
			if len(b) > 4 {
				b[4+a.IntN(len(b)-4)] ^= 1 << a.IntN(8)
			}
		}
	case 3, 4, 5: // behind the header
		for range 1 + a.IntN(3) {
			a.lie(b[min(len(b), 12):])
		}
	case 6:
		more := make([]byte, a.IntN(64))
		for i := range more {
			more[i] = byte(a.Uint32())
		}
		b = append(b, more...)
		fits()
	case 7: // a part is missing, or there twice
		if len(b) > 12 {
			from := 12 + a.IntN(len(b)-12)
			to := from + a.IntN(len(b)-from)
			if a.IntN(2) == 0 {
				b = append(b[:to:to], b[from:]...)
			} else {
				b = append(b[:from:from], b[to:]...)
			}
			fits()
		}
	case 8:
		if len(b) >= 4 {
			binary.BigEndian.PutUint32(b, uint32(len(b)-4+a.IntN(9)-4))
		}
	}
	return b
}

func (a *attacker) mechanism() string {
	of := append([]string{"GSSAPI", "", "plain", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "ANONYMOUS", "EXTERNAL", "PLAIN\x00", strings.Repeat("M", 30_000)}, sasl.Mechanisms...)
	of = append(of, sasl.Mechanisms...)
	return of[a.IntN(len(of))]
}

// Passwords cost the server some rounds of a hash, so not many are tried.
var hostileMessages = []string{
	"", "\x00", "\x00\x00", "\x00\x00\x00", "\x00alice\x00", "\x00\x00right", "\x00alice\x00right\x00", "alice\x00\x00", "alice", strings.Repeat("\x00", 4000), "\xff\xfe\x00\xff\x00", strings.Repeat("u", 300_000),
	"n,,n=alice,r=abc", "n,,n=alice,r=abc,tokenauth=true", "n,a=alice,n=alice,r=abc", "n,a=bob,n=alice,r=abc", "y,,n=alice,r=abc", "p=tls-unique,,n=alice,r=abc", "n,,n=al=ice,r=abc", "n,,n=a=2Cb=3Dc,r=abc", "n,,n=,r=", "n,,m=x,n=alice,r=abc",
	"n,,n=\u2168,r=abc", "n,,n=\u00aa\u00adx,r=abc", "n,,n=\u0627\u0031,r=abc", "n,,n=\xff\xfe,r=abc", "n,,n=alice,r=" + strings.Repeat("n", 5000), "n,,n=alice,r=abc,i=1", "n,,n=alice,r=\x00", "c=biws,r=abc,p=AAAA", "c=biws,r=abc,s=AAAA,i=1", "v=AAAA", "e=other-error",
	"n,,\x01auth=Bearer x\x01\x01", "n,a=bob,\x01auth=Bearer x\x01\x01", "n,,\x01auth=\x01\x01", "n,,\x01" + strings.Repeat("a=b\x01", 5000) + "\x01", "\x01",
}

var hostilePasswords = []string{
	"\x00alice\x00wrong", "\x00alice\x00righ", "\x00alice\x00right ", "\x00ALICE\x00right", "alice\x00nobody\x00right", "bob\x00alice\x00wrong", "\x00\u00e1lice\x00right", "\x00al\u00adice\x00right", "\x00\uff41lice\x00right", "\x00alice\x00" + strings.Repeat("p", 100_000),
	"\x00" + strings.Repeat("u", 100_000) + "\x00right", "\x00alice\x00\u0661", "\x00alice\xc0\x80\x00right",
}

// message is one of a mechanism.
func (a *attacker) message() string {
	var m string
	switch a.IntN(30) {
	case 0:
		m = hostilePasswords[a.IntN(len(hostilePasswords))]
	case 1, 2, 3:
		m = a.bearer()
	default:
		m = hostileMessages[a.IntN(len(hostileMessages))]
	}
	if len(m) > 0 && len(m) < 10_000 && a.IntN(4) == 0 && !strings.HasPrefix(m, "\x00alice\x00righ") { // which would be right then
		b := []byte(m)
		b[a.IntN(len(b))] ^= 1 << a.IntN(8)
		m = string(b)
	}
	return m
}

func (a *attacker) bearer() string {
	as := []string{"", "a=alice", "a=bob"}[a.IntN(3)]
	return "n," + as + ",\x01auth=Bearer " + a.tokens[a.IntN(len(a.tokens))] + "\x01\x01"
}

func (a *attacker) otherProtocol() []byte {
	of := []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "POST /api/v1/users HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n", "SSH-2.0-x\r\n", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "\x80\x2e\x01\x03\x01", "\x00", "\r\n\r\n",
		"\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x7f\xff\xff\xff\x00\x12\x00\x03", "\x00\x08\x00\x00\x00\x12\x00\x03", "\x00\x00\x00\x08\x00\x12\x7f\xff\x00\x00\x00\x01",
	}
	b := []byte(of[a.IntN(len(of))])
	if a.IntN(2) == 0 {
		b[a.IntN(len(b))] ^= 1 << a.IntN(8)
	}
	return b
}

// siege is one broker, and those who attack it.
type siege struct {
	*attacker
	*kit
	tries
	t      *testing.T
	heap   uint64 // before
	inside bool   // they may do everything
	next   int    // frames until memory is looked at
}

// hidden is in the name of each thing that is not for everybody's eyes.
const hidden = "Zq7"

// run sends n frames.
func (s *siege) run(n int) {
	t := s.t
	s.heap = liveHeap()
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true, Groups: samsa.GroupOptions{InitialRebalanceDelay: -1}, Transactions: samsa.TransactionOptions{IDExpiry: 24 * 24 * time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{Broker: b, t: t, ctx: t.Context()}
	s.kit = k
	k.user("alice", "right")
	k.user(hidden+"admin", "right")
	s.topics = []topicRef{{"none", [16]byte{9}}}
	for _, name := range []string{hidden + "orders", "a", "b"} {
		s.know(name)
		if _, err := b.Produce(k.ctx, samsa.Record{Topic: name, Value: []byte(hidden)}); err != nil {
			t.Fatal(err)
		}
	}
	s.topics[1].name = "?" // whose id it has got somehow
	if err := k.Groups().SetOffsets(k.ctx, hidden+"billing", map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: hidden + "orders"}: {}}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.in().Txns.Init(k.ctx, hidden+"shop", 1e9, nil); err != nil {
		t.Fatal(err)
	}
	token, err := JWKS(filepath.Join(s.dir, hostileKeys), TokenOptions{Issuer: "https://shop", Audience: "kafka"})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{MaxMemoryBytes: minMemoryBytes, MaxConnections: 100, IdleTimeout: time.Minute, WriteTimeout: 20 * time.Second, ACLs: &ACLs{SuperUsers: []Principal{{UserType, hidden + "admin"}}}, Security: Security{SASL: &SASL{Token: token, MaxReauth: time.Minute}}}

	s.serve(b, o)
	for s.frames < n/2 {
		s.visit("", func(c *invader) { c.sees(be32(forbidden)) })
	}
	s.gone()
	s.nobodyEntered()
	before := k.contents()
	s.known = true
	for s.frames < n/2+n/3 {
		s.visit("alice", func(c *invader) { c.sees([]byte(hidden)) })
	}
	s.gone()
	if after := k.contents(); after != before {
		t.Errorf("what is stored has changed:\n%s", difference(before, after))
	}
	s.served()
	_ = s.srv.Close()

	s.certificates(b, max(1, n/100))

	o.ACLs.SuperUsers = append(o.ACLs.SuperUsers, Principal{UserType, "alice"})
	s.inside, s.known = true, true
	s.serve(b, o)
	for s.frames < n && !t.Failed() {
		if s.IntN(20) == 0 { // they may have been deleted
			s.topics, s.ids = s.topics[:1], s.ids[:2]
			s.know("a")
			s.know("b")
		}
		s.visit("alice", func(*invader) {})
	}
	s.gone()
	k.user("alice", "right")
	s.served()
	s.ids = nil
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	s.kit, k, b = nil, nil, nil
	if now := liveHeap(); now > s.heap+16<<20 {
		t.Errorf("a broker that is closed leaves %d MiB", (now-s.heap)>>20)
	}
}

// know makes a topic, if it is not there, and has the attacker know it.
func (s *siege) know(name string) {
	if _, err := s.Topics().Describe(s.ctx, name); err != nil {
		s.create(name, samsa.TopicConfig{Partitions: 3})
	}
	s.ids = append(s.ids, s.topicID(name))
	s.topics = append(s.topics, topicRef{name, s.topicID(name)})
}

func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func liveHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// contents is everything that the broker's store has.
func (k *kit) contents() string {
	k.t.Helper()
	var b strings.Builder
	err := k.in().Store.Scan(store.Range{}, func(e store.Entry) (bool, error) {
		value, err := e.AppendValue(nil)
		fmt.Fprintf(&b, "%q: %q\n", e.Key, value)
		return true, err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return b.String()
}

// difference returns the lines that only one of two texts has.
func difference(before, after string) string {
	was := make(map[string]bool)
	for line := range strings.Lines(before) {
		was[line] = true
	}
	var b strings.Builder
	for line := range strings.Lines(after) {
		if !was[line] {
			b.WriteString("+ " + line)
		}
		delete(was, line)
	}
	for line := range was {
		b.WriteString("- " + line)
	}
	return b.String()
}

func (s *siege) serve(b *samsa.Broker, o Options) {
	s.pipe = NewPipe()
	var err error
	if s.srv, err = Serve(b, s.pipe, o); err != nil {
		s.t.Fatal(err)
	}
}

// invader is a connection, and who reads what comes on it.
type invader struct {
	client
	s     *siege
	ended chan struct{} // closed when nothing more comes; nil if nobody reads

	mu   sync.Mutex // guards what follows
	tail []byte     // of what came last
	must []byte     // not come
	came bool
}

func (s *siege) connect() *invader {
	nc, err := s.pipe.Dial("tcp", "")
	if err != nil {
		s.t.Fatal(err)
	}
	s.connections++
	return &invader{client: client{Conn: nc, t: s.t}, s: s}
}

// sees has the test fail if these bytes come.
func (c *invader) sees(must []byte) { c.must = must }

// listen reads whatever comes, until the connection ends.
func (c *invader) listen() {
	c.ended = make(chan struct{})
	go func() {
		defer close(c.ended)
		buf := make([]byte, 16<<10)
		for {
			n, err := c.Read(buf)
			c.mu.Lock()
			if c.tail = append(c.tail, buf[:n]...); len(c.must) > 0 && bytes.Contains(c.tail, c.must) {
				c.came = true
			}
			if keep := 64; len(c.tail) > keep {
				c.tail = append(c.tail[:0], c.tail[len(c.tail)-keep:]...)
			}
			c.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

// outlast waits until the server has had enough, but not for what it has been asked to wait for, which may be weeks.
func (c *invader) outlast() {
	select {
	case <-c.ended:
	case <-time.After(5 * time.Minute):
	}
}

// end closes the connection.
func (c *invader) end() {
	_ = c.Close()
	if c.ended != nil {
		<-c.ended
	}
	if c.came {
		c.t.Errorf("answered %q: %q", c.must, c.tail)
	}
}

// push writes frames, and counts those that were taken. It reports whether all were.
func (c *invader) push(frames ...[]byte) bool {
	n, err := c.Write(bytes.Join(frames, nil))
	for _, f := range frames {
		if n -= len(f); n <= -len(f) {
			break
		}
		c.s.frames++
	}
	return err == nil
}

// visit is one connection, or some, of somebody who has logged in as user, or of nobody.
func (s *siege) visit(user string, rules func(*invader)) {
	for s.srv.Stats().Connections > s.srv.opts.MaxConnections/2 { // those that a quota has silenced, until they have been idle for long enough
		time.Sleep(time.Minute)
	}
	c := s.connect()
	rules(c)
	if user != "" {
		mechanism, secret := sasl.OAuthBearer, s.good
		if s.IntN(32) == 0 { // by a password, which costs thousands of hashes
			mechanism, secret = scramAndPlain[s.IntN(3)], "right"
			if s.inside {
				s.user(user, secret) // it may have been deleted
			}
		}
		if resp := c.login(int16(s.IntN(4)-1), mechanism, user, secret); resp.ErrorCode != 0 {
			s.t.Fatalf("%s: %+v", mechanism, resp)
		}
		s.logins++
		if s.IntN(4) == 0 {
			time.Sleep(time.Duration(s.IntN(80)) * time.Second) // a session has a minute
		}
	}
	defer c.end()
	switch s.IntN(30) {
	case 0: // many requests at once
		c.listen()
		frames := make([][]byte, 1+s.IntN(1000))
		for i := range frames {
			if i == 0 || s.IntN(20) == 0 {
				frames[i] = s.frame()
			} else {
				frames[i] = s.encode(kmsg.NewPtrApiVersionsRequest(), int16(s.IntN(5)), 7)
			}
		}
		c.push(frames...)
	case 1: // byte by byte, with pauses of up to what is idle
		c.listen()
		f := s.frame()
		for i := range min(len(f), 40) {
			if i%8 == 7 {
				time.Sleep(time.Duration(s.IntN(31)) * time.Second)
			}
			if _, err := c.Write(f[i : i+1]); err != nil {
				break
			}
		}
		s.frames++
	case 2: // a part, and then nothing, until the server has enough
		c.listen()
		if f := s.frame(); c.push(f[:s.IntN(len(f)+1)]) {
			c.outlast()
		}
	case 3: // no answer is read
		frames := make([][]byte, 1+s.IntN(30))
		for i := range frames {
			frames[i] = s.frame()
		}
		_ = c.SetDeadline(time.Now().Add(time.Duration(s.IntN(120)) * time.Second))
		c.push(frames...)
	case 4: // many connections, most of which say nothing, or begin with something
		c.listen()
		var all []*invader
		for range s.IntN(150) {
			other := s.connect()
			rules(other)
			other.listen()
			all = append(all, other)
		}
		for _, other := range all {
			if s.IntN(4) == 0 {
				f := s.frame()
				other.push(f[:s.IntN(len(f)+1)])
			}
		}
		s.bounded()
		for _, other := range all {
			other.end()
		}
	case 5, 6, 7, 8: // a try by SCRAM, with the answer to what the server has said, and without the password
		s.scram(c)
	case 9, 10, 11: // a token, or another message where one is expected
		s.handshake(c, func(v int16) { _ = c.push(s.saslToken(v, s.message())) })
	default:
		c.listen()
		for range 1 + s.IntN(20) {
			if !c.push(s.frame()) {
				break
			}
		}
	}
	if s.IntN(8) > 0 {
		synctest.Wait() // for answers, in most cases
	}
	s.bounded()
}

// saslToken is a message of a mechanism in a frame; version -1 is one without a header.
func (s *siege) saslToken(version int16, message string) []byte {
	if version < 0 {
		return append(be32(uint32(len(message))), message...)
	}
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = []byte(message)
	return s.encode(req, version, 7)
}

// handshake begins a try, has some messages sent, and sends frames.
func (s *siege) handshake(c *invader, messages func(version int16)) {
	c.listen()
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Mechanism = s.mechanism()
	version := int16(s.IntN(2))
	c.push(s.encode(hello, version, 7))
	if version == 0 {
		version = -1
	} else {
		version = int16(s.IntN(3))
	}
	if s.IntN(4) == 0 {
		c.push(s.frame())
	}
	for range 1 + s.IntN(3) {
		messages(version)
	}
	for range s.IntN(4) {
		c.push(s.frame())
	}
}

// scram tries SCRAM, up to a proof that is not one.
func (s *siege) scram(c *invader) {
	mechanism := []string{sasl.ScramSHA256, sasl.ScramSHA512}[s.IntN(2)]
	user := []string{"alice", "alice", hidden + "admin", "nobody", "Alice", "alice\u00ad", strings.Repeat("u", 300)}[s.IntN(7)]
	c.listen()
	hello := kmsg.NewPtrSASLHandshakeRequest()
	hello.Mechanism = mechanism
	c.push(s.encode(hello, 1, 7), s.saslToken(2, "n,,n="+user+",r=abc"))
	synctest.Wait()
	c.mu.Lock()
	asked := string(c.tail)
	c.mu.Unlock()
	from := strings.LastIndex(asked, "r=abc")
	to := strings.LastIndex(asked, ",i=4096")
	if from < 0 || to < from {
		asked = "r=abcdef,s=AAAA,i=4096"
	} else {
		asked = asked[from : to+len(",i=4096")]
	}
	final := asked[:strings.IndexByte(asked, ',')]
	size := sasl.HashSize(mechanism)
	proof := make([]byte, []int{size, size, size, 0, size - 1, size + 1, 3000}[s.IntN(7)])
	for i := range proof {
		proof[i] = byte(s.Uint32()) * byte(s.IntN(2))
	}
	messages := []string{
		"c=biws," + final + ",p=" + base64.StdEncoding.EncodeToString(proof), "c=biws," + final + "x,p=" + base64.StdEncoding.EncodeToString(proof), "c=eSws," + final + ",p=" + base64.StdEncoding.EncodeToString(proof),
		"c=biws," + final + ",p=", "c=biws,p=,p=", "n,,n=" + user + ",r=abc", final, "c=biws," + final + ",p=" + strings.Repeat("A", 4000), "c=biws," + final + ",i=1,p=" + base64.StdEncoding.EncodeToString(proof),
	}
	c.push(s.saslToken(2, messages[s.IntN(len(messages))]))
	for range s.IntN(4) {
		c.push(s.frame())
	}
}

// certificates has n connections come to a port for TLS where clients have to show certificates.
func (s *siege) certificates(b *samsa.Broker, n int) {
	s.known = false
	ours, theirs := newAuthority(s.t), newAuthority(s.t)
	cert, key := ours.sign(certificateFor(pkix.Name{CommonName: "server"}))
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		s.t.Fatal(err)
	}
	pool := ours.client(nil, nil).RootCAs
	s.serve(b, Options{MaxConnections: 100, Security: Security{TLS: &TLS{Config: &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool}, ClientAuth: RequireClientCert}}})
	name := pkix.Name{CommonName: "alice"}
	for range n {
		c := s.connect()
		switch s.IntN(4) {
		case 0: // plain words
			c.listen()
			for range 1 + s.IntN(4) {
				c.push(s.frame())
			}
		case 1: // a handshake of which some bits are others
			c.listen()
			hello := s.hello()
			for range 1 + s.IntN(4) {
				hello[s.IntN(len(hello))] ^= 1 << s.IntN(8)
			}
			c.push(hello[:s.IntN(len(hello)+1)])
			if s.IntN(4) == 0 {
				c.outlast()
			}
		default: // a handshake with no certificate, or with that of a stranger, and requests
			config := ours.client(nil, nil)
			if s.IntN(2) == 0 {
				config = ours.client(&name, theirs)
			}
			config.InsecureSkipVerify = true
			enc := tls.Client(c.Conn, config)
			if enc.Handshake() == nil {
				c.Conn = enc
				c.listen()
				for range 1 + s.IntN(4) {
					c.push(s.frame())
				}
			}
		}
		c.end()
	}
	s.gone()
	if st := s.srv.Stats(); len(st.Requests) > 0 || st.Connections > 0 {
		s.t.Errorf("somebody without a certificate is served: %+v", st)
	}
	_ = s.srv.Close()
}

// hello is how a client of TLS begins.
func (s *siege) hello() []byte {
	ours, theirs := net.Pipe()
	defer func() { _ = ours.Close() }()
	go func() { _ = tls.Client(theirs, &tls.Config{ServerName: "x", MinVersion: tls.VersionTLS12}).Handshake() }()
	buf := make([]byte, 4<<10)
	n, err := ours.Read(buf)
	if err != nil {
		s.t.Fatal(err)
	}
	return buf[:n]
}

// bounded looks, now and then, at what the server has taken.
func (s *siege) bounded() {
	if st := s.srv.Stats(); st.Connections > s.srv.opts.MaxConnections {
		s.t.Errorf("%d connections", st.Connections)
	}
	if s.frames < s.next {
		return
	}
	s.next = s.frames + 2_000
	if now := liveHeap(); !s.inside && now > s.heap+minMemoryBytes+32<<20 {
		s.t.Errorf("%d MiB are taken, there are %d for it", (now-s.heap)>>20, minMemoryBytes>>20)
	}
}

// gone waits until what connections have left is done, and looks what they keep.
func (s *siege) gone() {
	time.Sleep(time.Minute)
	synctest.Wait()
	st := s.srv.Stats()
	if st.Connections != 0 || st.InFlight != 0 || st.RequestMemory.Used != 0 || st.AnswerMemory.Used != 0 {
		s.t.Errorf("something is kept: %d connections, %d requests, memory %+v, %+v", st.Connections, st.InFlight, st.RequestMemory, st.AnswerMemory)
	}
	s.failed += int(st.FailedLogins)
}

// nobodyEntered looks whether somebody got in, or was answered what only those inside are.
func (s *siege) nobodyEntered() {
	st := s.srv.Stats()
	if st.Logins != 0 {
		s.t.Errorf("somebody got in: %+v", st)
	}
	for _, r := range st.Requests {
		if key := kmsg.Key(r.Key); key != kmsg.ApiVersions && key != kmsg.SASLHandshake && key != kmsg.SASLAuthenticate {
			s.t.Errorf("%s was carried out", r.Name)
		}
	}
}

// served fails if somebody who has a password is not let in.
func (s *siege) served() {
	c := s.connect()
	defer c.end()
	if resp := c.login(2, sasl.ScramSHA256, "alice", "right"); resp.ErrorCode != 0 || c.whoami() != "User:alice" {
		s.t.Errorf("who has a password is not served: %+v", resp)
	}
}

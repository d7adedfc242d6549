package kafka

import (
	"bytes"
	"encoding/binary"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/sasl"
)

var hostileFrames = flag.Int("hostile-frames", 20_000, "frames that TestHostileFrames sends")

// stranger makes frames as somebody does who knows the protocol and has no password: each request of the table, each version and others, whole,
// cut, with lengths that are wrong, bits that are flipped, and tokens that nearly fit.
type stranger struct {
	*rand.Rand
	valid [][]byte // requests, each in all its versions
}

func newStranger(seed uint64) *stranger {
	h := &stranger{Rand: rand.New(rand.NewPCG(seed, 30))}
	for _, e := range table {
		for version := e.min; version <= e.max; version++ {
			req := e.key.Request()
			if d, ok := req.(interface{ Default() }); ok {
				d.Default()
			}
			req.SetVersion(version)
			h.valid = append(h.valid, kmsg.NewRequestFormatter(kmsg.FormatterClientID("hostile")).AppendRequest(nil, req, 7))
		}
	}
	return h
}

var hostileTokens = []string{"", "\x00", "\x00alice\x00", "\x00alice\x00wrong", "\x00\x00right", "n,,n=alice,r=abc", "n,,n=alice,r=abc,tokenauth=true", "c=biws,r=abc,p=AAAA", "n,,\x01auth=Bearer x\x01\x01", "\x01"}

// frame returns the next one.
func (h *stranger) frame() []byte {
	login := func(req kmsg.Request, version int16) []byte {
		req.SetVersion(version)
		return kmsg.NewRequestFormatter().AppendRequest(nil, req, 7)
	}
	var b []byte
	switch h.IntN(6) {
	case 0:
		req := kmsg.NewPtrSASLHandshakeRequest()
		req.Mechanism = append(sasl.Mechanisms, "GSSAPI", "")[h.IntN(len(sasl.Mechanisms)+2)]
		b = login(req, int16(h.IntN(2)))
	case 1:
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SASLAuthBytes = []byte(hostileTokens[h.IntN(len(hostileTokens))])
		b = login(req, int16(h.IntN(3)))
	case 2:
		token := hostileTokens[h.IntN(len(hostileTokens))]
		b = append(binary.BigEndian.AppendUint32(nil, uint32(len(token))), token...)
	default:
		b = bytes.Clone(h.valid[h.IntN(len(h.valid))])
	}
	switch h.IntN(8) {
	case 0:
		binary.BigEndian.PutUint32(b, h.Uint32())
	case 1:
		b = b[:h.IntN(len(b)+1)]
	case 2, 3:
		for range 1 + h.IntN(4) {
			if len(b) > 4 {
				b[4+h.IntN(len(b)-4)] ^= 1 << h.IntN(8)
			}
		}
	case 4:
		more := make([]byte, h.IntN(64))
		for i := range more {
			more[i] = byte(h.Uint32())
		}
		b = append(b, more...)
		binary.BigEndian.PutUint32(b[:4:4], uint32(max(0, len(b)-4)))
	}
	return b
}

// Frames of whoever has no password, some ten to a connection: nobody gets in, nobody is answered what is behind the door, the server takes no memory for
// them that it keeps, and it serves who has a password still. Then the same frames come from somebody who has logged in: nothing crashes.
func TestHostileFrames(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) { testHostileFrames(t, newStranger(seed)) }) // in which failures take no time
}

func testHostileFrames(t *testing.T, h *stranger) {
	b, err := samsa.Open("", samsa.Options{InMemory: true, Groups: samsa.GroupOptions{InitialRebalanceDelay: -1}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	pipe := NewPipe()
	srv, err := Serve(b, pipe, Options{MaxMemoryBytes: minMemoryBytes, Security: Security{SASL: &SASL{}}})
	if err != nil {
		t.Fatal(err)
	}
	users, err := UsersOf(b)
	if err == nil {
		err = users.Set(t.Context(), "alice", "right")
	}
	if err != nil {
		t.Fatal(err)
	}
	connect := func() *client {
		nc, err := pipe.Dial("tcp", "")
		if err != nil {
			t.Fatal(err)
		}
		return &client{Conn: nc, t: t}
	}
	before, inside := *hostileFrames*3/4, *hostileFrames/4
	for sent := 0; sent < before; {
		c := connect()
		sent += c.send10(h)
	}
	st := srv.Stats()
	if st.Logins != 0 {
		t.Fatalf("somebody got in: %+v", st)
	}
	for _, r := range st.Requests {
		if key := kmsg.Key(r.Key); key != kmsg.ApiVersions && key != kmsg.SASLHandshake && key != kmsg.SASLAuthenticate {
			t.Errorf("%s was carried out", r.Name)
		}
	}
	for sent := 0; sent < inside; {
		c := connect()
		if resp := c.login(2, sasl.Plain, "alice", "right"); resp.ErrorCode != 0 {
			t.Fatalf("%+v", resp)
		}
		sent += c.send10(h)
	}
	c := connect()
	if resp := c.login(2, sasl.ScramSHA256, "alice", "right"); resp.ErrorCode != 0 || c.whoami() != "User:alice" {
		t.Errorf("who has a password is not served: %+v", resp)
	}
	_ = c.Close()
	synctest.Wait()
	if st := srv.Stats(); st.RequestMemory.Used != 0 || st.AnswerMemory.Used != 0 {
		t.Errorf("memory is kept: %+v, %+v", st.RequestMemory, st.AnswerMemory)
	}
	t.Logf("%d frames before a login, %d behind one; %d logins failed", before, inside, srv.Stats().FailedLogins)
}

// send10 sends some frames, reads whatever comes, and ends the connection. It returns how many it has sent.
func (c *client) send10(h *stranger) int {
	defer func() { _ = c.Close() }()
	go func(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }(c.Conn)
	n := 1 + h.IntN(20)
	for i := range n {
		if _, err := c.Write(h.frame()); err != nil {
			return i + 1
		}
	}
	return n
}

package kafka

import (
	"io"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// FuzzConnection sends anything to a server, which then must serve the next client still.
func FuzzConnection(f *testing.F) {
	k := newFuzzKit(f)
	for _, e := range table {
		req := e.key.Request()
		for _, version := range []int16{e.min, e.max} {
			req.SetVersion(version)
			f.Add(kmsg.NewRequestFormatter(kmsg.FormatterClientID("fuzz")).AppendRequest(nil, req, 1))
		}
	}
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		nc, err := net.Dial("tcp", k.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = nc.Close() }()
		_, err = nc.Write(sent)
		if err == nil {
			_ = nc.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, nc) // until the server has done with it
		}
		next, err := net.Dial("tcp", k.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = next.Close() }()
		ask[*kmsg.ApiVersionsResponse](&client{Conn: next, t: t}, 3, kmsg.NewPtrApiVersionsRequest())
	})
}

// newFuzzKit serves a broker in memory until the fuzzing ends.
func newFuzzKit(f *testing.F) *Server {
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true, Groups: samsa.GroupOptions{InitialRebalanceDelay: -1}})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = b.Close() })
	s, err := Listen(b, "127.0.0.1:0", Options{MaxFrameBytes: 1 << 20})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

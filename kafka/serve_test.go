package kafka

import (
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"testing/synctest"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// broker is where Metadata says that the broker is.
func (c *client) broker() (host string, port int32) {
	c.t.Helper()
	b := ask[*kmsg.MetadataResponse](c, 1, kmsg.NewPtrMetadataRequest()).Brokers[0]
	return b.Host, b.Port
}

// A server has any listener: its clients are told an address at which their dialers find it.
func TestServe(t *testing.T) {
	k := newKit(t, samsa.Options{})
	listen := func(network, address string) net.Listener {
		t.Helper()
		ln, err := net.Listen(network, address)
		if err != nil && network == "unix" {
			t.Skipf("a system without sockets in files, or with short names for them: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return ln
	}
	tcp, unix, pipe := listen("tcp", "127.0.0.1:0"), listen("unix", filepath.Join(t.TempDir(), "s")), NewPipe()
	for name, tt := range map[string]struct {
		ln   net.Listener
		dial func(network, address string) (net.Conn, error)
		opts Options
		host string
		port int32
	}{
		"tcp":                {tcp, net.Dial, Options{}, "127.0.0.1", int32(tcp.Addr().(*net.TCPAddr).Port)},
		"unix":               {unix, net.Dial, Options{Advertise: "in.a.file:1"}, "in.a.file", 1},
		"pipe":               {pipe, pipe.Dial, Options{}, "samsa.invalid", 9092},
		"pipe, another name": {NewPipe(), nil, Options{Advertise: "kafka:9093"}, "kafka", 9093},
	} {
		t.Run(name, func(t *testing.T) {
			if p, ok := tt.ln.(*Pipe); ok {
				tt.dial = p.Dial
			}
			srv, err := Serve(k.Broker, tt.ln, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			nc, err := tt.dial(srv.Addr().Network(), srv.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = nc.Close() }()
			c := &client{Conn: nc, t: t}
			if host, port := c.broker(); host != tt.host || port != tt.port {
				t.Errorf("the broker is at %s, %d", host, port)
			}
			if err := srv.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := tt.ln.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener of a closed server: %v", err)
			}
		})
	}
}

// A listener that cannot be served stays its owner's.
func TestServeRefuses(t *testing.T) {
	k := newKit(t, samsa.Options{})
	everywhere, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	nowhere := fakeListener{NewPipe(), "somewhere"}
	for name, tt := range map[string]struct {
		ln   net.Listener
		opts Options
	}{
		"nil":                         {nil, Options{}},
		"an address others can reach": {everywhere, Options{}},
		"no address to tell":          {nowhere, Options{}},
		"a wrong option":              {NewPipe(), Options{NodeID: -1}},
	} {
		if _, err := Serve(k.Broker, tt.ln, tt.opts); !errors.Is(err, log.ErrInvalidOption) {
			t.Errorf("%s: got error %v", name, err)
		}
	}
	_, listenErr := Listen(nil, "127.0.0.1:0", Options{})
	_, serveErr := Serve(nil, NewPipe(), Options{})
	_, usersErr := UsersOf(nil)
	_, aclsErr := ACLsOf(nil)
	_, quotasErr := QuotasOf(nil)
	for _, err := range []error{listenErr, serveErr, usersErr, aclsErr, quotasErr} {
		if !errors.Is(err, samsa.ErrInvalidOption) {
			t.Errorf("without a broker: got error %v", err)
		}
	}
	srv, err := Serve(k.Broker, everywhere, Options{AllowRemote: true, Security: Security{AllowAnyone: true}})
	if err != nil {
		t.Fatal(err)
	}
	_ = everywhere.Close() // its owner may
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	if err := k.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Serve(k.Broker, nowhere, Options{Advertise: "a:1"}); !errors.Is(err, log.ErrClosed) {
		t.Errorf("for a closed broker: %v", err)
	}
}

type fakeListener struct {
	*Pipe
	name string
}

func (l fakeListener) Addr() net.Addr { return net.Addr(&net.UnixAddr{Name: l.name}) }

// Dialing a pipe ends with its context, and with the pipe; what was connected outlives that.
func TestPipe(t *testing.T) {
	p := NewPipe()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := p.DialContext(ctx, "tcp", "a:1"); !errors.Is(err, context.Canceled) {
		t.Errorf("dialed until %v", err)
	}
	go func() { _, _ = p.Dial("tcp", "a:1") }()
	served, err := p.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Close(), p.Close(), served.Close()); err != nil {
		t.Error(err)
	}
	if _, err := p.Dial("tcp", "a:1"); !errors.Is(err, net.ErrClosed) {
		t.Errorf("dialed a closed pipe: %v", err)
	}
}

// A client of a pipe that goes away before it has read its answer is no news.
func TestAClientThatLeavesAPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := startPipe(t, samsa.Options{}, Options{})
		c := k.dial()
		c.send(1, kmsg.NewPtrMetadataRequest())
		_ = c.Close()
		synctest.Wait()
		if !k.logged(io.ErrClosedPipe) && !k.logged(io.EOF) { // of the writer or of the reader, who is first
			t.Errorf("logged %v", k.logs.All())
		}
		if news := k.logs.Filter(func(e observer.LoggedEntry) bool {
			return e.Level >= zap.InfoLevel && e.Message == "kafka: connection ended"
		}); news.Len() > 0 {
			t.Errorf("logged %v", news.All())
		}
	})
}

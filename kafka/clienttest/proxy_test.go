package clienttest

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// proxy is where clients find a server that is killed, and that another takes the place of.
type proxy struct {
	net.Listener
	mu     sync.Mutex // guards target
	target string
}

// newProxy listens until the test is over.
func newProxy(t *testing.T) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: l}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed
			}
			wg.Go(func() { p.serve(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // it was only listened at
		cancel()
		wg.Wait()
	})
	return p
}

// to makes connections that come from now on go to addr.
func (p *proxy) to(addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = addr
}

// serve passes on what comes either way, until one end has gone. A connection to where nobody listens ends.
func (p *proxy) serve(ctx context.Context, conn net.Conn) {
	defer func() { _ = conn.Close() }() // what the client would hear it hears by the end
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := new(net.Dialer).DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	both := func() { _, _ = conn.Close(), server.Close() }
	defer context.AfterFunc(ctx, both)()
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{conn, server}, {server, conn}} {
		wg.Go(func() {
			_, _ = io.Copy(way[0], way[1]) // it ends with either
			both()
		})
	}
	wg.Wait()
}

package clienttest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// gate is an address that stays while the server behind it is another each time. It ends with the test.
type gate struct {
	net.Listener
	wg sync.WaitGroup

	mu      sync.Mutex    // guards what follows
	server  string        // where it is now; "" for nowhere, then who comes waits
	changed chan struct{} // closed and replaced when it is elsewhere
	conns   map[net.Conn]struct{}
}

func newGate(t *testing.T) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{Listener: l, changed: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	g.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			g.wg.Go(func() { g.serve(c) })
		}
	})
	t.Cleanup(func() {
		g.lead("nowhere")
		_ = l.Close()
		g.cut()
		g.wg.Wait()
	})
	return g
}

// lead leads who comes from now on to a server.
func (g *gate) lead(server string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.server = server
	close(g.changed)
	g.changed = make(chan struct{})
}

// cut ends all connections.
func (g *gate) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.conns {
		_ = c.Close()
	}
}

// find returns where the server is, as soon as it is anywhere.
func (g *gate) find() string {
	for {
		g.mu.Lock()
		server, changed := g.server, g.changed
		g.mu.Unlock()
		if server != "" {
			return server
		}
		<-changed
	}
}

func (g *gate) serve(c net.Conn) {
	defer func() { _ = c.Close() }()
	server := g.find()
	s, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	g.mu.Lock()
	g.conns[c] = struct{}{}
	g.mu.Unlock()
	g.wg.Go(func() {
		_, _ = io.Copy(s, c)
		_ = s.Close()
	})
	_, _ = io.Copy(c, s)
	g.mu.Lock()
	delete(g.conns, c)
	g.mu.Unlock()
}

package kafka

import (
	"net"
	"sync"

	"github.com/samsa-go/samsa/internal/port"
)

// gate is the network between clients and a node. While it is shut nothing goes through, who is on his way waits, and nobody who dials is heard.
// The zero value is open.
type gate struct {
	mu   sync.Mutex    // guards what follows
	ln   net.Listener  // of the node; nil before it has one
	wait chan struct{} // closed when it opens; nil while it is open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wait == nil {
		g.wait = make(chan struct{})
		port.Deaf(g.ln, true)
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wait != nil {
		port.Deaf(g.ln, false)
		close(g.wait)
		g.wait = nil
	}
}

// pass returns once the gate is open, or when closed is; and when the listener ends, so that a server that closes waits for nobody who
// shuts the gate again.
func (g *gate) pass(closed, down <-chan struct{}) error {
	for {
		g.mu.Lock()
		wait := g.wait
		g.mu.Unlock()
		if wait == nil {
			return nil
		}
		select {
		case <-wait:
		case <-closed:
			return net.ErrClosed
		case <-down:
			return nil
		}
	}
}

// over returns a listener whose connections go through the gate.
func (g *gate) over(ln net.Listener) net.Listener {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ln = ln
	port.Deaf(ln, g.wait != nil)
	return &gated{Listener: ln, gate: g, down: make(chan struct{})}
}

type gated struct {
	net.Listener
	gate *gate
	once sync.Once
	down chan struct{} // closed by Close
}

// Close implements net.Listener.
func (l *gated) Close() error {
	l.once.Do(func() { close(l.down) })
	return l.Listener.Close()
}

// Accept implements net.Listener.
func (l *gated) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &gatedConn{Conn: nc, gate: l.gate, down: l.down, closed: make(chan struct{})}, nil
}

type gatedConn struct {
	net.Conn
	gate   *gate
	down   <-chan struct{} // of the listener
	once   sync.Once
	closed chan struct{}
}

// Read implements net.Conn. What has come while the gate was shut waits too.
func (c *gatedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if gone := c.gate.pass(c.closed, c.down); gone != nil {
		return 0, gone
	}
	return n, err
}

// Write implements net.Conn.
func (c *gatedConn) Write(p []byte) (int, error) {
	if err := c.gate.pass(c.closed, c.down); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *gatedConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

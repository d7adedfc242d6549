package kafka

import (
	"context"
	"fmt"
	"net"
	"sync"
)

// Pipe is a listener without a network, for Serve: clients of this process connect to it with its
// Dial or DialContext, in place of their own dialers. Nothing waits for the system, so that in a
// bubble of testing/synctest time passes for such clients too. A write ends when it is read.
//
//	kgo.Dialer(pipe.DialContext)                               // franz-go
//	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, pipe // sarama
//	kafka.Dialer{DialFunc: pipe.DialContext}                   // kafka-go
//
// Its methods may be called by anybody at any time.
type Pipe struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// NewPipe returns a listener that nobody serves yet. Dialing waits until somebody does.
func NewPipe() *Pipe {
	return &Pipe{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// pipeAddr is the address of every Pipe, as clients have to have one. No network knows it
// (RFC 2606).
type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "samsa.invalid:9092" }

// pipeConn is an end of a connection.
type pipeConn struct{ net.Conn }

func (pipeConn) LocalAddr() net.Addr  { return pipeAddr{} }
func (pipeConn) RemoteAddr() net.Addr { return pipeAddr{} }

// Dial connects to who accepts, whatever the network and address: clients are told those of Addr,
// or of Options.Advertise. It fails with net.ErrClosed after Close.
func (p *Pipe) Dial(network, address string) (net.Conn, error) {
	return p.DialContext(context.Background(), network, address)
}

// DialContext is Dial that ends with ctx.
func (p *Pipe) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	var err error
	select {
	case p.conns <- pipeConn{theirs}:
		return pipeConn{ours}, nil
	case <-p.closed:
		err = net.ErrClosed
	case <-ctx.Done():
		err = ctx.Err()
	}
	return nil, fmt.Errorf("kafka: dial the pipe %s: %w", address, err)
}

// Accept implements net.Listener.
func (p *Pipe) Accept() (net.Conn, error) {
	select {
	case nc := <-p.conns:
		return nc, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections that were accepted stay.
func (p *Pipe) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr returns the address that clients are to be given: a host and a port, that no network has.
func (p *Pipe) Addr() net.Addr { return pipeAddr{} }

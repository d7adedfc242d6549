package kafka

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/port"
	"github.com/samsa-go/samsa/internal/quota"
)

// Server serves Kafka clients. Its methods may be called by anybody at any time.
type Server struct {
	b      *samsa.Broker
	in     inside.Broker
	opts   Options
	logger *zap.Logger
	ln     net.Listener
	table  []entry                // what is answered
	as     release                // that it looks like, Options.AsVersion; zero for none
	super  map[Principal]struct{} // of Options.ACLs
	meters quota.Meters           // of what clients take
	tls    *tls.Config
	names  nameRules // of clients' certificates

	cluster *Cluster // whose node it is; nil for one that is alone, which leads and coordinates everything
	node    *node
	alone   []int32 // its id, which is all replicas there are

	ctx        context.Context // ends when Close begins; who changes the broker does it with this
	cancel     context.CancelFunc
	unregister func()
	wg         sync.WaitGroup // accept, and two goroutines for each connection

	memory  *memory // of all connections
	shares  shareSessions
	tally   tally
	unwatch func() // of members that are gone

	mu      sync.Mutex // guards what follows
	conns   map[*conn]struct{}
	from    map[string]int // connections, by their address, if there is a bound
	full    bool           // MaxConnections was reached, and the log knows
	held    int            // connections that have come too soon, and are not closed yet
	closing bool
	closed  chan struct{} // closed when Close is done
}

// Listen serves b to Kafka clients at addr, host:port, until Close or until b is closed. Port
// 0 means any that is free; Addr tells.
//
// It fails with ErrInvalidOption, which names every wrong option and an address that other
// machines can reach, with ErrClosed, or when the address cannot be listened at.
func Listen(b *samsa.Broker, addr string, opts Options) (*Server, error) {
	if err := opts.validate(addr); err != nil {
		return nil, fmt.Errorf("kafka: listen: %w", err)
	}
	ln, err := port.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	s, err := serve(b, ln, opts)
	if err != nil {
		return nil, fmt.Errorf("kafka: listen: %w", errors.Join(err, ln.Close()))
	}
	return s, nil
}

// Serve is Listen with a listener of yours: one that speaks TLS (package crypto/tls makes it of
// another), a Unix socket, or a Pipe. It belongs to the server, which closes it, unless Serve
// fails. Its address counts as that of Listen does, if it is one of TCP; if it is not a host and a
// port, clients have to be told one by Options.Advertise, and have dialers of their own.
//
// It fails with ErrInvalidOption or ErrClosed.
func Serve(b *samsa.Broker, ln net.Listener, opts Options) (*Server, error) {
	if err := opts.validateListener(ln); err != nil {
		return nil, fmt.Errorf("kafka: serve: %w", err)
	}
	s, err := serve(b, ln, opts)
	if err != nil {
		return nil, fmt.Errorf("kafka: serve: %w", err)
	}
	return s, nil
}

// serve serves b to who connects to ln, which belongs to the server unless it fails.
func serve(b *samsa.Broker, ln net.Listener, opts Options) (*Server, error) {
	return serveAs(b, ln, opts, func(*Server) {})
}

// local returns what b is inside, for what is done with brokers of this process alone.
func local(b *samsa.Broker, what string) (inside.Broker, error) {
	if b == nil {
		return inside.Broker{}, fmt.Errorf("%w: the broker is nil", samsa.ErrInvalidOption)
	}
	in := inside.Of(b)
	return in, in.Local(what)
}

// serveAs is serve that calls join before anybody is served.
func serveAs(b *samsa.Broker, ln net.Listener, opts Options, join func(*Server)) (*Server, error) {
	in, err := local(b, "the Kafka protocol")
	if err != nil {
		return nil, err
	}
	s := &Server{
		b: b, in: in, opts: opts.withDefaults(), logger: in.Logger, ln: ln, table: table, super: superUsers(opts.ACLs),
		conns: make(map[*conn]struct{}), closed: make(chan struct{}),
	}
	if err := s.secure(); err != nil {
		return nil, err
	}
	s.opts.ClusterID = cmp.Or(s.opts.ClusterID, in.ClusterID)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.memory = newMemory(s.opts.MaxMemoryBytes)
	s.alone = []int32{s.opts.NodeID}
	if opts.AsVersion != "" {
		s.as, _ = parseRelease(opts.AsVersion) // was validated
		s.table = tableAs(table, s.as)
	}
	s.tally.init(s.table)
	join(s)
	if s.unregister, err = in.Register("a server", s, func() { _ = s.Close() }); err != nil {
		s.cancel()
		return nil, err
	}
	s.shares.byKey = make(map[shareMember]*shareSession)
	s.unwatch = in.Members.WatchGone(s.memberGone)
	s.wg.Go(s.accept)
	return s, nil
}

// Servers returns the servers of b that are not closed, by their addresses.
func Servers(b *samsa.Broker) (all []*Server) {
	for _, server := range inside.Of(b).Servers() {
		if s, ok := server.(*Server); ok {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b *Server) int { return strings.Compare(a.Addr().String(), b.Addr().String()) })
	return all
}

// Cluster returns the cluster that the server is a node of, nil for one that is alone.
func (s *Server) Cluster() *Cluster { return s.cluster }

// Addr returns the address at which the server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Close ends the server: no more requests are read, those that have begun are answered, as
// far as their clients read the answers within a second, and the connections are closed. When it
// returns no goroutine of the server runs. It may be called more than once; closing the
// broker does it too.
func (s *Server) Close() error {
	s.mu.Lock()
	first := !s.closing
	s.closing = true
	conns := s.conns
	s.conns = nil
	s.mu.Unlock()
	if !first {
		<-s.closed
		return nil
	}
	if s.node != nil {
		s.node.gate.open()
	}
	s.unregister()
	s.unwatch()
	s.cancel()
	err := s.ln.Close()
	for c := range conns {
		c.stop()
	}
	s.wg.Wait()
	close(s.closed)
	if err != nil && !errors.Is(err, net.ErrClosed) { // its owner may have closed it before
		return fmt.Errorf("kafka: close: %w", err)
	}
	return nil
}

// acceptPause is how long the server waits when the system has no more connections to give.
const acceptPause = 100 * time.Millisecond

// accept is the goroutine that takes connections.
func (s *Server) accept() {
	for {
		nc, err := s.ln.Accept()
		switch {
		case err == nil:
			s.admit(nc)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.logger.Warn("kafka: cannot accept connections, trying again", zap.Error(err))
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(acceptPause):
			}
		}
	}
}

// admit serves nc, or closes it when there are too many already.
func (s *Server) admit(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tooSoon(nc) {
		return
	}
	full := len(s.conns) >= s.opts.MaxConnections || !s.hasRoom(nc)
	if s.closing || full {
		if full && !s.full {
			s.logger.Warn("kafka: refusing connections", zap.Int("max connections", s.opts.MaxConnections), zap.Int("per address", s.opts.MaxConnectionsPerAddress), zap.Stringer("client", nc.RemoteAddr()))
		}
		s.full = full
		if full {
			s.tally.refused.Add(1)
		}
		_ = nc.Close()
		return
	}
	s.full = false
	s.tally.accepted.Add(1)
	if s.tls != nil {
		nc = tls.Server(nc, s.tls)
	}
	c := newConn(s, nc)
	s.conns[c] = struct{}{}
	s.wg.Go(c.read)
	s.wg.Go(c.serve)
}

// forget takes a connection that has ended off the books.
func (s *Server) forget(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.from != nil {
		if s.from[c.address()]--; s.from[c.address()] == 0 {
			delete(s.from, c.address())
		}
	}
}

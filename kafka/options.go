package kafka

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/log"
)

// Options says how Listen and Serve do. The zero value is right for tests and local development.
type Options struct {
	// Advertise is the host:port at which clients are told to find the broker. By default
	// each is told the address at which it has reached it.
	Advertise string
	// NodeID is the broker's id; 0 means 1. (Some clients take the node 0 for none.)
	NodeID int32
	// ClusterID is what clients see as the cluster's; by default that of the broker, which is
	// kept with its data.
	ClusterID string
	// AsVersion is a release of Kafka to look like, "2.8" say, from 0.10 on: requests, versions and features are offered as by a broker of
	// that release, as far as there are such here, and errors are its, so that clients do what they do with it. By default the newest of all is offered.
	AsVersion string
	// AllowRemote allows an address that other machines can reach, if Security has TLS or SASL, or AllowAnyone.
	AllowRemote bool
	// ACLs has requests checked; nil lets everybody do everything.
	ACLs *ACLs
	// Security says who may connect, and how he says who he is. By default that is anybody, and nobody is asked.
	Security Security
	// AnyReplicationFactor accepts topics with any replication factor. There is one replica
	// all the same. By default only 1, and -1 for the default, are accepted.
	AnyReplicationFactor bool
	// SyncAll makes producers with acks=all, commits of offsets and ends of transactions wait for fsync. By
	// default they wait, as with acks=1, until what they bring is in the store: that survives
	// the death of the process, not of the machine, as in Kafka on one node.
	SyncAll bool
	// TrustCompressed stores compressed batches without decompressing them. Their headers and
	// CRCs are checked. Their records are checked only on topics that ask for keys or bound
	// timestamps from below, and when the timestamps in the header are impossible or not allowed.
	// By default every record is checked, as in Kafka, which costs several times what storing the
	// batch does. Without that a faulty producer can store a batch that clients fail at, and a max
	// timestamp that misleads retention and searches by time.
	TrustCompressed bool

	// MaxMemoryBytes bounds what all connections together take for requests, from their first
	// byte to their answer, for answers until they are read, and for fetch sessions; 0
	// means 512 MiB, and 64 MiB is the least. Beyond it requests wait, fetches bring less, and
	// what can never fit is refused: with less than 512 MiB, requests of MaxFrameBytes.
	MaxMemoryBytes int
	// MaxFrameBytes bounds a Produce request; 0 means 100 MiB (socket.request.max.bytes).
	// All other requests are at most 2 MiB.
	MaxFrameBytes int
	// MaxFetchBytes bounds the records of one answer; 0 means 55 MiB (fetch.max.bytes). A
	// first batch that is larger is sent all the same.
	MaxFetchBytes int
	// MaxConnections bounds the connections; 0 means 10,000. More are closed at once.
	// MaxConnectionsPerAddress bounds those from one IP address (max.connections.per.ip); 0 means no bound of its own.
	MaxConnections           int
	MaxConnectionsPerAddress int
	// MaxInFlight bounds the requests of one connection that are read and not yet answered;
	// 0 means 64. MaxBufferedBytes bounds their bytes, unless one alone has more; 0 means
	// 32 MiB. Beyond either, the connection is not read.
	MaxInFlight      int
	MaxBufferedBytes int
	// IdleTimeout is how long a connection may be silent; 0 means 10 min
	// (connections.max.idle.ms). WriteTimeout is how long a client may take to read each MiB of
	// its answers, or to send each MiB of a request that it has begun; 0 means 30 s. While others
	// wait for the memory of answers, it is 2 s at most to read. Who exceeds them is cut off.
	IdleTimeout  time.Duration
	WriteTimeout time.Duration
}

const (
	defaultNodeID           = 1
	defaultMaxMemoryBytes   = 512 << 20
	defaultMaxFrameBytes    = 100 << 20
	defaultMaxFetchBytes    = 55 << 20
	defaultMaxConnections   = 10_000
	defaultMaxInFlight      = 64
	defaultMaxBufferedBytes = 32 << 20
	defaultIdleTimeout      = 10 * time.Minute
	defaultWriteTimeout     = 30 * time.Second

	maxControlBytes = 2 << 20 // of a request that carries no records
)

func (o Options) withDefaults() Options {
	orInt := func(p *int, def int) {
		if *p == 0 {
			*p = def
		}
	}
	if o.NodeID == 0 {
		o.NodeID = defaultNodeID
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = defaultIdleTimeout
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = defaultWriteTimeout
	}
	orInt(&o.MaxMemoryBytes, defaultMaxMemoryBytes)
	orInt(&o.MaxFrameBytes, defaultMaxFrameBytes)
	orInt(&o.MaxFetchBytes, defaultMaxFetchBytes)
	orInt(&o.MaxConnections, defaultMaxConnections)
	orInt(&o.MaxInFlight, defaultMaxInFlight)
	orInt(&o.MaxBufferedBytes, defaultMaxBufferedBytes)
	return o
}

// validate reports all wrong fields, and a wrong address to listen at, at once.
func (o Options) validate(addr string) error {
	var m option.Mistakes
	host, _, err := net.SplitHostPort(addr)
	m.Check(err == nil, "the address", strconv.Quote(addr), "host:port")
	if err == nil && !o.AllowRemote {
		m.Check(isLoopback(host), "the address", strconv.Quote(addr), "one of this machine alone, like 127.0.0.1:9092, or Options.AllowRemote")
	}
	m.Check(err != nil || !o.AllowRemote || isLoopback(host) || o.Security.asks() || o.Security.AllowAnyone, "Options.AllowRemote", "true", "Options.Security with TLS or SASL beside it, or with AllowAnyone")
	o.check(&m)
	return m.Err()
}

// validateListener does the same for a listener of the caller's.
func (o Options) validateListener(ln net.Listener) error {
	if ln == nil {
		return fmt.Errorf("%w: the listener is nil", log.ErrInvalidOption)
	}
	addr := ln.Addr()
	if _, ok := addr.(*net.TCPAddr); ok {
		return o.validate(addr.String())
	}
	var m option.Mistakes
	_, _, err := splitAddress(addr.String())
	m.Check(err == nil || o.Advertise != "", "Options.Advertise", `""`, "host:port, as the listener's address is none: "+strconv.Quote(addr.String()))
	o.check(&m)
	return m.Err()
}

// check reports the wrong fields.
func (o Options) check(m *option.Mistakes) {
	if o.Advertise != "" {
		_, _, err := splitAddress(o.Advertise)
		m.Check(err == nil, "Options.Advertise", strconv.Quote(o.Advertise), "host:port")
	}
	if o.AsVersion != "" {
		_, err := parseRelease(o.AsVersion)
		m.Check(err == nil, "Options.AsVersion", strconv.Quote(o.AsVersion), "a release of Kafka from 0.10 to 4.4")
	}
	const maxInt32 = 1<<31 - 1
	m.Check(o.NodeID >= 0, "Options.NodeID", o.NodeID, "0 or more")
	m.Check(o.MaxMemoryBytes == 0 || o.MaxMemoryBytes >= minMemoryBytes, "Options.MaxMemoryBytes", o.MaxMemoryBytes, "0, or at least 64 MiB")
	m.Check(o.MaxFrameBytes >= 0 && o.MaxFrameBytes <= maxInt32, "Options.MaxFrameBytes", o.MaxFrameBytes, "0 to 2 GiB")
	m.Check(o.MaxFetchBytes >= 0 && o.MaxFetchBytes <= 1<<30, "Options.MaxFetchBytes", o.MaxFetchBytes, "0 to 1 GiB")
	m.Check(o.MaxConnections >= 0, "Options.MaxConnections", o.MaxConnections, "0 or more")
	m.Check(o.MaxConnectionsPerAddress >= 0, "Options.MaxConnectionsPerAddress", o.MaxConnectionsPerAddress, "0 or more")
	m.Check(o.MaxInFlight >= 0, "Options.MaxInFlight", o.MaxInFlight, "0 or more")
	m.Check(o.MaxBufferedBytes >= 0, "Options.MaxBufferedBytes", o.MaxBufferedBytes, "0 or more")
	m.Check(o.IdleTimeout >= 0, "Options.IdleTimeout", o.IdleTimeout, "0 or more")
	m.Check(o.WriteTimeout >= 0, "Options.WriteTimeout", o.WriteTimeout, "0 or more")
	o.Security.check(m)
}

// isLoopback reports whether only this machine reaches the host. A name counts by what it is
// called: it is localhost or not.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// splitAddress returns the host and the port of an address that clients are given.
func splitAddress(addr string) (string, int32, error) {
	host, p, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	port, err := strconv.ParseUint(p, 10, 16)
	if err == nil && (port == 0 || host == "") {
		err = errors.New("a host and a port are needed")
	}
	return host, int32(port), err
}

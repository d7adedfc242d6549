package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/internal/port"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/partition"
)

// Cluster serves one broker as several: a stage for Kafka clients, and not replication. All data is in the one store, and
// none of its nodes has any of its own. Each node is a Server, which leads some of the partitions, coordinates some of the
// groups and transactions, and refuses what is another's as Kafka does. What happens to a cluster of brokers its methods
// have happen: nodes stop and start, leaders and coordinators move, metadata is stale.
//
// The methods may be called by anybody at any time. When one returns, every node knows what has changed.
type Cluster struct {
	b      *samsa.Broker
	in     inside.Broker
	opts   ClusterOptions
	memory *memory // of all nodes

	turn turns.Turn // held by who changes what follows, nodes but not their servers among it
	now  atomic.Pointer[view]
	plan map[string]planned // of the topics that are being created or grow, by name
	hold bool               // reassignments stay under way
	port bool               // somebody has said which ports the nodes listen at

	mu     sync.Mutex // guards what follows; nothing is waited for with it
	nodes  map[int32]*node
	held   map[int32]*os.File // their ports, which wait for who starts again
	closed bool
	leave  func() // undoes claim; nil before it
}

// node is one broker of a cluster.
type node struct {
	id     int32
	server *Server // guarded by Cluster.mu; nil before it runs, and closed while it does not

	stale       atomic.Pointer[view] // what it tells in metadata; nil: what is
	slow        atomic.Int64         // a time.Duration before each request
	gate        gate
	rebootstrap atomic.Int64 // answers of Metadata that are to say REBOOTSTRAP_REQUIRED
}

// ClusterOptions says how ListenCluster does.
type ClusterOptions struct {
	// Options are those of every node. The address that is advertised and the node id are those of the first: the
	// ports and the ids of the others count up from there. MaxMemoryBytes is for all of them together.
	Options
	// Racks are those of the nodes, in their order; a node that has none listed has no rack. Consumers that say their
	// rack are sent to a replica there (KIP-392).
	Racks []string
	// ReplicationFactor is that of topics whose creation does not say; 0 means 3, or the number of nodes if that is less.
	ReplicationFactor int
}

// MaxNodes bounds the nodes of a cluster.
const MaxNodes = 100

// ListenCluster serves b to Kafka clients as a cluster of n nodes, at addr, host:port, and at the ports that follow it, or
// with port 0 at any that are free, until Close or until b is closed. It may also be n addresses with commas between them. Leaders of the
// partitions, and coordinators, are spread over the nodes.
// The leader epoch of every partition that exists rises by one; what is known of replicas is not kept.
//
// It fails like Listen, and where another cluster serves b: one would not know of leaders that the other moves.
func ListenCluster(b *samsa.Broker, n int, addr string, opts ClusterOptions) (*Cluster, error) {
	if err := opts.validate(n, addr); err != nil {
		return nil, fmt.Errorf("kafka: listen: %w", err)
	}
	in, err := local(b, "the Kafka protocol")
	if err != nil {
		return nil, fmt.Errorf("kafka: listen: %w", err)
	}
	opts.Options = opts.withDefaults()
	c := &Cluster{
		b: b, in: in, opts: opts, memory: newMemory(opts.MaxMemoryBytes), turn: turns.New(),
		plan: make(map[string]planned), nodes: make(map[int32]*node), held: make(map[int32]*os.File),
	}
	err = c.claim()
	if err == nil {
		err = c.begin(n, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("kafka: listen: %w", errors.Join(err, c.Close()))
	}
	return c, nil
}

// claiming is held by who looks whether a cluster serves a broker, and becomes that, so that one does of those that begin at once.
var claiming sync.Mutex

// claim makes c the cluster that serves its broker until it is closed, whether its nodes run or not.
func (c *Cluster) claim() error {
	claiming.Lock()
	defer claiming.Unlock()
	for _, server := range c.in.Servers() {
		if _, other := server.(*Cluster); other {
			return fmt.Errorf("%w: a cluster serves the broker already", samsa.ErrInvalid)
		}
	}
	leave, err := c.in.Register("a cluster", c, func() { _ = c.Close() })
	if err == nil {
		c.mu.Lock()
		c.leave = leave
		c.mu.Unlock()
	}
	return err
}

func (o ClusterOptions) validate(n int, addr string) error {
	var m option.Mistakes
	addrs := strings.Split(addr, ",")
	m.Check(len(addrs) == 1 || len(addrs) == n, "the address", strconv.Quote(addr), "one, or one for each node")
	m.Check(n >= 1 && n <= MaxNodes, "the number of nodes", n, fmt.Sprintf("1 to %d", MaxNodes))
	m.Check(o.NodeID <= math.MaxInt32-MaxNodes, "Options.NodeID", o.NodeID, "one that leaves ids behind it for the other nodes")
	m.Check(o.ReplicationFactor >= 0 && o.ReplicationFactor <= n, "ClusterOptions.ReplicationFactor", o.ReplicationFactor, "0, or at most the number of nodes")
	m.Check(len(o.Racks) <= n, "ClusterOptions.Racks", len(o.Racks), "at most one for each node")
	for _, a := range []string{addr, o.Advertise} {
		if _, first, err := splitAddress(a); err == nil && len(addrs) == 1 {
			m.Check(int(first)+n-1 <= 1<<16-1, "the address", strconv.Quote(a), "a port that has others behind it for each node")
		}
	}
	errs := []error{m.Err()}
	for _, a := range addrs {
		errs = append(errs, o.Options.validate(a))
	}
	return errors.Join(errs...)
}

// begin has the nodes listen, gives the partitions their places, and only then serves.
func (c *Cluster) begin(n int, addr string) error {
	_, first, _ := splitAddress(strings.Split(addr, ",")[0]) // was validated
	c.port = first != 0
	addrs, held := port.Hold(addr, n)
	for i, f := range held {
		c.held[c.opts.NodeID+int32(i)] = f
	}
	listeners := make([]net.Listener, 0, n)
	v := &view{nodes: make(map[int32]nodeView), controller: -1, topics: make(map[uint32][]seat), changed: make(chan struct{})}
	for i, at := range addrs {
		ln, err := port.Listen(at)
		if err != nil {
			for _, ln := range listeners {
				_ = ln.Close()
			}
			return err
		}
		listeners = append(listeners, ln)
		v.nodes[c.opts.NodeID+int32(i)] = c.viewOf(i, ln)
	}
	v.elect()
	replicas := c.defaultReplicas(v)
	for _, s := range []*slots{&v.groups, &v.txns} {
		copy(s[:], v.spread(len(s), 0, replicas))
	}
	var all []*partition.Partition
	for _, t := range c.in.Catalogue.List() {
		all = append(all, t.Partitions()...)
		c.placeTopic(v, t)
	}
	err := writer.RaiseEpochs(context.Background(), c.in.Committer, all)
	for _, p := range all {
		v.topics[p.ID().Topic][p.ID().Partition].epoch = p.Log().LeaderEpoch()
	}
	c.now.Store(v)
	for i, ln := range listeners {
		if err != nil {
			_ = ln.Close()
			continue
		}
		err = c.serve(&node{id: c.opts.NodeID + int32(i)}, ln)
	}
	return err
}

// viewOf returns the i-th node as it begins.
func (c *Cluster) viewOf(i int, ln net.Listener) nodeView {
	n := nodeView{listen: ln.Addr().String(), up: true}
	if i < len(c.opts.Racks) {
		n.rack = c.opts.Racks[i]
	}
	if c.opts.Advertise != "" {
		n.address = port.Behind(c.opts.Advertise, i)
	}
	return n
}

// serve has a node serve at ln, which belongs to it even if it fails.
func (c *Cluster) serve(n *node, ln net.Listener) error {
	opts := c.opts.Options
	opts.NodeID, opts.Advertise = n.id, c.now.Load().nodes[n.id].address
	s, err := serveAs(c.b, n.gate.over(ln), opts, func(s *Server) { s.cluster, s.node, s.memory = c, n, c.memory })
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	c.mu.Lock()
	n.server, c.nodes[n.id] = s, n
	closed := c.closed
	c.mu.Unlock()
	if closed {
		_ = s.Close()
		return samsa.ErrClosed
	}
	return nil
}

// Close ends all nodes, as Server.Close ends one. It may be called more than once.
func (c *Cluster) Close() error {
	c.mu.Lock()
	c.closed = true
	leave := c.leave
	var servers []*Server
	for _, n := range c.nodes {
		servers = append(servers, n.server)
	}
	for _, f := range c.held {
		_ = f.Close()
	}
	c.mu.Unlock()
	var wg sync.WaitGroup
	errs := make([]error, len(servers))
	for i, s := range servers {
		wg.Go(func() { errs[i] = s.Close() })
	}
	wg.Wait()
	if leave != nil {
		leave()
	}
	return errors.Join(errs...)
}

// Addrs returns the addresses at which the nodes listen, in the order of their ids, those that do not run included.
func (c *Cluster) Addrs() []string {
	var addrs []string
	v := c.now.Load()
	for _, id := range v.ids(false) {
		addrs = append(addrs, v.nodes[id].listen)
	}
	return addrs
}

// Addr returns the address at which a node listens, "" if there is none of that id.
func (c *Cluster) Addr(node int32) string { return c.now.Load().nodes[node].listen }

// Nodes returns the ids of the nodes, in order, those that do not run included.
func (c *Cluster) Nodes() []int32 { return c.now.Load().ids(false) }

// Runs reports whether a node runs.
func (c *Cluster) Runs(node int32) bool { return c.now.Load().isUp(node) }

// Controller returns the id of the node that clients are told to be the controller, -1 while none runs.
func (c *Cluster) Controller() int32 { return c.now.Load().controller }

// Leader returns the id of the node that leads a partition, -1 while none does, and the leader's epoch.
func (c *Cluster) Leader(topic string, partition int32) (node, epoch int32, err error) {
	_, p, err := c.find(topic, partition)
	if err != nil {
		return -1, -1, fmt.Errorf("kafka: leader: %w", err)
	}
	return p.leader, p.epoch, nil
}

// GroupCoordinator returns the id of the node that coordinates a group, of any kind, -1 while none does.
func (c *Cluster) GroupCoordinator(group string) int32 {
	return c.now.Load().groups[slotOf(group)].leader
}

// TransactionCoordinator returns the id of the node that coordinates a transactional id, -1 while none does.
func (c *Cluster) TransactionCoordinator(id string) int32 {
	return c.now.Load().txns[slotOf(id)].leader
}

// find returns a partition, and its place.
func (c *Cluster) find(name string, index int32) (*partition.Partition, seat, error) {
	t, err := c.in.Catalogue.Get(name)
	if err != nil {
		return nil, seat{}, err
	}
	p, err := t.Partition(index)
	if err != nil {
		return nil, seat{}, err
	}
	at, err := c.place(p)
	return p, at, err
}

// place returns where a partition is. One that is new gets its place by that.
func (c *Cluster) place(p *partition.Partition) (seat, error) {
	if at, ok := c.now.Load().place(p); ok {
		return at, nil
	}
	if err := c.learn(p.TopicPartition().Topic); err != nil {
		return seat{}, err
	}
	if at, ok := c.now.Load().place(p); ok {
		return at, nil
	}
	return seat{}, cmp.Or(p.Err(), samsa.ErrUnknownPartition)
}

func (v *view) place(p *partition.Partition) (seat, bool) {
	ps, i := v.topics[p.ID().Topic], int(p.ID().Partition)
	if i >= len(ps) {
		return seat{}, false
	}
	return ps[i], true
}

// learn gives the partitions of a topic that are new their places.
func (c *Cluster) learn(name string) error {
	return c.change(func(v *view) error {
		t, err := c.in.Catalogue.Get(name)
		if err == nil {
			c.placeTopic(v, t)
		}
		return err
	})
}

func (c *Cluster) defaultReplicas(v *view) int {
	return min(cmp.Or(c.opts.ReplicationFactor, 3), len(v.nodes))
}

// change has edit change the cluster. Places that have another leader then are in the next epoch, which is stored before anybody
// learns of it. If edit fails nothing changes.
func (c *Cluster) change(edit func(v *view) error) error {
	c.turn.Take()
	defer c.turn.Give()
	old := c.now.Load()
	next := old.clone()
	if err := edit(next); err != nil {
		return err
	}
	for i := range next.groups {
		next.groups[i].rise(old.groups[i])
		next.txns[i].rise(old.txns[i])
	}
	moved := c.moved(old, next)
	if err := writer.RaiseEpochs(context.Background(), c.in.Committer, moved); err != nil {
		return err
	}
	for _, p := range moved {
		next.topics[p.ID().Topic][p.ID().Partition].epoch = p.Log().LeaderEpoch()
	}
	c.now.Store(next)
	close(old.changed)
	return nil
}

// rise raises the epoch of a coordinator that has moved.
func (p *seat) rise(old seat) {
	if p.leader != old.leader {
		p.epoch = old.epoch + 1
	}
}

// moved returns the partitions that have another leader in next, or are to be in another epoch, and forgets those of topics that are gone.
func (c *Cluster) moved(old, next *view) []*partition.Partition {
	var moved []*partition.Partition
	there := make(map[uint32]bool)
	for _, t := range c.in.Catalogue.List() {
		ps := t.Partitions()
		number := ps[0].ID().Topic
		there[number] = true
		before, after := old.topics[number], next.topics[number]
		for i := range min(len(before), len(after), len(ps)) {
			if before[i].leader != after[i].leader || after[i].renewed {
				moved = append(moved, ps[i])
				after[i].renewed = false
			}
		}
	}
	for number := range next.topics {
		if !there[number] {
			delete(next.topics, number)
		}
	}
	return moved
}

// node returns a node that is registered.
func (c *Cluster) node(id int32) (*node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.nodes[id]; n != nil && !c.closed {
		return n, nil
	} else if c.closed {
		return nil, samsa.ErrClosed
	}
	return nil, invalidEvent("there is no node %d", id)
}

func wrapf(err error, format string, args ...any) error {
	return fmt.Errorf("%w: %s", err, fmt.Sprintf(format, args...))
}

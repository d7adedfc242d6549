package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/port"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Stop shuts a node down as an administrator does: what it leads and coordinates moves to others, then its connections end.
func (c *Cluster) Stop(node int32) error {
	n, s, err := c.running(node)
	if err == nil {
		err = c.goDown(n)
	}
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		return fmt.Errorf("kafka: stop node %d: %w", node, err)
	}
	return nil
}

// Kill is the death of a node: its connections end in the middle of what they are about, nobody hears what has become of
// that, and then others take over.
func (c *Cluster) Kill(node int32) error {
	n, s, err := c.running(node)
	if err == nil {
		s.cut()
		err = c.goDown(n)
	}
	if err != nil {
		return fmt.Errorf("kafka: kill node %d: %w", node, err)
	}
	_ = s.Close() // its listener is closed
	return nil
}

var (
	errIsDown = invalidEvent("it does not run")
	errIsUp   = invalidEvent("it runs")
)

// running returns a node that runs, and the server that it is now. Who has it go down closes that one: by then it may run again.
func (c *Cluster) running(id int32) (*node, *Server, error) {
	n, err := c.node(id)
	if err != nil {
		return nil, nil, err
	}
	s := c.serverOf(n)
	if !c.now.Load().isUp(id) {
		return nil, nil, errIsDown
	}
	return n, s, nil
}

func (c *Cluster) serverOf(n *node) *Server {
	c.mu.Lock()
	defer c.mu.Unlock()
	return n.server
}

// goDown has others take over what a node has.
func (c *Cluster) goDown(n *node) error {
	return c.change(func(v *view) error {
		if !v.isUp(n.id) {
			return errIsDown
		}
		v.goDown(n.id)
		return nil
	})
}

// cut ends all connections at once. Nothing more goes through them, not even the word of TLS that this is the end, which would wait
// where the network is cut.
func (s *Server) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		nc := c.nc
		if t, ok := nc.(*tls.Conn); ok {
			nc = t.NetConn()
		}
		_ = nc.Close()
	}
	_ = s.ln.Close()
}

// Start has a node run again that was stopped or killed, where it listened before. It leads only what nobody leads: see ElectPreferred.
func (c *Cluster) Start(node int32) error {
	n, err := c.node(node)
	if err == nil && c.now.Load().isUp(node) {
		err = errIsUp
	}
	if err != nil {
		return fmt.Errorf("kafka: start node %d: %w", node, err)
	}
	_ = c.serverOf(n).Close() // who stopped it may still wait for its end
	ln, err := port.Listen(c.now.Load().nodes[node].listen)
	if err != nil {
		return fmt.Errorf("kafka: start node %d: %w", node, err)
	}
	n.stale.Store(nil)
	n.slow.Store(0)
	n.rebootstrap.Store(0)
	err = c.serve(n, ln)
	if err == nil {
		err = c.change(func(v *view) error { v.comeUp(node, c.hold); return nil })
	}
	if err != nil {
		return fmt.Errorf("kafka: start node %d: %w", node, err)
	}
	return nil
}

// Add adds a node in a rack, "" for none, and returns its id, which is one more than the greatest. It listens at the port behind
// that of the last node. If that is taken it listens at any, or Add fails, where ClusterOptions.Advertise tells clients the port. It leads nothing yet: see Reassign.
func (c *Cluster) Add(rack string) (id int32, err error) {
	v := c.now.Load()
	ids := v.ids(false)
	if len(ids) >= MaxNodes {
		return -1, fmt.Errorf("kafka: add a node: %w", wrapf(log.ErrTooLarge, "there are %d", len(ids)))
	}
	last := ids[len(ids)-1]
	at, held := port.Hold(port.Behind(v.nodes[last].listen, 1), 1)
	defer func() {
		if err != nil {
			_ = held[0].Close()
		}
	}()
	ln, err := port.Listen(at[0])
	if err != nil && (!c.port || c.opts.Advertise == "") {
		_ = held[0].Close()
		host, _, _ := net.SplitHostPort(v.nodes[last].listen)
		at, held = port.Hold(net.JoinHostPort(host, "0"), 1)
		ln, err = port.Listen(at[0])
	}
	if err != nil {
		return -1, fmt.Errorf("kafka: add a node: %w", err)
	}
	err = c.happen(func(v *view) error {
		if v.nodes[last+1].listen != "" {
			return invalidEvent("another node is being added")
		}
		n := nodeView{rack: rack, listen: ln.Addr().String()}
		if c.opts.Advertise != "" {
			n.address = port.Behind(v.nodes[last].address, 1)
		}
		v.nodes[last+1] = n
		return nil
	})
	if err != nil {
		return -1, fmt.Errorf("kafka: add a node: %w", errors.Join(err, ln.Close()))
	}
	c.mu.Lock()
	c.held[last+1] = held[0]
	c.mu.Unlock()
	err = c.serve(&node{id: last + 1}, ln)
	if err == nil {
		err = c.change(func(v *view) error { v.comeUp(last+1, c.hold); return nil })
	} else {
		err = errors.Join(err, c.change(func(v *view) error { delete(v.nodes, last+1); return nil }))
	}
	if err != nil {
		return -1, fmt.Errorf("kafka: add a node: %w", err)
	}
	return last + 1, nil
}

// Remove stops a node, if it runs, and takes it from those that there are. Where it was a replica it still is one, which does not
// run, until that is reassigned. The last node stays.
func (c *Cluster) Remove(node int32) error {
	n, err := c.node(node)
	if err == nil {
		err = c.change(func(v *view) error {
			if _, there := v.nodes[node]; !there {
				return invalidEvent("it is being removed")
			}
			if len(v.nodes) == 1 {
				return invalidEvent("it is the last one")
			}
			v.goDown(node)
			delete(v.nodes, node)
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("kafka: remove node %d: %w", node, err)
	}
	c.mu.Lock()
	s := n.server
	if c.nodes[node] == n { // the next one that is added may have its id
		delete(c.nodes, node)
		_ = c.held[node].Close()
	}
	c.mu.Unlock()
	if err := s.Close(); err != nil {
		return fmt.Errorf("kafka: remove node %d: %w", node, err)
	}
	return nil
}

// MoveLeader has a node lead a partition, of which it must be a replica. The leader epoch rises if it did not lead.
func (c *Cluster) MoveLeader(topic string, partition, node int32) error {
	err := c.changePlace(topic, partition, func(v *view, p *seat) error { return p.leadBy(v, node) })
	if err != nil {
		return fmt.Errorf("kafka: move the leader of %s/%d: %w", topic, partition, err)
	}
	return nil
}

// happen is change for what happens to a cluster: to one that is closed nothing does.
func (c *Cluster) happen(edit func(v *view) error) error {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return samsa.ErrClosed
	}
	return c.change(edit)
}

// changePlace has edit change the place of a partition.
func (c *Cluster) changePlace(topic string, index int32, edit func(*view, *seat) error) error {
	p, _, err := c.find(topic, index)
	if err != nil {
		return err
	}
	return c.happen(func(v *view) error {
		at, err := v.placed(p)
		if err != nil {
			return err
		}
		return edit(v, at)
	})
}

// placed returns the place of a partition, to be changed.
func (v *view) placed(p *partition.Partition) (*seat, error) {
	if _, ok := v.place(p); !ok {
		return nil, log.ErrUnknownPartition
	}
	return &v.topics[p.ID().Topic][p.ID().Partition], nil
}

// MoveGroup has a node coordinate a group. Other groups may move with it, as in Kafka: the coordinator is that of one of 50 partitions.
// Members that wait to join are NOT_COORDINATOR.
func (c *Cluster) MoveGroup(group string, node int32) error {
	if err := c.changeSlot(group, groupSlots, func(v *view, p *seat) error { return p.leadBy(v, node) }); err != nil {
		return fmt.Errorf("kafka: move the coordinator of group %s: %w", group, err)
	}
	return nil
}

// MoveTransaction has a node coordinate a transactional id, like MoveGroup.
func (c *Cluster) MoveTransaction(id string, node int32) error {
	if err := c.changeSlot(id, txnSlots, func(v *view, p *seat) error { return p.leadBy(v, node) }); err != nil {
		return fmt.Errorf("kafka: move the coordinator of transactional id %s: %w", id, err)
	}
	return nil
}

// LoadGroup has the coordinator of a group load, or not any more: while it does, requests about the group get
// COORDINATOR_LOAD_IN_PROGRESS. Moving it ends that.
func (c *Cluster) LoadGroup(group string, loading bool) error {
	return c.changeSlot(group, groupSlots, func(_ *view, p *seat) error { p.loading = loading; return nil })
}

// LoadTransaction is to a transactional id what LoadGroup is to a group.
func (c *Cluster) LoadTransaction(id string, loading bool) error {
	return c.changeSlot(id, txnSlots, func(_ *view, p *seat) error { p.loading = loading; return nil })
}

func groupSlots(v *view) *slots { return &v.groups }
func txnSlots(v *view) *slots   { return &v.txns }

func (c *Cluster) changeSlot(key string, of func(*view) *slots, edit func(*view, *seat) error) error {
	return c.happen(func(v *view) error { return edit(v, &of(v)[slotOf(key)]) })
}

// MoveController has a node be the controller.
func (c *Cluster) MoveController(node int32) error {
	err := c.happen(func(v *view) error {
		if !v.isUp(node) {
			return errIsDown
		}
		v.controller = node
		return nil
	})
	if err != nil {
		return fmt.Errorf("kafka: move the controller to node %d: %w", node, err)
	}
	return nil
}

// ElectPreferred has every partition and every coordinator that can be be led by its preferred leader, its first replica.
func (c *Cluster) ElectPreferred() error {
	return c.happen(func(v *view) error {
		v.places(func(p *seat) { _ = p.prefer(v) })
		return nil
	})
}

// Reassign moves a partition to other replicas, the preferred leader first. It stays under way after HoldReassignments, and while new replicas
// do not run; else it is done at once. If replicas have gone the leader epoch rises.
func (c *Cluster) Reassign(topic string, partition int32, replicas ...int32) error {
	err := c.reassign(topic, partition, replicas)
	if pe := (protocolError{}); errors.As(err, &pe) {
		err = invalidEvent("%s", pe.text)
	}
	if err != nil {
		return fmt.Errorf("kafka: reassign %s/%d: %w", topic, partition, err)
	}
	return nil
}

// reassign is Reassign; without replicas it cancels one.
func (c *Cluster) reassign(topic string, index int32, replicas []int32) error {
	return c.changePlace(topic, index, func(v *view, p *seat) error {
		if len(replicas) == 0 {
			if !p.moving() {
				return protocolError{codeNoReassignmentInProgress, "nothing moves"}
			}
			if len(v.up(p.settled())) == 0 {
				return protocolError{codeInvalidReplicaAssignment, "no replica runs that it had before"}
			}
			p.cancel(v)
			return nil
		}
		if err := v.checkReplicas(replicas); err != nil {
			return err
		}
		p.reassign(slices.Clone(replicas))
		if !c.hold {
			p.arrive(v)
		}
		return nil
	})
}

// checkReplicas refuses what cannot be the replicas of a partition.
func (v *view) checkReplicas(replicas []int32) error {
	for i, id := range replicas {
		if _, ok := v.nodes[id]; !ok || slices.Contains(replicas[:i], id) {
			return protocolError{codeInvalidReplicaAssignment, fmt.Sprintf("replicas on %v, want nodes of %v, each once", replicas, v.ids(false))}
		}
	}
	if len(replicas) == 0 {
		return protocolError{codeInvalidReplicaAssignment, "no replicas"}
	}
	return nil
}

// HoldReassignments has reassignments that begin from now on stay under way, so that clients see them, until it is called
// with false: then all come to their end.
func (c *Cluster) HoldReassignments(hold bool) error {
	return c.happen(func(v *view) error {
		c.hold = hold
		if !hold {
			v.places(func(p *seat) {
				if p.moving() {
					p.arrive(v)
				}
			})
		}
		return nil
	})
}

// CutOff has the network between clients and a node let nothing through, in neither direction, until it is called with false, or the node goes down: then what
// is on its way arrives, as TCP has it. The other nodes see it: it leads what it led. Who dials it hears nothing, on Linux, and so does who dials
// still when it is there again, until the system asks anew, after a second at first. On other systems dialing succeeds, as the system answers for
// who listens, and nothing comes after that.
func (c *Cluster) CutOff(node int32, cut bool) error {
	n, err := c.node(node)
	if err != nil {
		return fmt.Errorf("kafka: cut off: %w", err)
	}
	if cut {
		n.gate.shut()
	} else {
		n.gate.open()
	}
	return nil
}

// Slow has a node wait before each request that it carries out; 0 ends that.
func (c *Cluster) Slow(node int32, by time.Duration) error {
	n, err := c.node(node)
	if err == nil && by < 0 {
		err = samsa.ErrInvalid
	}
	if err != nil {
		return fmt.Errorf("kafka: slow: %w", err)
	}
	n.slow.Store(int64(by))
	return nil
}

// ElectUnclean has a node lead a partition as after an unclean election: its log ends at offset, or where the batch begins that holds
// it, and what was behind is lost for good. The new leader epoch begins there, so that consumers that have read more hear of it
// (KIP-320). It is for brokers in memory, and for partitions without an open transaction; offsets that are committed stay.
func (c *Cluster) ElectUnclean(topic string, partition, node int32, offset int64) error {
	if err := c.electUnclean(topic, partition, node, offset); err != nil {
		return fmt.Errorf("kafka: unclean election in %s/%d: %w", topic, partition, err)
	}
	return nil
}

func (c *Cluster) electUnclean(topic string, index, node int32, offset int64) error {
	if c.in.Dir != "" {
		return wrapf(samsa.ErrUnsupported, "only the log of a broker in memory can be cut")
	}
	p, _, err := c.find(topic, index)
	if err != nil {
		return err
	}
	release, err := p.Turn(context.Background())
	if err != nil {
		return err
	}
	defer release()
	return c.happen(func(v *view) error {
		at, err := v.placed(p)
		if err != nil {
			return err
		}
		if err := at.leadBy(v, node); err != nil {
			return err
		}
		err = writer.CutAndRaise(context.Background(), c.in.Committer, p, offset)
		at.epoch = p.Log().LeaderEpoch()
		return err
	})
}

// Stale has a node tell clients what the cluster is now, whatever happens to it, until it is called with false: in Metadata,
// DescribeCluster, DescribeTopicPartitions and FindCoordinator. Topics that are created meanwhile it does not know. What it leads and
// coordinates it goes by what is.
func (c *Cluster) Stale(node int32, stale bool) error {
	n, err := c.node(node)
	if err != nil {
		return fmt.Errorf("kafka: stale: %w", err)
	}
	if !stale {
		n.stale.Store(nil)
		return nil
	}
	return c.change(func(v *view) error {
		for _, t := range c.in.Catalogue.List() {
			c.placeTopic(v, t)
		}
		n.stale.Store(v)
		return nil
	})
}

// Rebootstrap has the next n answers of a node to Metadata requests of version 13 and later be REBOOTSTRAP_REQUIRED (KIP-1102).
func (c *Cluster) Rebootstrap(node int32, n int) error {
	of, err := c.node(node)
	if err != nil {
		return fmt.Errorf("kafka: rebootstrap: %w", err)
	}
	of.rebootstrap.Store(int64(max(0, n)))
	return nil
}

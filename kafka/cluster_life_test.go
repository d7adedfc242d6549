package kafka

import (
	"crypto/tls"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
)

// Whoever has a node stop, die, start, go and come at the same time: a node that is said to run serves, and one that is not does not.
func TestClusterEventsAtOnce(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	var wg sync.WaitGroup
	for _, event := range []func() error{
		func() error { return s.c.Stop(2) }, func() error { return s.c.Start(2) }, func() error { return s.c.Kill(2) }, func() error { return s.c.Start(2) },
		func() error { return s.c.Remove(4) }, func() error { _, err := s.c.Add(""); return err }, s.c.ElectPreferred,
	} {
		wg.Go(func() {
			for range 40 {
				_ = event()
			}
		})
	}
	wg.Wait()
	for _, id := range s.c.Nodes() {
		nc, err := net.Dial("tcp", s.c.Addr(id))
		if (err == nil) != s.c.Runs(id) {
			t.Errorf("node %d runs: %t, and %v", id, s.c.Runs(id), err)
		}
		if err == nil {
			_ = nc.Close()
		}
		if s.c.Runs(id) {
			s.told(id)
		}
	}
	s.must(s.c.Close())
	for _, addr := range s.c.Addrs() {
		if nc, err := net.Dial("tcp", addr); err == nil {
			t.Errorf("the cluster is closed, and somebody listens at %s", addr)
			_ = nc.Close()
		}
	}
	if servers := Servers(s.Broker); len(servers) > 0 {
		t.Errorf("the cluster is closed, and %d nodes are not", len(servers))
	}
}

// A network that is cut while a node stops keeps nobody waiting.
func TestClusterStopsWhileCutOff(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	for range 20 {
		s.must(s.c.CutOff(1, false))
		nc, err := net.Dial("tcp", s.c.Addr(1))
		s.must(err)
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					_ = s.c.CutOff(1, true)
				}
			}
		})
		s.must(s.c.Stop(1), s.c.Start(1), nc.Close())
		close(done)
		wg.Wait()
	}
	s.must(s.c.Close())
}

// A node dies whose network is cut, and which has connections by TLS, whose end has words of its own.
func TestClusterKillsCutOff(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	o := a.files(t.TempDir())
	o.ClientCAFile = ""
	s := startCluster(t, ClusterOptions{Options: Options{Security: Security{TLS: &o}}})
	n, err := s.c.node(1)
	s.must(err)
	s.srv = n.server
	_, err = s.shake(&tls.Config{InsecureSkipVerify: true}) // it is about who waits for whom
	s.must(err)
	s.must(s.c.CutOff(1, true), s.c.Kill(1), s.c.Start(1), s.c.Close())
}

// Nothing happens to a cluster that is closed; nor does what cannot be, whoever asks for it.
func TestClusterRefusesEvents(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	for i, err := range []error{
		s.c.Reassign("web_log", 0), s.c.Reassign("web_log", 0, 9), s.c.Reassign("web_log", 0, 1, 1), s.c.Slow(1, -1), s.c.Kill(9), s.c.Remove(9),
		s.c.MoveGroup("readers", 9), s.c.MoveController(9),
	} {
		if !errors.Is(err, samsa.ErrInvalid) {
			t.Errorf("%d: %v", i, err)
		}
	}
	s.must(s.c.Stop(1), s.c.Kill(2), s.c.Stop(3))
	if s.c.Controller() != -1 || s.leader(0) != -1 {
		t.Errorf("no node runs, the controller is %d, the leader %d", s.c.Controller(), s.leader(0))
	}
	s.must(s.c.ElectPreferred(), s.c.Start(3), s.c.ElectPreferred(), s.c.Start(1), s.c.Start(2))
	if resp := ask[*kmsg.MetadataResponse](s.at(1), 12, kmsg.NewPtrMetadataRequest()); resp.ControllerID != 3 || len(resp.Brokers) != 3 {
		t.Errorf("all run again: %+v", resp)
	}
	_, before, err := s.c.Leader("web_log", 0)
	s.must(err, s.c.Close())
	_, err = s.c.Add("")
	for i, err := range []error{
		err, s.c.Start(1), s.c.Stop(1), s.c.Kill(1), s.c.Remove(1), s.c.ElectPreferred(), s.c.MoveLeader("web_log", 0, 1), s.c.MoveController(1), s.c.Reassign("web_log", 0, 1),
		s.c.MoveGroup("readers", 1), s.c.HoldReassignments(true), s.c.CutOff(1, true), s.c.Slow(1, 1), s.c.Stale(1, true), s.c.Rebootstrap(1, 1), s.c.ElectUnclean("web_log", 0, 1, 0),
	} {
		if !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("%d, of a cluster that is closed: %v", i, err)
		}
	}
	if p, err := s.in().Catalogue.Get("web_log"); err != nil || p.Partitions()[0].Log().LeaderEpoch() != before {
		t.Errorf("the epoch has risen: %v", err)
	}
}

// Of clusters that begin at once for one broker, one does, as of brokers of Kafka for one directory; and no other as long as it is open, whether its
// nodes run or not.
func TestClusterIsAlone(t *testing.T) {
	t.Parallel()
	k := newKit(t, samsa.Options{})
	begin := func() (*Cluster, error) { return ListenCluster(k.Broker, 2, "127.0.0.1:0", ClusterOptions{}) }
	clusters := make([]*Cluster, 8)
	var wg sync.WaitGroup
	for i := range clusters {
		wg.Go(func() {
			var err error
			if clusters[i], err = begin(); err != nil && !errors.Is(err, samsa.ErrInvalid) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	clusters = slices.DeleteFunc(clusters, func(c *Cluster) bool { return c == nil })
	if len(clusters) != 1 {
		t.Fatalf("%d clusters serve one broker", len(clusters))
	}
	c := clusters[0]
	if err := errors.Join(c.Stop(1), c.Stop(2)); err != nil {
		t.Fatal(err)
	}
	if _, err := begin(); !errors.Is(err, samsa.ErrInvalid) {
		t.Errorf("beside a cluster that may run again: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	next, err := begin()
	if err == nil {
		err = errors.Join(k.Close(), next.Start(1))
	}
	if !errors.Is(err, samsa.ErrInvalid) && !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("a cluster whose broker is closed: %v", err)
	}
}

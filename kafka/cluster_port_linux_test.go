package kafka

import (
	"errors"
	"net"
	"syscall"
	"testing"
)

// No connection of a client takes the port of a node that is down, so that it starts again where it was: those that were there first, and those
// that were added.
func TestClusterPortsStay(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	added, err := s.c.Add("")
	s.must(err)
	for _, id := range []int32{2, added} {
		at, err := net.ResolveTCPAddr("tcp", s.c.Addr(id))
		s.must(err, s.c.Stop(id))
		if _, err := (&net.Dialer{LocalAddr: at}).Dial("tcp", s.c.Addr(1)); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a connection from the port of node %d: %v", id, err)
		}
		s.must(s.c.Start(id))
	}
	s.must(s.c.Remove(added))
}

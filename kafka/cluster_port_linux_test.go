package kafka

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
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

// Who dials a node that is cut off hears nothing, and is answered when it is there again, or has begun anew.
func TestClusterCutOffHearsNobody(t *testing.T) {
	t.Parallel()
	s := startCluster(t, ClusterOptions{})
	silent := func() {
		t.Helper()
		nc, err := (&net.Dialer{Timeout: 20 * time.Millisecond}).Dial("tcp", s.c.Addr(1))
		if late := net.Error(nil); !errors.As(err, &late) || !late.Timeout() {
			t.Errorf("dial: %v", err)
		}
		if err == nil {
			_ = nc.Close()
		}
	}
	s.must(s.c.CutOff(1, true))
	silent()
	s.told(2)
	s.must(s.c.CutOff(1, false))
	s.told(1)
	s.must(s.c.CutOff(1, true))
	silent()
	s.must(s.c.Stop(1), s.c.Start(1))
	s.told(1)
}

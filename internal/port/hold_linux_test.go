package port

import (
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A port that is held is for who listens: connections that come in are refused while nobody does, and none goes out from it.
func TestHold(t *testing.T) {
	other := listen(t, "127.0.0.1:0").Addr().String()
	for _, addr := range []string{"127.0.0.1:0", ":0", "localhost:0"} {
		addrs, held := Hold(addr, 3)
		again, twice := Hold(strings.Join(addrs, ","), 3)
		if !slices.Equal(again, addrs) {
			t.Errorf("%s are held as %s", addrs, again)
		}
		for i, at := range addrs {
			a, err := net.ResolveTCPAddr("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			out := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: a.Port}}
			for range 2 {
				if _, err := net.Dial("tcp", at); !errors.Is(err, syscall.ECONNREFUSED) {
					t.Errorf("dial %s, where nobody listens: %v", at, err)
				}
				if _, err := out.Dial("tcp", other); !errors.Is(err, syscall.EADDRINUSE) {
					t.Errorf("dial from %s, which is held: %v", at, err)
				}
				if err := listen(t, at).Close(); err != nil {
					t.Error(err)
				}
			}
			if err := errors.Join(held[i].Close(), twice[i].Close()); err != nil {
				t.Error(err)
			}
			if c, err := out.Dial("tcp", other); err != nil {
				t.Errorf("dial from %s, which nobody holds: %v", at, err)
			} else if err := c.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	taken := listen(t, "127.0.0.1:0").Addr().String()
	for _, addr := range []string{taken, "nowhere", "127.0.0.1:65536"} {
		if addrs, held := Hold(addr, 1); addrs[0] != addr || held[0] != nil {
			t.Errorf("%s is held as %s", addr, addrs)
		}
	}
}

func listen(t *testing.T, at string) net.Listener {
	t.Helper()
	l, err := Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

package fake

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// No connection of some client takes the ports of a broker while that is reset, and they are free when it is closed.
func TestPortsStay(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer func() { must(t, other.Close()) }()
	for _, nodes := range []int{1, 2} {
		var k *Fake
		prepare := func(context.Context, *samsa.Broker) error {
			if k == nil {
				return nil // at first
			}
			for at := range strings.SplitSeq(k.Addr(), ",") {
				a, err := net.ResolveTCPAddr("tcp", at)
				must(t, err)
				if _, err := (&net.Dialer{LocalAddr: a}).Dial("tcp", other.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
					t.Errorf("a connection from the port of a broker: %v", err)
				}
			}
			return nil
		}
		if k, err = New(t.Context(), Options{Prepare: prepare, Serve: Kafka("127.0.0.1:0", nodes, kafka.ClusterOptions{})}); err != nil {
			t.Fatal(err)
		}
		at := k.Addr()
		if err := k.Reset(t.Context()); err != nil || k.Addr() != at {
			t.Errorf("it is at %s, and was at %s: %v", k.Addr(), at, err)
		}
		_, err := k.NewFork(t.Context(), "copy")
		must(t, err)
		must(t, k.RemoveFork("copy"))
		held := k.opts.Serve.held
		for _, f := range held {
			_, err := f.Stat()
			must(t, err) // a copy leaves them alone
		}
		must(t, k.Close())
		for _, f := range held {
			if _, err := f.Stat(); !errors.Is(err, os.ErrClosed) {
				t.Errorf("a port is held by a broker that is closed: %v", err)
			}
		}
	}
}

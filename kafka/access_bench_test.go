package kafka

import (
	"net"
	"testing"

	"github.com/samsa-go/samsa"
)

// BenchmarkUnchecked is what each request costs more where there are neither ACLs nor quotas: a look at both.
func BenchmarkUnchecked(b *testing.B) {
	broker, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = broker.Close() }()
	srv, err := Listen(broker, "127.0.0.1:0", Options{})
	if err != nil {
		b.Fatal(err)
	}
	nc, err := net.Dial("tcp", srv.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = nc.Close() }()
	c := newConn(srv, nc)
	defer c.cancel()
	cl := &call{s: srv, conn: c, from: Anonymous, entry: &table[0]}
	var q queue
	for b.Loop() {
		c.admitted(cl, &q)
		cl.clock()
		_ = cl.refusal("orders", 0)
		cl.handled()
		cl.charge(nil)
		c.mute(cl.cost.still)
		c.unmuted()
	}
}

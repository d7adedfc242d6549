package store

import (
	"math"
	"sync"
	"sync/atomic"
)

// gate counts what is in flight in a store, so that Close can refuse what comes later
// and wait for what came before. Unlike a RWMutex it lets a holder enter again while
// Close waits (a Scan whose fn calls Get): the second entry is refused, not blocked.
type gate struct {
	n       atomic.Int64  // holders; plus gateShut once shut
	once    sync.Once     // closes drained
	drained chan struct{} // closed when the last holder has left a gate that is shut
}

const gateShut = math.MinInt64 / 2

func newGate() *gate {
	return &gate{drained: make(chan struct{})}
}

// enter reports whether the gate is open; if so the caller must leave.
func (g *gate) enter() bool {
	if g.n.Add(1) > 0 {
		return true
	}
	g.leave()
	return false
}

func (g *gate) leave() {
	if g.n.Add(-1) == gateShut {
		g.once.Do(func() { close(g.drained) })
	}
}

// shut refuses entry from now on and waits until the last holder has left. It must be
// called once.
func (g *gate) shut() {
	if g.n.Add(gateShut) != gateShut {
		<-g.drained
	}
}

package samsatest

import (
	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
)

// Crash kills a broker as kill -9 kills a process. Nothing more is stored or acknowledged, what
// was buffered (records produced with AckNone, for one) and what waited is lost, and who uses
// the broker gets ErrClosed; what was on its way to the store may be there or not, which
// ErrFailed says besides. Consumers lose their partitions without a last commit: OnLost is
// called, and not OnRevoked. Restart brings the broker back.
//
// Crash returns when nothing of the broker runs any more. Of a broker on disk the store is
// closed in good order: how it recovers after a crash is not for you to test.
func Crash(t TB, b *samsa.Broker) {
	t.Helper()
	kill(t, b, "Crash", false)
}

// CutPower is Crash, but only what was synced is left: records acknowledged with AckSynced,
// and everything before a Broker.Sync. It is for brokers in memory that the kit has made.
func CutPower(t TB, b *samsa.Broker) {
	t.Helper()
	kill(t, b, "CutPower", true)
}

func kill(t TB, b *samsa.Broker, what string, power bool) {
	t.Helper()
	c := controlOf(b)
	c.note(func() event { return event{kind: "crash", text: what} })
	left, err := partsOf(b).Kill(power)
	if err != nil {
		t.Fatalf("samsatest: %s: %v", what, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.killed, c.left = true, left
}

// Restart opens what a Crash or CutPower of b has left, with the options of b, as a new broker
// that is closed with the test. A trace of b goes on with it. Each call opens the same once
// more, in memory: every case of a test can have its own.
func Restart(t TB, b *samsa.Broker, opts ...Option) *samsa.Broker {
	t.Helper()
	c := controlOf(b)
	c.mu.Lock()
	killed, left := c.killed, c.left
	c.mu.Unlock()
	if !killed {
		t.Fatalf("samsatest: Restart: the broker was not killed by Crash or CutPower")
		return nil
	}
	again := c.restart(t, b, left, opts)
	if again != nil {
		c.handOver(controlOf(again))
	}
	return again
}

func (c *control) restart(t TB, b *samsa.Broker, left store.Store, opts []Option) *samsa.Broker {
	t.Helper()
	if left == nil {
		s := setup{options: partsOf(b).Options.(samsa.Options)}
		for _, o := range opts {
			o(&s)
		}
		if ours(s.options.Logger) {
			s.options.Logger = nil
		}
		return s.start(t, "Restart", func(o samsa.Options) (*samsa.Broker, error) {
			return samsa.Open(partsOf(b).Dir, o)
		})
	}
	st, err := left.(store.Forker).Fork()
	if err != nil {
		t.Fatalf("samsatest: Restart: %v", err)
		return nil
	}
	return reopen(t, "Restart", st, partsOf(b).Options.(samsa.Options), opts)
}

// handOver has a trace go on with the broker of to.
func (c *control) handOver(to *control) {
	c.mu.Lock()
	trace := c.trace
	c.mu.Unlock()
	if trace == nil {
		return
	}
	to.mu.Lock()
	defer to.mu.Unlock()
	to.trace = trace
	trace.add(event{kind: "restart"})
}

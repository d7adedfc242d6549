package batcher

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
)

// Chooser is how a producer, or the calls, ask a partitioner about one topic. One of the
// program's is called with no lock held but that of the chooser, which keeps its calls from
// overlapping: it may panic, and call whatever does not ask it again.
type Chooser struct {
	tp       choose.TopicPartitioner
	known    bool         // it is one of ours, which does neither
	complete atomic.Int32 // batches of which tp is to be told before the next record

	mu     sync.Mutex
	caller atomic.Uint64 // the goroutine on which tp is called; 0 for none, and for one of ours
	record log.Record    // that tp looks at: here it costs no allocation
}

// NewChooser returns the chooser of a topic. It calls the program's code, so nothing is to be locked.
func NewChooser(p choose.Partitioner, topic string) *Chooser {
	tp := p.ForTopic(topic)
	return &Chooser{tp: tp, known: choose.Known(tp)}
}

// Choose returns the partition of r, from 0 to n-1.
func (c *Chooser) Choose(r *log.Record, n int) (int, error) {
	if c.known {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.Ask(r, n)
	}
	me := callback.Goroutine()
	if me != 0 && c.caller.Load() == me {
		return 0, fmt.Errorf("%s: %w: its partitioner", r.Topic, log.ErrInCallback)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.caller.Store(me)
	defer c.caller.Store(0)
	return c.Ask(r, n)
}

// Known reports whether the partitioner is one of ours. A producer asks such a one under its own lock, with Ask.
func (c *Chooser) Known() bool { return c.known }

// Ask is Choose where one call at a time is made.
func (c *Chooser) Ask(r *log.Record, n int) (int, error) {
	for c.complete.Load() > 0 {
		c.complete.Add(-1)
		c.tp.OnNewBatch()
	}
	c.record = *r
	return choose.Partition(c.tp, &c.record, n)
}

// BatchComplete has the partitioner told, when it is asked next, that a batch is complete.
func (c *Chooser) BatchComplete() { c.complete.Add(1) }

// Repeats refuses a record that may go elsewhere when all the same records are given to a producer again.
func (c *Chooser) Repeats(r *log.Record, n int) error {
	if choose.Repeats(c.tp, r, n) {
		return nil
	}
	return fmt.Errorf("%s: %w: it has no key or a random partition, with Replay it cannot be told whether it is stored",
		r.Topic, log.ErrInvalidRecord)
}

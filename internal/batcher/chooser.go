package batcher

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
)

// chooser is how a producer, or the calls, ask a partitioner about one topic. One of the
// program's is called with no lock held but that of the chooser, which keeps its calls from
// overlapping: it may panic, and call whatever does not ask it again.
type chooser struct {
	tp       choose.TopicPartitioner
	known    bool         // it is one of ours, which does neither
	complete atomic.Int32 // batches of which tp is to be told before the next record

	mu     sync.Mutex
	caller atomic.Uint64 // the goroutine on which tp is called; 0 for none, and for one of ours
	record log.Record    // that tp looks at: here it costs no allocation
}

func newChooser(p choose.Partitioner, topic string) *chooser {
	tp := p.ForTopic(topic)
	return &chooser{tp: tp, known: choose.Known(tp)}
}

// choose returns the partition of r, from 0 to n-1.
func (c *chooser) choose(r *log.Record, n int) (int, error) {
	if c.known {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.ask(r, n)
	}
	me := callback.Goroutine()
	if me != 0 && c.caller.Load() == me {
		return 0, fmt.Errorf("%s: %w: its partitioner", r.Topic, log.ErrInCallback)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.caller.Store(me)
	defer c.caller.Store(0)
	return c.ask(r, n)
}

// ask is choose where one call at a time is made. A producer asks one of ours under its own lock.
func (c *chooser) ask(r *log.Record, n int) (int, error) {
	for c.complete.Load() > 0 {
		c.complete.Add(-1)
		c.tp.OnNewBatch()
	}
	c.record = *r
	return choose.Partition(c.tp, &c.record, n)
}

// batchComplete has tp told, when it is called next, that a batch is complete.
func (c *chooser) batchComplete() { c.complete.Add(1) }

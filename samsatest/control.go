package samsatest

import (
	"slices"
	"sync"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// control is the kit's end of one broker: its faults, traces, and those who wait for
// something to happen. A broker gets it when one of these is wanted first.
type control struct {
	mu      sync.Mutex // guards what follows and the faults; nothing is called with it
	faults  []*Fault   // in the order in which they were made
	waiters map[*partition.Waiter]struct{}
	trace   *trace // nil without
	closed  bool   // the broker is closing: no more faults
	killed  bool
	left    store.Store // by the killed broker; nil on disk
}

// controlOf returns the control of b.
func controlOf(b *samsa.Broker) *control {
	points := partsOf(b).Committer.Probes()
	if c, ok := points.Get().(*control); ok {
		return c
	}
	c, ok := points.Attach(&control{waiters: make(map[*partition.Waiter]struct{})}).(*control)
	if !ok {
		panic("samsatest: something else than the kit is attached to the broker")
	}
	return c
}

// Ask implements probe.Probe. The faults act in the order in which they were made; behind
// the first that fails the work none does, nor on partitions that one has refused.
func (c *control) Ask(w probe.Work) probe.Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	var v probe.Verdict
	for _, f := range c.faults {
		if !f.concerns(w) {
			continue
		}
		hit := w
		if f.refuses() {
			hit.Partitions, w.Partitions = f.target.split(w.Partitions)
		}
		f.hit(&v, hit)
		c.noteLocked(f.event(hit))
		if v.Err != nil {
			break
		}
	}
	return v
}

// Release implements probe.Probe.
func (c *control) Release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, f := range c.faults {
		f.release()
	}
	c.faults = nil
}

// Appended implements probe.Probe.
func (c *control) Appended(a probe.Appended) {
	c.note(func() event { return appendEvent(a) })
}

// Fetched implements probe.Probe.
func (c *control) Fetched(f probe.Fetched) {
	c.note(func() event { return fetchEvent(f) })
}

// Committed implements probe.Probe.
func (c *control) Committed(m probe.Committed) {
	c.note(func() event { return commitEvent(m) })
	c.wake()
}

// Rebalanced implements probe.Probe.
func (c *control) Rebalanced(r probe.Rebalanced) {
	c.note(func() event { return rebalanceEvent(r) })
	c.wake()
}

// Acknowledged implements probe.Probe.
func (c *control) Acknowledged(a probe.Acknowledged) {
	c.note(func() event { return ackEvent(a) })
	c.wake()
}

// Settled implements probe.Probe.
func (c *control) Settled() { c.wake() }

func (c *control) note(e func() event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.trace != nil {
		c.trace.add(e())
	}
}

func (c *control) noteLocked(e event) {
	if c.trace != nil {
		c.trace.add(e)
	}
}

// wake wakes those who wait for commits and rebalances.
func (c *control) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := range c.waiters {
		w.Wake()
	}
}

func (c *control) watch(w *partition.Waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiters[w] = struct{}{}
}

func (c *control) unwatch(w *partition.Waiter) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.waiters, w)
}

// add makes f act, unless the broker is closing.
func (c *control) add(f *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		c.faults = append(c.faults, f)
	}
}

func (c *control) remove(f *Fault) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.faults = slices.DeleteFunc(c.faults, func(other *Fault) bool { return other == f })
	f.release()
}

// target is the part of a Target that does not know the broker.
type target struct {
	op         probe.Op
	topic      string  // "" for all
	partitions []int32 // none for all
	group      string  // "" for all
	client     string  // "" for all
	principal  string  // "" for all
	txns       bool    // only what names a transactional id
	txn        string  // "" for all
	keys       []int16 // of the API, for requests; none for all
}

// concerns reports whether w is what t names.
func (t target) concerns(w probe.Work) bool {
	switch {
	case w.Op != t.op,
		len(t.keys) > 0 && !slices.Contains(t.keys, w.Key),
		t.group != "" && t.group != w.Group && !slices.Contains(w.Groups, t.group),
		t.txns && len(w.TxnIDs) == 0,
		t.txn != "" && !slices.Contains(w.TxnIDs, t.txn),
		t.client != "" && t.client != w.Client && t.client != w.Member,
		t.principal != "" && t.principal != w.Principal:
		return false
	case t.topic == "":
		return true
	}
	return slices.ContainsFunc(w.Partitions, t.names)
}

// names reports whether tp is one of those that t names.
func (t target) names(tp log.TopicPartition) bool {
	return tp.Topic == t.topic && (len(t.partitions) == 0 || slices.Contains(t.partitions, tp.Partition))
}

// split returns those of tps that t names, and the others.
func (t target) split(tps []log.TopicPartition) (named, others []log.TopicPartition) {
	for _, tp := range tps {
		if t.names(tp) {
			named = append(named, tp)
		} else {
			others = append(others, tp)
		}
	}
	return named, others
}

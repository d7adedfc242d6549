package writer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Probes returns the points where the test kit takes hold of the broker that c belongs to.
func (c *Committer) Probes() *probe.Points { return &c.probes }

// parked is a transaction that a fault holds, or that must not overtake one that is held.
type parked struct {
	tx    *Tx
	err   error // to fail with in the end
	ready bool  // nothing holds it
}

// Admit waits, until ctx ends, for the faults in the way of tx, and returns the error that it
// is to fail with; Submit then asks no more. It is for transactions that hold locks when they
// are submitted, or whose place among others matters.
func (c *Committer) Admit(ctx context.Context, tx *Tx) error {
	if len(tx.Appends) == 0 {
		return nil
	}
	tx.admitted = true
	p := c.probes.Get()
	if p == nil {
		return nil
	}
	w := tx.work(probe.Append)
	err := about(w, c.probes.Meet(ctx, w))
	if err != nil {
		tx.report(p, err)
	}
	return err
}

// about names the partitions that an error of the probe concerns.
func about(w probe.Work, err error) error {
	if err == nil || len(w.Partitions) == 0 {
		return err
	}
	names := make([]string, len(w.Partitions))
	for i, tp := range w.Partitions {
		names[i] = tp.String()
	}
	return fmt.Errorf("%s: %w", strings.Join(names, ", "), err)
}

// intercept asks the probe about tx and reports whether tx has been dealt with: refused, or
// parked. Appends to a partition keep their order while one of them is held.
func (c *Committer) intercept(p probe.Probe, tx *Tx) bool {
	w := tx.work(probe.Append)
	v := p.Ask(w)
	v.Err = about(w, v.Err)
	if len(v.Holds) == 0 && v.Err != nil {
		c.turnAway(tx, v.Err)
		return true
	}
	held := &parked{tx: tx, err: v.Err, ready: len(v.Holds) == 0}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || held.ready && !slices.ContainsFunc(c.parked, held.follows) {
		return false
	}
	c.parked = append(c.parked, held)
	if !held.ready {
		c.wg.Go(func() {
			for _, hold := range v.Holds {
				<-hold
			}
			c.unpark(held)
		})
	}
	return true
}

// follows reports whether p must not overtake other.
func (p *parked) follows(other *parked) bool {
	return slices.ContainsFunc(p.tx.Appends, func(a Append) bool {
		return slices.ContainsFunc(other.tx.Appends, func(b Append) bool { return a.Partition == b.Partition })
	})
}

// unpark lets held go on, and all who waited behind it alone.
func (c *Committer) unpark(held *parked) {
	c.mu.Lock()
	held.ready = true
	var going, staying []*parked
	for _, p := range c.parked {
		if p.ready && !slices.ContainsFunc(staying, p.follows) {
			going = append(going, p)
		} else {
			staying = append(staying, p)
		}
	}
	c.parked = staying
	var refused []*parked
	for _, p := range going {
		if p.err == nil {
			p.err = c.queueLocked(p.tx)
		}
		if p.err != nil {
			refused = append(refused, p)
		}
	}
	if !c.leading && len(c.ahead)+len(c.queue) > 0 {
		c.leading = true
		c.passLocked()
	}
	c.mu.Unlock()
	for _, p := range refused {
		c.turnAway(p.tx, p.err)
	}
}

// Abandon makes everything that is not stored yet fail with err, as if the process had died,
// and all that comes later. When it returns no transaction is acknowledged any more; one that
// the store has at that moment may be stored all the same.
func (c *Committer) Abandon(err error) {
	c.mu.Lock()
	if c.failed == nil {
		c.failed = err
	}
	c.mu.Unlock()
}

// crowded returns the error of a disk that the probe calls full.
func (c *Committer) crowded(tx *Tx) error {
	p := c.probes.Get()
	if p == nil || tx.Essential {
		return nil
	}
	w := tx.work(probe.Space)
	if err := p.Ask(w).Err; err != nil {
		return about(w, fmt.Errorf("%w: %w", log.ErrDiskFull, err))
	}
	return nil
}

// answer tells who waits for tx that it ended with err, unless the probe wants it otherwise:
// late, or with an error although tx is stored. If it reports true, Do is to be woken.
func (c *Committer) answer(tx *Tx, err error) (wake bool) {
	p := c.probes.Get()
	if p == nil || len(tx.Appends) == 0 {
		return tx.tell(err)
	}
	tx.report(p, err)
	if err != nil {
		return tx.tell(err)
	}
	w := tx.work(probe.AppendAnswer)
	v := p.Ask(w)
	v.Err = unsure(about(w, v.Err))
	if len(v.Holds) == 0 {
		return tx.tell(v.Err)
	}
	tx.state.Store(txTold)
	c.wg.Go(func() {
		for _, hold := range v.Holds {
			<-hold
		}
		if tx.tell(v.Err) {
			tx.word <- wordDone
		}
	})
	return false
}

// tell notes the outcome of t. If it reports true, Do is to be woken.
func (t *Tx) tell(err error) (wake bool) {
	t.state.Store(txTold)
	wake, t.err = t.waits, err
	if t.Done != nil {
		t.Done(err) // and t is not ours any more, unless it is of Do
	}
	return wake
}

// work describes the appends of t.
func (t *Tx) work(op probe.Op) probe.Work {
	w := probe.Work{Op: op, Client: t.Client}
	seen := make(map[*partition.Partition]bool, len(t.Appends))
	for i := range t.Appends {
		if p := t.Appends[i].Partition; !seen[p] {
			seen[p] = true
			w.Partitions = append(w.Partitions, p.TopicPartition())
		}
	}
	return w
}

// report tells p what became of t's appends.
func (t *Tx) report(p probe.Probe, err error) {
	for i := range t.Appends {
		a := &t.Appends[i]
		p.Appended(probe.Appended{
			TopicPartition: a.Partition.TopicPartition(), Client: t.Client,
			Batch: a.Batch, BaseOffset: a.BaseOffset, Err: err,
		})
	}
}

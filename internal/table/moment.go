package table

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// cut is a moment at which somebody wants to see a table: where the readers of its partitions were then. The table goes up to there, and
// not further before it was seen. When the moment comes no reader can be beyond it, so that the table is not either.
type cut struct {
	parts map[int32]span
	done  chan struct{} // closed when the table is there, or errMissed

	// the table's mu guards these
	snap store.Snapshot // the table as of then
	err  error
}

// span is what a partition has.
type span struct{ start, end int64 }

// errMissed is for a cut that the table cannot show any more, as records of the moment had gone from the log when it came to read them.
var errMissed = errors.New("a moment was missed")

// cut returns the first that waits for the table, nil without one.
func (t *Table) cut() *cut {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.cuts) == 0 {
		return nil
	}
	return t.cuts[0]
}

// within leaves of what was read in p, from one offset up to next, what belongs to the first cut, and returns the offset behind that. It looks for the cut
// after the reading: one that comes later has all that was read.
func (t *Table) within(p *part, from, next int64) int64 {
	c := t.cut()
	if c == nil {
		return next
	}
	w := &t.writer
	next = min(next, c.parts[p.index].end)
	at, n, whole := from, 0, true
	for ; n < len(w.read) && w.read[n].end <= next; n++ {
		o := &w.read[n]
		whole = whole && !o.gaps && o.base <= at
		at = o.end
	}
	whole = whole && at == next // else what is not there any more may have gone since the moment
	if n < len(w.read) && w.read[n].base < next {
		next = at // compaction has made one batch of what was on both sides
	}
	clear(w.read[n:])
	w.read = w.read[:n]
	if !whole {
		t.miss()
	}
	return next
}

// miss has the first cut be missed.
func (t *Table) miss() {
	if c := t.cut(); c != nil {
		t.finish(c, nil, errMissed)
	}
}

// serve shows the table to who waits for the first cut, and reports whether it did.
func (t *Table) serve() bool {
	c := t.cut()
	if c == nil {
		return false
	}
	for i, s := range c.parts {
		if p := t.parts[i]; p == nil || p.next.Load() < s.end || p.start < s.start {
			return false
		}
	}
	snap, err := t.snapshot()
	t.finish(c, snap, err)
	return true
}

// finish answers a cut, unless it was left.
func (t *Table) finish(c *cut, snap store.Snapshot, err error) {
	t.mu.Lock()
	i := slices.Index(t.cuts, c)
	if i >= 0 {
		t.cuts = slices.Delete(t.cuts, i, i+1)
		c.snap, c.err = snap, err
		close(c.done)
	}
	t.mu.Unlock()
	t.waiter.Wake() // there may be more to read
	if i < 0 && snap != nil {
		snap.Close()
	}
}

// leave is for who does not wait for a cut any more, or does not want what has come of it.
func (t *Table) leave(c *cut) {
	t.mu.Lock()
	if i := slices.Index(t.cuts, c); i >= 0 {
		t.cuts = slices.Delete(t.cuts, i, i+1)
	}
	snap := c.snap
	c.snap = nil
	t.mu.Unlock()
	if snap != nil {
		snap.Close()
	}
	t.waiter.Wake()
}

// wait returns the table as of a cut.
func (t *Table) wait(ctx context.Context, c *cut) (*Tx, error) {
	select {
	case <-c.done:
	case <-t.ctx.Done():
		return nil, t.Err()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	snap := c.snap
	c.snap = nil
	return &Tx{t: t, snap: snap}, c.err
}

// Moment returns tables of b as of one moment, which has all that was stored before the call, and the store as of then. All are the caller's to
// close.
func Moment(ctx context.Context, b *Broker, tables []*Table) (views []*Tx, snap store.Snapshot, err error) {
	for _, t := range tables {
		if t.opts.Shared {
			return nil, nil, t.wrap(fmt.Errorf("%w: a table of a group in a View", log.ErrUnsupported))
		}
	}
	for {
		for _, t := range tables {
			if err := t.CatchUp(ctx); err != nil { // so that little is missed
				return nil, nil, err
			}
		}
		views, snap, err = moment(ctx, b, tables)
		if !errors.Is(err, errMissed) {
			return views, snap, err
		}
	}
}

// moment is Moment, or errMissed.
func moment(ctx context.Context, b *Broker, tables []*Table) (views []*Tx, snap store.Snapshot, err error) {
	plans := make([]plan, len(tables))
	for i, t := range tables {
		if plans[i], err = t.plan(); err != nil {
			return nil, nil, err
		}
	}
	var problem error
	err = b.Moment(ctx, func(s store.Snapshot, err error) {
		if snap, problem = s, err; err != nil {
			return
		}
		for i := range plans {
			plans[i].begin()
		}
	})
	for i := 0; err == nil && problem == nil && i < len(tables); i++ {
		var x *Tx
		if x, err = tables[i].wait(ctx, plans[i].cut); err == nil {
			views = append(views, x)
		}
	}
	if err = store.Join(err, problem); err == nil {
		return views, snap, nil
	}
	for i, t := range tables {
		t.leave(plans[i].cut)
	}
	for _, x := range views {
		x.Close()
	}
	if snap != nil {
		snap.Close()
	}
	return nil, nil, err
}

// plan is a cut, and what it is to be of.
type plan struct {
	*cut
	t  *Table
	in []engine.Partition
}

func (t *Table) plan() (p plan, err error) {
	p = plan{&cut{done: make(chan struct{})}, t, make([]engine.Partition, t.topic.Partitions())}
	for i := range p.in {
		if p.in[i], err = t.topic.Partition(int32(i)); err != nil {
			return p, t.wrap(err)
		}
	}
	return p, nil
}

// begin makes this the moment.
func (p *plan) begin() {
	p.parts = make(map[int32]span, len(p.in))
	for i, of := range p.in {
		p.parts[int32(i)] = span{of.LogStart(), engine.End(of, p.t.opts.Isolation)}
	}
	t := p.t
	t.mu.Lock()
	defer t.mu.Unlock()
	if int(t.topic.Partitions()) != len(p.in) {
		p.err = errMissed
		close(p.done)
		return
	}
	t.cuts = append(t.cuts, p.cut)
	t.waiter.Wake()
}

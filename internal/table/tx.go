package table

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Here is a partition of this process.
type Here interface{ Here() *partition.Partition }

// follow moves the link to where the table is, and bounds what is behind it. The table's step is held.
func (p *part) follow() {
	if p.link == nil {
		return
	}
	for next := p.link.Next(); next != nil && next.End <= p.next.Load(); next = p.link.Next() {
		p.link = next
	}
	p.link = p.Partition.(Here).Here().Bounded(p.link)
}

// leave ends what p has of its partition.
func (p *part) leave(t *Table) {
	p.Unwatch(t.waiter)
	t.step.Take()
	defer t.step.Give()
	if p.untrail != nil {
		p.untrail()
		p.untrail, p.link = nil, nil
	}
}

// trails has partitions that have none make a trail, and waits until the table is where they begin.
func (t *Table) trails(ctx context.Context) error {
	if err := t.turn.TakeUntil(ctx); err != nil {
		return err
	}
	defer t.turn.Give()
	var parts []*part
	var in []*partition.Partition
	if err := t.step.TakeUntil(ctx); err != nil {
		return err
	}
	for _, p := range t.parts {
		if here, ok := p.Partition.(Here); ok && p.untrail == nil {
			p.untrail = here.Here().Trail()
			parts, in = append(parts, p), append(in, here.Here())
		}
	}
	t.step.Give()
	if len(parts) == 0 {
		return nil
	}
	links, last := make([]*partition.Link, len(in)), make(map[int32]int64)
	err := t.b.Ordered(ctx, in, func() {
		for i, p := range in {
			links[i] = p.Last()
			if next := p.Log().Next(); next > 0 {
				last[parts[i].index] = next - 1
			}
		}
	})
	if err == nil {
		err = t.WaitFor(ctx, last)
	}
	t.step.Take()
	defer t.step.Give()
	for i, p := range parts {
		if err != nil && p.untrail != nil {
			p.untrail()
			p.untrail = nil
		} else if err == nil {
			p.link = links[i]
			p.follow()
		}
	}
	return err
}

// Tx is a table as of one moment, for a transaction: it notes what is read, unless that is a view. It is for one goroutine, and a
// transact.Guard.
type Tx struct {
	t      *Table
	snap   store.Snapshot
	links  []*partition.Link
	in     []*partition.Partition
	keys   map[string]struct{} // nil of a view
	ranges []Range
}

// Tx returns the table with all that was stored before the call. It has to be closed.
func (t *Table) Tx(ctx context.Context) (*Tx, error) {
	switch {
	case t.b.Ordered == nil:
		return nil, t.wrap(fmt.Errorf("%w: a table in an Update, where the records are elsewhere", log.ErrUnsupported))
	case t.opts.Shared:
		return nil, t.wrap(fmt.Errorf("%w: a table of a group in an Update", log.ErrUnsupported))
	}
	for {
		err := t.await(ctx, func() (bool, error) { // partitions that are new, empty ones too
			if err := t.step.TakeUntil(ctx); err != nil {
				return false, err
			}
			defer t.step.Give()
			return len(t.parts) == int(t.topic.Partitions()), nil
		})
		if err != nil {
			return nil, err
		}
		if err = t.CatchUp(ctx); err == nil {
			err = t.trails(ctx)
		}
		if err != nil {
			return nil, err
		}
		if x, err := t.tx(ctx); x != nil || err != nil {
			return x, err
		}
	}
}

// tx is Tx, or nil where a partition has no trail yet.
func (t *Table) tx(ctx context.Context) (*Tx, error) {
	if err := t.step.TakeUntil(ctx); err != nil {
		return nil, err
	}
	defer t.step.Give()
	x := &Tx{t: t, keys: make(map[string]struct{})}
	for _, p := range t.parts {
		if p.link == nil {
			return nil, t.Err()
		}
		p.follow()
		x.links, x.in = append(x.links, p.link), append(x.in, p.Partition.(Here).Here())
	}
	var err error
	x.snap, err = t.snapshot()
	return x, err
}

// Close ends the reading. Check goes on to work.
func (x *Tx) Close() {
	x.snap.Close()
	x.snap = nil
}

var errOver = fmt.Errorf("%w: the transaction is over", log.ErrClosed)

// Get is Table.Get.
func (x *Tx) Get(key []byte) (log.Record, error) {
	r, err := x.Row(key)
	if err == nil && x.t.b.Hooks.Intercepts() {
		r, err = x.t.intercepted(r)
	}
	return r, err
}

// Row is Get of the row as it is stored.
func (x *Tx) Row(key []byte) (log.Record, error) {
	if x.snap == nil {
		return log.Record{}, x.t.wrap(errOver)
	}
	if x.keys != nil {
		x.keys[string(key)] = struct{}{}
	}
	stored := x.t.rowKey(key)
	r, err := x.t.get(x.snap, stored)
	if errors.Is(err, errMoved) {
		return x.moved(stored, err)
	}
	return r, err
}

// moved is what the row stored under key is whose record has gone from the log: nothing if the log start has passed it, else another try sees what has come after it.
// A view is not tried again.
func (x *Tx) moved(key []byte, err error) (log.Record, error) {
	conflict := x.conflict(fmt.Sprintf("%.100q", x.t.head(key)))
	if x.keys == nil {
		return log.Record{}, conflict
	}
	if errors.Is(err, errGone) {
		return log.Record{}, x.t.noRow(key)
	}
	return log.Record{}, &engine.TryAgain{Err: conflict}
}

// Range is Table.Range. All of r counts as read.
func (x *Tx) Range(r Range) iter.Seq2[log.Record, error] {
	return func(yield func(log.Record, error) bool) {
		if x.snap == nil {
			yield(log.Record{}, x.t.wrap(errOver))
			return
		}
		if x.keys != nil {
			x.ranges = append(x.ranges, r.clone())
		}
		x.t.iterate(x.snap, r, x.moved, yield)
	}
}

// Partitions implements transact.Guard.
func (x *Tx) Partitions() []*partition.Partition { return x.in }

// Check implements transact.Guard.
func (x *Tx) Check() error {
	if len(x.keys)+len(x.ranges) == 0 {
		return nil
	}
	if int(x.t.topic.Partitions()) != len(x.links) {
		return x.conflict("its partitions")
	}
	for _, l := range x.links {
		for l = l.Next(); l != nil; l = l.Next() {
			if l.All {
				return x.conflict("a large batch")
			}
			for _, key := range l.Keys {
				if x.has(key) {
					return x.conflict(fmt.Sprintf("%.100q", key))
				}
			}
		}
	}
	return nil
}

func (x *Tx) conflict(what string) error {
	return x.t.wrap(&engine.Conflict{Over: what})
}

// has reports whether key was read.
func (x *Tx) has(key string) bool {
	if _, ok := x.keys[key]; ok {
		return true
	}
	for i := range x.ranges {
		if x.ranges[i].holds([]byte(key)) {
			return true
		}
	}
	return false
}

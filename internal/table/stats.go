package table

import (
	"cmp"
	"context"
	"slices"

	"github.com/samsa-go/samsa/internal/engine"
)

// Stats is what there is of the open tables of a topic that have the same name and the same group, which may be "".
type Stats struct {
	Topic, Name, Group string
	Open               int
	Rows, Bytes        int64 // bytes of rows, which are whole records, and their keys
	Lag                int64 // offsets that they are behind, as far as is known here
	Rebuilds           int64 // how often one of them began anew with what it had: another version, damage, a log that was cut
}

func (b *Broker) add(t *Table) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = make(map[*Table]struct{})
	}
	b.open[t] = struct{}{}
}

func (b *Broker) remove(t *Table) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, t)
}

// Stats tells of the open tables, by topic, name and group. It asks nobody elsewhere.
func (b *Broker) Stats() []Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	sums := make(map[Stats]Stats) // by one that has names alone
	for t := range b.open {
		of := Stats{Topic: t.opts.Topic, Name: t.opts.Name, Group: t.opts.Group}
		sum, ok := sums[of]
		if !ok {
			sum = of
		}
		sum.Open++
		sum.Rows += t.size.Load()
		sum.Bytes += t.bytes.Load()
		sum.Lag += t.behind()
		sum.Rebuilds += t.rebuilds.Load()
		sums[of] = sum
	}
	all := make([]Stats, 0, len(sums))
	for _, sum := range sums {
		all = append(all, sum)
	}
	slices.SortFunc(all, func(a, b Stats) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Group, b.Group))
	})
	return all
}

// Lag returns how many offsets the table is behind.
func (t *Table) Lag(ctx context.Context) (lag int64, err error) {
	if err := t.Err(); err != nil {
		return 0, err
	}
	ends, err := t.Ends(ctx)
	if err != nil {
		return 0, err
	}
	if err := t.step.TakeUntil(ctx); err != nil {
		return 0, err
	}
	defer t.step.Give()
	for i, last := range ends {
		next := int64(0)
		if p := t.parts[i]; p != nil {
			next = p.next.Load()
		}
		lag += max(0, last+1-next)
	}
	return lag, nil
}

// behind is Lag of what is known.
func (t *Table) behind() (lag int64) {
	t.step.Take()
	defer t.step.Give()
	for _, p := range t.parts {
		lag += max(0, engine.End(p, t.opts.Isolation)-max(p.next.Load(), p.LogStart()))
	}
	return lag
}

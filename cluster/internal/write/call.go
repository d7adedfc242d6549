package write

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

// call is a record of Broker.Produce, which waits for its fate and may give up. Its bytes do not change.
type call struct {
	done chan error // capacity 1; the record is filled in before
	r    *log.Record
	sent bool // it may be on its way, or stored; as is the next one guarded by the producer's mutex
	gone bool // nobody waits any more, and it is not sent
}

// call stores r in the partition that was chosen. When ctx ends it is ctx's error alone if nothing was sent.
func (p *producer) call(ctx context.Context, r *log.Record) error {
	t, _, err := p.place(ctx, r)
	if err == nil {
		err = t.rules.allow(ctx, p.w, r, ofSize|ofTime)
	}
	if err != nil {
		return err
	}
	own := *r // who gives up has r back
	c := &call{done: make(chan error, 1), r: &own}
	p.mu.Lock()
	err = p.addLocked(ctx, t, r, promised{call: c})
	p.mu.Unlock()
	if err != nil {
		return err
	}
	select {
	case err := <-c.done:
		*r = own
		return err
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case err := <-c.done: // just now
		*r = own
		return err
	default:
	}
	if !c.sent {
		c.gone = true
		return ctx.Err()
	}
	return family.Of(log.ErrOutcomeUnknown, fmt.Errorf("%s: %w", log.TopicPartition{Topic: r.Topic, Partition: r.Partition}, ctx.Err()))
}

// sentLocked notes that the batch is on its way now, without the calls that have withdrawn; nothing of it may be left.
func (b *pending) sentLocked() {
	if !b.line.p.calls {
		return
	}
	kept := b.promises[:0]
	for _, pr := range b.promises {
		if !pr.call.gone {
			pr.call.sent = true
			kept = append(kept, pr)
		}
	}
	if len(kept) == len(b.promises) {
		return
	}
	clear(b.promises[len(kept):])
	b.promises, b.content, b.records = kept, nil, len(kept)
	b.builder.Reset()
	for i := range kept {
		pr := &kept[i]
		pr.n = i
		b.builder.Append(pr.ms, pr.key, pr.value, pr.headers)
	}
}

// backLocked notes that the batch is not on its way any more.
func (b *pending) backLocked() {
	if b.unknown || !b.line.p.calls {
		return
	}
	for i := range b.promises {
		b.promises[i].call.sent = false
	}
}

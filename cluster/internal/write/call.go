package write

import (
	"context"
	"fmt"
	"slices"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

// call is a record of Broker.Produce, which waits for its fate and may give up. Its bytes do not change.
type call struct {
	done  chan error // capacity 1; the record is filled in before
	r     *log.Record
	sent  bool // it may be on its way, or stored; as is the next one guarded by the producer's mutex
	gone  bool // nobody waits any more, and it is not stored: it is withdrawn
	stray bool // nobody waits any more, and it may be stored
}

// call stores r in the partition that was chosen. When ctx ends it is ctx's error alone if nothing was sent.
func (p *producer) call(ctx context.Context, r *log.Record) error {
	own := *r // who gives up has r back
	c := &call{done: make(chan error, 1), r: &own}
	if err := p.take(ctx, r, promised{call: c}); err != nil {
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
	c.stray = true
	tp := log.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	p.w.strays.add(p, tp)
	return family.Of(log.ErrOutcomeUnknown, fmt.Errorf("%s: %w", tp, ctx.Err()))
}

// endStraysLocked notes that the strays among the calls have ended.
func (b *pending) endStraysLocked() {
	if !b.line.p.calls {
		return
	}
	for i := range b.promises {
		if b.promises[i].call.stray {
			b.line.p.w.strays.end(b.line.p, b.tp)
		}
	}
}

// goneLocked reports whether there are calls in the batch that have withdrawn.
func (b *pending) goneLocked() bool {
	return b.line.p.calls && slices.ContainsFunc(b.promises, func(pr promised) bool { return pr.call.gone })
}

// withdrawLocked takes those out; nothing of the batch may be left.
func (b *pending) withdrawLocked() {
	b.promises = slices.DeleteFunc(b.promises, func(pr promised) bool {
		if pr.call.gone && pr.call.stray {
			b.line.p.w.strays.end(b.line.p, b.tp)
		}
		return pr.call.gone
	})
	b.content, b.records = nil, len(b.promises)
	b.builder.Reset()
	for i := range b.promises {
		pr := &b.promises[i]
		pr.n = i
		b.builder.Append(pr.ms, pr.key, pr.value, pr.headers)
	}
}

// sentLocked notes that the batch is on its way now.
func (b *pending) sentLocked() { b.markLocked(true) }

// unsentLocked notes that the batch is not on its way any more.
func (b *pending) unsentLocked() { b.markLocked(b.unknown) }

func (b *pending) markLocked(sent bool) {
	if !b.line.p.calls {
		return
	}
	for i := range b.promises {
		c := b.promises[i].call
		c.sent, c.gone = sent, c.gone || c.stray && !sent
	}
}

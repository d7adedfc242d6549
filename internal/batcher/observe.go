package batcher

import (
	"context"
	"reflect"
	"time"

	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/writer"
)

// maxContexts is how many contexts of a batch are kept for hooks: OpenTelemetry takes as many links.
const maxContexts = 128

// Watchers are the contexts of the records of a batch, for hooks.
type Watchers struct {
	contexts []context.Context
	last     context.Context // of contexts, if it can be compared
}

// Observe keeps the context of a record for hooks, unless it is that of the record before. Those of a type that cannot be compared
// are all kept.
func (w *Watchers) Observe(ctx context.Context) {
	if n := len(w.contexts); n > 0 && (n == maxContexts || w.last == ctx) {
		return
	}
	w.contexts, w.last = append(w.contexts, ctx), nil
	if reflect.ValueOf(ctx).Comparable() {
		w.last = ctx
	}
}

// Contexts are those that are kept.
func (w *Watchers) Contexts() []context.Context { return w.contexts }

// ShareWith has a part of the batch, which is one of its own now, have the same.
func (w *Watchers) ShareWith(part *Watchers) { part.contexts = append(part.contexts, w.contexts...) }

// Unwatch lets go of them.
func (w *Watchers) Unwatch() {
	clear(w.contexts)
	w.contexts, w.last = w.contexts[:0], nil
}

// tellProduced tells hooks of a batch whose outcome is known.
func (p *Producer) tellProduced(b *pending) {
	if len(b.contexts) == 0 {
		return
	}
	b.told[0] = hook.ProducedBatch{TopicPartition: b.partition.TopicPartition(), Offset: -1, Records: b.records, Bytes: len(b.content)}
	if b.err == nil {
		b.told[0].Offset = b.tx.Appends[0].BaseOffset
	}
	p.b.Hooks.Produced(b.contexts[0], &hook.ProduceEvent{
		ClientID: p.opts.ClientID, Batches: b.told[:], Began: b.began, Took: b.took, Err: b.err, Contexts: b.contexts,
	})
}

// Produced tells hooks of a call that began then and has taken so long, and has ended with err: of its batches, which were stored by
// tx if err is nil.
func (c *Call) Produced(ctx context.Context, began time.Time, took time.Duration, tx *writer.Tx, err error) {
	if cap(c.told) < len(c.batches) {
		c.told = make([]hook.ProducedBatch, len(c.batches))
	}
	told := c.told[:len(c.batches)]
	for i, b := range c.batches {
		to := &told[i]
		to.TopicPartition, to.Offset, to.Records, to.Bytes = b.partition.TopicPartition(), -1, b.builder.Records(), len(b.content)
		if err == nil {
			to.Offset = tx.Appends[b.append].BaseOffset
		}
	}
	c.b.broker.Hooks.Produced(ctx, &hook.ProduceEvent{Batches: told, Began: began, Took: took, Err: err})
}

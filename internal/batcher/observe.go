package batcher

import (
	"context"
	"time"

	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/writer"
)

// maxContexts is how many contexts of a batch are kept for hooks: OpenTelemetry takes as many links.
const maxContexts = 128

// observe keeps the context of a record for hooks.
func (b *pending) observe(ctx context.Context) {
	if n := len(b.contexts); n == 0 || n < maxContexts && b.contexts[n-1] != ctx {
		b.contexts = append(b.contexts, ctx)
	}
}

// tellProduced tells hooks of a batch whose outcome is known.
func (p *Producer) tellProduced(b *pending) {
	if len(b.contexts) == 0 {
		return
	}
	one := hook.ProducedBatch{TopicPartition: b.partition.TopicPartition(), Offset: -1, Records: b.records, Bytes: len(b.content)}
	if b.err == nil {
		one.Offset = b.tx.Appends[0].BaseOffset
	}
	p.b.Hooks.Produced(b.contexts[0], hook.ProduceEvent{
		ClientID: p.opts.ClientID, Batches: []hook.ProducedBatch{one}, Began: b.began, Took: time.Since(b.began), Err: b.err, Contexts: b.contexts,
	})
}

// Produced tells hooks of a call that began then and has ended with err: of its batches, which were stored by tx if err is nil.
func (c *Call) Produced(ctx context.Context, began time.Time, tx *writer.Tx, err error) {
	e := hook.ProduceEvent{Began: began, Took: time.Since(began), Err: err}
	for _, b := range c.batches {
		one := hook.ProducedBatch{TopicPartition: b.partition.TopicPartition(), Offset: -1, Records: b.builder.Records(), Bytes: len(b.content)}
		if err == nil {
			one.Offset = tx.Appends[b.append].BaseOffset
		}
		e.Batches = append(e.Batches, one)
	}
	c.b.broker.Hooks.Produced(ctx, e)
}

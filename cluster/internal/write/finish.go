package write

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/log"
)

// finishedLocked notes the outcome of a batch, which is not the caller's any more once it gives up the producer's mutex.
func (p *producer) finishedLocked(b *pending, err error) {
	b.err = err
	p.outcomes.Push(b)
}

// Tell implements batcher.Held.
func (b *pending) Tell() {
	p := b.line.p
	p.complain(b)
	p.tell(b)
}

// Promises implements batcher.Held.
func (b *pending) Promises() int { return len(b.promises) }

// Keep implements batcher.Held.
func (b *pending) Keep(i int) { b.promises[i].keep(b) }

// CountLocked implements batcher.Held.
func (b *pending) CountLocked() {
	b.line.p.countLocked(b)
	b.endStraysLocked()
}

// complain completes the error of b.
func (p *producer) complain(b *pending) {
	if b.err == nil || p.calls {
		return
	}
	b.err = fmt.Errorf("produce: %w", b.err)
	if p.opts.Acks == log.AckNone {
		p.w.opts.Host.Logger.Warn("records were lost that nobody waits for",
			zap.Stringer("partition", b.tp), zap.Int("records", b.records), zap.Error(b.err))
	}
}

// tell tells hooks of a batch whose outcome is known.
func (p *producer) tell(b *pending) {
	if len(b.Contexts()) == 0 || p.calls {
		return
	}
	b.told[0] = hook.ProducedBatch{TopicPartition: b.tp, Offset: -1, Records: b.records, Bytes: len(b.content)}
	if b.err == nil {
		b.told[0].Offset = b.base
	}
	p.w.opts.Host.Hooks.Produced(b.Contexts()[0], &hook.ProduceEvent{
		ClientID: p.opts.ClientID, Batches: b.told[:], Began: b.began, Took: time.Since(b.began), Err: b.err, Contexts: b.Contexts(),
	})
}

func (pr *promised) keep(b *pending) {
	r := log.Record{
		Topic: b.tp.Topic, Partition: b.tp.Partition, Timestamp: time.UnixMilli(pr.ms), Key: pr.key, Value: pr.value, Headers: pr.headers,
	}
	if b.err == nil {
		if r.Offset = b.base; b.base >= 0 {
			r.Offset += int64(pr.n)
		}
		if b.time >= 0 {
			r.Timestamp = time.UnixMilli(b.time)
		}
	}
	if c := pr.call; c != nil {
		*c.r = r
		c.done <- b.err
		return
	}
	pr.promise(r, b.err)
}

// Release implements batcher.Held.
func (b *pending) Release() {
	p := b.line.p
	builder, promises, watchers := b.builder, b.promises, b.Watchers
	builder.Reset()
	clear(promises)
	watchers.Unwatch()
	*b = pending{builder: builder, promises: promises[:0], Watchers: watchers}
	p.batches.Put(b)
}

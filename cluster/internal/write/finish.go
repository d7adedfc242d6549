package write

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/log"
)

// finished hands batches whose outcome is known to the goroutine that calls promises.
type finished struct {
	mu      sync.Mutex // guards what follows
	batches []*pending
	closed  bool
	waiter  *engine.Waiter // of the goroutine that calls promises

	// That goroutine's own:
	caller atomic.Uint64 // its number
	hand   []*pending    // that were taken
	at     int           // the batch in hand
	next   int           // the promise of it to be called next
	told   bool          // it was told to hooks
}

func (q *finished) init() { q.waiter = engine.NewWaiter() }

func (q *finished) push(b *pending) {
	q.mu.Lock()
	q.batches = append(q.batches, b)
	q.mu.Unlock()
	q.waiter.Wake()
}

func (q *finished) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.waiter.Wake()
}

// take waits until a batch is in hand. It returns nil when the queue was closed.
func (q *finished) take() *pending {
	for q.at == len(q.hand) {
		clear(q.hand)
		q.mu.Lock()
		got, closed := q.batches, q.closed
		if len(got) > 0 {
			q.batches, q.hand, q.at = q.hand[:0], got, 0
		}
		q.mu.Unlock()
		if len(got) > 0 {
			break
		}
		if closed {
			return nil
		}
		<-q.waiter.C()
	}
	return q.hand[q.at]
}

// finishedLocked notes the outcome of a batch, which is not the caller's any more once it gives up the producer's mutex.
func (p *producer) finishedLocked(b *pending, err error) {
	b.err = err
	p.finished.push(b)
}

// finish is the goroutine that calls the promises, and hooks. One of them may end it with runtime.Goexit,
// as FailNow of a test does; then another one goes on behind it.
func (p *producer) finish() {
	q := &p.finished
	ended := false
	defer func() {
		if !ended {
			p.wg.Go(p.finish)
		}
	}()
	q.caller.Store(callback.Goroutine())
	for b := q.take(); b != nil; b = q.take() {
		p.keep(b)
		q.at, q.next, q.told = q.at+1, 0, false
	}
	q.caller.Store(0)
	ended = true
}

// keep calls the promises of b and releases it.
func (p *producer) keep(b *pending) {
	q := &p.finished
	if !q.told {
		q.told = true // also if a hook ends the goroutine
		p.complain(b)
		p.tell(b)
	}
	for q.next < len(b.promises) {
		pr := &b.promises[q.next]
		q.next++
		pr.keep(b)
	}
	p.mu.Lock()
	p.countLocked(b)
	p.buffered -= b.bytes
	p.roomLocked()
	delete(p.open, b)
	done := b.done
	p.mu.Unlock()
	b.release()
	if done != nil {
		close(done)
	}
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
	if len(b.contexts) == 0 || p.calls {
		return
	}
	b.told[0] = hook.ProducedBatch{TopicPartition: b.tp, Offset: -1, Records: b.records, Bytes: len(b.content)}
	if b.err == nil {
		b.told[0].Offset = b.base
	}
	p.w.opts.Host.Hooks.Produced(b.contexts[0], &hook.ProduceEvent{
		ClientID: p.opts.ClientID, Batches: b.told[:], Began: b.began, Took: time.Since(b.began), Err: b.err, Contexts: b.contexts,
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

// release keeps the memory of b for another batch.
func (b *pending) release() {
	p := b.line.p
	builder, promises, contexts := b.builder, b.promises, b.contexts
	builder.Reset()
	clear(promises)
	clear(contexts)
	*b = pending{builder: builder, promises: promises[:0], contexts: contexts[:0]}
	p.batches.Put(b)
}

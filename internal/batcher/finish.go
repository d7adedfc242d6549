package batcher

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// finishedQueue hands batches whose outcome is known to the goroutine that calls promises.
type finishedQueue struct {
	mu      sync.Mutex // guards what follows
	batches []*pending
	closed  bool
	waiter  *partition.Waiter // of the goroutine that calls promises

	// That goroutine's own:
	caller atomic.Uint64 // its number
	hand   []*pending    // taken from the queue
	at     int           // the batch in hand
	next   int           // the promise of it to be called next
	told   bool          // it was judged, and told to hooks
}

func (q *finishedQueue) init() { q.waiter = partition.NewWaiter() }

func (q *finishedQueue) push(b *pending) {
	q.mu.Lock()
	q.batches = append(q.batches, b)
	q.mu.Unlock()
	q.waiter.Wake()
}

func (q *finishedQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.waiter.Wake()
}

// take waits until a batch is in hand. It returns nil when the queue was closed.
func (q *finishedQueue) take() *pending {
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

// finish is the goroutine that calls the promises, and hooks. One of them may end it with runtime.Goexit,
// as FailNow of a test does; then another one goes on behind it.
func (p *Producer) finish() {
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
func (p *Producer) keep(b *pending) {
	q := &p.finished
	if !q.told {
		q.told = true // also if a hook ends the goroutine
		b.took = time.Since(b.began)
		p.judge(b)
		p.tellProduced(b)
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

// judge completes the error of b.
func (p *Producer) judge(b *pending) {
	if b.err == nil {
		return
	}
	b.err = fmt.Errorf("produce: %w", b.err)
	if p.opts.Acks == log.AckNone {
		p.b.Logger.Warn("records were lost that nobody waits for",
			zap.Stringer("partition", b.partition.TopicPartition()), zap.Int("records", b.records), zap.Error(b.err))
	}
}

func (pr *promised) keep(b *pending) {
	tp := b.partition.TopicPartition()
	r := log.Record{Topic: tp.Topic, Partition: tp.Partition, Key: pr.key, Value: pr.value, Headers: pr.headers}
	if b.err == nil {
		r.Offset, r.Timestamp = pr.stored(&b.tx.Appends[0])
	} else {
		r.Timestamp = time.UnixMilli(pr.ms)
	}
	pr.promise(r, b.err)
}

// release keeps the memory of b for another batch.
func (b *pending) release() {
	pool := &b.lane.p.batches
	b.reset()
	clear(b.promises)
	clear(b.contexts)
	b.contexts, b.last = b.contexts[:0], nil
	b.promises = b.promises[:0]
	b.tx.Reset()
	b.lane, b.linger, b.err, b.done = nil, nil, nil, nil
	b.records, b.bytes, b.hurry, b.sealed = 0, 0, false, false
	pool.Put(b)
}

package samsa

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

// finishedQueue hands batches whose outcome is known to the goroutine that calls promises.
type finishedQueue struct {
	mu      sync.Mutex // guards what follows
	batches []*batch
	closed  bool
	work    chan struct{} // capacity 1
}

func (q *finishedQueue) init() { q.work = make(chan struct{}, 1) }

func (q *finishedQueue) push(b *batch) {
	q.mu.Lock()
	q.batches = append(q.batches, b)
	q.mu.Unlock()
	q.wake()
}

func (q *finishedQueue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.wake()
}

func (q *finishedQueue) wake() {
	select {
	case q.work <- struct{}{}:
	default:
	}
}

// take waits for batches and returns all there are, in order; spare is memory for the
// queue. It returns none when the queue was closed.
func (q *finishedQueue) take(spare []*batch) []*batch {
	for {
		q.mu.Lock()
		got, closed := q.batches, q.closed
		if len(got) > 0 {
			q.batches = spare[:0]
		}
		q.mu.Unlock()
		if len(got) > 0 || closed {
			return got
		}
		<-q.work
	}
}

// finish is the goroutine that calls the promises.
func (p *Producer) finish() {
	var batches []*batch
	for {
		batches = p.finished.take(batches)
		if len(batches) == 0 {
			return
		}
		for _, b := range batches {
			p.keep(b)
		}
		clear(batches)
	}
}

// keep calls the promises of b and releases it.
func (p *Producer) keep(b *batch) {
	if b.err != nil {
		b.err = fmt.Errorf("produce: %w", b.err)
	}
	if b.err != nil && p.opts.Acks == AckNone {
		p.b.logger.Warn("records were lost that nobody waits for",
			zap.Stringer("partition", b.lane.partition.TopicPartition()), zap.Int("records", b.records), zap.Error(b.err))
	}
	for i := range b.promises {
		b.promises[i].keep(b)
	}
	p.mu.Lock()
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

func (pr *promised) keep(b *batch) {
	r := &pr.record
	r.Partition = b.lane.partition.TopicPartition().Partition
	if b.err == nil {
		a := &b.tx.Appends[0]
		if a.AppendTime >= 0 {
			pr.ms = a.AppendTime
		}
		r.Offset = a.BaseOffset + int64(pr.n)
	}
	r.Timestamp = time.UnixMilli(pr.ms)
	pr.promise(*r, b.err)
}

// release keeps the memory of b for another batch.
func (b *batch) release() {
	pool := &b.lane.p.batches
	clear(b.promises)
	b.promises = b.promises[:0]
	b.tx.Reset()
	b.lane, b.linger, b.err, b.done = nil, nil, nil, nil
	b.records, b.bytes, b.hurry, b.sealed = 0, 0, false, false
	pool.Put(b)
}

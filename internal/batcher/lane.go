package batcher

import (
	"context"
	"runtime"
	"slices"
	"time"

	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// workers is how many goroutines compress the batches of one producer.
var workers = min(4, runtime.GOMAXPROCS(0))

// lane is one producer's way to one partition: batches that fill up, are compressed by
// the workers side by side, and are submitted in order. Its fields are guarded by the
// producer's mutex.
type lane struct {
	p         *Producer
	topic     *knownTopic
	partition *partition.Partition

	filling    *pending   // nil when no record came since the last batch was complete
	complete   []*pending // waiting for a worker, oldest first
	sealing    []*pending // with a worker, or waiting to be submitted behind one that is
	submitting bool       // a worker submits from the head of sealing
	queued     bool       // in Producer.ready
	inFlight   int        // batches that a worker took and whose outcome is not known

	bytes, promises int // of the last batch that was completed: the next is likely to be as large

	replay int64 // records that are still to come and are stored already
}

// pending is a batch of a producer, until its outcome is told.
type pending struct {
	batch
	lane     *lane
	records  int
	promises []promised
	Hold
	Watchers
	hurry  bool
	sealed bool // may be submitted
	linger *time.Timer
	began  time.Time             // when it was complete
	took   time.Duration         // until its outcome was known
	told   [1]hook.ProducedBatch // for hooks
	tx     writer.Tx
	err    error
}

// promised is a record that somebody wants to hear of.
type promised struct {
	place
	key, value []byte
	headers    []log.Header
	promise    Promise
}

// promisedBytes is how much memory a promised takes.
const promisedBytes = 96

// newBatch returns an empty batch.
func (l *lane) newBatch() *pending {
	b, _ := l.p.batches.Get().(*pending)
	if b == nil {
		b = new(pending)
	}
	b.lane, b.partition = l, l.partition
	b.builder.Grow(l.bytes)
	b.promises = slices.Grow(b.promises, l.promises)
	return b
}

// addLocked puts r into the filling batch, which it completes or begins as needed. There it takes size bytes at most, and
// held bytes of the buffer.
func (l *lane) addLocked(ctx context.Context, r *log.Record, ms int64, size, held int, promise Promise) {
	limit := min(l.p.opts.BatchBytes, l.partition.Rules().MaxMessageBytes)
	b := l.filling
	if b != nil && b.full(size, limit) {
		l.completeLocked()
		b = nil
	}
	if b == nil {
		b = l.newBatch()
		l.filling = b
		l.p.outcomes.OpenLocked(b)
	}
	if promise != nil {
		b.promises = append(b.promises, promised{b.next(ms), r.Key, r.Value, r.Headers, promise})
	}
	if l.p.b.Hooks.Produces() {
		b.Observe(ctx)
	}
	b.builder.Append(ms, r.Key, r.Value, r.Headers)
	b.records++
	l.p.outcomes.GrowLocked(b, held)
	switch {
	case b.builder.Size() >= limit:
		l.completeLocked()
	case b.records == 1 && l.p.opts.Linger > 0:
		b.lingerLocked(l.p.opts.Linger)
	case b.records == 1:
		l.readyLocked()
	}
}

// completeLocked closes the filling batch.
func (l *lane) completeLocked() {
	if l.filling.linger != nil {
		l.filling.linger.Stop()
	}
	l.bytes, l.promises = l.filling.builder.Size(), len(l.filling.promises)
	l.complete = append(l.complete, l.filling)
	l.filling = nil
	l.topic.chooser.BatchComplete()
	l.readyLocked()
}

// sendableLocked reports whether a worker should take a batch now: one that is
// complete, or hurried, or, without linger, whatever there is while nothing else is on
// its way: waiting for an outcome is when batches grow.
func (l *lane) sendableLocked() bool {
	switch {
	case len(l.complete) > 0:
		return true
	case l.filling == nil:
		return false
	}
	return l.filling.hurry || l.p.opts.Linger == 0 && l.inFlight == 0
}

// readyLocked queues the lane for a worker if there is something to send.
func (l *lane) readyLocked() {
	if l.queued || !l.sendableLocked() {
		return
	}
	l.queued = true
	l.p.ready = append(l.p.ready, l)
	select {
	case l.p.work <- struct{}{}:
	default: // every worker is awake or about to be
	}
}

// takeLocked returns the next batch to send.
func (l *lane) takeLocked() *pending {
	if len(l.complete) == 0 {
		l.completeLocked()
	}
	b := l.complete[0]
	l.complete = slices.Delete(l.complete, 0, 1)
	l.sealing = append(l.sealing, b)
	l.inFlight++
	return b
}

// send is the goroutine of a worker: it compresses batches and submits them.
func (p *Producer) send() {
	var scratch []byte
	for range p.work {
		for p.sendNext(&scratch) {
		}
	}
}

// sendNext sends one batch and reports whether there was one. scratch is the worker's
// memory for sealing.
func (p *Producer) sendNext(scratch *[]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ready) == 0 {
		return false
	}
	l := p.ready[0]
	p.ready[0] = nil
	p.ready = p.ready[1:] // as many as there are partitions may wait: they do not move up
	l.queued = false
	if !l.sendableLocked() {
		return true
	}
	b := l.takeLocked()
	l.readyLocked() // for another worker
	p.mu.Unlock()
	b.began = time.Now()
	*scratch, b.err = b.seal(log.ProducerCodec(p.opts.Compression), *scratch)
	p.mu.Lock()
	b.sealed = true
	l.submitLocked()
	return true
}

// submitLocked gives the sealed batches at the head of the lane to the committer. It
// gives up the producer's mutex meanwhile; one worker at a time does it.
func (l *lane) submitLocked() {
	if l.submitting {
		return
	}
	l.submitting = true
	for len(l.sealing) > 0 && l.sealing[0].sealed {
		b := l.sealing[0]
		l.sealing = slices.Delete(l.sealing, 0, 1)
		l.p.mu.Unlock()
		l.p.submit(b)
		l.p.mu.Lock()
	}
	l.submitting = false
}

// submit gives b to the committer.
func (p *Producer) submit(b *pending) {
	if b.err != nil {
		p.stored(b, b.err)
		return
	}
	b.tx.Appends = append(b.tx.Appends, writer.Append{Partition: b.partition, Batch: b.content, Producer: p.name})
	b.tx.Client = p.opts.ClientID
	b.tx.Synced = p.opts.Acks == log.AckSynced
	b.tx.Done = func(err error) { p.stored(b, err) }
	p.b.Committer.Submit(&b.tx)
}

// stored takes the outcome of b. It runs on the committer's time.
func (p *Producer) stored(b *pending, err error) {
	b.err = err
	p.mu.Lock()
	b.lane.inFlight--
	b.lane.readyLocked()
	p.mu.Unlock()
	p.outcomes.Push(b) // b is not ours any more
}

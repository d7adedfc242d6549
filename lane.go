package samsa

import (
	"runtime"
	"sync"
	"time"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// workers is how many goroutines compress the batches of one producer.
var workers = min(4, runtime.GOMAXPROCS(0))

// lane is one producer's way to one partition: batches that fill up, are compressed by
// one worker at a time, and are on their way in order. Its fields are guarded by the
// producer's mutex.
type lane struct {
	p         *Producer
	t         *producerTopic
	partition *partition.Partition

	filling  *batch   // nil when no record came since the last batch was complete
	complete []*batch // waiting for a worker, oldest first
	sending  bool     // a worker has a batch of this lane
	queued   bool     // in Producer.ready
	inFlight int      // batches that were submitted and whose outcome is not known
}

// batch is the records of one future stored batch.
type batch struct {
	lane     *lane
	builder  log.Builder
	promises []promised
	bytes    int // that it takes of the buffer
	hurry    bool
	linger   *time.Timer
	env      []byte // memory of the envelope
	tx       partition.Tx
	err      error
	done     chan struct{} // closed after the promises; nil while nobody waits
}

// promised is a record that somebody wants to hear of: the n-th of its batch.
type promised struct {
	record  Record
	n       int
	ms      int64
	promise Promise
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// addLocked puts r into the filling batch, which it completes or begins as needed.
func (l *lane) addLocked(r *Record, ms int64, size int, promise Promise) {
	limit := min(l.p.opts.BatchBytes, l.partition.Rules().MaxMessageBytes)
	b := l.filling
	if b != nil && b.builder.Size()+size > limit {
		l.completeLocked()
		b = nil
	}
	if b == nil {
		b = batches.Get().(*batch)
		b.lane = l
		l.filling = b
		l.p.open[b] = struct{}{}
	}
	b.builder.Append(ms, r.Key, r.Value, r.Headers)
	if promise != nil {
		b.promises = append(b.promises, promised{*r, b.builder.Records() - 1, ms, promise})
	}
	b.bytes += size
	l.p.buffered += size
	switch {
	case b.builder.Size() >= limit:
		l.completeLocked()
	case b.builder.Records() == 1 && l.p.opts.Linger > 0:
		b.linger = time.AfterFunc(l.p.opts.Linger, func() { l.lingered(b) })
	case b.builder.Records() == 1:
		l.readyLocked()
	}
}

// lingered hurries b if it is still filling.
func (l *lane) lingered(b *batch) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.filling == b {
		b.hurryLocked()
	}
}

// hurryLocked sends b as soon as its lane is free, full or not.
func (b *batch) hurryLocked() {
	b.hurry = true
	b.lane.readyLocked()
}

// completeLocked closes the filling batch.
func (l *lane) completeLocked() {
	if l.filling.linger != nil {
		l.filling.linger.Stop()
	}
	l.complete = append(l.complete, l.filling)
	l.filling = nil
	l.p.wall = time.Time{}
	l.t.chooser.OnNewBatch()
	l.readyLocked()
}

// sendableLocked reports whether a worker should take a batch now: one that is
// complete, or hurried, or, without linger, whatever there is while nothing else is on
// its way: waiting for an outcome is when batches grow.
func (l *lane) sendableLocked() bool {
	switch {
	case l.sending:
		return false
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
func (l *lane) takeLocked() *batch {
	if len(l.complete) == 0 {
		l.completeFillingLocked()
	}
	b := l.complete[0]
	l.complete = append(l.complete[:0], l.complete[1:]...)
	l.sending = true
	l.inFlight++
	return b
}

func (l *lane) completeFillingLocked() {
	l.sending = true // keeps completeLocked from queueing the lane again
	l.completeLocked()
}

// send is the goroutine of a worker: it compresses batches and submits them.
func (p *Producer) send() {
	for range p.work {
		for p.sendNext() {
		}
	}
}

// sendNext sends one batch and reports whether there was one.
func (p *Producer) sendNext() bool {
	p.mu.Lock()
	if len(p.ready) == 0 {
		p.mu.Unlock()
		return false
	}
	l := p.ready[0]
	p.ready = append(p.ready[:0], p.ready[1:]...)
	l.queued = false
	if !l.sendableLocked() {
		p.mu.Unlock()
		return true
	}
	b := l.takeLocked()
	p.mu.Unlock()
	p.submit(b)
	p.mu.Lock()
	l.sending = false
	l.readyLocked()
	p.mu.Unlock()
	return true
}

// submit seals b and gives it to the committer.
func (p *Producer) submit(b *batch) {
	codec := p.opts.Compression.codec()
	if b.builder.Size() < minCompressedBytes {
		codec = log.CodecNone
	}
	env, err := b.builder.Seal(b.env[:0], codec)
	if err != nil {
		p.stored(b, err)
		return
	}
	b.env = env
	b.tx.Appends = append(b.tx.Appends, partition.Append{Partition: b.lane.partition, Envelope: env})
	b.tx.Synced = p.opts.Acks == AckSynced
	b.tx.Done = func(err error) { p.stored(b, err) }
	p.b.committer.Submit(&b.tx)
}

// stored takes the outcome of b. It runs on the committer's time.
func (p *Producer) stored(b *batch, err error) {
	b.err = err
	p.mu.Lock()
	b.lane.inFlight--
	b.lane.readyLocked()
	p.mu.Unlock()
	p.finished.push(b) // b is not ours any more
}

package write

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/log"
)

// line is a producer's way to one partition: batches that fill up, are sent in order, and end in that order. Its fields are guarded by the producer's
// mutex. What is on its way, and what comes of it, is in window.go.
type line struct {
	p  *producer
	of *known
	tp log.TopicPartition

	filling  *pending   // nil when no record came since the last batch was complete
	complete []*pending // oldest first
	leader   *leader    // that has it in ready; nil while none has
	urgent   bool       // it is counted there as urgent
	paused   bool       // what failed is tried again after a while
	pause    time.Duration
	broken   error // of a producer with an ID: why a batch failed, whose numbers nobody else may have

	bytes, promises int   // of the last batch that was completed: the next is likely to be as large
	replay          int64 // records that are still to come and are stored already

	window
}

// pending is a batch of a producer, until its outcome is told.
type pending struct {
	batch
	line     *line
	builder  log.Builder
	promises []promised
	batcher.Hold
	batcher.Watchers
	hurry bool
	numbers
	attempt
	linger *time.Timer
	began  time.Time             // when it was complete
	told   [1]hook.ProducedBatch // for hooks
	rest   *pending              // that b was split from, to be sent behind it
	err    error
}

// promised is a record that somebody wants to hear of.
type promised struct {
	n       int   // which one of its batch it is
	ms      int64 // its timestamp
	key     []byte
	value   []byte
	headers []log.Header
	promise func(log.Record, error)
	call    *call // of Broker.Produce; else nil
}

// promisedBytes is what a promise takes of BufferedBytes.
const promisedBytes = 96

// newBatch returns an empty batch.
func (l *line) newBatch() *pending {
	b, _ := l.p.batches.Get().(*pending)
	if b == nil {
		b = new(pending)
	}
	b.line, b.tp = l, l.tp
	b.builder.Grow(l.bytes)
	b.promises = slices.Grow(b.promises, l.promises)
	return b
}

// addLocked puts r into the filling batch, which it completes or begins as needed. There it takes held bytes of the buffer.
func (l *line) addLocked(ctx context.Context, r *log.Record, held int, pr promised) {
	most := l.of.rules.most()
	b := l.filling
	if b != nil && b.builder.Size()+log.RecordBound(r) > most {
		l.completeLocked()
		l.readyLocked()
		b = nil
	}
	if b == nil {
		b = l.newBatch()
		l.filling = b
		l.p.outcomes.OpenLocked(b)
	}
	ms := r.Timestamp.UnixMilli()
	if r.Timestamp.IsZero() {
		ms = l.p.clock.AskLocked(&l.p.mu)
	}
	if pr.promise != nil || pr.call != nil {
		pr.n, pr.ms, pr.key, pr.value, pr.headers = b.records, ms, r.Key, r.Value, r.Headers
		b.promises = append(b.promises, pr)
	}
	if l.p.w.opts.Host.Hooks.Produces() {
		b.Observe(ctx)
	}
	before := b.builder.Size()
	b.builder.Append(ms, r.Key, r.Value, r.Headers)
	b.records++
	l.p.outcomes.GrowLocked(b, held)
	first, full := b.records == 1, before < l.p.opts.BatchBytes && b.builder.Size() >= l.p.opts.BatchBytes
	if first || full {
		l.readyLocked()
	}
	if first && l.filling == b { // it was not sent at once
		b.linger = time.AfterFunc(cmp.Or(l.p.opts.Linger, l.growthLocked()), func() { l.lingered(b) })
	}
}

// growthLocked is how long a batch without linger waits for those that are under way, and so grows. Beside a near cluster it is longer than they
// take. Over a link with latency the next one does not wait for their answers; as many as may be under way last until the first is answered.
func (l *line) growthLocked() time.Duration {
	return min(max(leastGrowth, l.took/(mostInFlight-1)), mostGrowth)
}

const (
	leastGrowth = 5 * time.Millisecond
	mostGrowth  = 50 * time.Millisecond
)

// completeLocked closes the filling batch.
func (l *line) completeLocked() {
	b := l.filling
	if b.linger != nil {
		b.linger.Stop()
	}
	b.began = time.Now()
	l.bytes, l.promises = b.builder.Size(), len(b.promises)
	l.complete = append(l.complete, b)
	l.filling = nil
	l.of.chooser.BatchComplete()
}

// lingered hurries b if it is still filling.
func (l *line) lingered(b *pending) {
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	if l.filling == b {
		b.HurryLocked()
	}
}

// HurryLocked implements batcher.Held: b is sent as soon as its line is free.
func (b *pending) HurryLocked() {
	if !b.hurry {
		b.hurry = true
		b.line.readyLocked()
	}
}

// seal encodes the batch, if it is not, in scratch, which is returned. b keeps a copy where the records were.
func (b *pending) seal(codec log.Codec, scratch []byte) ([]byte, error) {
	if b.content != nil {
		return scratch, nil
	}
	if b.builder.Size() < minCompressedBytes {
		codec = log.CodecNone
	}
	content, own, err := b.builder.SealOwn(scratch[:0], codec, false)
	switch {
	case err != nil:
		return scratch, fmt.Errorf("%s: %w", b.tp, err)
	case own:
		b.content = content
		return scratch, nil
	}
	b.content = b.builder.Keep(content)
	return content, nil
}

// minCompressedBytes is the batch size below which compression gains nothing.
const minCompressedBytes = 512

// split makes two batches of one that the cluster finds too large. Neither was sealed.
func (b *pending) split() (*pending, error) {
	records, err := b.content.AppendRecords(nil)
	if err != nil {
		return nil, err
	}
	behind := b.line.newBatch()
	reader := log.NewRecordReader(b.content, records)
	first := b.records / 2
	n := b.records
	b.content, b.records = nil, 0
	b.builder.Reset()
	for i := range n {
		var r log.Record
		if _, err := reader.Next(&r); err != nil {
			return nil, err
		}
		to := b
		if i >= first {
			to = behind
		}
		to.builder.Append(r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers)
		to.records++
	}
	at, _ := slices.BinarySearchFunc(b.promises, first, func(pr promised, n int) int { return pr.n - n })
	behind.promises = append(behind.promises, b.promises[at:]...)
	for i := range behind.promises {
		behind.promises[i].n -= first
	}
	clear(b.promises[at:])
	b.promises = b.promises[:at]
	b.SplitLocked(&behind.Hold, n-first, n)
	b.ShareWith(&behind.Watchers)
	behind.hurry, behind.began = true, b.began
	return behind, nil
}

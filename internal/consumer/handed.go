package consumer

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/log"
)

// handed is the records that the program was given one by one, by a loop or by Work, and that hooks are still to be told of. To
// tell them one by one would cost more than to hand them out. They are told afterwards, so that nothing is told of a record
// that the program has not been given: it may leave the loop, and lose a partition. It is time for that when
//
//   - there is nothing more to be given now,
//   - there are maxHanded records, or about maxHandedBytes, whose memory stays as long,
//   - a second has passed, as the program may take long over each,
//   - the loop, or Work, is over, however it ends.
//
// A loop keeps an eye on the first and the second alone, and leaves its short way for the others. What is not said to be
// for anybody is for the goroutine of the loop; Work guards it with the consumer's mutex.
type handed struct {
	c   *Consumer
	ctx context.Context
	batch

	late    atomic.Bool // a second has passed, or there are bytes enough
	running atomic.Bool // the clock is
	clock   *time.Timer
	weighed int64 // of bytes that the consumer has handed out: when there were enough last time
}

// batch is records that are told together.
type batch struct {
	records []log.Record // the first n count
	n       int
	used    int           // so many have something in them
	began   time.Time     // when the program has asked for the first one
	took    time.Duration // until it was given that
}

const (
	maxHanded      = 128 // OpenTelemetry takes as many links
	maxHandedBytes = 1 << 20
	maxHandedTime  = time.Second
)

// newHanded returns one for which the program asks for the first record, or nil when no hook is to be told. The methods
// take nil.
func (c *Consumer) newHanded(ctx context.Context) *handed {
	if !c.b.Hooks.Delivers() {
		return nil
	}
	h := &handed{c: c, ctx: ctx, batch: batch{records: make([]log.Record, maxHanded)}}
	h.clock = time.AfterFunc(maxHandedTime, h.ring)
	h.running.Store(true)
	h.begin()
	return h
}

// ring is called by the clock.
func (h *handed) ring() {
	h.running.Store(false)
	h.late.Store(true)
	h.c.ready.Wake()
}

// wind has the clock ring a second from now, or earlier if it runs already.
func (h *handed) wind() {
	if !h.running.Load() {
		h.running.Store(true)
		h.clock.Reset(maxHandedTime)
	}
}

// begin tells of a batch, and begins the next one: the program asks for its first record.
func (h *handed) begin() {
	h.tell(&h.batch)
	h.began, h.took = time.Now(), 0
	h.wind()
}

// waited notes that the program was given a record for which it may have waited.
func (h *handed) waited() {
	if h != nil && h.n == 0 {
		h.took = time.Since(h.began)
		h.wind()
	}
}

// rest tells what there is, as it is time, and returns where the next record goes: to r when there are no hooks.
func (h *handed) rest(r *log.Record) *log.Record {
	if h == nil {
		return r
	}
	h.late.Store(false)
	if h.n > 0 {
		h.begin()
		h.forget()
	}
	return &h.records[0]
}

// hurry is rest if it is late.
func (h *handed) hurry(r *log.Record) *log.Record {
	if h != nil && h.late.Load() {
		return h.rest(r)
	}
	return r
}

// weighLocked looks at how many bytes the consumer has handed out.
func (h *handed) weighLocked() {
	if h != nil && h.c.did.Bytes-h.weighed >= maxHandedBytes {
		h.weighed = h.c.did.Bytes
		h.late.Store(true)
	}
}

// add notes that the program is given a record.
func (h *handed) add(r *log.Record) {
	if h == nil {
		return
	}
	if h.n == 0 {
		h.begin()
	}
	if h.n < len(h.records) {
		h.records[h.n] = *r
	} else {
		h.records = append(h.records, *r)
	}
	h.n++
}

// due reports whether it is time to tell.
func (h *handed) due() bool { return h.n >= maxHanded || h.late.Load() }

// tell tells hooks of b, and empties it.
func (h *handed) tell(b *batch) {
	if n := b.n; n > 0 {
		b.n, b.used = 0, max(b.used, n)
		h.c.delivered(h.ctx, &hook.DeliverEvent{Records: b.records[:n:n], Began: b.began, Took: b.took})
	}
}

// forget lets go of records that were told: nobody holds them for long.
func (b *batch) forget() {
	clear(b.records[:b.used])
	b.used = 0
}

// end tells what is left.
func (h *handed) end() {
	if h != nil {
		h.tell(&h.batch)
		h.clock.Stop()
	}
}

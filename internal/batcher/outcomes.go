package batcher

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Outcomes is what a producer holds until its promises were called: batches, in the order in which their outcomes are known, and the room that they
// take of its buffer. One goroutine of its own calls the promises, batch by batch.
type Outcomes[B Held] struct {
	wg *sync.WaitGroup // of the goroutine

	mu       *sync.Mutex // of the producer; guards what follows, and Hold
	buffered int         // bytes of what is held
	room     chan struct{}
	open     map[B]struct{}
	over     bool // nothing more is taken

	queue   sync.Mutex // guards the next two
	batches []B
	closed  bool
	waiter  *partition.Waiter // of the goroutine

	// The goroutine's own:
	caller atomic.Uint64 // its number
	hand   []B           // taken from the queue
	at     int           // the batch in hand
	next   int           // the promise of it to be called next
	told   bool          // Tell was called
}

// Held is a batch of a producer.
type Held interface {
	comparable
	// HurryLocked has the batch be sent as soon as it can be, full or not.
	HurryLocked()
	// Tell completes the outcome, and tells hooks of it.
	Tell()
	// Promises is how many there are, and Keep calls one.
	Promises() int
	Keep(i int)
	// CountLocked counts the batch, whose promises were called.
	CountLocked()
	// Release keeps the memory of the batch for another one.
	Release()

	hold() *Hold
}

// Hold is what a batch has of Outcomes: it embeds one.
type Hold struct {
	bytes int           // that it takes of the buffer
	done  chan struct{} // closed after the promises; nil while nobody waits
}

func (h *Hold) hold() *Hold { return h }

// SplitLocked has another batch, behind that of h, take so many of its n parts; who waits for both waits for that one.
func (h *Hold) SplitLocked(behind *Hold, parts, n int) {
	behind.bytes = h.bytes / n * parts
	h.bytes -= behind.bytes
	behind.done, h.done = h.done, nil
}

// Init has the promises be called on a goroutine of wg, once Begin is called.
func (o *Outcomes[B]) Init(mu *sync.Mutex, wg *sync.WaitGroup) {
	o.mu, o.wg, o.open, o.waiter = mu, wg, make(map[B]struct{}), partition.NewWaiter()
}

// Begin begins to call promises.
func (o *Outcomes[B]) Begin() { o.wg.Go(o.run) }

// Close ends the goroutine, when it has called all promises that there are.
func (o *Outcomes[B]) Close() {
	o.queue.Lock()
	o.closed = true
	o.queue.Unlock()
	o.waiter.Wake()
}

// OverLocked has nothing more be taken: who waits for room gets ErrClosed.
func (o *Outcomes[B]) OverLocked() {
	o.over = true
	o.wakeLocked()
}

// RoomLocked waits until there is room for held bytes of most, or ctx ends; a batch alone always has it. It may give up the mutex meanwhile.
func (o *Outcomes[B]) RoomLocked(ctx context.Context, held, most int) error {
	for o.buffered > 0 && o.buffered+held > most && !o.over {
		if err := o.waitLocked(ctx); err != nil {
			return err
		}
	}
	if o.over {
		return log.ErrClosed
	}
	return nil
}

// waitLocked gives up the mutex until the buffer has shrunk or ctx ends.
func (o *Outcomes[B]) waitLocked(ctx context.Context) error {
	if o.CallsOn(callback.Goroutine()) {
		return fmt.Errorf("%w: a promise, and the buffer is full", log.ErrInCallback)
	}
	if o.room == nil {
		o.room = make(chan struct{})
	}
	for b := range o.open { // what lingers is what fills the buffer
		b.HurryLocked()
	}
	room := o.room
	o.mu.Unlock()
	defer o.mu.Lock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wakeLocked wakes those who wait for room.
func (o *Outcomes[B]) wakeLocked() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}

// OpenLocked has a batch be held.
func (o *Outcomes[B]) OpenLocked(b B) { o.open[b] = struct{}{} }

// GrowLocked has a batch take so many bytes more.
func (o *Outcomes[B]) GrowLocked(b B, bytes int) {
	b.hold().bytes += bytes
	o.buffered += bytes
}

// BufferedLocked is how many bytes are held.
func (o *Outcomes[B]) BufferedLocked() int { return o.buffered }

// Flush waits until the promises of all that is held were called, or ctx ends.
func (o *Outcomes[B]) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	o.mu.Lock()
	waits := make([]chan struct{}, 0, len(o.open))
	for b := range o.open {
		h := b.hold()
		if h.done == nil {
			h.done = make(chan struct{})
		}
		waits = append(waits, h.done)
		b.HurryLocked()
	}
	o.mu.Unlock()
	for _, done := range waits {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("flush: %w", ctx.Err())
		}
	}
	return nil
}

// CallsOn reports whether a promise is being called on that goroutine.
func (o *Outcomes[B]) CallsOn(goroutine uint64) bool {
	return goroutine != 0 && o.caller.Load() == goroutine
}

// Push has the promises of a batch be called, whose outcome is known, and which is not the caller's any more.
func (o *Outcomes[B]) Push(b B) {
	o.queue.Lock()
	o.batches = append(o.batches, b)
	o.queue.Unlock()
	o.waiter.Wake()
}

// run is the goroutine that calls the promises, and hooks. One of them may end it with runtime.Goexit,
// as FailNow of a test does; then another one goes on behind it.
func (o *Outcomes[B]) run() {
	ended := false
	defer func() {
		if !ended {
			o.wg.Go(o.run)
		}
	}()
	o.caller.Store(callback.Goroutine())
	for b, ok := o.take(); ok; b, ok = o.take() {
		o.keep(b)
		o.at, o.next, o.told = o.at+1, 0, false
	}
	o.caller.Store(0)
	ended = true
}

// take waits until a batch is in hand. It returns false when all is closed.
func (o *Outcomes[B]) take() (b B, ok bool) {
	for o.at == len(o.hand) {
		clear(o.hand)
		o.queue.Lock()
		got, closed := o.batches, o.closed
		if len(got) > 0 {
			o.batches, o.hand, o.at = o.hand[:0], got, 0
		}
		o.queue.Unlock()
		if len(got) > 0 {
			break
		}
		if closed {
			return b, false
		}
		<-o.waiter.C()
	}
	return o.hand[o.at], true
}

// keep calls the promises of b and releases it.
func (o *Outcomes[B]) keep(b B) {
	if !o.told {
		o.told = true // also if a hook ends the goroutine
		b.Tell()
	}
	for o.next < b.Promises() {
		o.next++
		b.Keep(o.next - 1)
	}
	o.mu.Lock()
	b.CountLocked()
	h := b.hold()
	o.buffered -= h.bytes
	o.wakeLocked()
	delete(o.open, b)
	done := h.done
	*h = Hold{}
	o.mu.Unlock()
	b.Release()
	if done != nil {
		close(done)
	}
}

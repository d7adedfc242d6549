package partition

// Waiter is what one goroutine is woken through, whoever it is and whatever for. It may watch many partitions;
// wake-ups that come while it does not wait are remembered as one.
type Waiter struct{ ch chan struct{} }

// NewWaiter returns a waiter that was not woken yet.
func NewWaiter() *Waiter { return &Waiter{ch: make(chan struct{}, 1)} }

// Wake wakes the waiter, or the next that comes to wait. It never blocks.
func (w *Waiter) Wake() {
	select {
	case w.ch <- struct{}{}:
	default:
	}
}

// C yields a value when the waiter was woken since the last receive.
func (w *Waiter) C() <-chan struct{} { return w.ch }

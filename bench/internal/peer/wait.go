package peer

import (
	"context"
	"sync"
	"sync/atomic"
)

// bell wakes the readers of a store that cannot wait by itself. It costs an append next to
// nothing while nobody waits.
type bell struct {
	mu      sync.Mutex
	waiting chan struct{} // closed by ring; nil while nobody waits
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting != nil {
		close(b.waiting)
		b.waiting = nil
	}
}

func (b *bell) heard() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiting == nil {
		b.waiting = make(chan struct{})
	}
	return b.waiting
}

// await calls read until it returns something, each time after the bell was rung.
func (b *bell) await(ctx context.Context, read func() (int, error)) (int, error) {
	if n, err := read(); n > 0 || err != nil {
		return n, err
	}
	for {
		heard := b.heard() // before the last look, so that no append is missed
		if n, err := read(); n > 0 || err != nil {
			return n, err
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// readRecords is how many records a reader takes from its store at once: as many as
// Samsa's consumers by default.
const readRecords = 4096

// tally calls done when the fate of all records of a batch is known.
type tally struct {
	left   atomic.Int64
	failed atomic.Pointer[error] // of one of them
	done   func(error)
}

func (t *tally) count(err error) {
	if err != nil {
		t.fail(err)
	}
	if t.left.Add(-1) > 0 {
		return
	}
	if failed := t.failed.Load(); failed != nil {
		t.done(*failed)
		return
	}
	t.done(nil)
}

// fail is apart from count so that only errors escape to the heap.
func (t *tally) fail(err error) { t.failed.CompareAndSwap(nil, &err) }

package users

import (
	"context"
	"slices"
	"sync"
)

// Turns lets some work at a time. Who waits for a turn does so beside others from the same address: each address gets the next turn by turns,
// however many of one wait, and those of one address go in the order of coming. Its methods may be called by anybody at any time.
type Turns struct {
	mu      sync.Mutex // guards what follows
	free    int
	waiting map[string][]chan struct{} // by address, oldest first; none is empty
	next    []string                   // the addresses in it, in the order of their turns
}

// NewTurns returns n turns.
func NewTurns(n int) *Turns { return &Turns{free: n, waiting: make(map[string][]chan struct{})} }

// Take waits for a turn, which Give ends, or for the end of ctx, whose error it returns.
func (t *Turns) Take(ctx context.Context, from string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	granted := t.queue(from)
	if granted == nil {
		return nil
	}
	select {
	case <-granted:
		return nil
	case <-ctx.Done():
		t.withdraw(from, granted)
		return ctx.Err()
	}
}

// queue takes a turn, and returns nil, or what is closed when it is there.
func (t *Turns) queue(from string) chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.free > 0 {
		t.free--
		return nil
	}
	granted := make(chan struct{})
	if len(t.waiting[from]) == 0 {
		t.next = append(t.next, from)
	}
	t.waiting[from] = append(t.waiting[from], granted)
	return granted
}

// Give ends a turn.
func (t *Turns) Give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.giveLocked()
}

func (t *Turns) giveLocked() {
	if len(t.next) == 0 {
		t.free++
		return
	}
	from := t.next[0]
	t.next = t.next[1:]
	close(t.waiting[from][0])
	if t.waiting[from] = t.waiting[from][1:]; len(t.waiting[from]) > 0 {
		t.next = append(t.next, from)
	} else {
		delete(t.waiting, from)
	}
}

// withdraw takes who does not wait any more out of the queue. The turn that it may have been given meanwhile is the next one's.
func (t *Turns) withdraw(from string, granted chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting[from], granted)
	if i < 0 {
		t.giveLocked()
		return
	}
	if t.waiting[from] = slices.Delete(t.waiting[from], i, i+1); len(t.waiting[from]) == 0 {
		delete(t.waiting, from)
		t.next = slices.DeleteFunc(t.next, func(a string) bool { return a == from })
	}
}

// Waiting returns how many wait.
func (t *Turns) Waiting() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, all := range t.waiting {
		n += len(all)
	}
	return n
}

// Package turns is a lock that can be waited for until a context ends.
package turns

import "context"

// Turn is held by one at a time. New makes one. Unlike a mutex it may be held while its holder waits: for what it has stored, or for another process.
type Turn chan struct{}

// New returns a turn that nobody has.
func New() Turn { return make(Turn, 1) }

// Take waits for the turn.
func (t Turn) Take() { t <- struct{}{} }

// TakeUntil is Take until ctx ends, whose error it returns: then nobody has to Give. Of a context that has ended it always does.
func (t Turn) TakeUntil(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Give is for who has the turn.
func (t Turn) Give() { <-t }

package backup

import (
	"context"
	"io"
)

// Target is where a backup lies: a folder, or the bucket of an object store. Names have slashes. One backup at a time
// writes to a target; others may read meanwhile. Errors end neither the backup nor what is there: it is tried again.
type Target interface {
	// Put stores what r reads under a name, in place of what was there: all of it, durably, or nothing.
	Put(ctx context.Context, name string, r io.Reader) error
	// Get opens what is stored under a name; fs.ErrNotExist says that nothing is.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List returns what is stored, by name.
	List(ctx context.Context) ([]Object, error)
	// Delete removes what is stored under a name, if there is something, durably.
	Delete(ctx context.Context, name string) error
}

// Sweeper is a Target that removes, when Run begins, what a Put has left that was cut off: nobody sees it, and it takes space. An error is
// logged, and Run goes on.
type Sweeper interface {
	Target
	Sweep(ctx context.Context) error
}

// Object is something in a target.
type Object struct {
	Name string
	Size int64
}

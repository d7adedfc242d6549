package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/control"
	"github.com/samsa-go/samsa/internal/store"
)

// ErrNoOwner is that nobody has the data directory open to write: it can be opened.
var ErrNoOwner = errors.New("nobody has the directory open")

// ErrNoControl is that a process has the data directory open, and cannot be asked. It is samsa.ErrLocked.
var ErrNoControl = fmt.Errorf("%w by a process that has no control socket (samsa.Options.Control, which samsa serve has)", samsa.ErrLocked)

// DialDir returns a client of the broker that has a data directory open. It is ErrNoOwner where there is none, whether or not there
// is such a directory, and ErrNoControl where it cannot be asked; the error says why. One that is just starting, or closing, may be
// either.
func DialDir(ctx context.Context, dir string) (*Client, error) {
	c, failed := dialNoted(ctx, dir)
	if failed == nil {
		return c, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	owned, err := store.Owned(dir)
	switch {
	case err != nil && !errors.Is(err, samsa.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", dir, err)
	case !owned:
		return nil, fmt.Errorf("%s: %w", dir, ErrNoOwner)
	case errors.Is(failed, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", dir, ErrNoControl)
	}
	return nil, fmt.Errorf("%s: %w: %w", dir, ErrNoControl, failed)
}

// dialNoted asks at the socket that is noted in a directory whether the owner of this directory is there.
func dialNoted(ctx context.Context, dir string) (*Client, error) {
	path, within, err := control.Path(dir)
	if err != nil {
		return nil, err
	}
	if path, err = control.Short(path); err != nil {
		return nil, err
	}
	c := overSocket(path)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	b, err := c.Broker(ctx)
	if err == nil && !within && !same(b.Dir, dir) {
		err = fmt.Errorf("%w: its note leads to the owner of %s, of which it may be a copy", fs.ErrNotExist, b.Dir)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// same reports whether two paths are those of one directory.
func same(a, b string) bool {
	x, err := os.Stat(a)
	y, err2 := os.Stat(b)
	return err == nil && err2 == nil && os.SameFile(x, y)
}

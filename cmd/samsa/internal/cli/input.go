package cli

import (
	"context"
	"io"
)

// inputBytes is what an input reads ahead at most.
const inputBytes = 256 << 10

// input reads from a stream of the process until a context ends, also while nothing comes: a terminal, or a pipe whose other end is silent,
// cannot keep a command from ending. One goroutine reads from it.
type input struct {
	ctx  context.Context
	r    io.Reader
	buf  []byte
	rest []byte // of buf, not given out yet
	err  error  // that comes behind rest
	got  chan read
	busy bool // a Read of r is under way
}

type read struct {
	n   int
	err error
}

// newInput returns an input of r, until ctx ends. A read of r that is under way then goes on as long as the process does.
func newInput(ctx context.Context, r io.Reader) *input {
	return &input{ctx: ctx, r: r, buf: make([]byte, inputBytes), got: make(chan read, 1)}
}

// Read implements io.Reader. Behind the end of the context it returns its error.
func (i *input) Read(p []byte) (int, error) {
	if len(i.rest) == 0 && i.err == nil {
		if err := i.ctx.Err(); err != nil {
			return 0, err
		}
		if !i.busy {
			i.busy = true
			go func() { // which nobody can wait for: see newInput
				n, err := i.r.Read(i.buf)
				i.got <- read{n, err}
			}()
		}
		select {
		case got := <-i.got:
			i.busy, i.rest, i.err = false, i.buf[:got.n], got.err
		case <-i.ctx.Done():
			return 0, i.ctx.Err()
		}
	}
	n := copy(p, i.rest)
	if i.rest = i.rest[n:]; n == 0 && len(p) > 0 {
		return 0, i.err
	}
	return n, nil
}

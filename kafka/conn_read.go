package kafka

import (
	"bufio"
	"errors"
	"net"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// read is the goroutine that reads requests. When the client closes its side, those that it
// has sent before are carried out all the same.
func (c *conn) read() {
	defer close(c.calls)
	if err := c.shakeHands(); err != nil {
		c.end(err)
		return
	}
	r := bufio.NewReaderSize(c.nc, readBufferBytes)
	for {
		if !c.unmuted() {
			return
		}
		cl, err := c.next(r)
		if err != nil {
			if errors.Is(err, errHTTP) && c.inFlight.Load() == 0 {
				c.answerHTTP(r)
			}
			if errors.Is(err, errNotYet) {
				c.s.tally.failedLogins.Add(1)
				c.pause()
			}
			c.end(err)
			return
		}
		c.inFlight.Add(1)
		c.s.tally.came(cl)
		c.calls <- cl // has room: see reserve
	}
}

// next reads one request.
func (c *conn) next(r *bufio.Reader) (*call, error) {
	if c.auth != nil {
		if err := c.hold(); err != nil {
			return nil, err
		}
	}
	if err := c.wait(r); err != nil {
		return nil, err
	}
	l := &lease{pool: &c.s.memory.requests}
	cl, err := c.readCall(r, l)
	if err != nil {
		l.end()
	}
	return cl, err
}

// readCall reads one request into memory of l.
func (c *conn) readCall(r *bufio.Reader, l *lease) (*call, error) {
	if c.auth != nil && c.auth.expectsBare() {
		return c.readToken(r, l)
	}
	n, key, err := peekFrame(r, c.frameLimit)
	if err != nil {
		return nil, c.slow(err)
	}
	if _, err := r.Discard(frameLengthSize); err != nil {
		return nil, err
	}
	if err := c.reserve(n); err != nil {
		return nil, err
	}
	pace := pace{c: c, lease: l}
	a := arrival{take: pace.take, give: l.shrink, alive: pace.alive, late: pace.late}
	buf, err := a.read(r, n)
	if err != nil {
		buf.put()
		return nil, c.slow(err)
	}
	frame := buf.b
	if key != int16(kmsg.Produce) {
		buf = nil // what is decoded refers to it, and groups keep that
	}
	cl, err := c.parse(frame, buf, l)
	if err != nil {
		buf.put()
	}
	return cl, err
}

// slow returns what to call an error that may be a deadline in the middle of a request.
func (c *conn) slow(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errHalfSent
	}
	return err
}

// take takes n bytes more for a request. One that has to wait for them does so when nothing else of
// its connection is under way: others wait for its end then.
func (c *conn) take(l *lease, n int) error {
	if l.tryGrow(n) {
		return nil
	}
	for c.inFlight.Load() > 0 {
		select {
		case <-c.answered.C():
		case <-c.s.ctx.Done():
			return net.ErrClosed
		}
	}
	if l.grow(c.s.ctx, n) != nil {
		return net.ErrClosed
	}
	return nil
}

// readWithin sets the deadline of what is read next.
func (c *conn) readWithin(timeout time.Duration) error {
	if err := c.nc.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if c.s.ctx.Err() != nil {
		return net.ErrClosed // stop may have set its deadline before ours
	}
	return nil
}

// wait waits for the first byte of a request. A connection with something in flight is not
// idle, however long that takes.
func (c *conn) wait(r *bufio.Reader) error {
	for {
		patience, late := c.patience()
		if err := c.readWithin(patience); err != nil {
			return err
		}
		_, err := r.Peek(1)
		if err == nil {
			return c.readWithin(c.s.opts.WriteTimeout) // for the rest of its length
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if c.inFlight.Load() == 0 {
			return late
		}
	}
}

// frameLimit returns how long a frame may be.
func (c *conn) frameLimit(key int16) int {
	if c.auth != nil && !c.auth.open.Load() {
		return maxLoginBytes
	}
	most := min(c.s.opts.MaxFrameBytes, c.s.memory.frameLimit(key))
	if key == int16(kmsg.Produce) {
		return most
	}
	return min(maxControlBytes, most)
}

// reserve waits until a request of n bytes may be read, beside those in flight.
func (c *conn) reserve(n int) error {
	for {
		requests, bytes := int(c.inFlight.Load()), int(c.buffered.Load())
		if requests == 0 || requests < c.s.opts.MaxInFlight && bytes+n <= c.s.opts.MaxBufferedBytes {
			c.buffered.Add(int64(n))
			return nil
		}
		if err := c.untilAnswered(); err != nil {
			return err
		}
	}
}

// untilAnswered waits until a request has been answered, and for IdleTimeout at most: nobody notices meanwhile that the client has gone, and what it
// waits for may take weeks.
func (c *conn) untilAnswered() error {
	idle := time.NewTimer(c.s.opts.IdleTimeout)
	defer idle.Stop()
	select {
	case <-c.answered.C():
		return nil
	case <-idle.C:
		return errIdle
	case <-c.ctx.Done():
		return net.ErrClosed
	}
}

package kafka

import (
	"errors"
	"os"
	"time"
)

// pace is how fast a request has to come: each writeChunkBytes of it within WriteTimeout, and
// within pressedTimeout while others wait for the memory. What comes into the reserve has
// WriteTimeout in all besides.
type pace struct {
	c        *conn
	lease    *lease
	next     int       // the time begins again once so much has come
	until    time.Time // and ends then
	reserved bool
}

func (p *pace) take(n int) error {
	if err := p.c.take(p.lease, n); err != nil {
		return err
	}
	if !p.reserved {
		p.next = 0 // it may have waited
	}
	return nil
}

func (p *pace) alive(arrived int) error {
	if arrived < p.next {
		return nil
	}
	p.next = arrived + writeChunkBytes
	if !p.reserved {
		p.until = time.Now().Add(p.c.s.opts.WriteTimeout)
		p.reserved = p.lease.isReserved()
	}
	return p.wait()
}

// late ends a request that is late, and looks again before long after one that is not.
func (p *pace) late(err error) error {
	if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(p.until) || p.c.s.memory.requests.isPressed() {
		return err
	}
	return p.wait()
}

func (p *pace) wait() error {
	return p.c.readWithin(min(time.Until(p.until), pressedTimeout))
}

package consumer

import (
	"context"
	"errors"
	"iter"

	"github.com/samsa-go/samsa/log"
)

// Records returns an iterator over all records to come.
func (c *Consumer) Records(ctx context.Context) iter.Seq2[log.Record, error] {
	return func(yield func(log.Record, error) bool) { c.loop(ctx, endlessly, taker{yield: yield}) }
}

// Each is Records, or RecordsUntil, that gives records at, which is valid until at returns. Where it can, it reads them to own.
func (c *Consumer) Each(ctx context.Context, until bool, own *log.Record, at func(r *log.Record, err error) bool) {
	if until {
		c.loopUntil(ctx, taker{at: at, own: own})
		return
	}
	c.loop(ctx, endlessly, taker{at: at, own: own})
}

// taker is who is given the records of a loop: by yield, or by at. They return false when they want no more.
type taker struct {
	yield func(r log.Record, err error) bool
	at    func(r *log.Record, err error) bool
	own   *log.Record // of who has at
}

func (t *taker) fail(err error) bool {
	if t.at != nil {
		return t.at(&log.Record{}, err)
	}
	return t.yield(log.Record{}, err)
}

func endlessly() bool { return false }

// loop gives records to come. With the lock held it asks through, when it has none, whether it has come to its end.
func (c *Consumer) loop(ctx context.Context, through func() bool, to taker) {
	h := c.newHanded(ctx)
	defer h.end()
	own := to.own
	if own == nil {
		own = new(log.Record)
	}
	for going := false; ; {
		r := own
		if h != nil {
			if h.n == maxHanded {
				h.begin()
			}
			r = &h.records[h.n]
		}
		if !going || !c.another(ctx, r) {
			over, err := false, error(nil)
			r, over, err = c.awaitOne(ctx, r, through, h)
			if over {
				return
			}
			if going = err == nil; err != nil {
				if !to.fail(err) || ctx.Err() != nil || errors.Is(err, log.ErrClosed) || c.over() {
					return
				}
				continue
			}
		}
		if h != nil {
			h.n++
		}
		if to.at != nil {
			if !to.at(r, nil) {
				return
			}
		} else if !to.yield(*r, nil) {
			return
		}
	}
}

// awaitOne is the long way to the next record of a loop, which goes to r, or where h says, or to its end.
func (c *Consumer) awaitOne(ctx context.Context, r *log.Record, through func() bool, h *handed) (at *log.Record, over bool, err error) {
	r = h.hurry(r)
	err = c.await(ctx, func() (ok bool, err error) {
		ok, err = c.oneLocked(r)
		h.weighLocked()
		over = !ok && err == nil && through()
		return ok || over, err
	}, func() { r = h.rest(r) })
	if err != nil {
		h.rest(r)
	}
	h.waited()
	return r, over, err
}

// another is the short way to the next record of a loop, without what else a Poll may have to do:
// of the same partition, if the record is there, and nothing has happened that Poll has to
// look at.
func (c *Consumer) another(ctx context.Context, r *log.Record) bool {
	if len(c.ready.C()) > 0 || ctx.Err() != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current.done = c.current.position
	c.returns++
	return !c.closing && c.currentLocked(r)
}

// currentLocked takes the next record of the current track, if its stint lasts and it has one.
func (c *Consumer) currentLocked(r *log.Record) bool {
	if c.current == nil || c.stint.spent() {
		return false
	}
	if ok, err := c.current.one(r); !ok || err != nil { // the error stays, to be told in its turn
		return false
	}
	n := recordBytes(r)
	c.stint.records--
	c.stint.bytes -= n
	c.givenLocked(n)
	return true
}

// oneLocked takes one record, of the current track while its stint lasts, and then of the others
// in turn, or the error that is in its place.
func (c *Consumer) oneLocked(r *log.Record) (bool, error) {
	if c.currentLocked(r) {
		return true, nil
	}
	whole := quota{records: c.opts.MaxPollRecords, bytes: c.opts.MaxPollBytes}
	for c.filled.n > 0 {
		tr := c.filled.first.track
		c.current, c.stint = tr, whole.share(c.filled.n)
		ok := c.currentLocked(r)
		if tr.filled.line != nil {
			c.filled.push(&tr.filled)
		}
		switch {
		case ok:
			return true, nil
		case len(tr.chunks) > 0: // with an error
			err := tr.chunks[0].err
			tr.told()
			return false, err
		}
	}
	return false, nil
}

package txn

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// clock says when the coordinator has to look what time has brought.
type clock struct {
	mu   *sync.Mutex // guards due
	due  *time.Time  // zero for never
	wake chan struct{}
}

func newClock() clock {
	return clock{mu: new(sync.Mutex), due: new(time.Time), wake: make(chan struct{}, 1)}
}

// wakeAt has the coordinator look then, or earlier.
func (c *clock) wakeAt(at time.Time) {
	c.mu.Lock()
	sooner := c.due.IsZero() || at.Before(*c.due)
	if sooner {
		*c.due = at
	}
	c.mu.Unlock()
	if sooner {
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
}

// next returns when to look, not before soonest, or zero for never. If that is now, what is asked from now on counts
// anew.
func (c *clock) next(now, soonest time.Time) (at time.Time, past bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.due.IsZero() {
		return at, false
	}
	if at = *c.due; at.Before(soonest) {
		at = soonest
	}
	if past = !now.Before(at); past {
		*c.due = time.Time{}
	}
	return at, past
}

const (
	lookPause  = time.Second      // least time between two looks: a transaction is aborted so late, at most
	retryPause = 10 * time.Second // after what could not be done
)

// dueLocked returns when something is to happen to an id.
func (c *Coordinator) dueLocked(en *entry) time.Time {
	if en.damaged != nil {
		return time.Now().Add(c.opts.IDExpiry)
	}
	if at, ok := en.txn.Deadline(); ok {
		return at
	}
	since, _ := en.txn.Unused()
	return since.Add(c.opts.IDExpiry)
}

// run is the goroutine that aborts transactions which take too long, and forgets ids that nobody uses.
func (c *Coordinator) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time
	for {
		at, past := c.clock.next(time.Now(), last.Add(lookPause))
		if past {
			last = time.Now()
			c.clock.wakeAt(c.look(ctx))
			continue
		}
		if at.IsZero() {
			at = time.Now().Add(c.opts.IDExpiry)
		}
		timer.Reset(time.Until(at))
		select {
		case <-timer.C:
		case <-c.clock.wake:
		case <-ctx.Done():
			return
		}
	}
}

// look does what time has brought, and returns when to look again.
func (c *Coordinator) look(ctx context.Context) (next time.Time) {
	next = time.Now().Add(c.opts.IDExpiry)
	for _, id := range c.names() {
		now := time.Now()
		c.mu.Lock()
		en := c.ids[id]
		late, at := false, next
		if en != nil {
			at = c.dueLocked(en)
			late = !now.Before(at)
		}
		c.mu.Unlock()
		if late {
			if at = c.expire(ctx, id); ctx.Err() != nil {
				return next
			}
		}
		if at.Before(next) {
			next = at
		}
	}
	if at, ok := c.endOrphans(ctx); ok && at.Before(next) {
		next = at
	}
	return next
}

// expire does what time has brought to one id, and returns when to look at it again.
func (c *Coordinator) expire(ctx context.Context, id string) time.Time {
	var timedOut *End
	_, err := c.change(ctx, id, false, false, func(t *Transaction, now time.Time, _ int64) (Effects, error) {
		e := t.TimeOut(now)
		timedOut = e.End
		return e, nil
	})
	if err == nil && timedOut != nil {
		c.timedOut(id, timedOut)
	}
	if err == nil && timedOut == nil {
		err = c.forget(ctx, id)
	}
	switch {
	case err == nil || errors.Is(err, errChanged) || errors.Is(err, log.ErrInvalidProducerID):
		c.mu.Lock()
		defer c.mu.Unlock()
		if en := c.ids[id]; en != nil {
			return c.dueLocked(en)
		}
		return time.Now().Add(c.opts.IDExpiry)
	case ctx.Err() == nil && !errors.Is(err, log.ErrFailed):
		c.opts.Logger.Warn("a transactional id is due, and it is tried again", zap.Error(err))
	}
	return time.Now().Add(retryPause)
}

// forget removes an id that was not used for long.
func (c *Coordinator) forget(ctx context.Context, id string) error {
	d, err := c.draft(id, false)
	if err != nil {
		return err
	}
	if since, ok := d.txn.Unused(); !ok || time.Since(since) < c.opts.IDExpiry {
		return nil
	}
	tx := &writer.Tx{Essential: true, Check: d.check, Begun: func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.ids, id)
		delete(c.owners, d.txn.producer.ID)
	}}
	tx.Writes.Delete(store.TransactionKey(id))
	if err := c.committer.DoUntil(ctx, tx); err != nil {
		return err
	}
	c.opts.Logger.Info("transactional id forgotten, it was not used for long", zap.String("transactional id", id))
	return nil
}

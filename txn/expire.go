package txn

import (
	"container/heap"
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

// dues has all ids, the one that is due first in front, so that a look costs what is due and not what there is. It is a
// heap of container/heap.
type dues []*entry

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].due.Before(d[j].due) }

func (d dues) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i, j
}

// Push appends an entry.
func (d *dues) Push(x any) {
	en := x.(*entry)
	en.place = len(*d)
	*d = append(*d, en)
}

// Pop takes the last entry away.
func (d *dues) Pop() any {
	last := len(*d) - 1
	en := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	return en
}

// scheduleLocked has the coordinator look at an id then, unless it was forgotten.
func (c *Coordinator) scheduleLocked(en *entry, at time.Time) {
	if c.ids[en.id] != en {
		return
	}
	en.due = at
	heap.Fix(&c.dues, en.place)
	c.clock.wakeAt(at)
}

// insertLocked adds an id, which is to be scheduled.
func (c *Coordinator) insertLocked(en *entry) {
	c.ids[en.id] = en
	heap.Push(&c.dues, en)
}

// removeLocked forgets an id.
func (c *Coordinator) removeLocked(en *entry) {
	delete(c.ids, en.id)
	delete(c.owners, en.txn.producer.ID)
	heap.Remove(&c.dues, en.place)
}

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
	for {
		en, at := c.first()
		next = at
		if ctx.Err() != nil || en == nil || time.Now().Before(at) {
			break
		}
		c.expire(ctx, en)
	}
	if at, ok := c.endOrphans(ctx); ok && at.Before(next) {
		next = at
	}
	return next
}

// first returns the id that is due first, and when; nil for none.
func (c *Coordinator) first() (*entry, time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.dues) == 0 {
		return nil, time.Now().Add(c.opts.IDExpiry)
	}
	return c.dues[0], c.dues[0].due
}

// expire does what time has brought to one id, and schedules when to look at it again.
func (c *Coordinator) expire(ctx context.Context, en *entry) {
	var timedOut *End
	_, err := c.change(ctx, en.id, false, false, func(t *Transaction, now time.Time, _ int64) (Effects, error) {
		e := t.TimeOut(now)
		timedOut = e.End
		return e, nil
	})
	if err == nil && timedOut != nil {
		c.timedOut(en.id, timedOut)
	}
	if err == nil && timedOut == nil {
		err = c.forget(ctx, en.id)
	}
	if !c.scheduleNext(en, err) && ctx.Err() == nil && !errors.Is(err, log.ErrFailed) {
		c.opts.Logger.Warn("a transactional id is due, and it is tried again", zap.Error(err))
	}
}

// scheduleNext schedules the next look at an id to which time has brought something, with that error, and reports false
// if that is to be tried again.
func (c *Coordinator) scheduleNext(en *entry, err error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	done := err == nil || errors.Is(err, errChanged) || en.damaged != nil
	at := time.Now().Add(retryPause)
	if done {
		at = c.dueLocked(en)
	}
	c.scheduleLocked(en, at)
	return done
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
		c.removeLocked(d.en)
	}}
	tx.Writes.Delete(store.TransactionKey(id))
	if err := c.committer.DoUntil(ctx, tx); err != nil {
		return err
	}
	c.opts.Logger.Info("transactional id forgotten, it was not used for long", zap.String("transactional id", id))
	return nil
}

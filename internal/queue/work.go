package queue

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/log"
)

// deliveriesAtOnce is how many records a loop over Deliveries takes at a time.
const deliveriesAtOnce = 1

// Deliveries returns an iterator over all deliveries to come.
func (q *Queue) Deliveries(ctx context.Context) iter.Seq2[Delivery, error] {
	return func(yield func(Delivery, error) bool) {
		for {
			ds, err := q.Receive(ctx, deliveriesAtOnce)
			if err != nil {
				if !yield(Delivery{}, err) || ctx.Err() != nil || errors.Is(err, log.ErrClosed) {
					return
				}
				continue
			}
			for _, d := range ds {
				if !yield(d, nil) {
					return
				}
			}
		}
	}
}

// Work calls fn for each record, n at once.
func (q *Queue) Work(ctx context.Context, n int, fn func(context.Context, Delivery) error) error {
	switch {
	case n < 1:
		return q.wrap(fmt.Errorf("%w: %d at once", log.ErrInvalidOption, n))
	case fn == nil:
		return q.wrap(fmt.Errorf("%w: the function is nil", log.ErrInvalidOption))
	}
	q.mu.Lock()
	if q.closing {
		q.mu.Unlock()
		return q.wrap(log.ErrClosed)
	}
	q.calls.workers.Add(1)
	q.mu.Unlock()
	defer q.calls.workers.Done()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(q.ctx, func() { cancel(q.wrap(log.ErrClosed)) })
	defer stop()
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() { q.workOn(ctx, cancel, fn) })
	}
	workers.Wait()
	return context.Cause(ctx)
}

// workOn is one of those who work, until ctx ends, which an error ends for all.
func (q *Queue) workOn(ctx context.Context, fail context.CancelCauseFunc, fn func(context.Context, Delivery) error) {
	goroutine := callback.Goroutine()
	for {
		ds, err := q.Receive(ctx, 1)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			if q.passes(err) {
				q.b.Logger.Warn("a queue goes on without what cannot be read", zap.Error(err))
				continue
			}
			fail(err)
			return
		}
		for _, d := range ds {
			q.calls.begin(goroutine)
			q.do(ctx, d, fn)
			q.calls.done(goroutine)
		}
	}
}

// passes reports whether an error concerns a part of the queue only, and there are others.
func (q *Queue) passes(err error) bool {
	if errors.Is(err, log.ErrCorruptRecord) {
		return true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return errors.Is(err, log.ErrUnknownTopic) && len(q.sources) > 0 && !q.closing
}

// do has fn do a record.
func (q *Queue) do(ctx context.Context, d Delivery, fn func(context.Context, Delivery) error) {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.work = &work{timer: time.AfterFunc(time.Until(d.Until), func() { cancel(errLockEnded) })}
	defer d.work.timer.Stop()
	err := q.call(inner, d, fn)
	if d.work.settled.Load() {
		return
	}
	settle := d.Ack
	switch {
	case err != nil && ctx.Err() != nil:
		settle = func() error { return d.Release(0) } // it was interrupted
	case err != nil:
		settle = d.Retry
	}
	// Records that are due again, or done, because the lock has run out, are nobody's failure.
	if err := settle(); err != nil && !errors.Is(err, log.ErrInvalidRecordState) && !errors.Is(err, log.ErrClosed) {
		q.b.Logger.Warn("a record that was worked on comes again", zap.String("group", q.opts.Group),
			zap.String("topic", d.Record.Topic), zap.Int32("partition", d.Record.Partition), zap.Int64("offset", d.Record.Offset), zap.Error(err))
	}
}

var errLockEnded = fmt.Errorf("%w: the lock of the record has run out", context.DeadlineExceeded)

// call calls fn, and makes an error of a panic.
func (q *Queue) call(ctx context.Context, d Delivery, fn func(context.Context, Delivery) error) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		v := recover()
		err = fmt.Errorf("%w: %v", errPanic, v)
		q.b.Logger.Error("a function that works on a record has panicked, the record comes again", zap.String("group", q.opts.Group),
			zap.String("topic", d.Record.Topic), zap.Int32("partition", d.Record.Partition), zap.Int64("offset", d.Record.Offset),
			zap.Int("deliveries", d.Deliveries), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
	}()
	err = fn(ctx, d)
	returned = true
	return err
}

var errPanic = errors.New("panic")

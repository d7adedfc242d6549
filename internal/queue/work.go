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
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
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
		w := &worker{q: q, fn: fn, told: make(chan settled, acksAhead)}
		workers.Go(func() { w.work(ctx, cancel, &workers) })
	}
	workers.Wait()
	return context.Cause(ctx)
}

// acksAhead bounds what a goroutine of Work has handed over and has not heard of yet. It does not wait for the commit of
// one record before it begins with the next: those of all share commits.
const acksAhead = 32

// worker is a goroutine of Work.
type worker struct {
	q    *Queue
	fn   func(context.Context, Delivery) error
	told chan settled // what became of what was handed over; it has room for all
	out  int          // that are to be told
}

// settled is what became of a record.
type settled struct {
	key   share.Key
	ack   share.Ack
	began time.Time // for hooks
	err   error
}

// work works until ctx ends, and waits for what it has handed over. When something of the program's has ended the goroutine (runtime.Goexit), as
// FailNow of a test does, another one of workers goes on.
func (w *worker) work(ctx context.Context, fail context.CancelCauseFunc, workers *sync.WaitGroup) {
	left := true
	defer func() {
		if left {
			workers.Go(func() { w.work(ctx, fail, workers) })
		}
	}()
	w.run(ctx, fail)
	w.wait(0)
	left = false
}

// run works until ctx ends, which an error ends for all.
func (w *worker) run(ctx context.Context, fail context.CancelCauseFunc) {
	goroutine := callback.Goroutine()
	for {
		ds, err := w.q.Receive(ctx, 1)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			if w.q.passes(err) {
				w.q.b.Logger.Warn("a queue goes on without what cannot be read", zap.Error(err))
				continue
			}
			fail(err)
			return
		}
		for _, d := range ds {
			w.do(ctx, goroutine, d)
		}
	}
}

// hand hands over what becomes of a record, once there is room for what becomes of it.
func (w *worker) hand(k share.Key, a share.Ack) {
	w.wait(acksAhead - 1)
	if w.q.over() != nil {
		return // its records were given back
	}
	w.out++
	began := w.q.begins()
	w.q.member.Hand(k, w.q.opts.Synced, func(err error) { w.told <- settled{key: k, ack: a, began: began, err: err} }, a)
}

// wait waits until at most so many are to be told, and has heard of all that are by then.
func (w *worker) wait(most int) {
	for w.out > 0 {
		if w.out > most {
			w.hear(<-w.told)
			continue
		}
		select {
		case s := <-w.told:
			w.hear(s)
		default:
			return
		}
	}
}

// hear logs what has failed. Records that are due again, or done, because the lock has run out, are nobody's failure.
func (w *worker) hear(s settled) {
	w.out--
	w.q.tellSettled(context.Background(), s.began, s.key, s.err, s.ack)
	if s.err != nil && !errors.Is(s.err, log.ErrInvalidRecordState) && !errors.Is(s.err, log.ErrClosed) {
		w.q.b.Logger.Warn("a record that was worked on comes again", zap.String("group", s.key.Group),
			zap.String("topic", s.key.Topic), zap.Int32("partition", s.key.Partition), zap.Int64("offset", s.ack.First), zap.Error(s.err))
	}
}

// passes reports whether an error concerns a part of the queue only, and there are others.
func (q *Queue) passes(err error) bool {
	var refused *hook.InterceptError
	return errors.As(err, &refused) || errors.Is(err, log.ErrCorruptRecord) || errors.Is(err, log.ErrUnknownTopic) && q.member.Reads() && q.ctx.Err() == nil
}

// do has fn do a record, and hands over what is to become of it.
func (w *worker) do(ctx context.Context, goroutine uint64, d Delivery) {
	w.q.calls.begin(goroutine)
	err := errNoReturn // it has ended the goroutine
	defer func() {
		w.q.calls.done(goroutine)
		if a, ok := outcome(ctx, d, err); ok {
			w.hand(d.key(), a)
		}
	}()
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.work = &work{timer: time.AfterFunc(time.Until(d.Until), func() { cancel(errLockEnded) })}
	defer d.work.timer.Stop()
	err = w.q.call(inner, d, w.fn)
}

// outcome returns what is to become of a record of which fn has returned err, false where fn has said it itself.
func outcome(ctx context.Context, d Delivery, err error) (a share.Ack, ok bool) {
	switch {
	case d.work.settled.Load():
		return share.Ack{}, false
	case err != nil && ctx.Err() != nil:
		return d.release(0), true // it was interrupted
	case err != nil:
		a := d.ack(share.Release)
		a.Reason = err.Error() // of the dead letter, if this was the last time
		return a, true
	}
	return d.ack(share.Accept), true
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
		if v == nil {
			return // see errNoReturn
		}
		err = fmt.Errorf("%w: %v", errPanic, v)
		q.b.Logger.Error("a function that works on a record has panicked, the record comes again", zap.String("group", q.opts.Group),
			zap.String("topic", d.Record.Topic), zap.Int32("partition", d.Record.Partition), zap.Int64("offset", d.Record.Offset),
			zap.Int("deliveries", d.Deliveries), zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
	}()
	err = fn(ctx, d)
	returned = true
	return err
}

var (
	errNoReturn = errors.New("the function did not return")
	errPanic    = errors.New("panic")
)

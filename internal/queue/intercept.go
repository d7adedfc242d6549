package queue

import (
	"context"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// intercepted returns those of ds of which interceptors have made what the program is given. The others come again, as if a function had
// failed that works on them, or at once where only the caller has gone; why is told by refusal. Of an interceptor that ends the goroutine
// (runtime.Goexit) all do.
func (q *Queue) intercepted(ctx context.Context, ds []Delivery) []Delivery {
	records := make([]log.Record, len(ds))
	for i := range ds {
		records[i] = ds[i].Record
	}
	returned := false
	defer func() {
		for i := 0; !returned && i < len(ds); i++ {
			ds[i].fail(errNoReturn)
		}
	}()
	given, wrong := q.opened(ctx, records)
	returned = true
	kept := make([]Delivery, 0, len(ds))
	for i := range ds {
		d := &ds[i]
		if wrong[i] == nil {
			d.given = &given[i]
			kept = append(kept, *d)
			continue
		}
		if ctx.Err() != nil {
			_ = d.Release(0) // else its lock ends
			continue
		}
		d.fail(wrong[i])
		q.mu.Lock()
		q.refused = append(q.refused, q.wrap(wrong[i]))
		q.mu.Unlock()
	}
	return kept
}

// fail has the record come again, as if a function had failed that works on it.
func (d *Delivery) fail(err error) {
	a := d.ack(share.Release)
	a.Reason = err.Error() // of the dead letter, if this was the last time
	_ = d.settle(a)        // else its lock ends
}

// opened calls interceptors: see hook.Hooks.BeforeDeliverEach.
func (q *Queue) opened(ctx context.Context, records []log.Record) ([]log.Record, map[int]error) {
	me := callback.Goroutine()
	q.calls.begin(me)
	defer q.calls.done(me)
	return q.b.Hooks.BeforeDeliverEach(ctx, records)
}

// refusal returns an error that is to be told, nil if there is none.
func (q *Queue) refusal() (err error) {
	if !q.b.Hooks.Intercepts() {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.refused) > 0 {
		err, q.refused = q.refused[0], q.refused[1:]
	}
	return err
}

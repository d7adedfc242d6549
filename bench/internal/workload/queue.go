package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa/bench/internal/peer"
)

// workOff is the workload Queue.
func workOff(r *run) error {
	if _, ok := r.log.(peer.Queuer); !ok {
		return cannot("has no queue: nobody knows which worker has which record")
	}
	n, err := r.written()
	if err != nil {
		return err
	}
	queue, err := r.log.(peer.Queuer).Queue(r.ctx)
	if err != nil {
		return fmt.Errorf("queue: %w", err)
	}
	ctx, done := context.WithCancel(r.ctx) // ends who waits, when there is no more to come
	defer done()
	var left atomic.Int64
	left.Store(int64(n))
	seen := make([]touched, r.c.Goroutines)
	errs := make([]error, r.c.Goroutines)
	var wg sync.WaitGroup
	r.begin()
	for g := range r.c.Goroutines {
		wg.Go(func() {
			for errs[g] == nil && left.Load() > 0 {
				errs[g] = r.worked(ctx, queue, &left, &seen[g])
			}
			done()
		})
	}
	wg.Wait()
	r.end(n)
	if err := errors.Join(append(errs, queue.Close())...); err != nil {
		return err
	}
	return r.check(sum(seen), n)
}

// worked is a worker's receive and acknowledgement. left is what nobody has acknowledged yet.
func (r *run) worked(ctx context.Context, queue peer.Queue, left *atomic.Int64, t *touched) error {
	got, err := queue.Receive(ctx, r.c.Batch)
	if err != nil {
		if ctx.Err() != nil && left.Load() <= 0 {
			return nil
		}
		return fmt.Errorf("receive: %w", err)
	}
	values := got.Values()
	for _, value := range values {
		t.visit(value)
	}
	if err := got.Ack(r.ctx); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	left.Add(-int64(len(values)))
	return nil
}

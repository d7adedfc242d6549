package batcher

import (
	"context"
	"fmt"
	"sync"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

// ProduceSync gives records to produce, which calls promises, and waits for all of them, or until ctx ends. It fills in the records.
func ProduceSync(ctx context.Context, records []log.Record, produce func(context.Context, log.Record, Promise)) error {
	if len(records) == 0 {
		return nil
	}
	s := synced{out: records, left: len(records), done: make(chan struct{})}
	for i, r := range records { // promises write to those before
		produce(ctx, r, func(r log.Record, err error) { s.keep(i, r, err) })
	}
	select {
	case <-s.done:
	case <-ctx.Done():
		s.giveUp(ctx.Err())
	}
	return s.err
}

// synced is what a ProduceSync waits for. Its promises run on two goroutines: that of
// ProduceSync for records that are refused.
type synced struct {
	done chan struct{} // closed when left is 0

	mu   sync.Mutex // guards what follows
	out  []log.Record
	left int
	err  error // the first
	over bool  // nobody waits any more
}

func (s *synced) keep(i int, r log.Record, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return
	}
	s.out[i] = r
	if s.err == nil {
		s.err = err
	}
	if s.left--; s.left == 0 {
		close(s.done)
	}
}

func (s *synced) giveUp(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	if s.left == 0 {
		return
	}
	if s.err == nil {
		s.err = fmt.Errorf("produce: %w", err)
	}
	s.err = family.Of(log.ErrOutcomeUnknown, fmt.Errorf("%w: of %d records it is not known whether they are stored", s.err, s.left))
}

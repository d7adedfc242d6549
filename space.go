package samsa

import (
	"context"
	"sync"

	"go.uber.org/zap"
)

// space asks the store for what retention has removed. The store gives space back by itself
// too, but cannot know when a sweep has ended.
type space struct {
	b    *Broker
	work chan struct{} // capacity 1: it is worth giving space back
	turn chan struct{} // capacity 1: held by whoever does it

	mu      sync.Mutex // guards what follows
	garbage int64      // bytes of batches removed since space was given back last
}

func (s *space) init(b *Broker) {
	s.b = b
	s.work, s.turn = make(chan struct{}, 1), make(chan struct{}, 1)
}

// removed notes n bytes of garbage.
func (s *space) removed(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.garbage += n
}

// swept notes the end of a full sweep. Then any garbage is worth it.
func (s *space) swept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.garbage == 0 {
		return
	}
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// run gives space back in the background.
func (s *space) run(ctx context.Context) {
	for {
		select {
		case <-s.work:
		case <-ctx.Done():
			return
		}
		if err := s.reclaim(ctx); err != nil && ctx.Err() == nil {
			s.b.logger.Warn("giving space back to the file system failed, it is tried again after the next sweep", zap.Error(err))
		}
	}
}

// reclaim gives space back to the file system.
func (s *space) reclaim(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s.mu.Lock()
	garbage := s.garbage
	s.garbage = 0
	s.mu.Unlock()
	err := s.b.st.Reclaim(ctx)
	if err != nil {
		s.removed(garbage)
	}
	return err
}

package samsa

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/partition"
)

// space asks the store for what retention has removed. The store gives space back by itself
// too, but cannot know when a sweep has ended.
type space struct {
	b    *Broker
	work chan struct{}     // capacity 1: it is worth giving space back
	full *partition.Waiter // woken when the disk is full
	turn chan struct{}     // capacity 1: held by whoever does it

	mu      sync.Mutex // guards what follows
	garbage int64      // bytes of batches removed since space was given back last
}

func (s *space) init(b *Broker) {
	s.b = b
	s.work, s.turn, s.full = make(chan struct{}, 1), make(chan struct{}, 1), partition.NewWaiter()
}

// removed notes n bytes of garbage.
func (s *space) removed(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.garbage += n
}

// swept notes the end of a full sweep. Then any garbage is worth it.
func (s *space) swept() {
	if !s.wanting() {
		return
	}
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// wanting reports whether there is garbage.
func (s *space) wanting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.garbage > 0
}

// fullPause is the least time between two attempts to make room on a full disk.
const fullPause = 5 * time.Second

// run gives space back in the background: after full sweeps, and when the disk is full.
func (s *space) run(ctx context.Context) {
	var tried time.Time
	for {
		select {
		case <-s.work:
		case <-s.full.C():
			if !s.wanting() || time.Since(tried) < fullPause {
				continue
			}
			tried = time.Now()
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

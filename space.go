package samsa

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
)

// space gives back to the file system what retention has removed, and slows producers
// down when it cannot keep up with them: else the directory would grow without bound
// while little of it is alive.
type space struct {
	b    *Broker
	work chan struct{} // capacity 1: it is worth giving space back
	turn chan struct{} // capacity 1: held by whoever does it

	mu      sync.Mutex // guards what follows
	live    int64      // bytes of batches at the last sweep
	full    bool       // a full sweep has ended since space was given back last
	garbage int64      // bytes of batches removed since space was given back last
	debt    int64      // bytes that the directory takes beyond what is alive
	waived  int64      // the part of it that was removed, but not because as much was written

	// For the brake, which must not wait for anybody:
	owed      atomic.Int64 // debt beyond what is allowed
	seen      atomic.Int64 // bytes that were written before the last sweep
	displaced atomic.Int64 // bytes that sweeps remove for each KiB written
}

const (
	// reclaimBytes is how much garbage makes it worth to give space back between full
	// sweeps: a value file's worth.
	reclaimBytes = 64 << 20
	// Compact has a file rewritten for less garbage than a sweep in the background.
	compactShare = 0.1
	// debtShare is for when producers are slowed down as much as they can be: were no file
	// worth rewriting then, they would be so for ever. What it leaves, 1/3 of what is
	// alive, is less than the debt that is allowed.
	debtShare = 0.25
)

func (s *space) init(b *Broker) {
	s.b = b
	s.work, s.turn = make(chan struct{}, 1), make(chan struct{}, 1)
}

// removed notes n bytes of garbage.
func (s *space) removed(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.garbage += n
	if s.garbage >= reclaimBytes {
		s.wake()
	}
}

// removedByHand notes n bytes of garbage that the last sweep took for alive. They are no
// debt of those who write.
func (s *space) removedByHand(n int64) {
	s.removed(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live -= n
	s.waived += n
}

// wake asks for space to be given back.
func (s *space) wake() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// look is what a sweep finds about the growth of the directory.
type look struct {
	seen      int64 // bytes that had been written when it began
	displaced int64 // bytes removed because as much was written
	waived    int64 // bytes removed otherwise
	live      int64
}

// swept notes the end of a sweep. After a full one any garbage is worth it.
func (s *space) swept(l look, full bool) {
	size, err := s.b.st.Size()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live = l.live
	s.waived += l.waived
	s.debtLocked(size, err)
	if written := l.seen - s.seen.Swap(l.seen); written > 0 {
		// A sweep looks at some partitions only: what one does not see the next does.
		s.displaced.Store(max(min(1024, 1024*l.displaced/written), s.displaced.Load()*7/8))
	}
	if full && s.garbage > 0 {
		s.full = true
		s.wake()
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
		if err := s.reclaim(ctx, s.share(), s.enough()); err != nil && ctx.Err() == nil {
			s.b.logger.Warn("giving space back to the file system failed, it is tried again after the next sweep", zap.Error(err))
		}
	}
}

// enough returns what reclaim wants to know. After a full sweep it is to be thorough.
func (s *space) enough() func() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		s.full = false
		return nil
	}
	return func() bool { return s.owed.Load() < 0 }
}

// share returns the part of a file that must be garbage in the background.
func (s *space) share() float64 {
	if s.owed.Load() < brakeWay {
		return 0
	}
	return debtShare
}

// reclaim gives space back to the file system: all that has as large a share of garbage, 0
// being the store's default; or with enough not much more than is needed.
func (s *space) reclaim(ctx context.Context, share float64, enough func() bool) error {
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
	err := s.b.st.Reclaim(ctx, store.ReclaimOptions{
		Pause:  s.b.committer.Exclusive,
		Rest:   s.rest,
		Share:  share,
		Freed:  s.freed,
		Enough: enough,
	})
	if err != nil {
		s.mu.Lock()
		s.garbage += garbage
		s.mu.Unlock()
	}
	return err
}

// freed notes that n bytes of garbage take no space any more.
func (s *space) freed(n int64) {
	size, err := s.b.st.Size()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waived = max(0, s.waived-n)
	s.debtLocked(size, err)
}

// debtLocked brings the debt up to date.
func (s *space) debtLocked(size int64, err error) {
	if err != nil {
		return // the store is closed
	}
	s.debt = max(0, size-store.Preallocated-s.live-s.waived)
	s.owed.Store(s.debt - s.live*3/8 - freeDebt)
}

// rest leaves the disk to others for as long as it was worked on, unless producers have
// to wait otherwise.
func (s *space) rest(ctx context.Context, worked time.Duration) error {
	if s.owed.Load() > -freeDebt {
		return ctx.Err()
	}
	timer := time.NewTimer(worked)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The brake works on what is owed: the debt beyond 3/8 of what is alive and freeDebt, and
// the part of what was written since the last sweep that will become debt by the next. At
// brakeWay it is full. So the directory stays below 1.5 times what is alive plus 128 MB.
const (
	freeDebt = 40 << 20
	brakeWay = 56 << 20

	fastBrake = 512 << 20 // bytes a second when it begins to work
	fullBrake = 8 << 20   // and at the end of its way
)

// brake is how many bytes a second producers may write when they have written so many,
// and 0 for any number.
func (s *space) brake(written int64) int64 {
	displaced := s.displaced.Load()
	if displaced == 0 {
		return 0 // the directory grows by what is alive
	}
	owed := min(brakeWay, s.owed.Load()+(written-s.seen.Load())*displaced/1024)
	if owed <= 0 {
		return 0
	}
	return fastBrake - (fastBrake-fullBrake)*owed/brakeWay
}

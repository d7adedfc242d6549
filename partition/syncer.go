package partition

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/log"
)

// syncer makes what was committed durable. Whoever waits when an fsync begins is
// served by it; those who come during it wait for the next.
//
// Callers who were served together come back together. Were the next fsync to begin at
// once, for those who came during the last, the callers would split into two halves that
// wait for each other. So it waits a little, for as many as there were, but less than
// the last fsync took: PostgreSQL's commit_delay, adapting itself.
type syncer struct {
	c     *Committer
	count atomic.Int64

	mu       sync.Mutex // guards what follows
	waiting  []func(error)
	crowd    int           // served by the last fsync, or waiting when it ended
	took     time.Duration // the last fsync
	unsynced int           // bytes written since the last fsync began
	closed   bool          // no more waiters will come
	work     chan struct{}
}

func (s *syncer) init(c *Committer) {
	s.c = c
	s.work = make(chan struct{}, 1)
}

// add has all of done called after the next fsync.
func (s *syncer) add(done ...func(error)) {
	if len(done) == 0 {
		return
	}
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.waiting = append(s.waiting, done...)
	}
	s.mu.Unlock()
	if !closed {
		s.wake()
		return
	}
	for _, done := range done {
		done(log.ErrClosed)
	}
}

// wrote notes that n bytes were committed.
func (s *syncer) wrote(n int) {
	s.mu.Lock()
	s.unsynced += n
	due := s.unsynced >= checkpointBytes
	s.mu.Unlock()
	if due {
		s.wake()
	}
}

func (s *syncer) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wake()
}

func (s *syncer) wake() {
	select {
	case s.work <- struct{}{}:
	default:
	}
}

// run is the syncing goroutine.
func (s *syncer) run() {
	var batch []func(error)
	for {
		<-s.work
		s.gather()
		s.mu.Lock()
		batch, s.waiting = s.waiting, batch[:0]
		due := s.unsynced >= checkpointBytes
		closed := s.closed
		if len(batch) > 0 || due {
			s.unsynced = 0
		}
		s.mu.Unlock()
		if len(batch) > 0 || due {
			start := time.Now()
			s.serve(batch)
			s.served(len(batch), time.Since(start))
			clear(batch)
		}
		if closed {
			return
		}
	}
}

// gather waits for as many as there were last time, if somebody waits at all.
func (s *syncer) gather() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.waiting); n == 0 || n >= s.crowd {
		return
	}
	timer := time.NewTimer(min(s.took/2, maxGather))
	defer timer.Stop()
	for len(s.waiting) < s.crowd && !s.closed {
		s.mu.Unlock()
		select {
		case <-s.work:
			s.mu.Lock()
		case <-timer.C:
			s.mu.Lock()
			return
		}
	}
}

// maxGather bounds the wait for companions on a disk that is slow.
const maxGather = 5 * time.Millisecond

func (s *syncer) served(n int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crowd = n + len(s.waiting)
	s.took = took
}

// serve fsyncs once for all of batch.
func (s *syncer) serve(batch []func(error)) {
	err := s.c.Failed()
	if err == nil {
		if err = s.c.st.Sync(); err != nil {
			s.c.fail(err)
			err = s.c.Failed()
		} else {
			s.count.Add(1)
		}
	}
	for _, done := range batch {
		done(err)
	}
}

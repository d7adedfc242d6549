package consumer

import "sync"

// lineup is tracks that stand in line for something: a track has one seat for it, and so stands
// in one line, once. The zero lineup is empty.
type lineup struct {
	first, last *seat
	n           int
}

type seat struct {
	track      *track
	line       *lineup // nil while it stands in none
	prev, next *seat
}

// push puts s at the end, wherever it stood before.
func (l *lineup) push(s *seat) {
	s.leave()
	s.line, s.prev = l, l.last
	if l.last != nil {
		l.last.next = s
	} else {
		l.first = s
	}
	l.last = s
	l.n++
}

// pushFront puts s before all others.
func (l *lineup) pushFront(s *seat) {
	s.leave()
	s.line, s.next = l, l.first
	if l.first != nil {
		l.first.prev = s
	} else {
		l.last = s
	}
	l.first = s
	l.n++
}

// leave takes s out of its line, if it stands in one.
func (s *seat) leave() {
	l := s.line
	if l == nil {
		return
	}
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		l.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		l.last = s.prev
	}
	l.n--
	s.line, s.prev, s.next = nil, nil, nil
}

// calls are tracks whose partitions have called: more was stored, or they have ended.
type calls struct {
	mu     sync.Mutex // guards tracks and track.called; nothing else is locked while it is held
	tracks []*track
}

// Wake notes a call of the track's partition and wakes the fetcher. The partition calls it, on
// the committer's time.
func (tr *track) Wake() {
	cs := &tr.c.calls
	cs.mu.Lock()
	if !tr.called {
		tr.called = true
		cs.tracks = append(cs.tracks, tr)
	}
	cs.mu.Unlock()
	tr.c.waiter.Wake()
}

// take returns the tracks that were called since the last time. spare is memory.
func (cs *calls) take(spare []*track) []*track {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	tracks := cs.tracks
	cs.tracks = spare[:0]
	for _, tr := range tracks {
		tr.called = false
	}
	return tracks
}

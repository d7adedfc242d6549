package store

import (
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/internal/measure"
)

// Stats is how a store on disk is, and what it has done.
type Stats struct {
	Files      int   // value files
	FileBytes  int64 // that they take
	LiveBytes  int64 // of these, what counts
	Tables     int   // of the index
	TableBytes int64
	Entries    int   // of the index that are in memory only
	MemBytes   int64 // that these take

	Checkpoints int64
	Merges      int64 // of tables
	Moved       int64 // bytes that were alive and were copied so that value files could go
	Reclaimed   int64 // bytes of value files that have gone
	Stalls      int64 // commits that had to wait for what gives space or memory back
	StallTime   time.Duration

	CommitTimes measure.Histogram // in seconds
	FreeBytes   int64             // of the file system; -1 where it does not say
}

// tally counts what a store on disk does.
type tally struct {
	checkpoints, merges, moved, reclaimed, stalls atomic.Int64
	stalled                                       atomic.Int64 // ns
	commits                                       measure.Times
}

// time observes how long a commit took that has stalled before; the one before it was begun at that time. To ask for the time costs
// one in fifty of a commit. So of those that follow each other closely one in eight is asked for, and stands for them all. s.writing
// is held.
func (s *diskStore) time(before time.Time, stalled time.Duration) {
	const closely, in = time.Millisecond, 8
	switch {
	case stalled > 0 || s.wrote.Sub(before) > closely:
		s.did.commits.Observe(time.Since(s.wrote) + stalled)
	case s.commit%in == 0:
		s.did.commits.ObserveFor(time.Since(s.wrote), in)
	}
}

// Stats implements Store.
func (s *diskStore) Stats() Stats {
	t := &s.did
	st := Stats{
		Checkpoints: t.checkpoints.Load(), Merges: t.merges.Load(), Moved: t.moved.Load(), Reclaimed: t.reclaimed.Load(),
		Stalls: t.stalls.Load(), StallTime: time.Duration(t.stalled.Load()), CommitTimes: t.commits.Histogram(), FreeBytes: -1,
	}
	if !s.gate.enter() {
		return st
	}
	defer s.gate.leave()
	if free, total, err := s.fs.Space("."); err == nil && total > 0 {
		st.FreeBytes = free
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range s.version.files {
		st.Files++
		st.FileBytes += f.size
		st.LiveBytes += f.live
	}
	for _, r := range s.version.runs {
		st.Tables += len(r.tables)
		st.TableBytes += r.size()
	}
	st.Entries, st.MemBytes = s.tree.Len(), int64(s.memory)
	return st
}

package sweep

import (
	"cmp"
	"slices"
	"time"

	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// tracked is what the sweeper knows of a partition.
type tracked struct {
	look
	removed Removed

	shown tally // what Stats has counted before any sweep did

	// Whether all has gone that may go until due, unless more is appended, the config is
	// another, or groups have consumed more.
	settled bool

	// The last compaction, used by whoever has the partition's Turn: whether it was
	// completed, up to which high watermark and by which config; from where the next one
	// is dirty, and when the first tombstone or marker may go (ms since the epoch).
	cleaned    bool
	cleanedEnd int64
	cleanedBy  topic.Config
	dirty      int64
	tombstones int64
}

// look is what a sweep has seen of a partition.
type look struct {
	tally
	config   topic.Config
	consumed int64     // passed by all groups; -1 for nothing
	due      time.Time // when the oldest batch will be too old; zero if there is none, or for never
}

// track returns what is known of p.
func (w *Sweeper) track(p *partition.Partition) *tracked {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trackLocked(p)
}

func (w *Sweeper) trackLocked(p *partition.Partition) *tracked {
	s := w.tracks[p]
	if s == nil {
		s = new(tracked)
		if p.Err() == nil { // its topic was not deleted
			w.tracks[p] = s
		}
	}
	return s
}

// follow begins to follow the catalogue.
func (w *Sweeper) follow() {
	w.changes = w.targets.Topics.Changes()
	for _, t := range w.targets.Topics.List() {
		w.classify(t)
	}
}

// classify notes whether t has a limit in bytes.
func (w *Sweeper) classify(t *topic.Topic) {
	if config := t.Config(); config.CleanupPolicy&topic.Delete != 0 && config.RetentionBytes >= 0 {
		w.limited[t] = struct{}{}
	} else {
		delete(w.limited, t)
	}
}

// catchUp returns the topics that were created or changed since the last sweep, and whether
// others were deleted, which it forgets.
func (w *Sweeper) catchUp() (changed []*topic.Topic, deleted bool) {
	seen := make(map[*topic.Topic]bool)
	for t, gone := w.changes.Next(); t != nil; t, gone = w.changes.Next() {
		switch {
		case gone:
			w.forget(t)
			deleted = true
		case !seen[t]:
			seen[t] = true
			w.classify(t)
			changed = append(changed, t)
		}
	}
	return changed, deleted
}

// forget drops what is known of a deleted topic.
func (w *Sweeper) forget(t *topic.Topic) {
	delete(w.limited, t)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range t.Partitions() {
		delete(w.tracks, p)
	}
}

// jobs returns the partitions to be swept, in the order of topics and indexes: those of the
// given topics, and unless these are all, those that have a limit in bytes and were written to.
// Where nothing has happened that could let something go there is no job.
func (w *Sweeper) jobs(full bool, topics []*topic.Topic) []*sweepJob {
	var jobs []*sweepJob
	given := make(map[*topic.Topic]bool)
	for _, t := range topics {
		jobs = w.addJobs(jobs, t, full, 0)
		if !full {
			given[t] = true
		}
	}
	if full {
		return jobs
	}
	for t := range w.limited {
		if !given[t] {
			jobs = w.addJobs(jobs, t, false, min(lookBytes, t.Config().RetentionBytes/16))
		}
	}
	slices.SortFunc(jobs, func(a, b *sweepJob) int {
		x, y := a.p.TopicPartition(), b.p.TopicPartition()
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	return jobs
}

// lookBytes or 1/16 of its limit must have been written to a partition with a limit in
// bytes before it is looked at between full sweeps.
const lookBytes = 4 << 20

// addJobs adds the partitions of t that are not settled and to which so much was written since
// the last look. The groups are asked if the topic's policy does.
func (w *Sweeper) addJobs(jobs []*sweepJob, t *topic.Topic, full bool, written int64) []*sweepJob {
	config, ps, now := t.Config(), t.Partitions(), time.Now()
	var consumed []int64
	if config.CleanupPolicy&topic.Consumed != 0 {
		consumed, _ = w.targets.Groups.Consumed(t.Name(), len(ps))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, p := range ps {
		job := sweepJob{p: p, s: w.trackLocked(p), look: look{config: config, consumed: -1}, count: full}
		if consumed != nil {
			job.consumed = consumed[i]
		}
		if p.Appended()-job.s.appended >= written && !job.settledLocked(now) {
			jobs = append(jobs, new(sweepJob))
			*jobs[len(jobs)-1] = job
		}
	}
	return jobs
}

// settledLocked reports whether nothing has happened since the last look that could let
// something go.
func (j *sweepJob) settledLocked(now time.Time) bool {
	s := j.s
	return s.settled && s.appended == j.p.Appended() && s.config == j.config && s.consumed >= j.consumed &&
		(s.due.IsZero() || now.Before(s.due))
}

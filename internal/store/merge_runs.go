package store

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"

	"go.uber.org/zap"
)

// Runs are merged by size: four of a size become one of the next, which is four times as large. So an
// item is written again as often as the store is four times as large as a tree, and about
// three runs of a size stay.
const mergeWidth = 4

// runClass returns the size of a run, as a power of mergeWidth.
func (s *diskStore) runClass(r *run) int {
	n := r.entries * 2 / s.opts.treeEntries // a tree may be checkpointed before it is full
	return (bits.Len(uint(n)) + 1) / 2
}

// wasteful reports whether more of the tables counts no more than so many times what may: half of what counts,
// and a few tables.
func (s *diskStore) wasteful(v *version, times int64) bool {
	return v.waste > times*(max(0, v.indexSize()-v.waste)/2+8*s.space.tableSize)
}

// window returns which of the runs to merge, newest first: runs[:n], and 0 when none is due. All are when too much of
// them counts no more; thorough, an eighth is too much.
func (s *diskStore) window(v *version, thorough bool) int {
	if s.wasteful(v, 1) || thorough && v.waste > v.indexSize()/8 {
		return len(v.runs)
	}
	classes := make([]int, len(v.runs))
	for i, r := range v.runs {
		classes[i] = s.runClass(r)
		if i > 0 {
			classes[i] = max(classes[i], classes[i-1]) // what is older is at least as large
		}
	}
	for i := 0; i < len(classes); {
		j := i
		for j < len(classes) && classes[j] == classes[i] {
			j++
		}
		if j-i >= mergeWidth {
			return j
		}
		i = j
	}
	return 0
}

// mergeDue merges what is due, in the background.
func (s *diskStore) mergeDue() {
	err := s.merge(false, s.merging.stopping)
	if err != nil && !errors.Is(err, errStopped) {
		s.log.Warn("merging tables failed", zap.String("directory", s.dir), zap.Error(err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.turnLocked()
	if errors.Is(err, ErrDiskFull) {
		s.lagging = false // nobody waits for it before it was tried again
	}
}

// merge merges runs as long as that is due or, thorough, worth it. stop says why to return before.
func (s *diskStore) merge(thorough bool, stop func() error) error {
	for {
		done, err := s.mergeOnce(thorough, stop)
		if !done || err != nil {
			return err
		}
	}
}

// mergeOnce merges the runs of one window; done is false when none was due.
func (s *diskStore) mergeOnce(thorough bool, stop func() error) (done bool, err error) {
	if err := cmp.Or(stop(), s.failure()); err != nil {
		return false, err
	}
	s.shaping.Lock()
	defer s.shaping.Unlock()
	v, _ := s.now()
	defer s.let(v)
	runs := v.runs[:s.window(v, thorough)]
	if len(runs) == 0 {
		return false, nil
	}
	oldest := len(runs) == len(v.runs)
	if err := s.mergeFits(runs, v.waste); err != nil {
		return false, err
	}
	n := 0
	infos, err := s.writeTables(mergeCursors(runCursors(runs)), runsSize(runs), false, func(i *item) (bool, error) {
		if n++; n%1024 == 0 {
			if err := stop(); err != nil {
				return false, err
			}
		}
		return !i.deleted || !oldest, nil // nothing is older that it hides
	})
	if err == nil {
		err = s.replace(runs, infos)
	}
	if err == nil {
		s.did.merges.Add(1)
	}
	if err != nil && !errors.Is(err, ErrDiskFull) && !errors.Is(err, stop()) {
		err = s.fail(err)
	}
	return true, err
}

// mergeFits reports that there is no space for runs in one, if waste at most goes: to write what there is space for
// would be in vain, again and again.
func (s *diskStore) mergeFits(runs []*run, waste int64) error {
	free, total, err := s.fs.Space(indexName)
	if err != nil || total == 0 { // nobody knows
		return nil
	}
	least := runsSize(runs) - waste
	if free < least {
		return fmt.Errorf("%w: %d bytes free, a merge needs %d", ErrDiskFull, free, least)
	}
	return nil
}

func runsSize(runs []*run) (n int64) {
	for _, r := range runs {
		n += r.size()
	}
	return n
}

func runCursors(runs []*run) (cursors []cursor) {
	for _, r := range runs {
		cursors = append(cursors, r.cursor())
	}
	return cursors
}

// replace has the tables count in the place of runs.
func (s *diskStore) replace(runs []*run, infos []tableInfo) error {
	s.manifesting.Lock()
	defer s.manifesting.Unlock()
	m := *s.manifest
	for _, r := range runs {
		m.waste -= r.size()
	}
	for _, i := range infos {
		m.waste += i.size
	}
	m.waste = max(0, m.waste)
	return s.exchange(&m, runs, infos, func(*version) {})
}

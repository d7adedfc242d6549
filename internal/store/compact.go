package store

import (
	"errors"
	"math/bits"
	"slices"

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

// window returns which of the runs to merge, newest first: runs[:n], and 0 when none is due.
func (s *diskStore) window(runs []*run) int {
	classes := make([]int, len(runs))
	for i, r := range runs {
		classes[i] = s.runClass(r)
		if i > 0 {
			classes[i] = max(classes[i], classes[i-1]) // what is older is at least as large
		}
	}
	for i := 0; i < len(runs); {
		j := i
		for j < len(runs) && classes[j] == classes[i] {
			j++
		}
		if j-i >= mergeWidth {
			return j
		}
		i = j
	}
	return 0
}

// merge merges runs as long as that is due.
func (s *diskStore) merge() {
	for !s.merging.stopping() {
		done, err := s.mergeOnce()
		if err != nil {
			s.log.Warn("merging tables failed", zap.String("directory", s.dir), zap.Error(err))
		}
		if !done || err != nil {
			return
		}
	}
}

// mergeOnce merges the runs of one window; done is false when none was due.
func (s *diskStore) mergeOnce() (done bool, err error) {
	if err := s.failure(); err != nil {
		return false, err
	}
	s.shaping.Lock()
	defer s.shaping.Unlock()
	v, _ := s.now()
	defer s.let(v)
	n := s.window(v.runs)
	if n == 0 {
		return false, nil
	}
	infos, err := s.mergeRuns(v.runs[:n], n == len(v.runs))
	if err == nil {
		if err = s.replace(v.runs[:n], infos); errors.Is(err, ErrDiskFull) {
			err = errors.Join(err, s.removeTables(tableNumbers(infos)))
		}
	}
	if err != nil && !errors.Is(err, ErrDiskFull) && !errors.Is(err, errStopped) {
		err = s.fail(err)
	}
	return true, err
}

// mergeRuns writes runs as one. Deleted items are left out when nothing is older.
func (s *diskStore) mergeRuns(runs []*run, oldest bool) ([]tableInfo, error) {
	cursors := make([]cursor, len(runs))
	for i, r := range runs {
		cursors[i] = r.cursor()
	}
	w := s.newWriter(false)
	c := mergeCursors(cursors)
	n := 0
	for c.seek(nil, false); c.item() != nil; c.next() {
		if n++; n%1024 == 0 && s.merging.stopping() {
			return nil, w.abort(errStopped)
		}
		if oldest && c.item().deleted {
			continue
		}
		if err := w.add(c.item()); err != nil {
			return nil, w.abort(err)
		}
	}
	if err := c.err(); err != nil {
		return nil, w.abort(err)
	}
	infos, err := w.finish()
	if err != nil {
		return nil, w.abort(err)
	}
	return infos, nil
}

func tableNumbers(infos []tableInfo) (numbers []uint64) {
	for _, i := range infos {
		numbers = append(numbers, i.number)
	}
	return numbers
}

var errStopped = errors.New("the store is being closed")

// replace has the tables count in the place of runs.
func (s *diskStore) replace(runs []*run, infos []tableInfo) error {
	s.manifesting.Lock()
	defer s.manifesting.Unlock()
	m := *s.manifest
	m.nextTable, m.nextFile = s.space.numbers()
	s.mu.RLock()
	at := slices.Index(s.version.runs, runs[0])
	s.mu.RUnlock()
	m.runs = slices.Delete(slices.Clone(m.runs), at, at+len(runs))
	if len(infos) > 0 {
		m.runs = slices.Insert(m.runs, at, infos)
	}
	if err := s.record(&m); err != nil {
		return err
	}
	dropTables(runs)
	s.mu.Lock()
	old := s.change(func(v *version) {
		v.runs = slices.Delete(v.runs, at, at+len(runs))
		if len(infos) > 0 {
			v.runs = slices.Insert(v.runs, at, s.newRun(infos))
		}
	})
	s.mu.Unlock()
	return s.release(old)
}

package store

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/samsa-go/samsa/internal/vfs"
)

// checkpoint is one on its way: the tree as it was at a position, which becomes a run of tables. Then
// a manifest says that the files begin to count there. A checkpoint that finds no space is tried
// again from where it stood.
type checkpoint struct {
	at     position
	tree   *itemTree
	grown  int64             // bytes of frames since the one before
	files  []*logFile        // as of then
	counts map[uint64]counts // likewise, by number
	moved  map[uint64]bool   // all that counted of these files was copied
	ended  map[uint64]counts // what the tree takes away from them
	joined []*run            // the newest runs, which were written once more with the tree
}

func (s *diskStore) tablePath(number uint64) string {
	return path.Join(indexName, tableFileName(number))
}

// openRuns opens the runs that the manifest names, and removes tables that it does not name.
func (s *diskStore) openRuns() error {
	infos, err := s.fs.List(indexName)
	if err != nil {
		return err
	}
	s.space.table = s.manifest.nextTable
	found := map[string]int64{}
	for _, i := range infos {
		if number, ok := parseSpareFileName(i.Name); !ok {
			found[i.Name] = i.Size
		} else if err := s.space.foundSpare(number, i.Size); err != nil {
			return err
		}
	}
	var runs []*run
	for _, tables := range s.manifest.runs {
		runs = append(runs, s.newRun(tables))
		for _, t := range tables {
			size, ok := found[tableFileName(t.number)]
			if !ok {
				return fmt.Errorf("%w: %w: %s is missing", ErrCorrupt, errIndex, tableFileName(t.number))
			}
			s.space.foundTable(t, size)
			delete(found, tableFileName(t.number))
		}
	}
	for name := range found {
		if err := s.renew(); err != nil {
			return err
		}
		if err := s.fs.Remove(path.Join(indexName, name)); err != nil {
			return err
		}
	}
	old := s.change(func(v *version) { v.runs = runs })
	return s.release(old)
}

// renew writes the manifest once more, which comes before the open removes what it does not name: an
// older one in the other slot may name it.
func (s *diskStore) renew() error {
	if s.renewed {
		return nil
	}
	s.renewed = true
	m := *s.manifest
	return s.manifests.write(&m)
}

// newRun returns the run of tables that were written.
func (s *diskStore) newRun(infos []tableInfo) *run {
	var tables []*table
	for _, i := range infos {
		tables = append(tables, newTable(s.fs, indexName, i))
	}
	return newRun(tables)
}

// checkpoint makes a checkpoint of what there is, if that is more than at the last.
func (s *diskStore) checkpoint() error {
	s.checkpointing.Lock()
	defer s.checkpointing.Unlock()
	err := s.makeCheckpoint()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stuck = nil
	if errors.Is(err, ErrDiskFull) {
		s.stuck = err
	}
	s.turnLocked()
	return err
}

// turnLocked wakes who waits for a checkpoint to end, or for space that was given back.
func (s *diskStore) turnLocked() {
	s.crowded = s.crowdedLocked()
	close(s.turned)
	s.turned = make(chan struct{})
}

func (s *diskStore) makeCheckpoint() error {
	if err := s.failure(); err != nil {
		return err
	}
	if s.begun == nil && !s.freeze() {
		return nil
	}
	if err := s.files.sync(true); err != nil {
		return s.fail(err)
	}
	err := s.writeRun(false)
	if errors.Is(err, ErrDiskFull) {
		s.shaping.Lock()
		err = s.writeRun(true)
		s.shaping.Unlock()
	}
	if err == nil || errors.Is(err, ErrDiskFull) {
		return err
	}
	return s.fail(err)
}

// freeze begins a checkpoint: what comes later goes to another tree. It returns false when
// nothing came since the last.
func (s *diskStore) freeze() bool {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	if s.grown == 0 || s.found != nil {
		s.mu.Unlock()
		return false
	}
	c := &checkpoint{at: s.files.position(s.commit), tree: s.tree, grown: s.grown, files: s.version.files, counts: map[uint64]counts{}, moved: map[uint64]bool{}}
	for _, f := range c.files {
		c.counts[f.number] = f.counts
		if f.moved {
			c.moved[f.number] = true
		}
	}
	s.begun = c
	s.tree, s.copied, s.freezes, s.memory, s.grown, s.rolled = newItemTree(), nil, s.memory, 0, 0, 0
	old := s.change(func(v *version) { v.frozen = c.tree })
	s.mu.Unlock()
	s.let(old)
	return true
}

// writeRun makes a run of the tree, with the spares or without. With them it joins the runs that were
// written so; s.shaping is held.
func (s *diskStore) writeRun(spares bool) error {
	infos, err := s.writeTree(spares)
	if err == nil {
		if err = s.install(infos); errors.Is(err, ErrDiskFull) {
			err = errors.Join(err, s.removeTables(tableNumbers(infos)))
		}
	}
	return err
}

// writeTree writes the tree as tables, and counts what it has put an end to.
func (s *diskStore) writeTree(spares bool) ([]tableInfo, error) {
	v, _ := s.now()
	defer s.let(v)
	older := v.borrow()
	defer v.idle.Put(older)
	c := s.begun
	c.joined = nil
	if spares {
		s.mu.RLock()
		size := s.freezes
		s.mu.RUnlock()
		c.joined = v.runs[:s.space.joinable(v.runs, int64(size))]
	}
	done := map[uint64]counts{}
	w := s.newWriter(spares)
	end := func(i *item) (hides bool, err error) {
		for _, r := range *older {
			was, err := r.get(i.key)
			if err != nil {
				return false, err
			}
			if was != nil {
				n := done[was.file]
				n.end(was)
				done[was.file] = n
				return true, nil
			}
		}
		return false, nil
	}
	cursors := []cursor{treeCursor(c.tree)}
	for _, r := range c.joined {
		cursors = append(cursors, r.cursor())
	}
	all := mergeCursors(cursors)
	for all.seek(nil, false); all.item() != nil; all.next() {
		i := all.item()
		hides := len(c.joined) < len(v.runs)
		own := len(c.joined) == 0
		if !own {
			t, ok := c.tree.Get(i)
			own = ok && t == i
		}
		if own {
			was, err := end(i)
			if err != nil {
				return nil, w.abort(err)
			}
			hides = hides && was
		}
		if i.deleted && !hides && c.counts != nil {
			continue // a spill keeps it: it counts in its file until a later one is read
		}
		if err := w.add(i); err != nil {
			return nil, w.abort(err)
		}
	}
	if err := all.err(); err != nil {
		return nil, w.abort(err)
	}
	infos, err := w.finish()
	if err != nil {
		return nil, w.abort(err)
	}
	c.ended = done
	return infos, nil
}

// install has the tables count, and the files no more of which nothing is alive.
func (s *diskStore) install(infos []tableInfo) error {
	c := s.begun
	s.manifesting.Lock()
	defer s.manifesting.Unlock()
	m := *s.manifest
	m.position, m.boot = c.at, s.opts.boot
	m.nextTable, m.nextFile = s.space.numbers()
	m.runs = slices.Clone(m.runs[len(c.joined):])
	if len(infos) > 0 {
		m.runs = slices.Insert(m.runs, 0, infos)
	}
	dropped := c.list(&m)
	if err := s.record(&m); err != nil {
		return err
	}
	for _, f := range dropped {
		f.dropped.Store(true)
	}
	dropTables(c.joined)
	least, alive, dead := s.space.least*4, int64(0), int64(0)
	for _, n := range c.ended {
		dead += n.dead
	}
	s.mu.Lock()
	old := s.change(func(v *version) {
		v.frozen, s.freezes = nil, 0
		v.runs = slices.Delete(v.runs, 0, len(c.joined))
		if len(infos) > 0 {
			v.runs = slices.Insert(v.runs, 0, s.newRun(infos))
		}
		v.sum(c.ended)
		v.files = slices.DeleteFunc(v.files, func(f *logFile) bool { return f.dropped.Load() })
		for _, f := range v.files {
			alive += f.live
		}
	})
	if span := max(least, min(alive/8, spanLeast)); dead > c.grown/8 {
		s.span = span
	} else {
		s.span = max(span, min(2*s.span, alive/4, spanMost))
	}
	s.mu.Unlock()
	s.begun = nil
	return s.release(old)
}

// list puts the files into m that are to be kept, and returns the others.
func (c *checkpoint) list(m *manifest) (dropped []*logFile) {
	files := slices.Clone(c.files)
	slices.SortFunc(files, func(a, b *logFile) int { return cmp.Compare(a.rank, b.rank) })
	m.files = nil
	for _, f := range files {
		n := c.counts[f.number]
		n.sum(c.ended[f.number])
		info := fileInfo{number: f.number, rank: f.rank, first: f.first, end: c.at.offset, counts: n}
		if f.number != c.at.file { // commits may still go to that one
			if n.live == 0 && (n.tombs == 0 || len(m.files) == 0 || c.moved[f.number]) {
				dropped = append(dropped, f)
				continue
			}
			info.end = f.end
		}
		m.files = append(m.files, info)
	}
	slices.SortFunc(m.files, func(a, b fileInfo) int { return cmp.Compare(a.number, b.number) })
	return dropped
}

// record writes a manifest. s.manifesting is held.
func (s *diskStore) record(m *manifest) error {
	if err := s.fs.SyncDir(indexName); err != nil {
		return err
	}
	s.files.entered() // it is told now
	m.durable = s.files.durable()
	if err := s.manifests.write(m); err != nil {
		return full(err)
	}
	s.manifest = m
	return nil
}

// witness has the manifest say how far all is durable, when a value file has begun since: if that goes missing, it is
// known. It can wait when the disk is full.
func (s *diskStore) witness() error {
	if !s.files.entered() {
		return nil
	}
	s.manifesting.Lock()
	defer s.manifesting.Unlock()
	m := *s.manifest
	m.nextTable, m.nextFile = s.space.numbers()
	if err := s.record(&m); !errors.Is(err, ErrDiskFull) {
		return err
	}
	return nil
}

// runWriter writes the tables of a run.
type runWriter struct {
	*tableWriter
	s       *diskStore
	created []uint64
}

// newWriter returns a writer of tables. With spares it may use those that stand ready when the disk is
// full.
func (s *diskStore) newWriter(spares bool) *runWriter {
	w := &runWriter{s: s}
	w.tableWriter = newTableWriter(func(size int64) (uint64, vfs.File, error) {
		number, f, err := s.space.takeTable(size, spares)
		if err == nil {
			w.created = append(w.created, number)
		}
		return number, f, full(err)
	}, int(s.space.tableSize))
	return w
}

// abort removes what was written, and returns err.
func (w *runWriter) abort(err error) error {
	w.tableWriter.abort()
	return errors.Join(err, w.s.removeTables(w.created))
}

// dropTables has the tables of runs go with the last who reads them.
func dropTables(runs []*run) {
	for _, r := range runs {
		for _, t := range r.tables {
			t.dropped.Store(true)
		}
	}
}

// removeTables removes tables that no manifest names.
func (s *diskStore) removeTables(numbers []uint64) error {
	var errs []error
	for _, n := range numbers {
		errs = append(errs, s.space.removeTable(n))
	}
	return errors.Join(errs...)
}

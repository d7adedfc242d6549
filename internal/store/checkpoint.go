package store

import (
	"cmp"
	"errors"
	"fmt"
	"math"
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
	memory int               // that it takes
	grown  int64             // bytes of frames since the one before
	files  []frozenFile      // in the order in which they began
	ended  map[uint64]counts // what the tree takes away from files, by number
	waste  int64             // bytes of the runs that count no more with the tree, see version
	joined []*run            // the newest runs, which were written once more with the tree
	held   []*logFile        // that stay for backups alone
}

// frozenFile is a value file as it was then.
type frozenFile struct {
	*logFile
	counts counts
	moved  bool
}

func (s *diskStore) tablePath(number uint64) string {
	return path.Join(indexName, tableFileName(number))
}

// openRuns opens the runs that the manifest names, and removes tables that neither it names nor old, if there is one.
func (s *diskStore) openRuns(old *manifest) error {
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
				return fmt.Errorf("%w: %s is missing", ErrIndex, tableFileName(t.number))
			}
			s.space.foundTable(t, size)
			delete(found, tableFileName(t.number))
		}
	}
	if old != nil {
		for _, t := range slices.Concat(old.runs...) {
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
	return s.release(s.change(func(v *version) { v.runs, v.waste = runs, s.manifest.waste }))
}

// renew writes the manifest that was found once more, which comes before the open removes what it does not name: an
// older one in the other slot may name it.
func (s *diskStore) renew() error {
	if s.stale == nil {
		return nil
	}
	m := *s.stale
	s.stale = nil
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

// turnLocked wakes who waits for a checkpoint or a merge to end, or for space that was given back.
func (s *diskStore) turnLocked() {
	s.crowded, s.lagging = s.crowdedLocked(), s.wasteful(s.version, 2)
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
	if err == nil {
		s.did.checkpoints.Add(1)
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
	c := &checkpoint{at: s.files.position(s.commit), tree: s.tree, memory: s.memory, grown: s.grown}
	for _, f := range s.version.files {
		c.files = append(c.files, frozenFile{f, f.counts, f.moved})
	}
	slices.SortFunc(c.files, func(a, b frozenFile) int { return cmp.Compare(a.rank, b.rank) })
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
	if err != nil {
		return err
	}
	return s.install(infos)
}

// writeTree writes the tree as tables, and counts what it has put an end to.
func (s *diskStore) writeTree(spares bool) ([]tableInfo, error) {
	v, _ := s.now()
	defer s.let(v)
	older := v.borrow()
	defer v.idle.Put(older)
	c := s.begun
	c.ended, c.waste, c.joined = map[uint64]counts{}, 0, nil
	if spares {
		c.joined = v.runs[:s.space.joinable(v.runs, int64(c.memory))]
	}
	end := func(i *item) (hides bool, err error) {
		for _, r := range *older {
			was, err := r.get(i.key)
			if err != nil {
				return false, err
			}
			if was != nil {
				n := c.ended[was.file]
				n.end(was)
				c.ended[was.file] = n
				if !was.deleted { // else it was waste before
					c.waste += tableCost(was)
				}
				return true, nil
			}
		}
		return false, nil
	}
	all := mergeCursors(append([]cursor{treeCursor(c.tree)}, runCursors(c.joined)...))
	return s.writeTables(all, int64(c.memory)+runsSize(c.joined), spares, func(i *item) (bool, error) {
		hides := len(c.joined) < len(v.runs)
		own := len(c.joined) == 0
		if !own {
			t, ok := c.tree.Get(i)
			own = ok && t == i
		}
		if own {
			was, err := end(i)
			if err != nil {
				return false, err
			}
			hides = hides && was
		}
		if i.deleted && !hides && c.files != nil {
			return false, nil // a spill keeps it: it counts in its file until a later one is read
		}
		if i.deleted && own {
			c.waste += tableCost(i)
		}
		return true, nil
	})
}

// tableCost is about how many bytes an item takes in a table.
func tableCost(i *item) int64 { return int64(len(i.key) + len(i.value) + 24) }

// leastTable is what tables are limited to at least.
const leastTable = 256 << 10

// writeTables writes the items of c that keep wants as tables. They are most bytes: as much memory, but not more than
// a table has, is taken. With spares it may use those that stand
// ready when the disk is full. After an error nothing is left of them.
func (s *diskStore) writeTables(c cursor, most int64, spares bool, keep func(*item) (bool, error)) (infos []tableInfo, err error) {
	var created []uint64
	w := newTableWriter(func(size int64) (uint64, vfs.File, error) {
		number, f, err := s.space.takeTable(size, spares)
		if err == nil {
			created = append(created, number)
		}
		return number, f, err
	}, int(min(s.space.tableSize, max(leastTable, most))))
	defer w.abort()
	for c.seek(nil, false); err == nil && c.item() != nil; c.next() {
		var wanted bool
		if wanted, err = keep(c.item()); wanted && err == nil {
			err = w.add(c.item())
		}
	}
	if err == nil {
		err = c.err()
	}
	if err == nil {
		infos, err = w.finish()
	}
	if err == nil {
		return infos, nil
	}
	for _, n := range created {
		err = Join(err, s.space.removeTable(n))
	}
	return nil, full(err)
}

// install has the tables count, and the files no more of which nothing is alive.
func (s *diskStore) install(infos []tableInfo) error {
	c := s.begun
	s.manifesting.Lock()
	defer s.manifesting.Unlock()
	m := *s.manifest
	m.position, m.boot = c.at, s.opts.boot
	m.waste += c.waste
	dropped := c.list(&m, s)
	if len(dropped) > 0 { // a rebuild asks whether what is missing was durable
		if err := s.mark(true); err != nil {
			return err
		}
	}
	err := s.exchange(&m, c.joined, infos, func(v *version) {
		v.frozen, s.freezes = nil, 0
		v.sum(c.ended)
		for _, f := range dropped {
			f.dropped.Store(true)
		}
		for _, f := range v.files {
			f.held = slices.Contains(c.held, f)
		}
		v.files = slices.DeleteFunc(v.files, func(f *logFile) bool { return f.dropped.Load() })
		s.adaptSpan(v)
	})
	if err == nil {
		s.begun = nil
	}
	return err
}

// adaptSpan sets when the next checkpoint is due, see span, by what this one has ended. s.mu is held.
func (s *diskStore) adaptSpan(v *version) {
	alive, dead := v.alive(), int64(0)
	for _, n := range s.begun.ended {
		dead += n.dead
	}
	least := s.space.least * 4
	span := max(least, min(alive/8, spanLeast))
	if dead <= s.begun.grown/8 {
		span = max(span, min(2*s.span, alive/4, spanMost))
	}
	s.span = span
}

// exchange writes m, which has tables in the place of runs that follow one another, or before all if there are none;
// then comes the version that edit makes of the last. Without space neither is, and the tables are removed.
// s.manifesting is held.
func (s *diskStore) exchange(m *manifest, runs []*run, infos []tableInfo, edit func(*version)) error {
	at := 0
	if len(runs) > 0 {
		s.mu.RLock()
		at = slices.Index(s.version.runs, runs[0])
		s.mu.RUnlock()
	}
	if len(runs) == len(m.runs) {
		m.waste = 0
	}
	var named [][]tableInfo
	var made []*run
	if len(infos) > 0 {
		named, made = append(named, infos), append(made, s.newRun(infos))
	}
	m.runs = slices.Replace(slices.Clone(m.runs), at, at+len(runs), named...)
	if err := s.record(m); err != nil {
		if errors.Is(err, ErrDiskFull) {
			for _, i := range infos {
				err = Join(err, s.space.removeTable(i.number))
			}
		}
		return err
	}
	for _, r := range runs {
		for _, t := range r.tables {
			t.dropped.Store(true) // they go with the last who reads them
		}
	}
	s.mu.Lock()
	old := s.change(func(v *version) {
		v.runs, v.waste = slices.Replace(v.runs, at, at+len(runs), made...), m.waste
		edit(v)
	})
	s.mu.Unlock()
	return s.release(old)
}

// list puts the files into m that are to be kept, and returns the others.
func (c *checkpoint) list(m *manifest, s *diskStore) (dropped []*logFile) {
	m.files, c.held = nil, nil
	counted := func(i int) counts {
		n := c.files[i].counts
		n.sum(c.ended[c.files[i].number])
		return n
	}
	dead := func(i int) bool {
		f, n := c.files[i], counted(i)
		return f.number != c.at.file && n.live == 0 && (n.tombs == 0 || f.moved)
	}
	last := func(i int) uint64 { // commit of a file, before those that a later one has once more
		limit := uint64(math.MaxUint64)
		for _, f := range c.files[i+1:] {
			limit = min(limit, f.first)
		}
		return limit - 1
	}
	held := s.giveUpHolds(c.files, last, dead, s.isPressed())
	for i, f := range c.files {
		n := counted(i)
		info := fileInfo{number: f.number, rank: f.rank, first: f.first, end: c.at.offset, counts: n}
		if f.number != c.at.file { // commits may still go to that one
			if n.live == 0 && (n.tombs == 0 || len(m.files) == 0 || f.moved) {
				if last(i) <= held {
					dropped = append(dropped, f.logFile)
					continue
				}
				c.held = append(c.held, f.logFile)
			}
			info.end = f.end
		}
		m.files = append(m.files, info)
	}
	slices.SortFunc(m.files, func(a, b fileInfo) int { return cmp.Compare(a.number, b.number) })
	return dropped
}

// isPressed reports whether the disk is full.
func (s *diskStore) isPressed() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.stuck != nil || s.pressed || s.pressing
}

// record writes a manifest. s.manifesting is held.
func (s *diskStore) record(m *manifest) error {
	if err := s.fs.SyncDir(indexName); err != nil {
		return err
	}
	s.files.entered() // it is told now
	m.nextTable, m.nextFile = s.space.numbers()
	m.durable = s.files.durable()
	if err := s.manifests.write(m); err != nil {
		return err
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
	if err := s.record(&m); !errors.Is(err, ErrDiskFull) {
		return err
	}
	return nil
}

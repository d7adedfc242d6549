package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// heldSnapshot is a snapshot, and what it must show.
type heldSnapshot struct {
	Snapshot
	state map[string]string
}

// grow has the life know more keys and larger values, and do more.
func (l *life) grow() {
	l.keys = []int{26, 200, 500}[l.r.IntN(3)]
	l.first = 'a'
	l.sizes = []int{10, 900, 1500, 6000, 64 << 10}
	l.opts.treeEntries = 2 + l.r.IntN(l.keys/2)
	l.opts.tableSize = []int64{4 << 10, 64 << 10}[l.r.IntN(2)]
}

// more is how much more a life does that has grown.
func (l *life) more() int {
	if l.first == 'a' {
		return 6
	}
	return 0
}

// hold takes a snapshot, or looks at one.
func (l *life) hold() {
	l.t.Helper()
	if len(l.held) >= 4 {
		l.look(l.held[l.r.IntN(len(l.held))])
		return
	}
	s, err := l.store.Snapshot()
	if err != nil {
		l.t.Fatal(err)
	}
	l.held = append(l.held, heldSnapshot{s, l.states[l.done]})
}

// letGo gives a snapshot up.
func (l *life) letGo() {
	l.t.Helper()
	if len(l.held) == 0 {
		return
	}
	i := l.r.IntN(len(l.held))
	l.look(l.held[i])
	l.held[i].Close()
	l.held = slices.Delete(l.held, i, i+1)
}

// forget closes the snapshots of a store that is closed, which does not mind.
func (l *life) forget() {
	for _, s := range l.held {
		s.Close()
	}
	l.held = nil
}

// look reads a snapshot.
func (l *life) look(s heldSnapshot) {
	l.t.Helper()
	found, err := contentOf(s)
	if err != nil || !maps.Equal(found, s.state) {
		l.t.Fatalf("a snapshot of %s commits shows %d keys, of %s commits, %v", s.state["n"], len(found), found["n"], err)
	}
}

// removeRange deletes a part of the keys, as retention does.
func (l *life) removeRange() {
	l.t.Helper()
	from, to := l.key(), l.key()
	state := maps.Clone(l.states[l.done])
	var b Batch
	for key := range l.states[l.done] {
		if from <= key && key < to && key != "n" {
			b.Delete([]byte(key))
			delete(state, key)
		}
	}
	l.apply(&b, state)
}

// quiet waits until nothing goes on, and compares what the store knows of its files with what they hold.
func (l *life) quiet() {
	l.t.Helper()
	quiet(l.store)
	if err := l.store.recount(); err != nil {
		l.t.Fatal(err)
	}
	if len(l.held) > 0 {
		return
	}
	if err := l.store.strays(); err != nil {
		l.t.Fatal(err)
	}
}

// wither deletes everything: then hardly a file is left.
func (l *life) wither() {
	l.t.Helper()
	for len(l.held) > 0 {
		l.letGo()
	}
	var b Batch
	for key := range l.states[l.done] {
		b.Delete([]byte(key))
	}
	l.apply(&b, map[string]string{})
	for range 2 { // the first moves what is left to files that the second finds nothing older than
		if err := l.store.Reclaim(context.Background()); err != nil {
			l.t.Fatal(err)
		}
	}
	l.quiet()
	l.check(l.done)
	s := l.store
	s.mu.RLock()
	defer s.mu.RUnlock()
	if n := len(s.version.files); n > 3 {
		l.t.Errorf("%d value files are left when all is deleted", n)
	}
}

// recount counts what every value file of a quiet store holds: the bytes of all operations in its
// frames, and those of the operations that the index still needs.
func (s *diskStore) recount() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	v, tree := s.now()
	defer s.let(v)
	if v.frozen != nil {
		return errors.New("a checkpoint is on its way")
	}
	needed := map[uint64]counts{}
	// What the tree hides of the runs is counted by the next checkpoint.
	runs := make([]cursor, len(v.runs))
	for i, r := range v.runs {
		runs[i] = r.cursor()
	}
	for _, c := range []cursor{treeCursor(tree), mergeCursors(runs)} {
		for c.seek(nil, false); c.item() != nil; c.next() {
			n := needed[c.item().file]
			n.add(c.item())
			needed[c.item().file] = n
		}
		if err := c.err(); err != nil {
			return err
		}
	}
	var errs []error
	for _, f := range v.files {
		var all, tombs int64
		err := f.each(func(at int64, frame []byte, h frameHeader) error {
			return readOps(frame, h, func(_ byte, i *item) error {
				if i.key != nil {
					all += i.cost()
					if i.deleted {
						tombs += tombCost(i)
					}
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		n := needed[f.number]
		delete(needed, f.number)
		// A deletion of what no table has is in no table, and counts on.
		if f.live != n.live || f.tombs < n.tombs || f.tombs > tombs || f.live+f.tombs+f.dead != all {
			errs = append(errs, fmt.Errorf("%s holds %d bytes, %d of deletions, and counts %+v; the index needs %d and %d",
				valueFileName(f.number), all, tombs, f.counts, n.live, n.tombs))
		}
	}
	for number, n := range needed { // deletions are not needed when no file is older
		if n.live > 0 {
			errs = append(errs, fmt.Errorf("%s has gone, and the index needs %+v of it", valueFileName(number), n))
		}
	}
	return errors.Join(errs...)
}

// strays returns an error that names files that a quiet store has and does not know.
func (s *diskStore) strays() error {
	known := map[string]bool{}
	s.mu.RLock()
	v := s.version
	s.mu.RUnlock()
	for _, f := range v.files {
		known[s.files.path(f.number)] = true
	}
	for _, r := range v.runs {
		for _, t := range r.tables {
			known[s.tablePath(t.info.number)] = true
		}
	}
	s.space.mu.Lock()
	for _, f := range []*logFile{s.space.spare, s.space.reserve, s.space.scrap} {
		if f != nil {
			known[s.files.path(f.number)] = true
		}
	}
	for _, number := range s.space.tables.ready {
		known[s.space.sparePath(number)] = true
	}
	s.space.mu.Unlock()
	var errs []error
	for _, dir := range []string{valuesName, indexName} {
		infos, err := s.fs.List(dir)
		if err != nil {
			return err
		}
		for _, i := range infos {
			if name := dir + "/" + i.Name; !known[name] {
				errs = append(errs, fmt.Errorf("nobody knows %s", name))
			}
		}
	}
	return errors.Join(errs...)
}

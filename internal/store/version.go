package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
)

// version is what a store on disk consists of at one time, but for the tree of what is newest. It
// is never changed. Who reads from it holds it meanwhile: what it names is not removed before.
type version struct {
	holders atomic.Int64
	frozen  *itemTree  // what a checkpoint is writing; nil when there is none
	runs    []*run     // newest first
	waste   int64      // about how many bytes of the runs are of items that newer ones hide, or of deletions
	files   []*logFile // by number
	idle    sync.Pool  // of *[]*runCursor: of the runs, for who comes later, and may want the same blocks
}

// part counts the versions that a file belongs to.
type part struct {
	versions atomic.Int64
	dropped  atomic.Bool // no manifest names it any more
}

// add adds a value file.
func (v *version) add(f *logFile) {
	i, _ := slices.BinarySearchFunc(v.files, f.number, byNumber)
	v.files = slices.Insert(v.files, i, f)
}

func byNumber(f *logFile, n uint64) int { return cmp.Compare(f.number, n) }

// find returns the value file of that number.
func (v *version) find(number uint64) *logFile {
	i, ok := slices.BinarySearchFunc(v.files, number, byNumber)
	if !ok {
		return nil
	}
	return v.files[i]
}

// get returns the newest item of a key that v has, nil when there is none; it may be a deleted one.
func (v *version) get(key []byte) (*item, error) {
	if v.frozen != nil {
		if i, ok := v.frozen.Get(&item{key: key}); ok {
			return i, nil
		}
	}
	runs := v.borrow()
	defer v.idle.Put(runs)
	for _, r := range *runs {
		switch i, err := r.get(key); {
		case err != nil:
			return nil, err
		case i != nil:
			return i.clone(), nil
		}
	}
	return nil, nil
}

// sum adds to the counts of files, by number. diskStore.mu is held.
func (v *version) sum(of map[uint64]counts) {
	for number, n := range of {
		if f := v.find(number); f != nil {
			f.sum(n)
		}
	}
}

// alive returns how many bytes of the value files count. diskStore.mu is held.
func (v *version) alive() (n int64) {
	for _, f := range v.files {
		n += f.live
	}
	return n
}

// indexSize returns how many bytes the runs have.
func (v *version) indexSize() (n int64) {
	for _, r := range v.runs {
		n += r.size()
	}
	return n
}

// value appends the first n bytes of the value of an item to dst.
func (v *version) value(i *item, dst []byte, n int) ([]byte, error) {
	if !i.large {
		return append(dst, i.value[:n]...), nil
	}
	f := v.find(i.file)
	if f == nil {
		return dst, fmt.Errorf("%w: key %q: value file %d is missing", ErrCorrupt, i.key, i.file)
	}
	return f.read(i.place, dst, n)
}

// scan is that of Store. The tree must not change meanwhile.
func (v *version) scan(tree *itemTree, r Range, fn func(Entry) (bool, error)) error {
	var at *visited
	value := noValue
	if !r.KeysOnly {
		at = &visited{v: v}
		value = at.value
	}
	runs := v.borrow()
	defer v.idle.Put(runs)
	c := v.cursor(tree, *runs, r)
	from := r.From
	if r.Reverse {
		from = r.To
	}
	for c.seek(from, r.Reverse); ; c.next() {
		i := c.item()
		if i == nil {
			return c.err()
		}
		if i.deleted || !r.holds(i.key) {
			if r.past(i.key) {
				return nil
			}
			continue
		}
		if at != nil {
			at.item = i
		}
		if more, err := fn(Entry{Key: i.key, Size: i.valueSize(), value: value}); err != nil || !more {
			return err
		}
	}
}

// visited is the item that a scan has come to.
type visited struct {
	v    *version
	item *item
}

func (at *visited) value(dst []byte, n int) ([]byte, error) { return at.v.value(at.item, dst, n) }

// borrow returns cursors of the runs, in their order. They are given back to idle.
func (v *version) borrow() *[]*runCursor {
	if runs, ok := v.idle.Get().(*[]*runCursor); ok {
		return runs
	}
	runs := make([]*runCursor, len(v.runs))
	for i, r := range v.runs {
		runs[i] = r.cursor()
	}
	return &runs
}

// cursor visits the newest items of the keys of r, and perhaps of others. It uses cursors of the runs.
func (v *version) cursor(tree *itemTree, runs []*runCursor, r Range) cursor {
	cursors := make([]cursor, 0, 2+len(runs))
	if tree.Len() > 0 {
		cursors = append(cursors, treeCursor(tree))
	}
	if v.frozen != nil {
		cursors = append(cursors, treeCursor(v.frozen))
	}
	for i, run := range v.runs {
		if run.overlaps(r) {
			cursors = append(cursors, runs[i])
		}
	}
	return mergeCursors(cursors)
}

// change puts a version in the place of the store's that differs as edit makes it. s.mu is held.
// The caller releases the old one when it no longer is.
func (s *diskStore) change(edit func(v *version)) (old *version) {
	old = s.version
	v := &version{}
	if old != nil {
		v.frozen, v.runs, v.waste, v.files = old.frozen, slices.Clone(old.runs), old.waste, slices.Clone(old.files)
	}
	edit(v)
	v.holders.Store(1)
	for _, f := range v.files {
		f.versions.Add(1)
	}
	for _, r := range v.runs {
		for _, t := range r.tables {
			t.versions.Add(1)
		}
	}
	s.version = v
	return old
}

// release gives a version up. With its last holder go the files that belong to no other.
func (s *diskStore) release(v *version) error {
	if v == nil || v.holders.Add(-1) > 0 {
		return nil
	}
	var errs []error
	for _, f := range v.files {
		if f.versions.Add(-1) == 0 {
			errs = append(errs, f.file.Close())
			if f.dropped.Load() {
				errs = append(errs, s.space.removeFile(f))
			}
		}
	}
	for _, r := range v.runs {
		for _, t := range r.tables {
			if t.versions.Add(-1) == 0 {
				errs = append(errs, t.close())
				if t.dropped.Load() {
					errs = append(errs, s.space.removeTable(t.info.number))
				}
			}
		}
	}
	return Join(errs...)
}

// let is release for those who only read: an error of theirs fails the store. What a snapshot has held
// until after Close is left for the next open to remove.
func (s *diskStore) let(v *version) {
	if err := s.release(v); err != nil && !errors.Is(err, fs.ErrClosed) {
		_ = s.fail(err) // which later calls return
	}
}

// now returns the version and a tree of what is newer, which no commit changes. The caller gives
// the version up.
func (s *diskStore) now() (*version, *itemTree) {
	s.mu.RLock()
	v, tree := s.version, s.copied
	if tree != nil {
		v.holders.Add(1)
	}
	s.mu.RUnlock()
	if tree != nil {
		return v, tree
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copied == nil {
		s.copied = s.tree.Copy()
	}
	s.version.holders.Add(1)
	return s.version, s.copied
}

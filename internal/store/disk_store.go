package store

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/vfs"
)

// diskStore writes every commit as a frame into the value files, and keeps what is new in a tree in
// memory. A checkpoint writes the tree as a run of sorted tables. Large values stay in the
// value files: trees and tables say where.
type diskStore struct {
	dir  string // what fs holds, for those who read messages
	fs   vfs.FS
	opts Options
	log  *zap.Logger
	gate *gate
	once sync.Once
	did  tally
	end  error // what Close returns

	ground []io.Closer // of fs, and the lock of dir; none where nobody else can open it

	files     *valueLog
	nowhere   *logFile // of what is in memory alone, see keep
	space     *space
	manifests *manifests
	tending   job  // checkpoints, and what gives space back
	told      bool // of a full disk; used by tending
	merging   job  // of runs
	flushing  job  // of value files that are full, and of every flushBytes: so an open after a kill has little to write once more

	writing  sync.Mutex // held by who appends; guards what follows
	frame    frame
	commit   uint64    // the last one
	wrote    time.Time // when it was begun
	marked   uint64    // the last one that only said what is durable
	promised int64     // bytes of a frame that Room has said there is room for
	found    *replay   // what the open has found, as long as there is no room to go on behind it

	checkpointing sync.Mutex  // held by who makes a checkpoint; guards what follows
	begun         *checkpoint // the one that has not come to its end

	collecting sync.Mutex // held by who copies a value file

	holds holds // for backups

	shaping sync.Mutex // held by who writes runs anew

	manifesting sync.Mutex // held by who changes the manifest; guards what follows
	manifest    *manifest  // the last that was written
	stale       *manifest  // what renew writes

	mu       sync.RWMutex // guards what follows
	tree     *itemTree    // newer than version
	copied   *itemTree    // of tree as it is now, nil when nobody asked since the last commit
	memory   int          // bytes that tree takes
	freezes  int          // bytes that the tree takes of a checkpoint on its way
	grown    int64        // bytes of frames since the last checkpoint began
	rolled   int64        // value files since then
	span     int64        // as many call for the next one
	pressed  bool         // the disk is full: whatever can be given back is needed
	pressing bool         // so it was when tend began its round
	crowded  bool         // garbage takes more space than it should
	rounds   int64        // of tend that have ended
	version  *version
	lagging  bool          // the tables need a merge that is not done yet
	stuck    error         // why the last checkpoint was not made, of ErrDiskFull
	turned   chan struct{} // closed when a checkpoint or a merge has ended
	failed   error         // the first error of a write; none is tried after it
}

// openDisk opens the store that fs holds. Messages name it dir.
func openDisk(fs vfs.FS, dir string, opts Options) (*diskStore, error) {
	opts.treeEntries = cmp.Or(opts.treeEntries, treeEntries)
	s := &diskStore{dir: dir, fs: fs, opts: opts, log: opts.Logger, gate: newGate(), tree: newItemTree(), turned: make(chan struct{})}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	s.space = newSpace(s)
	s.nowhere = &logFile{number: math.MaxUint64}
	s.files = &valueLog{fs: fs, dir: valuesName, space: s.space, begun: s.begin}
	s.manifests = &manifests{fs: fs, dir: "."}
	s.change(func(*version) {})
	s.tending.do, s.merging.do, s.flushing.do = s.tend, s.mergeDue, s.flush
	if err := s.open(); err != nil {
		return nil, Join(err, s.shut())
	}
	return s, nil
}

// begin adds a value file to the version.
func (s *diskStore) begin(f *logFile) {
	s.mu.Lock()
	s.rolled++
	old := s.change(func(v *version) { v.add(f) })
	s.mu.Unlock()
	s.let(old)
}

// append writes the frame as the next commit. With ErrDiskFull nothing was written; any other error
// is that of a store that has failed.
func (s *diskStore) append() (*logFile, int64, error) {
	s.wrote = time.Now()
	file, at, err := s.files.append(&s.frame, s.commit+1, uint64(s.wrote.UnixMilli()))
	switch {
	case errors.Is(err, vfs.ErrNoSpace):
		return nil, 0, fmt.Errorf("%w: %w", ErrDiskFull, err)
	case err != nil:
		return nil, 0, s.fail(err)
	}
	s.commit++
	if at == fileHeaderSize || at/flushBytes != file.end/flushBytes {
		s.flushing.wake()
	}
	return file, at, nil
}

// flush makes durable what was written.
func (s *diskStore) flush() {
	if err := s.files.sync(false); err != nil {
		_ = s.fail(err) // which later calls return
	}
}

// apply puts the operations of a frame that was read into the tree.
func (s *diskStore) apply(file *logFile, at int64, frame []byte, h frameHeader) error {
	s.mu.Lock()
	s.copied = nil
	s.grown += int64(h.length)
	err := readOps(frame, h, func(_ byte, i *item) error {
		if i.key != nil {
			s.put(file, at, i.clone())
		}
		return nil
	})
	spill := s.opts.Rebuild && s.tree.Len() >= 4*s.opts.treeEntries
	s.mu.Unlock()
	if spill && err == nil {
		err = s.spill()
	}
	return err
}

// put puts an item of a frame at that place of file into the tree. s.mu is held.
func (s *diskStore) put(file *logFile, at int64, i *item) {
	i.file = file.number
	if i.large {
		i.at += int(at)
	}
	file.add(i)
	s.memory += i.memory()
	if old, ok := s.tree.Set(i); ok {
		s.memory -= old.memory()
		if old.file != file.number {
			file = s.version.find(old.file)
		}
		file.counts.end(old)
	}
}

// Commit implements Store.
func (s *diskStore) Commit(b *Batch) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	if err := b.check(s.Limits()); err != nil {
		return err
	}
	if s.opts.ReadOnly {
		s.keep(b)
		return nil
	}
	stalled := s.wait()
	s.writing.Lock()
	defer s.writing.Unlock()
	before := s.wrote
	err := s.write(b)
	if err == nil && len(b.ops) > 0 {
		s.time(before, stalled)
	}
	return s.wrap("commit", err)
}

// write commits b. s.writing is held.
func (s *diskStore) write(b *Batch) error {
	due, err := s.writeFrame(b)
	if due {
		s.tending.wake()
	}
	return err
}

// writeFrame is write, and leaves it to the caller to have a checkpoint made that is due.
func (s *diskStore) writeFrame(b *Batch) (due bool, err error) {
	if err := s.takeOver(false); err != nil {
		return false, err
	}
	if len(b.ops) == 0 {
		return false, nil
	}
	s.frame.begin()
	for _, o := range b.ops {
		s.frame.add(o)
	}
	file, at, err := s.append()
	if err != nil {
		return false, err
	}
	s.promised = 0
	s.mu.Lock()
	s.copied = nil
	s.grown += int64(s.frame.length)
	for _, i := range s.frame.items {
		s.put(file, at, i)
	}
	due = s.dueLocked()
	s.mu.Unlock()
	return due, nil
}

// failure returns the error after which nothing is written.
func (s *diskStore) failure() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.failed
}

// fail keeps the first error of a write, and returns it; without an error it does nothing.
func (s *diskStore) fail(err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		s.log.Error("the store has failed and must be opened again", zap.String("directory", s.dir), zap.Error(err))
		s.turnLocked()
	}
	return s.failed
}

func (s *diskStore) wrap(what string, err error) error {
	if err == nil || errors.Is(err, ErrClosed) {
		return err
	}
	return fmt.Errorf("store %s: %s: %w", s.dir, what, named(err))
}

// Get implements Store.
func (s *diskStore) Get(key []byte) ([]byte, error) {
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	v, i, err := s.get(key)
	defer s.let(v)
	return s.copyOf(v, i, err)
}

// get returns the newest item of a key and the version it belongs to, which the caller gives up.
func (s *diskStore) get(key []byte) (*version, *item, error) {
	s.mu.RLock()
	v := s.version
	v.holders.Add(1)
	i, ok := s.tree.Get(&item{key: key})
	s.mu.RUnlock()
	if ok {
		return v, i, nil
	}
	i, err := v.get(key)
	return v, i, err
}

// copyOf returns the value of an item that was looked up.
func (s *diskStore) copyOf(v *version, i *item, err error) ([]byte, error) {
	if err == nil && (i == nil || i.deleted) {
		return nil, ErrNotFound
	}
	var value []byte
	if err == nil {
		value, err = v.value(i, nil, i.valueSize())
	}
	return value, s.wrap("get", err)
}

// Scan implements Store.
func (s *diskStore) Scan(r Range, fn func(Entry) (bool, error)) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	v, tree := s.now()
	defer s.let(v)
	return v.scan(tree, r, fn)
}

// diskSnapshot holds a version and a tree that does not change.
type diskSnapshot struct {
	s       *diskStore
	version *version
	tree    *itemTree
	once    sync.Once
}

// Snapshot implements Store.
func (s *diskStore) Snapshot() (Snapshot, error) {
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	v, tree := s.now()
	return &diskSnapshot{s: s, version: v, tree: tree}, nil
}

func (v *diskSnapshot) Get(key []byte) ([]byte, error) {
	if !v.s.gate.enter() {
		return nil, ErrClosed
	}
	defer v.s.gate.leave()
	i, ok := v.tree.Get(&item{key: key})
	if ok {
		return v.s.copyOf(v.version, i, nil)
	}
	i, err := v.version.get(key)
	return v.s.copyOf(v.version, i, err)
}

func (v *diskSnapshot) Scan(r Range, fn func(Entry) (bool, error)) error {
	if !v.s.gate.enter() {
		return ErrClosed
	}
	defer v.s.gate.leave()
	return v.version.scan(v.tree, r, fn)
}

func (v *diskSnapshot) Close() { v.once.Do(func() { v.s.let(v.version) }) }

// Limits implements Store.
func (s *diskStore) Limits() Limits { return storeLimits() }

// Sync implements Store.
func (s *diskStore) Sync() error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	return s.wrap("sync", s.sync())
}

func (s *diskStore) sync() error {
	if s.opts.ReadOnly {
		return nil
	}
	s.writing.Lock()
	err := s.takeOver(false)
	if errors.Is(err, ErrDiskFull) {
		defer s.writing.Unlock()
		return s.syncFound()
	}
	s.writing.Unlock()
	if err != nil {
		return err
	}
	if err := s.files.sync(false); err != nil {
		return s.fail(err)
	}
	if err := s.witness(); err != nil {
		return s.fail(err)
	}
	return s.mark(false)
}

// syncFound makes durable what the replay has found, while there is no room to go on behind it. s.writing is held.
func (s *diskStore) syncFound() error {
	for _, f := range s.found.files {
		if err := f.file.Sync(); err != nil {
			return s.fail(err)
		}
	}
	return s.fail(s.fs.SyncDir(s.files.dir))
}

// mark has the files say how far they are durable, which the next commit does besides: if there is
// none, damage of the last ones would look like what a power cut has left.
func (s *diskStore) mark(always bool) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if !always && (s.files.durable() < s.commit || s.commit == s.marked) {
		return nil
	}
	if s.space.room(s.files.current(), frameHeaderSize+s.promised, false) != nil {
		return nil
	}
	s.frame.begin()
	_, _, err := s.append()
	switch {
	case err == nil:
		s.marked = s.commit
	case !errors.Is(err, ErrDiskFull):
		return err
	}
	return nil
}

// Size implements Store.
func (s *diskStore) Size() (int64, error) {
	if !s.gate.enter() {
		return 0, ErrClosed
	}
	defer s.gate.leave()
	n := int64(0)
	for _, dir := range []string{".", indexName, valuesName} {
		infos, err := s.fs.List(dir)
		if err != nil {
			return 0, s.wrap("measure", err)
		}
		for _, i := range infos {
			n += i.Size
		}
	}
	return n, nil
}

// Close implements Store. The last frame says that all is durable.
func (s *diskStore) Close() error {
	s.once.Do(func() {
		s.gate.shut()
		s.end = s.wrap("close", Join(s.finish(), s.shut()))
	})
	return s.end
}

// finish leaves the store clean, if that is possible.
func (s *diskStore) finish() error {
	s.tending.stop()
	s.merging.stop()
	s.space.preparing.stop()
	if s.found != nil { // nothing was written
		return s.failure()
	}
	if err := s.settle(); err != nil {
		return err
	}
	if err := s.sync(); err != nil {
		return err
	}
	s.frame.begin()
	s.frame.addEnd()
	if _, _, err := s.append(); err != nil {
		if errors.Is(err, ErrDiskFull) {
			return nil // the next open finds all the same
		}
		return err
	}
	if err := s.files.sync(true); err != nil {
		return s.fail(err)
	}
	return s.fail(s.witness())
}

// shut closes all files.
func (s *diskStore) shut() error {
	s.flushing.stop()
	s.mu.Lock()
	old := s.change(func(v *version) { *v = version{} })
	s.mu.Unlock()
	errs := []error{s.release(old), s.space.close()}
	for _, c := range s.ground {
		errs = append(errs, c.Close())
	}
	return Join(errs...)
}

package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/vfs"
)

// diskStore keeps what is new in a tree in memory, and every commit as a frame in the value files,
// from which the tree is made again at the next open. Large values stay in the files.
type diskStore struct {
	dir  string
	fs   vfs.FS
	opts Options
	log  *zap.Logger
	gate *gate
	once sync.Once
	end  error // what Close returns

	lock    io.Closer // of dir; nil where nobody else can open it
	grounds []ground

	files *valueLog

	writing sync.Mutex // held by who appends; guards what follows
	frame   frame
	commit  uint64 // the last one
	marked  uint64 // the last one that only said what is durable

	mu     sync.RWMutex // guards what follows
	tree   *memoryTree
	copied *memoryTree // of tree as it is now, nil when nobody asked since the last commit
	failed error       // the first error of a write; none is tried after it
}

const newFilesDir = "values"

// openDisk opens the store in dir of fs, which must be there.
func openDisk(fs vfs.FS, dir string, opts Options) (*diskStore, error) {
	opts = opts.withDefaults()
	s := &diskStore{
		dir: dir, fs: fs, opts: opts, log: opts.Logger, gate: newGate(), tree: newMemoryTree(),
		files: &valueLog{fs: fs, dir: path.Join(dir, newFilesDir), fileSize: cmp.Or(opts.fileSize, valueFileMin), next: 1},
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: open: %w", dir, err), s.files.close())
	}
	return s, nil
}

func (s *diskStore) open() error {
	if err := s.fs.Mkdir(s.files.dir); err != nil {
		return err
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return err
	}
	r := &replay{l: s.files, boot: s.opts.boot, apply: s.apply}
	if err := r.run(); err != nil {
		return err
	}
	if r.cut != nil {
		s.log.Warn("cut what the last end has left unfinished", zap.String("directory", s.dir),
			zap.Uint64("last commit", r.next-1), zap.NamedError("cause", r.cut))
	}
	s.commit = r.next - 1
	if err := s.files.take(r, s.apply); err != nil {
		return err
	}
	s.frame.begin()
	s.frame.addBegin(s.opts.boot)
	_, _, err := s.append()
	return err
}

// append writes the frame as the next commit.
func (s *diskStore) append() (*logFile, int64, error) {
	file, at, err := s.files.append(&s.frame, s.commit+1, uint64(time.Now().UnixMilli()))
	if err == nil {
		s.commit++
	}
	return file, at, err
}

// apply puts the operations of a frame that was read into the tree.
func (s *diskStore) apply(file *logFile, at int64, frame []byte, h frameHeader) error {
	return readOps(frame, h, func(o frameOp) error {
		switch o.kind {
		case opDelete:
			s.tree.Delete(memoryItem{key: o.key})
		case opSet:
			s.tree.Set(newMemoryItem(op{key: o.key, value: o.value}, h.commit))
		case opLarge:
			item := newMemoryItem(op{key: o.key}, h.commit)
			item.large = &location{file, at + int64(o.place.at), o.place.size, o.place.hash}
			s.tree.Set(item)
		}
		return nil
	})
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
	return s.wrap("commit", s.write(b))
}

func (s *diskStore) write(b *Batch) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.failure(); err != nil {
		return err
	}
	if len(b.ops) == 0 {
		return nil
	}
	s.frame.begin()
	for _, o := range b.ops {
		s.frame.add(o)
	}
	file, at, err := s.append()
	switch {
	case errors.Is(err, vfs.ErrNoSpace):
		return fmt.Errorf("%w: %w", ErrDiskFull, err) // nothing was written
	case err != nil:
		return s.fail(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.copied = nil
	for i, o := range b.ops {
		if o.remove {
			s.tree.Delete(memoryItem{key: o.key})
			continue
		}
		s.tree.Set(newDiskItem(o, s.commit, file, at, s.frame.places[i]))
	}
	return nil
}

// newDiskItem copies the bytes of o, but for a large value, which the file has.
func newDiskItem(o op, version uint64, file *logFile, at int64, p place) memoryItem {
	if p.size == 0 {
		return newMemoryItem(o, version)
	}
	item := newMemoryItem(op{key: o.key}, version)
	item.large = &location{file, at + int64(p.at), p.size, p.hash}
	return item
}

// failure returns the error after which nothing is written.
func (s *diskStore) failure() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.failed
}

// fail keeps the first error of a write, and returns it.
func (s *diskStore) fail(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil {
		s.failed = fmt.Errorf("%w: %w", ErrFailed, err)
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
	s.mu.RLock()
	item, ok := s.tree.Get(memoryItem{key: key})
	s.mu.RUnlock()
	if !ok {
		return nil, ErrNotFound
	}
	value, err := item.append(nil)
	return value, s.wrap("get", err)
}

// Scan implements Store.
func (s *diskStore) Scan(r Range, fn func(Entry) (bool, error)) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	return scanTree(s.snapshot(), r, fn)
}

// snapshot returns a tree that no commit changes.
func (s *diskStore) snapshot() *memoryTree {
	s.mu.RLock()
	tree := s.copied
	s.mu.RUnlock()
	if tree != nil {
		return tree
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copied == nil {
		s.copied = s.tree.Copy()
	}
	return s.copied
}

// diskSnapshot is a copy of the tree. Large values are read from the files.
type diskSnapshot struct {
	s    *diskStore
	tree *memoryTree
}

// Snapshot implements Store.
func (s *diskStore) Snapshot() (Snapshot, error) {
	if !s.gate.enter() {
		return nil, ErrClosed
	}
	defer s.gate.leave()
	return diskSnapshot{s, s.snapshot()}, nil
}

func (v diskSnapshot) Get(key []byte) ([]byte, error) {
	if !v.s.gate.enter() {
		return nil, ErrClosed
	}
	defer v.s.gate.leave()
	item, ok := v.tree.Get(memoryItem{key: key})
	if !ok {
		return nil, ErrNotFound
	}
	value, err := item.append(nil)
	return value, v.s.wrap("get", err)
}

func (v diskSnapshot) Scan(r Range, fn func(Entry) (bool, error)) error {
	if !v.s.gate.enter() {
		return ErrClosed
	}
	defer v.s.gate.leave()
	return scanTree(v.tree, r, fn)
}

func (v diskSnapshot) Close() {}

// Limits implements Store.
func (s *diskStore) Limits() Limits { return storeLimits() }

// Room implements Store.
func (s *diskStore) Room(n int, essential bool) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	if err := s.stand(); err != nil {
		return s.wrap("look for its directory", err)
	}
	free, _, err := s.fs.Space(s.files.dir)
	if err != nil {
		return s.wrap("ask for free space", s.fail(err))
	}
	return roomIn(s.dir, s.opts.MinFreeBytes, free, n, essential)
}

// roomIn reports ErrDiskFull when writing n bytes would leave less than the reserve of what is free.
func roomIn(dir string, reserve, free int64, n int, essential bool) error {
	if essential {
		reserve = min(reserve, max(reserve/4, minReserve))
	}
	if free-int64(n) < reserve {
		return fmt.Errorf("store %s: %w: %d bytes free, %d to be written, %d in reserve",
			dir, ErrDiskFull, free, n, reserve)
	}
	return nil
}

// Sync implements Store.
func (s *diskStore) Sync() error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	return s.wrap("sync", s.sync())
}

func (s *diskStore) sync() error {
	if err := s.failure(); err != nil {
		return err
	}
	if err := s.files.sync(); err != nil {
		return s.fail(err)
	}
	return s.mark()
}

// mark has the files say how far they are durable, which the next commit does besides: if there is
// none, damage of the last ones would look like what a power cut has left.
func (s *diskStore) mark() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.files.durable() < s.commit || s.commit == s.marked {
		return nil
	}
	s.frame.begin()
	_, _, err := s.append()
	if errors.Is(err, vfs.ErrNoSpace) {
		return nil
	}
	if err != nil {
		return s.fail(err)
	}
	s.marked = s.commit
	return nil
}

// Reclaim implements Store. Nothing is given back yet.
func (s *diskStore) Reclaim(ctx context.Context) error {
	if !s.gate.enter() {
		return ErrClosed
	}
	defer s.gate.leave()
	return ctx.Err()
}

// Size implements Store.
func (s *diskStore) Size() (int64, error) {
	if !s.gate.enter() {
		return 0, ErrClosed
	}
	defer s.gate.leave()
	infos, err := s.fs.List(s.files.dir)
	n := int64(0)
	for _, i := range infos {
		n += i.Size
	}
	return n, s.wrap("measure", err)
}

// Close implements Store. The last frame says that all is durable.
func (s *diskStore) Close() error {
	s.once.Do(func() {
		s.gate.shut()
		s.end = s.wrap("close", s.close())
	})
	return s.end
}

func (s *diskStore) close() error {
	err := s.failure()
	if err == nil {
		err = s.sync()
	}
	if err == nil {
		s.frame.begin()
		s.frame.addEnd()
		if _, _, err = s.append(); errors.Is(err, vfs.ErrNoSpace) {
			err = nil // the next open finds all the same
		}
	}
	if err == nil {
		err = s.files.sync()
	}
	err = errors.Join(err, s.files.close())
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

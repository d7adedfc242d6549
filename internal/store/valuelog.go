package store

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa/internal/vfs"
)

// valueLog is the value files of a store: frames are appended to the newest, and large values are
// read from all. Appends must not overlap; everything else may happen at any time.
type valueLog struct {
	fs       vfs.FS
	dir      string
	fileSize int64

	mu    sync.Mutex // guards what follows; not held during I/O
	files []*logFile
	entry bool // the directory has an entry that is not durable

	syncing sync.Mutex // held by who fsyncs
	synced  uint64     // all commits up to it are durable; guarded by syncing and mu
	written uint64     // the last commit of a file; guarded by mu

	chain uint64 // hash of the last frame, or the seed; the writer's own, and so is next
	next  uint64 // number of the next file
}

// logFile is one of the files.
type logFile struct {
	number uint64
	seed   uint64
	file   vfs.File
	size   int64 // as allocated
	end    int64 // behind the last frame; the writer's own
	dirty  bool  // it has frames that are not fsynced; guarded by valueLog.mu
}

// location is where a large value lies.
type location struct {
	file *logFile
	at   int64
	size int
	hash uint64
}

// valueFileMin is the least size of a value file.
const valueFileMin = 4 << 20

func valueFileName(number uint64) string { return fmt.Sprintf("%010d.log", number) }

// parseValueFileName returns the number of a value file.
func parseValueFileName(name string) (uint64, bool) {
	digits, ok := strings.CutSuffix(name, ".log")
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, ok && err == nil && valueFileName(n) == name
}

func (l *valueLog) path(number uint64) string { return path.Join(l.dir, valueFileName(number)) }

// current returns the newest file, nil before the first.
func (l *valueLog) current() *logFile {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.files) == 0 {
		return nil
	}
	return l.files[len(l.files)-1]
}

// append writes a frame that holds commit, and returns where it begins. The frame is complete
// but for its chain. An error of vfs.ErrNoSpace has written nothing; after any other the log must not
// be used for writing any more.
func (l *valueLog) append(f *frame, commit, ms uint64) (*logFile, int64, error) {
	file := l.current()
	size := int64(f.size())
	if file == nil || file.end+size > file.size {
		var err error
		if file, err = l.begin(commit, size); err != nil {
			return nil, 0, err
		}
	}
	l.mu.Lock()
	file.dirty = true
	l.mu.Unlock()
	at, err := l.add(file, f, commit, ms)
	if err != nil {
		return nil, 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.length > frameHeaderSize { // else nobody needs it
		l.written = commit
	}
	return file, at, nil
}

// begin makes the file whose first commit is to be commit, with room for a frame of that size.
func (l *valueLog) begin(commit uint64, size int64) (*logFile, error) {
	file, err := l.create(max(l.fileSize, fileHeaderSize+size))
	if err != nil {
		return nil, err
	}
	return file, l.open(file, commit)
}

// create makes a file that does not count yet, as it has no header. The next frame begins its
// chain.
func (l *valueLog) create(size int64) (*logFile, error) {
	number := l.next
	f, err := l.fs.Create(l.path(number), size)
	if err != nil {
		return nil, err
	}
	l.next++
	file := &logFile{number: number, seed: rand.Uint64(), file: f, size: size, end: fileHeaderSize, dirty: true}
	l.chain = file.seed
	return file, nil
}

// open writes the header of a file, which is the newest from then on.
func (l *valueLog) open(file *logFile, first uint64) error {
	header := fileHeader{number: file.number, first: first, seed: file.seed}
	if err := file.file.WriteAt(0, header.append(nil)); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files = append(l.files, file)
	l.entry = true
	return nil
}

// add writes a frame, which is complete but for its chain, behind the others of file.
func (l *valueLog) add(file *logFile, f *frame, commit, ms uint64) (at int64, err error) {
	hash := f.end(commit, ms, l.durable(), l.chain)
	at = file.end
	if err := file.file.WriteAt(at, f.buffers...); err != nil {
		return 0, err
	}
	l.chain = hash
	file.end += int64(f.length)
	return at, nil
}

// durable returns up to which commit all is fsynced.
func (l *valueLog) durable() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.synced
}

// sync makes all frames durable that are written when it is called. One fsync serves all who
// wait for it.
func (l *valueLog) sync() error {
	l.mu.Lock()
	mine := l.written
	l.mu.Unlock()
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	if l.synced >= mine {
		l.mu.Unlock()
		return nil
	}
	target, entry := l.written, l.entry
	l.entry = false
	var dirty []*logFile
	for _, f := range l.files {
		if f.dirty {
			f.dirty = false
			dirty = append(dirty, f)
		}
	}
	l.mu.Unlock()
	for _, f := range dirty { // the oldest first: what is found later has what came before
		if err := f.file.Sync(); err != nil {
			return err
		}
	}
	if entry {
		if err := l.fs.SyncDir(l.dir); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.synced = max(l.synced, target)
	return nil
}

// read appends a large value to dst.
func (at location) read(dst []byte) ([]byte, error) {
	dst = slices.Grow(dst, at.size)
	value := dst[len(dst) : len(dst)+at.size]
	if _, err := at.file.file.ReadAt(value, at.at); err != nil {
		return dst, fmt.Errorf("%w: value file %d, offset %d: %w", ErrCorrupt, at.file.number, at.at, err)
	}
	if xxhash.Sum64(value) != at.hash {
		return dst, fmt.Errorf("%w: value file %d, offset %d: %w", ErrCorrupt, at.file.number, at.at, errFrameValue)
	}
	return dst[:len(dst)+at.size], nil
}

// close closes all files.
func (l *valueLog) close() (first error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		first = cmp.Or(first, f.file.Close())
	}
	return first
}

// take makes the files that a replay has found those of l, which goes on behind them. After an
// unclean end that is in a new file: what is behind a cut must not come alive later, and what was
// not synced is written once more, as a page whose fsync has failed reads well until the machine
// is started again. apply is told the new places.
func (l *valueLog) take(r *replay, apply func(*logFile, int64, []byte, frameHeader) error) error {
	for _, f := range r.files {
		l.files = append(l.files, f.logFile)
	}
	l.written, l.synced = r.next-1, r.synced
	if r.ended { // what is behind synced says only that
		for _, f := range r.tail {
			f.file.dirty, l.entry = true, true
		}
		l.chain = r.chain
		return nil
	}
	size := int64(fileHeaderSize)
	for _, f := range r.tail {
		size += int64(f.length)
	}
	file, err := l.create(max(l.fileSize, size+frameHeaderSize+1<<10))
	if err != nil {
		return err
	}
	for _, f := range r.tail {
		if err := l.copy(file, f, apply); err != nil {
			return errors.Join(err, file.file.Close())
		}
	}
	first := l.synced + 1
	if len(r.tail) == 0 {
		first = r.next
	}
	return l.begun(file, first)
}

// begun makes a file durable that holds what others held, and then its header, which makes it count.
func (l *valueLog) begun(file *logFile, first uint64) error {
	if err := file.file.Sync(); err != nil {
		return errors.Join(err, file.file.Close())
	}
	if err := l.open(file, first); err != nil {
		return errors.Join(err, file.file.Close())
	}
	return l.sync()
}

// copy writes a frame behind the others of file.
func (l *valueLog) copy(file *logFile, f foundFrame, apply func(*logFile, int64, []byte, frameHeader) error) error {
	b := make([]byte, f.length)
	if _, err := f.file.file.ReadAt(b, f.at); err != nil {
		return err
	}
	l.chain = rechain(b, f.frameHeader, l.chain)
	if err := file.file.WriteAt(file.end, b); err != nil {
		return err
	}
	at := file.end
	file.end += int64(f.length)
	return apply(file, at, b, f.frameHeader)
}

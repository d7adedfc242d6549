package store

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/samsa-go/samsa/internal/vfs"
)

// valueLog is the value files of a store: frames are appended to the newest, and large values are
// read from all. Appends must not overlap; everything else may happen at any time.
type valueLog struct {
	fs    vfs.FS
	dir   string
	space *space
	begun func(*logFile) // is told of each file that begins, before its first frame

	mu      sync.Mutex // guards what follows; not held during I/O
	newest  *logFile   // nil before the first
	dirty   []*logFile // have frames that are not fsynced, the oldest first
	entry   bool       // the directory has an entry that is not durable
	fresh   bool       // an entry has become durable, and no manifest tells
	written uint64     // the last commit of a file

	syncing sync.Mutex // held by who fsyncs
	synced  uint64     // all commits up to it are durable; guarded by syncing and mu

	// The writer's own:
	chain uint64 // hash of the last frame, or the seed
	rank  uint64 // of the next file
}

// logFile is a value file.
type logFile struct {
	part
	number uint64 // that it is named by; says nothing of its age
	rank   uint64 // among the files that have begun, see fileHeader
	first  uint64 // commit that its header names
	seed   uint64
	file   vfs.File
	size   int64 // as allocated
	spared bool  // it was the reserve
	end    int64 // behind the last frame; the writer's own until the file is not the newest

	counts // of what lies in it; guarded by diskStore.mu

	moved  bool // all that counts was copied; likewise
	unread bool // it is damaged, and stays; likewise
	held   bool // it stays for a backup alone; likewise
}

// position is a place between two frames.
type position struct {
	file   uint64
	offset int64
	commit uint64 // of the frame behind it
	chain  uint64 // hash of the frame before it, or the seed of the file
}

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
	return l.newest
}

// position returns the place behind the last frame, which holds commit.
func (l *valueLog) position(commit uint64) position {
	f := l.current()
	return position{file: f.number, offset: f.end, commit: commit + 1, chain: l.chain}
}

// append writes a frame that holds commit, and returns where it begins. The frame is complete
// but for its chain. An error of vfs.ErrNoSpace has written nothing; after any other the log must not
// be used for writing any more.
func (l *valueLog) append(f *frame, commit, ms uint64) (*logFile, int64, error) {
	file := l.current()
	size := int64(f.size())
	if file == nil || file.end+size > file.size {
		var err error
		if file, err = l.space.takeFile(size); err != nil {
			return nil, 0, err
		}
		if err := l.open(file, commit); err != nil {
			return nil, 0, err
		}
		l.chain = file.seed // not before: without space for the header the log goes on where it was
	}
	at, err := l.add(file, f, commit, ms)
	if err != nil {
		return nil, 0, err
	}
	l.soil(file)                    // not before: a sync meanwhile would leave it clean, and the frame may be its last
	if f.length > frameHeaderSize { // else nobody needs it
		l.mu.Lock()
		l.written = commit
		l.mu.Unlock()
	}
	return file, at, nil
}

// soil notes that file is to be fsynced.
func (l *valueLog) soil(file *logFile) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.dirty); n == 0 || l.dirty[n-1] != file {
		l.dirty = append(l.dirty, file)
	}
}

// open writes the header of a file, which is the newest from then on. After an error the file is removed.
func (l *valueLog) open(file *logFile, first uint64) error {
	file.rank, file.first = l.rank, first
	l.rank++
	header := fileHeader{rank: file.rank, first: first, seed: file.seed}
	if err := file.file.WriteAt(0, header.append(nil)); err != nil {
		return Join(err, l.space.discard(file))
	}
	l.begun(file)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest, l.entry = file, true
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

// lastWritten returns the last commit that has operations.
func (l *valueLog) lastWritten() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.written
}

// entered reports whether since it was asked last a file has begun that is durable, or all was synced.
func (l *valueLog) entered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	fresh := l.fresh
	l.fresh = false
	return fresh
}

// sync makes all frames durable that are written when it is called. One fsync serves all who
// wait for it. With all that is so of frames too that nobody needs.
func (l *valueLog) sync(all bool) error {
	l.mu.Lock()
	mine := l.written
	l.mu.Unlock()
	l.syncing.Lock()
	defer l.syncing.Unlock()
	l.mu.Lock()
	if l.synced >= mine && !all {
		l.mu.Unlock()
		return nil
	}
	target, entry, dirty := l.written, l.entry, l.dirty
	l.entry, l.dirty = false, nil
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
	l.fresh = l.fresh || entry || all
	l.synced = max(l.synced, target)
	return nil
}

// read appends the first n bytes of a large value of the file to dst, and checks them if they are all.
func (f *logFile) read(p place, dst []byte, n int) ([]byte, error) {
	dst = slices.Grow(dst, n)
	value := dst[len(dst) : len(dst)+n]
	if _, err := f.file.ReadAt(value, int64(p.at)); err != nil {
		return dst, fmt.Errorf("%w: %s, offset %d: %w", ErrCorrupt, valueFileName(f.number), p.at, err)
	}
	if n == p.size && crcOf(value) != p.crc {
		return dst, fmt.Errorf("%w: %s, offset %d: %w", ErrCorrupt, valueFileName(f.number), p.at, errFrameValue)
	}
	return dst[:len(dst)+n], nil
}

// copy writes a frame that was found behind the others of file, and has apply told of its new place.
func (l *valueLog) copy(file *logFile, f foundFrame, apply func(*logFile, int64, []byte, frameHeader) error) error {
	b, err := f.read(f.length)
	if err != nil {
		return err
	}
	if _, err := checkFrame(b); err != nil { // what it has now gets a new hash
		return damaged(f.file.number, err.Error())
	}
	l.chain = rechain(b, f.frameHeader, l.chain)
	at := file.end
	if err := file.file.WriteAt(at, b); err != nil {
		return err
	}
	file.end += int64(f.length)
	return apply(file, at, b, f.frameHeader)
}

// counts is how much of a value file is alive, in bytes of operations and values.
type counts struct {
	live  int64 // they count
	tombs int64 // deletions that count while an older file is there
	dead  int64 // what is neither
}

// add counts an operation that is new.
func (c *counts) add(i *item) {
	if i.deleted {
		c.tombs += tombCost(i)
		c.dead += i.cost() - tombCost(i)
	} else {
		c.live += i.cost()
	}
}

// end counts an operation that something newer has put an end to.
func (c *counts) end(i *item) {
	n := i.cost()
	if i.deleted {
		n = tombCost(i)
		c.tombs -= n
	} else {
		c.live -= n
	}
	c.dead += n
}

func (c *counts) sum(o counts) {
	c.live += o.live
	c.tombs += o.tombs
	c.dead += o.dead
}

// tombCost is how many bytes a deletion keeps alive while an older file is there that may hold what it
// has deleted: else that would be there again when the index is made anew. Of batches the log
// start says that they are gone, or the batch in their place.
func tombCost(i *item) int64 {
	if i.key[0] == prefixBatch {
		return 0
	}
	return i.cost()
}

// each calls fn for the frames of the file, which is not the newest, in order. The bytes are fn's until it
// returns. Damage is ErrCorrupt.
func (f *logFile) each(fn func(at int64, frame []byte, h frameHeader) error) error {
	w := window{file: f.file, end: f.end}
	for at := int64(fileHeaderSize); at < f.end; {
		b, err := w.frame(at)
		if err != nil {
			return err
		}
		h, err := checkFrame(b)
		if err == nil {
			err = fn(at, b, h)
		} else {
			err = fmt.Errorf("%w: %s, offset %d: %w", ErrCorrupt, valueFileName(f.number), at, err)
		}
		if err != nil {
			return err
		}
		at += int64(h.length)
	}
	return nil
}

// window reads a file piece by piece, up to end. What its methods return is there until the next call.
type window struct {
	file vfs.File
	end  int64
	buf  []byte
	from int64 // of buf
}

const readAhead = 1 << 20

// read returns n bytes, or those that there are.
func (w *window) read(at int64, n int) ([]byte, error) {
	left := w.end - at
	n = int(min(int64(n), left))
	if at < w.from || at+int64(n) > w.from+int64(len(w.buf)) {
		size := int(min(int64(max(readAhead, n)), left))
		w.buf, w.from = slices.Grow(w.buf[:0], size)[:size], at
		if _, err := w.file.ReadAt(w.buf, at); err != nil {
			w.buf = nil
			return nil, err
		}
	}
	return w.buf[at-w.from:][:n], nil
}

// frame returns what may be a frame: as many bytes as its header says, or those of the header.
func (w *window) frame(at int64) ([]byte, error) {
	b, err := w.read(at, frameHeaderSize)
	if err != nil {
		return nil, err
	}
	if h, err := parseFrameHeader(b); err == nil {
		return w.read(at, h.length)
	}
	return b, nil
}

// zeros reports whether all from at on is zeros.
func (w *window) zeros(at int64) (bool, error) {
	for ; at < w.end; at += readAhead {
		if b, err := w.read(at, readAhead); err != nil || !allZero(b) {
			return false, err
		}
	}
	return true, nil
}

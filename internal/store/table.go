package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa/internal/vfs"
)

// tableInfo is what the manifest says of a table.
type tableInfo struct {
	number      uint64
	size        int64  // bytes used; the file may be longer
	hash        uint64 // xxhash64 of these bytes
	entries     int    // items, tombstones too
	first, last []byte // keys
}

func tableFileName(number uint64) string { return fmt.Sprintf("%010d.sst", number) }

// table is a table on disk. Its file is opened, and its hash checked, by the first who looks for
// something that it may hold. All methods but close may be called from many goroutines at once.
//
// A file that is missing, too short, or has another hash is ErrCorrupt, then and for ever after.
// So is one that can no longer be read, or changes, afterwards. Other errors are those of the file
// system, and the next call tries again.
type table struct {
	part
	fs   vfs.FS
	name string
	info tableInfo

	opened atomic.Pointer[tableContent]
	mu     sync.Mutex   // held by who opens the file; guards what follows
	unmap  func() error // nil when there is no map
	bad    error        // why it will never be opened
}

// newTable returns a table of dir, and touches no file.
func newTable(fs vfs.FS, dir string, info tableInfo) *table {
	return &table{fs: fs, name: path.Join(dir, tableFileName(info.number)), info: info}
}

func (t *table) corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: table %s: %s", ErrIndex, t.name, fmt.Sprintf(format, args...))
}

func (t *table) open() (*tableContent, error) {
	if b := t.opened.Load(); b != nil {
		return b, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if b := t.opened.Load(); b != nil || t.bad != nil {
		return b, t.bad
	}
	b, err := t.load()
	switch {
	case err == nil:
		t.opened.Store(b)
	case errors.Is(err, ErrCorrupt):
		t.bad = err
	}
	return b, err
}

func (t *table) load() (*tableContent, error) {
	file, err := t.fs.Open(t.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, t.corrupt("the file is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("open table: %w", err)
	}
	data, unmap, err := file.Map(t.info.size)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = t.corrupt("the file has less than %d bytes", t.info.size)
	}
	if err = Join(err, file.Close()); err != nil {
		if unmap != nil {
			err = Join(err, unmap())
		}
		return nil, fmt.Errorf("map table: %w", err)
	}
	b, err := t.check(data)
	if err != nil {
		return nil, Join(err, unmap())
	}
	t.unmap = unmap
	return b, nil
}

// check lets Badger see the bytes, if they are what was written.
func (t *table) check(data []byte) (b *tableContent, err error) {
	defer t.caught(debug.SetPanicOnFault(true), &err)
	if hash := xxhash.Sum64(data); hash != t.info.hash {
		return nil, t.corrupt("hash is %x, want %x", hash, t.info.hash)
	}
	return readContent(data), nil
}

// caught is deferred by all that reads the map, or has Badger's code do so: a device that cannot read
// is a fault, and bytes that have changed since they were checked can be any panic. It makes
// an error of that, and puts back what debug.SetPanicOnFault was.
func (t *table) caught(before bool, err *error) {
	debug.SetPanicOnFault(before)
	if r := recover(); r != nil {
		*err = t.corrupt("it can no longer be read: %.200v", r)
	}
}

// close frees the map. Nobody reads the table any more, or later.
func (t *table) close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opened.Store(nil)
	unmap := t.unmap
	t.unmap, t.bad = nil, ErrClosed
	if unmap == nil {
		return nil
	}
	return unmap()
}

// mayHave reports whether key can be in the table: where it is not, one answer in a hundred is true.
func (t *table) mayHave(key []byte) (ok bool, err error) {
	if bytes.Compare(key, t.info.first) < 0 || bytes.Compare(key, t.info.last) > 0 {
		return false, nil
	}
	b, err := t.open()
	if err != nil {
		return false, err
	}
	defer t.caught(debug.SetPanicOnFault(true), &err)
	return b.mayHave(key), nil
}

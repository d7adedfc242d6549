package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// OS is a directory of the operating system. Names are relative to it: one that leads out of it, by
// ".." or a symbolic link, is an error. The directory is held and not its path. When it is renamed
// everything goes on in it, and what takes its old name is left alone. When it is removed, what is
// open is read and written still; to create or sync a file, or to ask for space, is fs.ErrNotExist. (Where the system has no openat, as js and
// plan9, it is the path after all.)
type OS struct {
	root *os.Root

	mu   sync.Mutex        // guards what follows
	dirs map[string]osFile // that Space was asked about, where that needs a handle

	sparing sync.Mutex // guards spare, and is held by who makes do with it
	spare   []*os.File // handles kept for when the process has no others, as with too many connections
	closed  bool       // no more are to be kept
	short   atomic.Bool
}

// spareHandles is how many the calls may need that a store makes at once.
const spareHandles = 8

// OpenOS opens the directory dir, which must be there. The caller closes it. What is made in it is for the user alone whose process
// this is, as records are, and what passwords are checked by.
func OpenOS(dir string) (*OS, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	o := &OS{root: root, dirs: map[string]osFile{}}
	o.keepSpare()
	return o, nil
}

// keepSpare opens the handles that are kept, as far as there are any. o.sparing is held.
func (o *OS) keepSpare() {
	defer func() { o.short.Store(len(o.spare) < spareHandles && !o.closed) }()
	for len(o.spare) < spareHandles && !o.closed {
		f, err := o.root.Open(".")
		if err != nil {
			return
		}
		o.spare = append(o.spare, f)
	}
}

// restock keeps handles again when some were given out, and reports whether none are missing.
func (o *OS) restock() bool {
	if o.short.Load() {
		o.sparing.Lock()
		defer o.sparing.Unlock()
		o.keepSpare()
	}
	return !o.short.Load()
}

// sparingly calls op, and again with the handles that are kept when the process has no others. What is half done must not fail because of
// who else has opened files. That one may also be quicker to take what is given up here, so this is done one by one; then op waits a
// second for what others close.
func (o *OS) sparingly(op func() error) error {
	err := op()
	if !isNoHandle(err) {
		return err
	}
	o.sparing.Lock()
	defer o.sparing.Unlock()
	defer o.keepSpare()
	for isNoHandle(err) && len(o.spare) > 0 {
		last := len(o.spare) - 1
		_ = o.spare[last].Close() // a directory that was read from
		o.spare = o.spare[:last]
		err = op()
	}
	for wait := time.Millisecond; isNoHandle(err) && wait < time.Second; wait *= 2 {
		time.Sleep(wait)
		err = op()
	}
	return err
}

// Close closes the directory. All other calls fail with fs.ErrClosed from then on, or do nothing. Files that
// are open stay open.
func (o *OS) Close() error {
	var errs []error
	o.sparing.Lock()
	for _, f := range o.spare {
		errs = append(errs, f.Close())
	}
	o.spare, o.closed = nil, true
	o.sparing.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	errs = append(errs, o.root.Close())
	for _, d := range o.dirs {
		errs = append(errs, d.Close())
	}
	o.dirs = nil
	return errors.Join(errs...)
}

var errNoHandles = errors.New("too many open files")

// Create implements FS. A process that has no handles left cannot have another file: that is ErrNoSpace.
func (o *OS) Create(name string, size int64) (File, error) {
	if !o.restock() { // a file stays open: it must not take the last handles
		return nil, noSpace{&fs.PathError{Op: "open", Path: name, Err: errNoHandles}}
	}
	f, err := o.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if isNoHandle(err) {
		return nil, noSpace{err}
	}
	if err != nil {
		return nil, osError(err)
	}
	if err := allocate(f, size); err != nil {
		return nil, errors.Join(osError(err), f.Close(), o.Remove(name))
	}
	return o.file(f), nil
}

// Open implements FS.
func (o *OS) Open(name string) (File, error) { return o.open(name, os.O_RDWR) }

func (o *OS) open(name string, flag int) (File, error) {
	var f *os.File
	err := o.sparingly(func() (err error) {
		f, err = o.root.OpenFile(name, flag, 0)
		return err
	})
	if err != nil {
		return nil, osError(err)
	}
	return o.file(f), nil
}

// Remove implements FS.
func (o *OS) Remove(name string) error {
	return o.sparingly(func() error { return o.root.Remove(name) })
}

// Rename implements FS.
func (o *OS) Rename(from, to string) error {
	return osError(o.sparingly(func() error { return o.root.Rename(from, to) }))
}

// Mkdir implements FS.
func (o *OS) Mkdir(dir string) error {
	return osError(o.sparingly(func() error { return o.root.MkdirAll(dir, 0o700) }))
}

// List implements FS.
func (o *OS) List(dir string) (infos []Info, err error) {
	err = o.sparingly(func() (err error) {
		infos, err = o.list(dir)
		return err
	})
	return infos, err
}

func (o *OS) list(dir string) ([]Info, error) {
	d, err := o.root.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	found, err := readDir(d)
	if err = errors.Join(err, d.Close()); err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(found))
	for _, f := range found {
		i := Info{Name: f.Name(), Dir: f.IsDir()}
		if !i.Dir {
			i.Size = f.Size()
		}
		infos = append(infos, i)
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// SyncDir implements FS.
func (o *OS) SyncDir(dir string) error {
	return osError(o.sparingly(func() error { return syncDir(o.root, dir) }))
}

// Space implements FS.
func (o *OS) Space(dir string) (free, total int64, err error) { return o.space(path.Clean(dir)) }

type osFile struct {
	f      *os.File
	linked bool // the system counts its links; some file systems do not
	o      *OS
}

func (o *OS) file(f *os.File) osFile { return osFile{f, checkLinked(f) == nil, o} }

// check is fs.ErrNotExist for a file or directory that was removed.
func (f osFile) check() error {
	if !f.linked {
		return nil
	}
	return checkLinked(f.f)
}

func (f osFile) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

func (f osFile) WriteAt(off int64, buffers ...[]byte) error {
	return osError(writeAt(f.f, off, buffers))
}

func (f osFile) Sync() error {
	if err := syncFile(f.f); err != nil {
		return osError(err)
	}
	return f.check()
}

func (f osFile) Map(size int64) (data []byte, unmap func() error, err error) {
	length, err := f.Size()
	switch {
	case err != nil:
		return nil, nil, err
	case size < 0 || size > math.MaxInt:
		return nil, nil, &fs.PathError{Op: "map", Path: f.f.Name(), Err: fs.ErrInvalid}
	case size > length: // a page beyond the end is a fault, and not an error
		return nil, nil, &fs.PathError{Op: "map", Path: f.f.Name(), Err: io.ErrUnexpectedEOF}
	case size == 0: // the systems refuse that
		return nil, func() error { return nil }, nil
	}
	return mapFile(f.f, int(size))
}

func (f osFile) Size() (int64, error) {
	info, err := f.f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Close() error {
	err := f.f.Close()
	f.o.restock()
	return err
}

// osError makes an error of a full file system ErrNoSpace.
func osError(err error) error {
	if err != nil && isNoSpace(err) {
		return noSpace{err}
	}
	return err
}

// noSpace is the system's error, which says it all.
type noSpace struct{ error }

func (e noSpace) Is(target error) bool { return target == ErrNoSpace }
func (e noSpace) Unwrap() error        { return e.error }

// readMap reads what cannot be mapped.
func readMap(f *os.File, size int) ([]byte, func() error, error) {
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil {
		return nil, nil, err
	}
	return b, func() error { return nil }, nil
}

// writeZeros allocates where there is no call for it: what is written has its place, on file
// systems that write in place.
func writeZeros(f *os.File, size int64) error {
	zeros := make([]byte, min(size, 1<<20))
	for off := int64(0); off < size; off += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-off)], off); err != nil {
			return err
		}
	}
	return nil
}

package vfs

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
)

// OS is the file system of the operating system.
type OS struct{}

// Create implements FS.
func (OS) Create(name string, size int64) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return nil, osError(err)
	}
	if err := allocate(f, size); err != nil {
		return nil, errors.Join(osError(err), f.Close(), os.Remove(name))
	}
	return osFile{f}, nil
}

// Open implements FS.
func (OS) Open(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, osError(err)
	}
	return osFile{f}, nil
}

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// Rename implements FS.
func (OS) Rename(from, to string) error { return osError(os.Rename(from, to)) }

// Mkdir implements FS.
func (OS) Mkdir(dir string) error { return osError(os.MkdirAll(dir, 0o755)) }

// List implements FS.
func (OS) List(dir string) ([]Info, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		i := Info{Name: e.Name(), Dir: e.IsDir()}
		if !i.Dir {
			i.Size = info.Size()
		}
		infos = append(infos, i)
	}
	return infos, nil
}

// SyncDir implements FS.
func (OS) SyncDir(dir string) error { return osError(syncDir(dir)) }

// Space implements FS.
func (OS) Space(dir string) (free, total int64, err error) { return space(filepath.Clean(dir)) }

type osFile struct{ f *os.File }

func (f osFile) ReadAt(p []byte, off int64) (int, error) { return f.f.ReadAt(p, off) }

func (f osFile) WriteAt(off int64, buffers ...[]byte) error {
	return osError(writeAt(f.f, off, buffers))
}

func (f osFile) Sync() error { return osError(syncFile(f.f)) }

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

func (f osFile) Close() error { return f.f.Close() }

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

//go:build unix && !aix && !solaris && !illumos

package vfs

import (
	"errors"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

func isNoSpace(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}

// isNoHandle reports that the process, or the system, has all the files open that it may.
func isNoHandle(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// space returns what an ordinary user may still allocate, and what there is.
func (o *OS) space(dir string) (free, total int64, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	d, err := o.kept(dir)
	if err != nil {
		return 0, 0, err
	}
	if err := d.check(); err != nil {
		return 0, 0, err
	}
	for {
		free, total, err := statfs(int(d.f.Fd()))
		if err == nil {
			return free, total, nil
		}
		if !errors.Is(err, unix.EINTR) {
			return 0, 0, &fs.PathError{Op: "fstatfs", Path: dir, Err: err}
		}
	}
}

// checkLinked is fs.ErrNotExist for a file or directory without a link.
func checkLinked(f *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return &fs.PathError{Op: "fstat", Path: f.Name(), Err: err}
	}
	if st.Nlink == 0 {
		return &fs.PathError{Op: "sync", Path: f.Name(), Err: unix.ENOENT}
	}
	return nil
}

// kept returns a handle of dir, which stays open: who has no handles left can still ask for space.
// o.mu is held.
func (o *OS) kept(dir string) (osFile, error) {
	if d, ok := o.dirs[dir]; ok {
		return d, nil
	}
	var d osFile
	err := o.sparingly(func() error {
		f, err := o.root.Open(dir)
		if err == nil {
			d = o.file(f)
			o.dirs[dir] = d
		}
		return err
	})
	return d, err
}

// mapFile maps where addresses are plenty, and the file system can: not each that is remote does.
func mapFile(f *os.File, size int) ([]byte, func() error, error) {
	if strconv.IntSize < 64 {
		return readMap(f, size)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	switch {
	case err == nil:
		return b, func() error { return unix.Munmap(b) }, nil
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.EINVAL):
		return readMap(f, size)
	}
	return nil, nil, &fs.PathError{Op: "mmap", Path: f.Name(), Err: err}
}

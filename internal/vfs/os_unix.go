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

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// space returns what an ordinary user may still allocate, and what there is.
func space(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(dir, &st)
		if err == nil {
			return int64(st.Bavail) * int64(st.Bsize), int64(st.Blocks) * int64(st.Bsize), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return 0, 0, &fs.PathError{Op: "statfs", Path: dir, Err: err}
		}
	}
}

// mapFile maps where addresses are plenty.
func mapFile(f *os.File, size int) ([]byte, func() error, error) {
	if strconv.IntSize < 64 {
		return readMap(f, size)
	}
	b, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, &fs.PathError{Op: "mmap", Path: f.Name(), Err: err}
	}
	return b, func() error { return unix.Munmap(b) }, nil
}

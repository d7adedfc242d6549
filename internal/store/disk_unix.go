//go:build unix && !aix && !solaris && !illumos

package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeBytes returns what an ordinary user may still write to the file system of path.
func freeBytes(path string) (int64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(path, &st)
		if err == nil {
			return int64(st.Bavail) * int64(st.Bsize), nil
		}
		if !errors.Is(err, unix.EINTR) {
			return 0, &fs.PathError{Op: "statfs", Path: path, Err: err}
		}
	}
}

// Preallocated is about how much of Size is in no use yet: nothing, where files have holes.
const Preallocated = 0

// fileBytes returns what a file occupies. Badger's files are sparse while in use: their
// size says little.
func fileBytes(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Blocks * 512
	}
	return info.Size()
}

// lockDir takes the lock of dir, which dies with the process. It leaves no file.
func lockDir(dir string) (io.Closer, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return d, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	} else {
		err = fmt.Errorf("lock: %w", err)
	}
	return nil, errors.Join(err, d.Close())
}

// checkWritable returns the reason why nothing can be created in dir, if there is one.
func checkWritable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

func isReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS)
}

func isNotDir(err error) bool { return errors.Is(err, unix.ENOTDIR) }

// syncDir makes the entries of a directory durable.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

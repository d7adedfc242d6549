//go:build unix && !aix && !solaris && !illumos

package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// haveLocks says whether a lock keeps others out.
const haveLocks = true

// tryLock takes the lock of dir, which dies with the process. It leaves no file. One that is shared many may have at
// once; on a file system that is read only it need not be there, as some have no locks.
func tryLock(dir string, shared bool) (io.Closer, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	kind := unix.LOCK_EX
	if shared {
		kind = unix.LOCK_SH
	}
	err = unix.Flock(int(d.Fd()), kind|unix.LOCK_NB)
	switch {
	case err == nil:
		return dirLock{d}, nil
	case errors.Is(err, unix.EWOULDBLOCK):
		err = ErrLocked
	case shared && errors.Is(checkWritable(dir), unix.EROFS):
		return d, nil
	default:
		err = fmt.Errorf("lock: %w", err)
	}
	return nil, Join(err, d.Close())
}

// dirLock is the lock of a directory. It is given up, and not only closed: a process that is being started
// has a copy of every file for a moment, and would keep it.
type dirLock struct{ dir *os.File }

func (l dirLock) Close() error {
	return Join(unix.Flock(int(l.dir.Fd()), unix.LOCK_UN), l.dir.Close())
}

// checkWritable returns the reason why nothing can be created in dir, if there is one.
func checkWritable(dir string) error { return unix.Access(dir, unix.W_OK|unix.X_OK) }

func isReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS)
}

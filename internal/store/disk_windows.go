package store

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

const (
	lockName  = "LOCK"
	haveLocks = true // a lock keeps others out
)

// tryLock takes the lock of dir: a file that nobody else may open and that the system
// removes when the process ends. One that is shared those may open who share it, too; where no file can be made,
// it is none.
func tryLock(dir string, shared bool) (io.Closer, error) {
	path := filepath.Join(dir, lockName)
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	access, share := uint32(windows.GENERIC_WRITE), uint32(0)
	if shared {
		access, share = windows.GENERIC_READ, windows.FILE_SHARE_READ|windows.FILE_SHARE_DELETE
	}
	h, err := windows.CreateFile(p, access|windows.DELETE, share, nil, windows.OPEN_ALWAYS,
		windows.FILE_ATTRIBUTE_TEMPORARY|windows.FILE_FLAG_DELETE_ON_CLOSE, 0)
	if errors.Is(err, windows.ERROR_SHARING_VIOLATION) {
		return nil, ErrLocked
	}
	if err != nil && shared && isReadOnly(err) {
		return io.NopCloser(nil), nil
	}
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

// checkWritable: taking the lock has created a file already.
func checkWritable(string) error { return nil }

func isReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, windows.ERROR_WRITE_PROTECT)
}

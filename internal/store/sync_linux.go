package store

import (
	"errors"
	"io/fs"

	"golang.org/x/sys/unix"
)

// syncFile makes the content of the file durable, whoever wrote it and by whatever
// means: on Linux the pages that were written through a memory map are as dirty for
// fdatasync as any others.
func syncFile(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &fs.PathError{Op: "open", Path: path, Err: err}
	}
	err = unix.Fdatasync(fd)
	for errors.Is(err, unix.EINTR) {
		err = unix.Fdatasync(fd)
	}
	if err != nil {
		unix.Close(fd)
		return &fs.PathError{Op: "fdatasync", Path: path, Err: err}
	}
	return unix.Close(fd)
}

// mapsNeedFlush: see syncFile.
const mapsNeedFlush = false

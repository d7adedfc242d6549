package store

import (
	"errors"
	"io/fs"
	"os"

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
		err = &fs.PathError{Op: "fdatasync", Path: path, Err: err}
	}
	return errors.Join(err, unix.Close(fd))
}

// mapsNeedFlush: see syncFile.
const mapsNeedFlush = false

// holeAtEnd returns where the last hole of a sparse file begins: from there to its size
// it holds zeros only, and need not be read to know that. It moves the offset of f.
func holeAtEnd(f *os.File, size int64) int64 {
	fd := int(f.Fd())
	var end int64
	for {
		data, err := unix.Seek(fd, end, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return end // no data behind
		}
		if err != nil {
			return size
		}
		end, err = unix.Seek(fd, data, unix.SEEK_HOLE)
		if err != nil || end >= size {
			return size
		}
	}
}

package vfs

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// maxBuffers is IOV_MAX, of one call.
const maxBuffers = 1024

// writeAt writes all buffers with one call, as a rule.
func writeAt(f *os.File, off int64, buffers [][]byte) error {
	if len(buffers) == 1 {
		_, err := f.WriteAt(buffers[0], off)
		return err
	}
	rest := buffers
	var held []byte // of a buffer that was written in part
	for len(rest) > 0 {
		n, err := unix.Pwritev(int(f.Fd()), rest[:min(len(rest), maxBuffers)], off)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return &fs.PathError{Op: "pwritev", Path: f.Name(), Err: err}
		}
		off += int64(n)
		for len(rest) > 0 && n >= len(rest[0]) {
			n -= len(rest[0])
			rest = rest[1:]
		}
		if n > 0 { // the caller's slice stays as it is
			held = rest[0][n:]
			rest = append([][]byte{held}, rest[1:]...)
		}
	}
	return nil
}

// allocate gives f its size and its space. On btrfs f is written in place (chattr +C): else the space that it has would
// be of use for the first write only.
func allocate(f *os.File, size int64) error {
	if size == 0 {
		return nil
	}
	const noCOW = 0x00800000 // FS_NOCOW_FL
	if flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS); err == nil {
		_ = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags|noCOW)) // no other knows it
	}
	for {
		err := unix.Fallocate(int(f.Fd()), 0, 0, size)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			return writeZeros(f, size)
		default:
			return &fs.PathError{Op: "fallocate", Path: f.Name(), Err: err}
		}
	}
}

func syncFile(f *os.File) error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EINTR):
			return &fs.PathError{Op: "fdatasync", Path: f.Name(), Err: err}
		}
	}
}

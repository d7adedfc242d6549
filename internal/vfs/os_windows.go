package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

func isNoSpace(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL)
}

// isNoHandle: the system has no limit that is met.
func isNoHandle(error) bool { return false }

// readDir returns what is in a directory, as the directory says: to ask a file that nobody else may
// open is an error.
func readDir(dir *os.Root) ([]fs.FileInfo, error) {
	d, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	infos, err := d.Readdir(-1)
	return infos, errors.Join(err, d.Close())
}

// syncDir: Windows has no such thing.
func syncDir(*os.Root, string) error { return nil }

// space goes by the path, which stays that of the directory as long as it is open.
func (o *OS) space(dir string) (free, total int64, err error) {
	dir = filepath.Join(o.root.Name(), dir)
	p, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, 0, err
	}
	var mine, all uint64
	if err := windows.GetDiskFreeSpaceEx(p, &mine, &all, nil); err != nil {
		return 0, 0, &fs.PathError{Op: "GetDiskFreeSpaceEx", Path: dir, Err: err}
	}
	return int64(mine), int64(all), nil
}

// checkLinked: what is open stays.
func checkLinked(*os.File) error { return nil }

// mapFile reads: a file that is mapped cannot be removed.
func mapFile(f *os.File, size int) ([]byte, func() error, error) { return readMap(f, size) }

//go:build unix

package control

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// checkPrivate refuses a directory that is not of the user whose note leads to it, or that others may write to: when the owner of the data
// directory is gone, anybody could make one of that name in a directory for all, and be asked in its place.
func checkPrivate(dir string, note fs.FileInfo) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	noted, ok2 := note.Sys().(*syscall.Stat_t)
	if !ok || !ok2 {
		return nil
	}
	if !info.IsDir() || info.Mode().Perm()&0o077 != 0 || is.Uid != noted.Uid {
		return fmt.Errorf("%s is not a directory that only the owner of the data may use (mode %v, user %d, want user %d): nobody is asked there", dir, info.Mode(), is.Uid, noted.Uid)
	}
	return nil
}

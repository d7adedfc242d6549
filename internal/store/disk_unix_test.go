//go:build unix && !aix && !solaris && !illumos

package store

import (
	"testing"

	"golang.org/x/sys/unix"
)

// A process that is started while a store is closed has a copy of its files for a moment: the lock goes all
// the same.
func TestLockGoesWithCopiesOfIt(t *testing.T) {
	dir := t.TempDir()
	lock, err := lockDir(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(lock.(dirLock).dir.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := lockDir(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}

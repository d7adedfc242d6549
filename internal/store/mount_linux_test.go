package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// mount mounts for the length of a test, or skips it where that is not allowed.
func mount(t *testing.T, source, target, fstype string, flags uintptr, data string) {
	t.Helper()
	err := unix.Mount(source, target, fstype, flags, data)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		t.Skipf("mounting is not allowed here: %v", err)
	}
	if err != nil {
		t.Fatalf("mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
}

func TestOpenOnReadOnlyFileSystem(t *testing.T) {
	dir, at := t.TempDir(), t.TempDir()
	s := openTemp(t, filepath.Join(dir, "store"), Options{})
	set(t, s, "a", "1")
	closeStore(t, s)
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	mount(t, dir, at, "", unix.MS_BIND, "")
	if err := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		t.Skipf("remounting is not allowed here: %v", err)
	}
	before := tree(t, at)
	for _, name := range []string{"store", "empty", "new", "new/below"} {
		expectRefused(t, filepath.Join(at, name), ErrReadOnly)
	}
	expect(t, "files", tree(t, at), before)
}

func TestOpenWithoutPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may do anything")
	}
	dir := t.TempDir()
	closeStore(t, openTemp(t, filepath.Join(dir, "store"), Options{}))
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o555); err != nil {
		t.Fatal(err)
	}
	expectRefused(t, empty, ErrReadOnly)
	expectRefused(t, filepath.Join(empty, "new"), ErrReadOnly)
	for _, sub := range []string{".", indexName, valuesName} {
		path := filepath.Join(dir, "store", sub)
		if err := os.Chmod(path, 0o555); err != nil {
			t.Fatal(err)
		}
		if sub != "." {
			expectRefused(t, filepath.Join(dir, "store"), ErrReadOnly)
		}
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// Fill a small file system until Room says no, in small and large writes: no write that
// Room allowed may fail, nor kill the process. What is there stays readable, deletions
// go on, and after Reclaim there is room again.
func TestRoomOnSmallFileSystem(t *testing.T) {
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=256m")
	s := openTemp(t, filepath.Join(dir, "store"), Options{})
	written := 0
	for written < 100_000 {
		load := newBenchBatch(1, 100<<10)
		if err := s.Room(load.fill(0).Bytes(), false); err != nil {
			if !errors.Is(err, ErrDiskFull) {
				t.Fatal(err)
			}
			break
		}
		commit(t, s, load.fill(int64(written)))
		written++
	}
	if written < 1000 {
		t.Errorf("room for %d values of 100 KiB in 256 MiB", written)
	}
	if err := s.Room(1000, true); err != nil {
		t.Errorf("no room for essential writes: %v", err)
	}
	for i := range written {
		key := AppendBatchKey(nil, BatchKey{LastOffset: int64(i), MaxTimestamp: int64(i)})
		if v, err := s.Get(key); err != nil || len(v) != 100<<10 {
			t.Fatalf("value %d: %d bytes, %v", i, len(v), err)
		}
	}
	removeOffsets(t, s, 0, written-50)
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Room(10<<20, false); err != nil {
		t.Errorf("no room after Reclaim: %v", err)
	}
	closeStore(t, s)
}

package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// commitUntilError commits small values until that fails.
func commitUntilError(t *testing.T, s *diskStore) error {
	t.Helper()
	for i := range 100_000 {
		var b Batch
		b.Set(childKey(i), bytes.Repeat([]byte{'v'}, 500))
		if err := errors.Join(s.Room(b.Bytes(), false), tryCommit(s, &b)); err != nil {
			return err
		}
	}
	t.Fatal("all commits succeeded")
	return nil
}

// expectFailed closes s, which has failed for a reason that says want.
func expectFailed(t *testing.T, s *diskStore, want string) {
	t.Helper()
	var b Batch
	b.Set([]byte("later"), []byte("v"))
	for doing, err := range map[string]error{
		"commit": tryCommit(s, &b), "sync": s.Sync(), "close": s.Close(), "close again": s.Close(),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got error %v, want %q in it", doing, err, want)
		}
	}
}

// commitMany commits enough for a few value files and checkpoints, and a large value.
func commitMany(t *testing.T, s *diskStore, text string) {
	t.Helper()
	for i := range 2000 {
		var b Batch
		b.Set(childKey(i), bytes.Repeat([]byte(text), 500))
		if err := errors.Join(s.Room(b.Bytes(), false), tryCommit(s, &b)); err != nil {
			t.Fatal(err)
		}
	}
	set(t, s, "a", text, "b", strings.Repeat(text, 5000))
	if err := errors.Join(s.Reclaim(t.Context()), s.Sync()); err != nil {
		t.Fatal(err)
	}
}

// expectMany looks for what commitMany has committed.
func expectMany(t *testing.T, s *diskStore, text string) {
	t.Helper()
	for i := range 2000 {
		expectGet(t, s, string(childKey(i)), strings.Repeat(text, 500))
	}
	expectGet(t, s, "a", text)
	expectGet(t, s, "b", strings.Repeat(text, 5000))
}

// smallFiles has a store create files all the time.
var smallFiles = Options{fileSize: 64 << 10, treeEntries: 500}

// The store's directory is renamed: everything goes on there.
func TestDirectoryRenamed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files are open there")
	}
	dir := filepath.Join(t.TempDir(), "store")
	s := openTemp(t, dir, smallFiles)
	commitMany(t, s, "1")
	if err := os.Rename(dir, dir+".new"); err != nil {
		t.Fatal(err)
	}
	commitMany(t, s, "2")
	expectMany(t, s, "2")
	if n, err := s.Size(); n == 0 || err != nil {
		t.Errorf("it has %d bytes, %v", n, err)
	}
	closeStore(t, s)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is something where the directory was: %v", err)
	}
	s = openTemp(t, dir+".new", smallFiles)
	defer closeStore(t, s)
	expectMany(t, s, "2")
}

// Another store is where the directory was. Both go on, and neither sees the other.
func TestDirectoryReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files are open there")
	}
	dir := filepath.Join(t.TempDir(), "store")
	s := openTemp(t, dir, smallFiles)
	commitMany(t, s, "1")
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	other := openTemp(t, dir, smallFiles)
	commitMany(t, other, "2")
	quiet(other)
	before := tree(t, dir)
	commitMany(t, s, "3")
	closeStore(t, s)
	expect(t, "files of the other", tree(t, dir), before)
	expectMany(t, other, "2")
	commitMany(t, other, "4")
	closeStore(t, other)
	for dir, text := range map[string]string{dir: "4", dir + ".old": "3"} {
		s := openTemp(t, dir, smallFiles)
		expectMany(t, s, text)
		closeStore(t, s)
	}
}

// The store's directory, or a part of it, is removed: nothing is synced into a file that is gone, and when there is no
// next file the store fails. What is open is read still, and Close returns.
func TestDirectoryRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files are open there")
	}
	for _, part := range []string{".", indexName, valuesName} {
		t.Run(part, func(t *testing.T) {
			running := goleak.IgnoreCurrent()
			dir := filepath.Join(t.TempDir(), "store")
			s := openTemp(t, dir, Options{})
			large := strings.Repeat("large", 1000)
			set(t, s, "a", "1", "b", large)
			quiet(s) // what is allocated meanwhile would be in the way
			if err := os.RemoveAll(filepath.Join(dir, part)); err != nil {
				t.Fatal(err)
			}
			if part != indexName {
				var b Batch
				b.Set([]byte("c"), []byte("3"))
				if err := Join(tryCommit(s, &b), s.Sync()); !errors.Is(err, ErrFailed) || !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("synced: got error %v", err)
				}
			}
			if err := commitUntilError(t, s); !errors.Is(err, ErrFailed) || !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got error %v", err)
			}
			expectGet(t, s, "a", "1")
			expectGet(t, s, "b", large)
			expectFailed(t, s, "no such file")
			goleak.VerifyNone(t, running)
		})
	}
}

// What a snapshot has kept longer than its store was open goes with the next open.
func TestSnapshotOutlivesStore(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, smallFiles)
	commitMany(t, s, "1")
	v, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	commitMany(t, s, "2")
	closeStore(t, s)
	other := openTemp(t, dir, smallFiles)
	defer closeStore(t, other)
	quiet(other)
	before := tree(t, dir)
	v.Close()
	expect(t, "files", tree(t, dir), before)
	if err := s.failure(); err != nil {
		t.Errorf("the store that was closed has failed: %v", err)
	}
	expectMany(t, other, "2")
}

// There is no next value file: the store fails, and says so.
func TestValueFileCannotBeCreated(t *testing.T) {
	running := goleak.IgnoreCurrent()
	dir := t.TempDir()
	s := openTemp(t, dir, Options{fileSize: 1 << 20})
	set(t, s, "a", "1")
	quiet(s)
	_, next := s.space.numbers()
	block := filepath.Join(dir, valuesName, valueFileName(next))
	if err := os.Mkdir(block, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := commitUntilError(t, s); !errors.Is(err, ErrFailed) || !errors.Is(err, fs.ErrExist) {
		t.Errorf("got error %v", err)
	}
	expectGet(t, s, "a", "1")
	expectFailed(t, s, "file exists")
	goleak.VerifyNone(t, running)
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	s = openTemp(t, dir, Options{})
	expectGet(t, s, "a", "1")
	closeStore(t, s)
}

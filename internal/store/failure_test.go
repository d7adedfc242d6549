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

// The store's directory is gone from where it was: no write is acknowledged any more, and
// Close returns. What is in its place now is left alone.
func TestDirectoryGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files are open there")
	}
	for name, c := range map[string]struct {
		leave func(dir string) error
		want  string
		moved bool
	}{
		"renamed":        {func(dir string) error { return os.Rename(dir, dir+".old") }, "no such file", true},
		"removed":        {os.RemoveAll, "no such file", false},
		"index removed":  {func(dir string) error { return os.RemoveAll(filepath.Join(dir, indexName)) }, "no such file", false},
		"values removed": {func(dir string) error { return os.RemoveAll(filepath.Join(dir, valuesName)) }, "no such file", false},
	} {
		t.Run(name, func(t *testing.T) {
			running := goleak.IgnoreCurrent()
			dir := filepath.Join(t.TempDir(), "store")
			s := openTemp(t, dir, Options{})
			set(t, s, "a", "1", "b", strings.Repeat("large", 1000))
			if err := c.leave(dir); err != nil {
				t.Fatal(err)
			}
			if err := commitUntilError(t, s); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got error %v", err)
			}
			expectGet(t, s, "a", "1")
			expectFailed(t, s, c.want)
			goleak.VerifyNone(t, running)
			if c.moved {
				s := openTemp(t, dir+".old", Options{})
				defer closeStore(t, s)
				expectGet(t, s, "a", "1")
			}
		})
	}
}

// Another store is where the directory was: it loses nothing to the first.
func TestDirectoryReplaced(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files are open there")
	}
	dir := filepath.Join(t.TempDir(), "store")
	s := openTemp(t, dir, Options{})
	set(t, s, "a", "1")
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	other := openTemp(t, dir, Options{})
	set(t, other, "a", "2")
	before := tree(t, dir)
	if err := commitUntilError(t, s); !errors.Is(err, errReplaced) {
		t.Errorf("got error %v", err)
	}
	expectFailed(t, s, errReplaced.Error())
	expect(t, "files", tree(t, dir), before)
	closeStore(t, other)
	other = openTemp(t, dir, Options{})
	expectGet(t, other, "a", "2")
	closeStore(t, other)
}

// There is no next value file: the store fails, and says so.
func TestValueFileCannotBeCreated(t *testing.T) {
	running := goleak.IgnoreCurrent()
	dir := t.TempDir()
	s := openTemp(t, dir, Options{fileSize: 1 << 20})
	set(t, s, "a", "1")
	s.space.preparing.wg.Wait()
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

package store

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// commitUntilError commits small values until that fails.
func commitUntilError(t *testing.T, s *badgerStore) error {
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
func expectFailed(t *testing.T, s *badgerStore, want string) {
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

// closeFailed closes a store that has failed, which Close says.
func closeFailed(t *testing.T, s Store, want string) {
	t.Helper()
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("close: got error %v, want %q in it", err, want)
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

// A memtable cannot be written to a table: Badger would try for ever.
func TestTableCannotBeCreated(t *testing.T) {
	running := goleak.IgnoreCurrent()
	dir := t.TempDir()
	s := openTemp(t, dir, Options{memtable: 1 << 20})
	set(t, s, "a", "1")
	block(t, dir, "%06d.sst")
	if err := commitUntilError(t, s); !strings.Contains(err.Error(), "file exists") { // Badger drops the chain
		t.Errorf("got error %v", err)
	}
	expectGet(t, s, "a", "1")
	expectFailed(t, s, "file exists")
	goleak.VerifyNone(t, running)
	unblock(t, dir, "%06d.sst")
	s = openTemp(t, dir, Options{memtable: 1 << 20})
	expectGet(t, s, "a", "1")
	closeStore(t, s)
}

// There is no file for the next memtable: Badger would end the process.
func TestMemtableCannotBeCreated(t *testing.T) {
	dir, err := os.MkdirTemp("", "samsa-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // what Badger has left behind may be writing a table still
		for range 100 {
			if os.RemoveAll(dir) == nil {
				return
			}
		}
	})
	s := openTemp(t, dir, Options{memtable: 1 << 20})
	set(t, s, "a", "1")
	block(t, dir, "%05d.mem")
	done := make(chan error, 16)
	var failed error
	for i := 0; failed == nil && i < 100_000; i++ { // many at a time are on their way
		if len(done) == cap(done) || i >= cap(done) {
			failed = <-done
		}
		var b Batch
		b.Set(childKey(i), bytes.Repeat([]byte{'v'}, 500))
		s.Commit(&b, func(err error) { done <- err })
	}
	if failed == nil {
		t.Fatal("all commits succeeded")
	}
	for after := 0; after < 1000; { // reads that began when the full memtable was a table
		if len(s.db.Tables()) > 0 {
			after++
		}
		expectGet(t, s, "a", "1")
		expectGet(t, s, string(childKey(10)), strings.Repeat("v", 500))
	}
	expectFailed(t, s, "is a directory")
}

// block puts a directory where Badger is going to create a file.
func block(t *testing.T, dir, format string) {
	eachFile(t, dir, format, func(path string) error { return os.Mkdir(path, 0o755) })
}

func unblock(t *testing.T, dir, format string) { eachFile(t, dir, format, os.RemoveAll) }

func eachFile(t *testing.T, dir, format string, fn func(path string) error) {
	t.Helper()
	for i := range 100 {
		path := filepath.Join(dir, indexName, fmt.Sprintf(format, i))
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			continue
		}
		if err := fn(path); err != nil {
			t.Fatal(err)
		}
	}
}

package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/samsa-go/samsa/internal/vfs"
)

// ground is a directory that the store stands on, and must find where it was. On Linux
// and its like a directory can be renamed or removed under the files that are open in it:
// what is written then goes nowhere, or what is created goes into another's directory.
type ground struct {
	path string
	info os.FileInfo // as of the opening
}

// groundsOf returns the directories of the store in dir.
func groundsOf(dir string) (grounds []ground, err error) {
	for _, sub := range []string{indexName, valuesName} {
		path := filepath.Join(dir, sub)
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		grounds = append(grounds, ground{path, info})
	}
	return grounds, nil
}

// check reports that the directory is not there any more, or another one.
func (g ground) check() error {
	if runtime.GOOS == "windows" {
		return nil // keeps a directory with open files where it is, and is slow to ask
	}
	info, err := os.Stat(g.path)
	if err == nil && !os.SameFile(info, g.info) {
		err = fmt.Errorf("%w: %s", errReplaced, g.path)
	}
	return err
}

var errReplaced = errors.New("another directory is in the place of the store's own")

// standing is the file system of a store that was opened on these grounds: elsewhere nothing is
// created, renamed or removed.
type standing struct {
	vfs.FS
	grounds []ground
}

func (f standing) check() error {
	for _, g := range f.grounds {
		if err := g.check(); err != nil {
			return err
		}
	}
	return nil
}

// Create implements vfs.FS.
func (f standing) Create(name string, size int64) (vfs.File, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return f.FS.Create(name, size)
}

// Rename implements vfs.FS.
func (f standing) Rename(from, to string) error {
	if err := f.check(); err != nil {
		return err
	}
	return f.FS.Rename(from, to)
}

// Remove implements vfs.FS.
func (f standing) Remove(name string) error {
	if err := f.check(); err != nil {
		return err
	}
	return f.FS.Remove(name)
}

// stand reports whether the store's directories are where they were. If not, it has failed.
func (s *diskStore) stand() error {
	if f, ok := s.fs.(standing); ok {
		if err := f.check(); err != nil {
			return s.fail(err)
		}
	}
	return s.failure()
}

// standEvery is how long a store that writes all the time may not have noticed that it stands
// nowhere any more.
const standEvery = time.Millisecond

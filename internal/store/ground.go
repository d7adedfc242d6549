package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
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

// stand reports whether the store's directories are where they were. If not, it has failed.
func (s *diskStore) stand() error {
	for _, g := range s.grounds {
		if err := g.check(); err != nil {
			return s.fail(err)
		}
	}
	return s.failure()
}

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Restore makes a data directory in dir of what WriteStream has written. dir must be missing
// or empty, else it is fs.ErrExist, or ErrNotDirectory for a file. The directory appears as a
// whole, durable, or not at all: until then it grows beside dir, under a name that begins with
// dir's and goes with an error. If the process is killed it stays, until the next Restore to dir. check, which may open and close it there, says whether the
// content will do. Errors of the bytes are those of ReadStream.
func Restore(ctx context.Context, dir string, r io.Reader, opts Options, check func(dir string) error) error {
	return RestoreWith(dir, opts, func(st Store) error { return ReadStream(ctx, r, st) }, check)
}

// RestoreWith is Restore of what fill commits to a store that is empty.
func RestoreWith(dir string, opts Options, fill func(st Store) error, check func(dir string) error) error {
	if err := checkVacant(dir); err != nil {
		return fmt.Errorf("store %s: %w", dir, err)
	}
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real // where a link leads, not in place of it
	}
	parent := filepath.Dir(dir)
	if err := makeDir(parent); err != nil {
		return fmt.Errorf("store %s: %w", dir, dirError(err))
	}
	removeUnfinished(parent, filepath.Base(dir)+restoring)
	temp, err := os.MkdirTemp(parent, filepath.Base(dir)+restoring+"*")
	if err != nil {
		return fmt.Errorf("store %s: %w", dir, dirError(err))
	}
	lock, err := lockDir(temp, false) // which tells it from what a process that was killed has left
	if err != nil {
		return fmt.Errorf("store %s: %w", dir, Join(dirError(err), named(os.RemoveAll(temp))))
	}
	data := filepath.Join(temp, "data") // with the permissions of every data directory
	err = restoreInto(data, opts, fill)
	if err == nil {
		err = check(data)
	}
	if err == nil {
		err = named(put(data, dir))
	}
	if err = Join(err, named(lock.Close()), named(os.RemoveAll(temp))); err != nil {
		return fmt.Errorf("store %s: %w", dir, err)
	}
	return nil
}

// restoring is what stands between the name of a directory that is being restored and a number.
const restoring = ".restore-"

// removeUnfinished removes from a directory what processes that were killed have left of restoring another, whose names begin with prefix.
// What cannot be removed stays: it is in nobody's way.
func removeUnfinished(parent, prefix string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || !e.IsDir() || number == "" || strings.Trim(number, "0123456789") != "" {
			continue
		}
		temp := filepath.Join(parent, e.Name())
		within, err := os.ReadDir(temp)
		if err != nil || slices.ContainsFunc(within, func(e fs.DirEntry) bool { return e.Name() != "data" }) {
			continue // somebody else's
		}
		if lock, err := lockDir(temp, false); err == nil && haveLocks { // nobody is at work there
			_ = lock.Close()
			_ = os.RemoveAll(temp)
		}
	}
}

// checkVacant reports why dir cannot become a new data directory.
func checkVacant(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return dirError(err)
	case !info.IsDir():
		return fmt.Errorf("%w: it is a file", ErrNotDirectory)
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%w: there is %s in it", fs.ErrExist, entries[0].Name())
	}
	return named(err)
}

// restoreInto fills a new store in dir and closes it, which makes it durable.
func restoreInto(dir string, opts Options, fill func(st Store) error) error {
	st, err := Open(dir, opts)
	if err != nil {
		return err
	}
	return Join(fill(st), st.Close())
}

// put moves the directory data to dir, where there is nothing, or an empty directory.
func put(data, dir string) error {
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(data, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

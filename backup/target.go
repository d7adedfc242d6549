package backup

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

// Target is where a backup lies: a folder, or the bucket of an object store. Names have slashes. One backup at a time
// writes to a target; others may read meanwhile. Errors end neither the backup nor what is there: it is tried again.
type Target interface {
	// Put stores what r reads under a name, in place of what was there: all of it, durably, or nothing.
	Put(ctx context.Context, name string, r io.Reader) error
	// Get opens what is stored under a name; fs.ErrNotExist says that nothing is.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List returns what is stored, by name.
	List(ctx context.Context) ([]Object, error)
	// Delete removes what is stored under a name, if there is something.
	Delete(ctx context.Context, name string) error
}

// Object is something in a target.
type Object struct {
	Name string
	Size int64
}

// Folder returns a target in a directory, which is made with the first Put. "" is the working directory.
func Folder(dir string) Target { return folder(filepath.Clean(dir)) }

type folder string // a clean path

func (f folder) path(name string) (string, error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return "", fmt.Errorf("%w: %q leads out of the folder", fs.ErrInvalid, name)
	}
	return filepath.Join(string(f), filepath.FromSlash(name)), nil
}

const tempPrefix = ".put-"

func (f folder) Put(ctx context.Context, name string, r io.Reader) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	if err := makeDirs(dir); err != nil {
		return err
	}
	temp, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return err
	}
	_, err = io.Copy(temp, contextReader{ctx, r})
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return syncDirs(dir, string(f))
}

// makeDirs makes a directory and those above it that are missing, and the entries of those durable that are above the folder's own, too.
func makeDirs(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := makeDirs(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDirs(above, above)
}

// syncDirs makes the entries of a directory durable, and of those above it up to the folder's own. Both are clean paths.
func syncDirs(dir, top string) error {
	for {
		d, err := os.Open(dir)
		if err != nil {
			return err
		}
		_ = d.Sync() // not every system can
		if err := d.Close(); err != nil {
			return err
		}
		above := filepath.Dir(dir)
		if dir == top || dir == above {
			return nil
		}
		dir = above
	}
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

func (f folder) Get(_ context.Context, name string) (io.ReadCloser, error) {
	path, err := f.path(name)
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

func (f folder) List(ctx context.Context) ([]Object, error) {
	var all []Object
	err := filepath.WalkDir(string(f), func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err := errors.Join(err, ctx.Err()); err != nil || e.IsDir() || strings.HasPrefix(e.Name(), tempPrefix) {
			return err
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		name, relErr := filepath.Rel(string(f), path)
		if err := errors.Join(err, relErr); err != nil {
			return err
		}
		all = append(all, Object{Name: filepath.ToSlash(name), Size: info.Size()})
		return nil
	})
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

func (f folder) Delete(_ context.Context, name string) error {
	path, err := f.path(name)
	if err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(filepath.Dir(path)) // if it is empty
	return nil
}

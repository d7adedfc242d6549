package vfs

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"sync"
)

// ReadOnly is a directory of the operating system in which nothing changes. What is removed from it is
// not there any more for those who ask here, and a directory that is made here is empty: the directory
// itself has neither been told. To create or rename a file is fs.ErrPermission, and to write to one fails.
type ReadOnly struct {
	os *OS

	mu      sync.Mutex // guards what follows
	removed map[string]bool
	made    map[string]bool
}

// OpenReadOnly opens the directory dir, which must be there. The caller closes it.
func OpenReadOnly(dir string) (*ReadOnly, error) {
	o, err := OpenOS(dir)
	if err != nil {
		return nil, err
	}
	return &ReadOnly{os: o, removed: map[string]bool{}, made: map[string]bool{}}, nil
}

// Close closes the directory, as OS.Close does.
func (r *ReadOnly) Close() error { return r.os.Close() }

func refuse(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrPermission} }

// Create implements FS.
func (r *ReadOnly) Create(name string, _ int64) (File, error) { return nil, refuse("create", name) }

// Rename implements FS.
func (r *ReadOnly) Rename(from, _ string) error { return refuse("rename", from) }

// Open implements FS, for reading.
func (r *ReadOnly) Open(name string) (File, error) {
	if r.gone(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return r.os.open(name, os.O_RDONLY)
}

func (r *ReadOnly) gone(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.removed[path.Clean(name)]
}

// Remove implements FS.
func (r *ReadOnly) Remove(name string) error {
	_, err := r.os.root.Lstat(name)
	if err == nil && r.gone(name) {
		err = &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.removed[path.Clean(name)] = true
	return nil
}

// Mkdir implements FS.
func (r *ReadOnly) Mkdir(dir string) error {
	_, err := r.os.root.Stat(dir)
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made[path.Clean(dir)] = true
	return nil
}

// List implements FS.
func (r *ReadOnly) List(dir string) ([]Info, error) {
	infos, err := r.os.List(dir)
	r.mu.Lock()
	defer r.mu.Unlock()
	if errors.Is(err, fs.ErrNotExist) && r.made[path.Clean(dir)] {
		return nil, nil
	}
	return slices.DeleteFunc(infos, func(i Info) bool { return r.removed[path.Join(dir, i.Name)] }), err
}

// SyncDir implements FS: there is nothing to be made durable.
func (r *ReadOnly) SyncDir(string) error { return nil }

// Space implements FS.
func (r *ReadOnly) Space(dir string) (free, total int64, err error) { return r.os.Space(dir) }

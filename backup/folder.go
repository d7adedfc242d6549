package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/samsa-go/samsa/internal/vfs"
)

// Folder returns a target in a directory, which is made with the first Put. "" is the working directory. Files in it are for
// the user alone who runs the backup.
func Folder(dir string) Target { return folder{osDir(filepath.Clean(dir))} }

// folder is a Sweeper.
type folder struct{ in directory }

// directory is where a folder lies: a directory of the system or, in tests, a disk that loses power.
type directory interface {
	// make makes the directory, durably, unless it is there.
	make() error
	// open opens it, for reading alone unless write is set. Where there is none it is fs.ErrNotExist. The caller calls end.
	open(write bool) (files vfs.FS, end func() error, err error)
}

// osDir is the clean path of a directory.
type osDir string

func (d osDir) make() error { return makeDirs(string(d)) }

func (d osDir) open(write bool) (vfs.FS, func() error, error) {
	if write {
		o, err := vfs.OpenOS(string(d))
		if err != nil {
			return nil, nil, err
		}
		return o, o.Close, nil
	}
	r, err := vfs.OpenReadOnly(string(d))
	if err != nil {
		return nil, nil, err
	}
	return r, r.Close, nil
}

// makeDirs makes a directory and those above it that are missing, and their entries durable.
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
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	o, err := vfs.OpenOS(above)
	if errors.Is(err, fs.ErrPermission) {
		return nil // it may be entered and not read: its entries are durable when somebody else sees to it
	}
	if err != nil {
		return err
	}
	return errors.Join(syncDir(o, "."), o.Close())
}

// syncDir makes the entries of a directory durable, where the system can.
func syncDir(files vfs.FS, dir string) error {
	err := files.SyncDir(dir)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) { // as some file systems of a network
		return nil
	}
	return err
}

// do calls fn with the files of the folder.
func (f folder) do(write bool, fn func(vfs.FS) error) error {
	files, end, err := f.in.open(write)
	if err != nil {
		return err
	}
	return errors.Join(fn(files), end())
}

func checkName(name string) error {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return fmt.Errorf("%w: %q leads out of the folder", fs.ErrInvalid, name)
	}
	return nil
}

const (
	tempPrefix = ".put-"
	writeBytes = 256 << 10 // at once
)

// Put implements Target. What it writes has another name until it is whole and durable.
func (f folder) Put(ctx context.Context, name string, r io.Reader) error {
	if err := errors.Join(checkName(name), f.in.make()); err != nil {
		return err
	}
	name = path.Clean(name)
	dir := path.Dir(name)
	return f.do(true, func(files vfs.FS) error {
		if err := files.Mkdir(dir); err != nil {
			return err
		}
		temp := path.Join(dir, tempPrefix+rand.Text())
		if err := write(ctx, files, temp, r); err != nil {
			return err
		}
		if err := files.Rename(temp, name); err != nil {
			return errors.Join(err, files.Remove(temp))
		}
		for ; ; dir = path.Dir(dir) {
			if err := syncDir(files, dir); err != nil || dir == "." {
				return err
			}
		}
	})
}

// write makes a file of what r reads, and leaves none when it fails.
func write(ctx context.Context, files vfs.FS, name string, r io.Reader) error {
	file, err := files.Create(name, 0)
	if err != nil {
		return err
	}
	err = copyTo(ctx, file, r)
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, files.Remove(name))
	}
	return nil
}

func copyTo(ctx context.Context, file vfs.File, r io.Reader) error {
	buf, off := make([]byte, writeBytes), int64(0)
	for {
		n, err := io.ReadFull(contextReader{ctx, r}, buf)
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !ended {
			return err
		}
		if n > 0 {
			if err := file.WriteAt(off, buf[:n]); err != nil {
				return err
			}
			off += int64(n)
		}
		if ended {
			return nil
		}
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

// Get implements Target.
func (f folder) Get(_ context.Context, name string) (r io.ReadCloser, err error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	err = f.do(false, func(files vfs.FS) error {
		file, err := files.Open(name)
		if err != nil {
			return err
		}
		size, err := file.Size()
		if err != nil {
			return errors.Join(err, file.Close())
		}
		r = struct {
			io.Reader
			io.Closer
		}{io.NewSectionReader(file, 0, size), file}
		return nil
	})
	return r, err
}

// List implements Target.
func (f folder) List(ctx context.Context) ([]Object, error) {
	all, err := f.list(ctx, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return all, err
}

// list returns what is stored, by name, or what is on its way.
func (f folder) list(ctx context.Context, temp bool) (all []Object, err error) {
	err = f.do(false, func(files vfs.FS) error {
		for dirs := []string{"."}; len(dirs) > 0; dirs = dirs[1:] {
			infos, err := files.List(dirs[0])
			if errors.Is(err, fs.ErrNotExist) && dirs[0] != "." {
				continue // removed meanwhile
			}
			if err := errors.Join(err, ctx.Err()); err != nil {
				return err
			}
			for _, i := range infos {
				name := path.Join(dirs[0], i.Name)
				switch {
				case i.Dir:
					dirs = append(dirs, name)
				case strings.HasPrefix(i.Name, tempPrefix) == temp:
					all = append(all, Object{Name: name, Size: i.Size})
				}
			}
		}
		return nil
	})
	slices.SortFunc(all, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
	return all, err
}

// Delete implements Target.
func (f folder) Delete(_ context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	err := f.do(true, func(files vfs.FS) error {
		err := files.Remove(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		dir := path.Dir(path.Clean(name))
		if dir != "." {
			_ = files.Remove(dir) // if it is empty
		}
		for { // also when the file was gone: who has removed it may not have seen it durable
			err := syncDir(files, dir)
			if dir == "." || !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			dir = path.Dir(dir)
		}
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Sweep implements Sweeper.
func (f folder) Sweep(ctx context.Context) error {
	left, err := f.list(ctx, true)
	if len(left) > 0 {
		err = f.do(true, func(files vfs.FS) error {
			for _, o := range left {
				if err := files.Remove(o.Name); err != nil && !errors.Is(err, fs.ErrNotExist) {
					return err
				}
			}
			return nil
		})
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

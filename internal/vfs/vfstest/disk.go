// Package vfstest has a disk in memory for tests of what is built on package vfs. It does
// what a file system promises, and nothing more: the power can be cut at any time, and of what was
// not synced anything may be left. Each call can be made to fail, and the disk can be full.
package vfstest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/samsa-go/samsa/internal/vfs"
)

// Disk is a file system in memory.
type Disk struct {
	mu     sync.Mutex // guards what follows, and all inodes
	names  map[string]*inode
	dirs   map[string]bool
	kept   map[string]*inode // entries that are durable
	moves  []move            // that are not, in order
	calls  int
	before func(Call) error
	size   int64 // all that can be allocated; 0 is no limit
	used   int64
}

// Call is a call that is about to be made.
type Call struct {
	N    int    // from 1 on, over all calls of the disk
	Op   string // create, open, remove, rename, mkdir, list, syncdir, space, read, write, sync, map or size
	Name string
}

func (c Call) String() string { return fmt.Sprintf("call %d, %s %s", c.N, c.Op, c.Name) }

// move is a change of the entries of a directory: name stands for file from then on, or for
// nothing, and from, if there is one, for nothing.
type move struct {
	name string
	file *inode
	from string
}

// NewDisk returns an empty disk of that many bytes; 0 is no limit.
func NewDisk(size int64) *Disk {
	return &Disk{names: map[string]*inode{}, kept: map[string]*inode{}, dirs: map[string]bool{".": true, "/": true}, size: size}
}

// Before has fn called before each call, which fails with its error if it has one, and does
// nothing then. fn must not use the disk, but for Cut and Clone.
func (d *Disk) Before(fn func(Call) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = fn
}

// Calls returns how many calls there were.
func (d *Disk) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// Take allocates n bytes, or gives them back when n is negative, as a neighbour does. It takes what there
// is.
func (d *Disk) Take(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used += min(n, d.size-d.used)
}

// begin counts a call and asks whether it is to fail.
func (d *Disk) begin(op, name string) error {
	d.mu.Lock()
	d.calls++
	call, before := Call{d.calls, op, name}, d.before
	d.mu.Unlock()
	if before == nil {
		return nil
	}
	return before(call)
}

func (d *Disk) find(op, name string) (*inode, error) {
	f := d.names[path.Clean(name)]
	if f == nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
	}
	return f, nil
}

// enter changes an entry.
func (d *Disk) enter(name string, f *inode) {
	if old := d.names[name]; old != nil && old != f {
		d.used -= old.now.size
	}
	if f == nil {
		delete(d.names, name)
	} else {
		d.names[name] = f
	}
	d.moves = append(d.moves, move{name: name, file: f})
}

// Create implements vfs.FS.
func (d *Disk) Create(name string, size int64) (vfs.File, error) {
	if err := d.begin("create", name); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	name = path.Clean(name)
	switch {
	case d.names[name] != nil:
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	case !d.dirs[path.Dir(name)]:
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrNotExist}
	}
	f := &inode{d: d, name: name}
	if err := d.allocate(size); err != nil {
		return nil, err
	}
	f.grow(size)
	d.enter(name, f)
	return &handle{inode: f}, nil
}

func (d *Disk) allocate(n int64) error {
	if d.size > 0 && d.used+n > d.size {
		return fmt.Errorf("allocate %d bytes of %d: %w", n, d.size-d.used, vfs.ErrNoSpace)
	}
	d.used += n
	return nil
}

// Open implements vfs.FS.
func (d *Disk) Open(name string) (vfs.File, error) {
	if err := d.begin("open", name); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.find("open", name)
	if err != nil {
		return nil, err
	}
	return &handle{inode: f}, nil
}

// Remove implements vfs.FS.
func (d *Disk) Remove(name string) error {
	if err := d.begin("remove", name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.find("remove", name); err != nil {
		return err
	}
	d.enter(path.Clean(name), nil)
	return nil
}

// Rename implements vfs.FS.
func (d *Disk) Rename(from, to string) error {
	if err := d.begin("rename", from); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.find("rename", from)
	if err != nil {
		return err
	}
	from = path.Clean(from)
	d.enter(path.Clean(to), f)
	delete(d.names, from)
	d.moves[len(d.moves)-1].from = from // both or neither
	return nil
}

// Mkdir implements vfs.FS. Directories are durable at once: who makes one syncs what is above it.
func (d *Disk) Mkdir(dir string) error {
	if err := d.begin("mkdir", dir); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for dir = path.Clean(dir); !d.dirs[dir]; dir = path.Dir(dir) {
		d.dirs[dir] = true
	}
	return nil
}

// List implements vfs.FS.
func (d *Disk) List(dir string) ([]vfs.Info, error) {
	if err := d.begin("list", dir); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	dir = path.Clean(dir)
	if !d.dirs[dir] {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	var infos []vfs.Info
	for name, f := range d.names {
		if path.Dir(name) == dir {
			infos = append(infos, vfs.Info{Name: path.Base(name), Size: f.now.size})
		}
	}
	for name := range d.dirs {
		if path.Dir(name) == dir && name != dir {
			infos = append(infos, vfs.Info{Name: path.Base(name), Dir: true})
		}
	}
	slices.SortFunc(infos, func(a, b vfs.Info) int { return strings.Compare(a.Name, b.Name) })
	return infos, nil
}

// SyncDir implements vfs.FS.
func (d *Disk) SyncDir(dir string) error {
	if err := d.begin("syncdir", dir); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	rest := d.moves[:0]
	for _, m := range d.moves {
		if path.Dir(m.name) == path.Clean(dir) {
			m.apply(d.kept)
		} else {
			rest = append(rest, m)
		}
	}
	d.moves = rest
	return nil
}

func (m move) apply(names map[string]*inode) {
	if m.file == nil {
		delete(names, m.name)
	} else {
		names[m.name] = m.file
	}
	delete(names, m.from)
}

// Space implements vfs.FS.
func (d *Disk) Space(dir string) (free, total int64, err error) {
	if err := d.begin("space", dir); err != nil {
		return 0, 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.size == 0 {
		return 1 << 40, 1 << 40, nil
	}
	return d.size - d.used, d.size, nil
}

// inode is a file, whatever its name is.
type inode struct {
	d       *Disk
	name    string // it was created with
	now     content
	durable content
	writes  []write // since the last sync
}

// write is a change that is not durable: of bytes, or, without any, of the size.
type write struct {
	off  int64
	data []byte
	size int64
}

func (f *inode) grow(size int64) {
	f.now.size = size
	f.writes = append(f.writes, write{size: size})
}

// handle is an open file.
type handle struct {
	*inode
	closed bool
}

var errClosed = errors.New("file is closed")

func (h *handle) begin(op string) error {
	if err := h.d.begin(op, h.name); err != nil {
		return err
	}
	h.d.mu.Lock()
	if h.closed {
		h.d.mu.Unlock()
		return &fs.PathError{Op: op, Path: h.name, Err: errClosed}
	}
	return nil // with the lock
}

// ReadAt implements vfs.File.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	if err := h.begin("read"); err != nil {
		return 0, err
	}
	defer h.d.mu.Unlock()
	n := int(max(0, min(int64(len(p)), h.now.size-off)))
	h.now.read(p[:n], off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements vfs.File.
func (h *handle) WriteAt(off int64, buffers ...[]byte) error {
	if err := h.begin("write"); err != nil {
		return err
	}
	defer h.d.mu.Unlock()
	data := slices.Concat(buffers...)
	if more := off + int64(len(data)) - h.now.size; more > 0 {
		if err := h.d.allocate(more); err != nil {
			return err
		}
		h.grow(h.now.size + more)
	}
	h.now.write(data, off)
	h.writes = append(h.writes, write{off: off, data: data})
	return nil
}

// Sync implements vfs.File.
func (h *handle) Sync() error {
	if err := h.begin("sync"); err != nil {
		return err
	}
	defer h.d.mu.Unlock()
	h.durable = h.now.clone()
	h.writes = nil
	for _, f := range h.d.names {
		if f == h.inode {
			return nil
		}
	}
	return &fs.PathError{Op: "sync", Path: h.name, Err: fs.ErrNotExist}
}

// Map implements vfs.File. The bytes are a copy, and others once it is unmapped.
func (h *handle) Map(size int64) (data []byte, unmap func() error, err error) {
	if err := h.begin("map"); err != nil {
		return nil, nil, err
	}
	defer h.d.mu.Unlock()
	switch {
	case size < 0 || size > math.MaxInt:
		return nil, nil, &fs.PathError{Op: "map", Path: h.name, Err: fs.ErrInvalid}
	case size > h.now.size:
		return nil, nil, &fs.PathError{Op: "map", Path: h.name, Err: io.ErrUnexpectedEOF}
	}
	data = make([]byte, size)
	h.now.read(data, 0)
	return data, func() error {
		for i := range data {
			data[i] ^= 0xa5 // who reads still, reads wrong
		}
		return nil
	}, nil
}

// Size implements vfs.File.
func (h *handle) Size() (int64, error) {
	if err := h.begin("size"); err != nil {
		return 0, err
	}
	defer h.d.mu.Unlock()
	return h.now.size, nil
}

// Close implements vfs.File.
func (h *handle) Close() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	h.closed = true
	return nil
}

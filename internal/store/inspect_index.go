package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime/debug"

	"github.com/samsa-go/samsa/internal/vfs"
)

// inspectIndex looks at the manifests and the tables of dir.
func inspectIndex(ctx context.Context, dir string, flaw func(Flaw) error) error {
	files, err := vfs.OpenReadOnly(dir)
	if err != nil {
		return err
	}
	m, err := inspectManifests(files, flaw)
	if err == nil && m != nil {
		for _, run := range m.runs {
			for _, info := range run {
				if err = Join(err, ctx.Err(), inspectTable(newTable(files, indexName, info), flaw)); err != nil {
					return Join(err, files.Close())
				}
			}
		}
	}
	return Join(err, files.Close())
}

// inspectManifests looks at both slots, and returns the newest manifest that is whole.
func inspectManifests(files vfs.FS, flaw func(Flaw) error) (newest *manifest, err error) {
	slots := manifests{fs: files, dir: "."}
	var flaws []Flaw
	for i := range slots.sizes {
		m, err := slots.load(i)
		switch {
		case errors.Is(err, errManifest), errors.Is(err, ErrNewerFormat):
			flaws = append(flaws, Flaw{File: slots.path(i), Kind: FlawNote, Err: err})
			slots.flaw = Join(slots.flaw, err)
		case err != nil:
			return nil, err
		case newest == nil || m.sequence > newest.sequence:
			newest = m
		}
	}
	if newest == nil {
		if slots.checkUnused() == nil {
			return nil, nil // nothing was stored yet
		}
		for i := range flaws {
			flaws[i].Kind = FlawIndex
		}
	}
	for _, f := range flaws {
		if err := flaw(f); err != nil {
			return nil, err
		}
	}
	return newest, nil
}

// inspectTable reads all of a table.
func inspectTable(t *table, flaw func(Flaw) error) error {
	found := Flaw{File: t.name, Kind: FlawIndex}
	size, err := t.used()
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case err != nil:
		found.Err = t.corrupt("the file is missing")
		return flaw(found)
	case size < t.info.size:
		found.Offset, found.Err = size, t.corrupt("the file has %d bytes of %d", size, t.info.size)
		return flaw(found)
	}
	found.Err = t.inspect()
	if errors.Is(found.Err, ErrCorrupt) {
		found.Offset = t.badBlock()
		err = t.close()
		return Join(err, flaw(found))
	}
	return Join(found.Err, t.close())
}

// used returns the length of the file.
func (t *table) used() (int64, error) {
	file, err := t.fs.Open(t.name)
	if err != nil {
		return 0, err
	}
	size, err := file.Size()
	return size, Join(err, file.Close())
}

// inspect reads all items, and compares them with what the manifest has of them.
func (t *table) inspect() error {
	c := tableCursor{t: t}
	var last []byte
	n := 0
	for c.seek(nil, false); c.item() != nil; c.next() {
		i := c.item()
		switch {
		case n == 0 && !bytes.Equal(i.key, t.info.first):
			return t.corrupt("the first key is %q, not %q", i.key, t.info.first)
		case n > 0 && bytes.Compare(i.key, last) <= 0:
			return t.corrupt("key %q comes behind %q", i.key, last)
		}
		last = append(last[:0], i.key...)
		n++
	}
	switch {
	case c.err() != nil:
		return c.err()
	case n != t.info.entries || !bytes.Equal(last, t.info.last):
		return t.corrupt("it has %d entries up to %q, the manifest says %d up to %q", n, last, t.info.entries, t.info.last)
	}
	return nil
}

// badBlock returns where the first block begins whose checksum is wrong, 0 when the blocks cannot be found or all are right.
func (t *table) badBlock() (at int64) {
	file, err := t.fs.Open(t.name)
	if err != nil {
		return 0
	}
	data := make([]byte, t.info.size)
	_, err = file.ReadAt(data, 0)
	if err = Join(err, file.Close()); err != nil && !errors.Is(err, io.EOF) {
		return 0
	}
	var ignored error
	defer t.caught(debug.SetPanicOnFault(true), &ignored)
	c := readContent(data)
	var memory []byte
	for i := range c.blocks {
		at = int64(c.blocks[i].at)
		_, memory = c.block(i, memory)
	}
	return 0
}

// IndexedAt is where the index says that a value is.
type IndexedAt struct {
	File   string // as in Flaw
	Offset int64  // of a value of 1 KiB and more, else 0
	Commit uint64
}

// Indexed is a store that tells where its values are. A store on disk is one.
type Indexed interface {
	// Where returns where the newest value of a key is; it is ErrNotFound when the key was deleted, or never set.
	Where(key []byte) (IndexedAt, error)
}

// Where implements Indexed.
func (s *diskStore) Where(key []byte) (at IndexedAt, err error) {
	if !s.gate.enter() {
		return at, ErrClosed
	}
	defer s.gate.leave()
	v, i, err := s.get(key)
	defer s.let(v)
	if err != nil {
		return at, s.wrap("look up", err)
	}
	if i == nil || i.deleted {
		return at, ErrNotFound
	}
	at = IndexedAt{File: valuesName + "/" + valueFileName(i.file), Commit: i.version}
	if i.large {
		at.Offset = int64(i.at)
	}
	return at, nil
}

package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs"
)

// A page that is gone, as from a file that was cut under its map or a device that cannot read, is an
// error of those who look at it.
func TestFaultUnderTheMapIsAnError(t *testing.T) {
	items := someItems(2000)
	dir := t.TempDir()
	fs := openFS(t, dir)
	told := func(err error, name string) {
		t.Helper()
		if !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v", err)
		}
		if debug.SetPanicOnFault(false) {
			t.Error("faults are panics still")
		}
	}
	for n, touched := range []bool{true, false} {
		r := writeRun(t, fs, ".", uint64(1+n), 1<<20, items)
		one := r.tables[0]
		if _, err := one.open(); err != nil {
			t.Fatal(err)
		}
		a, forward, reverse := r.cursor(), r.cursor(), r.cursor()
		if touched { // they stand in a block already
			if _, err := a.get(items[0].key); err != nil {
				t.Fatal(err)
			}
			forward.seek(nil, false)
			reverse.seek(nil, true)
		}
		if err := os.Truncate(filepath.Join(dir, one.name), 0); err != nil {
			t.Fatal(err)
		}
		if touched && (!sameItem(forward.item(), items[0]) || !sameItem(reverse.item(), items[len(items)-1])) {
			t.Error("the items of cursors have changed")
		}
		_, err := one.get(items[700].key)
		told(err, one.name)
		_, err = a.get(items[1].key)
		told(err, one.name)
		for k, c := range []cursor{forward, reverse} {
			if touched {
				for c.item() != nil { // what they have of the block
					c.next()
				}
			} else {
				c.seek(nil, k == 1)
			}
			if c.item() != nil {
				t.Errorf("a cursor stands on %s", c.item().key)
			}
			told(c.err(), one.name)
			c.seek(items[900].key, k == 1)
			told(c.err(), one.name)
		}
		if err := closeRun(r); err != nil {
			t.Error(err)
		}
	}
}

// The file is cut between the call that maps it and the check of its hash.
func TestFaultWhileTheHashIsChecked(t *testing.T) {
	dir := t.TempDir()
	fs := openFS(t, dir)
	one := writeRun(t, fs, ".", 1, 1<<20, someItems(2000)).tables[0]
	one.fs = truncating{fs, dir}
	if _, err := one.get(one.info.first); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// truncating has files that are cut when they are closed.
type truncating struct {
	*vfs.OS
	dir string
}

func (fs truncating) Open(name string) (vfs.File, error) {
	f, err := fs.OS.Open(name)
	return truncatedFile{f, filepath.Join(fs.dir, name)}, err
}

type truncatedFile struct {
	vfs.File
	name string
}

func (f truncatedFile) Close() error { return errors.Join(f.File.Close(), os.Truncate(f.name, 0)) }

// Bytes that change after they were checked, as on a device that reads wrong, are an error; what is served is right, and
// what was stored is not missing.
func TestBytesThatChangeUnderTheMap(t *testing.T) {
	items := someItems(2000)
	fs := openFS(t, t.TempDir())
	random := rand.New(rand.NewPCG(1, 1))
	told := 0
	for n := range 32 {
		r := writeRun(t, fs, ".", uint64(1+n), 1<<20, items)
		one := r.tables[0]
		if _, err := one.open(); err != nil {
			t.Fatal(err)
		}
		spoil(t, one, n%4, random)
		a := r.cursor()
		check := func(got *item, err error, want *item) {
			t.Helper()
			switch {
			case err != nil && !errors.Is(err, ErrCorrupt), err == nil && (got == nil || !sameItem(got, want)):
				t.Fatalf("got %+v, %v; want %+v", got, err, want)
			case err != nil:
				told++
			}
		}
		for k := 0; k < len(items); k += 7 {
			got, err := r.get(items[k].key)
			check(got, err, items[k])
			got, err = a.get(items[k].key)
			check(got, err, items[k])
		}
		c, k := r.cursor(), 0
		for c.seek(nil, false); c.item() != nil; c.next() {
			check(c.item(), c.err(), items[k])
			k++
		}
		if err := c.err(); err != nil {
			check(nil, err, nil)
		} else if k < len(items) {
			t.Errorf("%d items, and no error", k)
		}
		if err := closeRun(r); err != nil {
			t.Error(err)
		}
	}
	if told == 0 {
		t.Error("no error at all")
	}
}

// spoil overwrites a page with zeros, a page with anything, a byte, or a byte behind the blocks.
func spoil(t *testing.T, one *table, how int, random *rand.Rand) {
	t.Helper()
	size := one.info.size
	at, b := random.Int64N(size)&^4095, make([]byte, 4096)
	switch how {
	case 1:
		for i := range b {
			b[i] = byte(random.Uint32())
		}
	case 2:
		at, b = random.Int64N(size), []byte{byte(random.Uint32())}
	case 3:
		last := one.opened.Load().blocks[len(one.opened.Load().blocks)-1]
		behind := int64(last.at + last.size)
		at, b = behind+random.Int64N(size-behind), []byte{byte(random.Uint32())}
	}
	f, err := one.fs.Open(one.name)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.WriteAt(at, b), f.Close()); err != nil {
		t.Fatal(err)
	}
}

// Each byte behind the blocks changes, for itself: keys by which a block is found, and bits of the bloom filter. What is looked for is
// found, or it is an error, and nothing else is found in its place.
func TestIndexOfATableThatChangesUnderTheMap(t *testing.T) {
	items := someItems(150)
	fs := openFS(t, t.TempDir())
	r := writeRun(t, fs, ".", 1, 8<<10, items)
	one := r.tables[0]
	content, err := one.open()
	if err != nil || len(content.blocks) < 4 {
		t.Fatal(content, err)
	}
	items = items[:one.info.entries]
	last := content.blocks[len(content.blocks)-1]
	wrong, refused := 0, 0
	for at := int64(last.at + last.size); at < one.info.size; at++ {
		flip(t, fs, one.name, at)
		check := func(got, want *item, err error) {
			switch {
			case err != nil && errors.Is(err, ErrIndex):
				refused++
			case err != nil:
				t.Fatal(err)
			case (got == nil) != (want == nil) || want != nil && !sameItem(got, want):
				if wrong++; wrong < 10 {
					t.Errorf("byte %d: %+v in the place of %+v", at, got, want)
				}
			}
		}
		c := r.cursor()
		for k, i := range items {
			got, err := one.get(i.key)
			check(got, i, err)
			between := append(bytes.Clone(i.key), 0)
			got, err = one.get(between)
			check(got, nil, err)
			if k+1 < len(items) {
				c.seek(between, false)
				check(c.item(), items[k+1], c.err())
				c.seek(between, true)
				check(c.item(), i, c.err())
				c.seek(items[len(items)-1-k].key, false)
				check(c.item(), items[len(items)-1-k], c.err())
			}
		}
		flip(t, fs, one.name, at)
	}
	if refused == 0 || wrong > 0 {
		t.Errorf("%d refused, %d wrong", refused, wrong)
	}
	if err := closeRun(r); err != nil {
		t.Error(err)
	}
}

// A cursor goes on in the block that it has checked, whatever becomes of the file: a merge gives what it reads a new checksum.
func TestBlockThatChangesUnderACursor(t *testing.T) {
	items := someItems(2000)
	fs := openFS(t, t.TempDir())
	r := writeRun(t, fs, ".", 1, 1<<20, items)
	one := r.tables[0]
	c := r.cursor()
	c.seek(nil, false)
	for at := int64(0); at < one.info.size; at += 7 {
		flip(t, fs, one.name, at)
	}
	k := 0
	for ; c.item() != nil; c.next() {
		if !sameItem(c.item(), items[k]) {
			t.Fatalf("%+v in the place of %+v", c.item(), items[k])
		}
		k++
	}
	if k < 2 || !errors.Is(c.err(), ErrIndex) {
		t.Errorf("%d items, %v", k, c.err())
	}
	if err := closeRun(r); err != nil {
		t.Error(err)
	}
}

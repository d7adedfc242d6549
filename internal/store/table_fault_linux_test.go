package store

import (
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
				c.next()
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

// Bytes that change after they were checked, as on a device that reads wrong, are an error, or nothing is
// found; what is served is right.
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
			case err != nil && !errors.Is(err, ErrCorrupt), got != nil && !sameItem(got, want):
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
		if check(nil, c.err(), nil); c.err() == nil && k < len(items) {
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

package store

import (
	"errors"
	"os"
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
		r := writeRun(t, vfs.OS{}, dir, uint64(1+n), 1<<20, items)
		one := r.tables[0]
		if _, err := one.open(); err != nil {
			t.Fatal(err)
		}
		a, forward, reverse := r.ascending(), r.cursor(), r.cursor()
		if touched { // they stand in a block already
			if _, err := a.get(items[0].key); err != nil {
				t.Fatal(err)
			}
			forward.seek(nil, false)
			reverse.seek(nil, true)
		}
		if err := os.Truncate(one.name, 0); err != nil {
			t.Fatal(err)
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
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}
}

// The file is cut between the call that maps it and the check of its hash.
func TestFaultWhileTheHashIsChecked(t *testing.T) {
	dir := t.TempDir()
	r := writeRun(t, vfs.OS{}, dir, 1, 1<<20, someItems(2000))
	one := r.tables[0]
	one.fs = truncating{}
	if _, err := one.get(one.info.first); !errors.Is(err, ErrCorrupt) {
		t.Errorf("got %v", err)
	}
}

// truncating has files that are cut when they are closed.
type truncating struct{ vfs.OS }

func (fs truncating) Open(name string) (vfs.File, error) {
	f, err := fs.OS.Open(name)
	return truncatedFile{f, name}, err
}

type truncatedFile struct {
	vfs.File
	name string
}

func (f truncatedFile) Close() error { return errors.Join(f.File.Close(), os.Truncate(f.name, 0)) }

package store

import (
	"errors"
	"fmt"
	"testing"
)

// An index that is gone or damaged, and a manifest, are made anew from the value files: what is found
// then is what was there.
func TestRebuild(t *testing.T) {
	for seed := range uint64(100) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLife(t, seed)
			l.open()
			for range 3 {
				for range 40 {
					l.act()
				}
				quiet(l.store)
				kill, least := l.r.IntN(2) == 0, l.done
				left := l.disk.Clone()
				if err := l.store.Close(); err != nil {
					t.Fatal(err)
				}
				if !kill {
					left = l.disk
				}
				l.disk = left
				l.spoil()
				l.opts.Rebuild = true
				l.open()
				l.check(least)
				l.opts.Rebuild = false
				if err := l.store.Close(); err != nil {
					t.Fatal(err)
				}
				l.open()
				l.check(least)
			}
			if err := l.store.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// spoil takes something of the index away: tables, slots of the manifest, or bytes of them. Where it
// takes too much, the store does not open otherwise.
func (l *life) spoil() {
	l.t.Helper()
	names := []string{"MANIFEST.0", "MANIFEST.1"}
	if l.r.IntN(2) == 0 {
		names = nil // else one that is whole says which files there were
	}
	tables, err := l.disk.List(indexName)
	if err != nil {
		l.t.Fatal(err)
	}
	for _, i := range tables {
		names = append(names, indexName+"/"+i.Name)
	}
	gone := l.r.IntN(2) == 0
	for _, name := range names {
		if gone {
			err = l.disk.Remove(name)
		} else if f, openErr := l.disk.Open(name); openErr != nil {
			err = openErr
		} else {
			err = errors.Join(f.WriteAt(0, []byte("spoilt")), f.Close())
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

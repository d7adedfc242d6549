package store

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// An index that is gone or damaged, and a manifest, are made anew from the value files: what is found
// then is what was there.
func TestRebuild(t *testing.T) {
	t.Parallel()
	for seed := range rebuildSeeds() {
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

// rebuildCuts is which calls of a rebuild the power is cut at in TestRebuildSurvives: each n-th. REBUILD_CUTS=1 has them all.
func rebuildSeeds() uint64 { return uint64(long("REBUILDS", 10)) }

func rebuildCuts() int { return long("REBUILD_CUTS", 7) }

// The process is killed or the power cut in the middle of a rebuild, at any of its calls. The rebuild after it finds what
// was there all the same, and so does an open without one, if it is not told that the index is not whole.
func TestRebuildSurvives(t *testing.T) {
	for seed := range rebuildSeeds() {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLife(t, seed)
			l.open()
			for range 60 {
				l.act()
			}
			quiet(l.store)
			left := l.disk.Clone() // a kill
			if err := l.store.Close(); err != nil {
				t.Fatal(err)
			}
			l.forget()
			if seed%3 > 0 {
				left, l.synced = l.disk, l.done
			}
			l.disk = left
			l.spoil()
			for at := 1 + int(seed)%rebuildCuts(); l.cutRebuild(left, at); at += rebuildCuts() {
			}
		})
	}
}

// The process is killed when a manifest is written and not yet durable, and the power takes it back in the middle of
// the rebuild that comes after: what the one before it names must be there still.
func TestRebuildOverUnsyncedManifest(t *testing.T) {
	for seed := range rebuildSeeds() {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLife(t, seed)
			l.open()
			for range 60 {
				l.act()
			}
			quiet(l.store)
			var left *vfstest.Disk
			l.disk.Before(func(c vfstest.Call) error {
				if left == nil && c.Op == "sync" && strings.HasPrefix(c.Name, "MANIFEST") {
					left = l.disk.Clone()
				}
				return nil
			})
			l.commit()
			if err := l.store.checkpoint(); err != nil {
				t.Fatal(err)
			}
			l.disk.Before(nil)
			l.synced = l.done
			if err := l.store.Close(); err != nil {
				t.Fatal(err)
			}
			for at := 1 + int(seed)%rebuildCuts(); l.cutRebuild(left, at); at += rebuildCuts() {
			}
		})
	}
}

// Where the value files are damaged the index cannot be made anew. The one that is there stays.
func TestRebuildThatFailsLeavesTheIndex(t *testing.T) {
	disk := vfstest.NewDisk(0)
	opts := Options{fileSize: 5000}
	s, err := openDisk(disk, ".", opts)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		set(t, s, fmt.Sprintf("key %02d", i), strings.Repeat("x", 3000))
	}
	if err := errors.Join(s.checkpoint(), s.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := disk.Open(s.files.path(1))
	if err := errors.Join(err, f.WriteAt(1500, []byte("spoilt"))); err != nil {
		t.Fatal(err)
	}
	if _, err := openDisk(disk, ".", Options{Rebuild: true}); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("rebuilt, with error %v", err)
	}
	if s, err = openDisk(disk, ".", opts); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := s.Get(fmt.Appendf(nil, "key %02d", i)); i > 0 && err != nil || i == 0 && !errors.Is(err, ErrCorrupt) {
			t.Errorf("key %d: %v", i, err)
		}
	}
	closeStore(t, s)
}

// cutRebuild rebuilds the index of a copy of left, which dies at one of the calls, and looks at what is there then. It
// returns false when there were not so many.
func (l *life) cutRebuild(left *vfstest.Disk, at int) bool {
	t := l.t
	t.Helper()
	was := *l
	defer func() { *l = was }()
	l.disk = left.Clone()
	var died *vfstest.Disk
	power, seed, least := l.r.IntN(3) > 0, l.r.Uint64(), l.done
	if power {
		least = l.synced
	}
	l.disk.Before(func(c vfstest.Call) error {
		switch {
		case c.N != at:
		case power:
			died = l.disk.Cut(seed)
		default:
			died = l.disk.Clone()
		}
		return nil
	})
	l.opts.Rebuild = true
	l.open()
	l.disk.Before(nil)
	if err := l.store.Close(); err != nil {
		t.Fatal(err)
	}
	if died == nil {
		return false
	}
	if power && l.opts.boot != [16]byte{} {
		l.opts.boot[1]++
	}
	defer func() {
		if t.Failed() {
			t.Logf("died at call %d, power %t", at, power)
		}
	}()
	l.disk, l.opts.Rebuild = died.Clone(), false
	if s, err := openDisk(l.disk, ".", l.opts); err == nil {
		l.store = s
		if _, err := contentOf(s); err == nil {
			l.check(least)
		} else if !errors.Is(err, ErrIndex) {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil && !errors.Is(err, ErrIndex) {
			t.Fatal(err)
		}
	} else if !errors.Is(err, ErrIndex) {
		t.Fatal(err)
	}
	l.disk, l.opts.Rebuild = died, true
	l.open()
	l.check(least)
	if err := l.store.Close(); err != nil {
		t.Fatal(err)
	}
	return true
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
	for _, name := range names { // the power does not bring them back
		if gone {
			err = errors.Join(l.disk.Remove(name), l.disk.SyncDir(path.Dir(name)))
		} else if f, openErr := l.disk.Open(name); openErr != nil {
			err = openErr
		} else {
			err = errors.Join(f.WriteAt(0, []byte("spoilt")), f.Sync(), f.Close())
		}
		if err != nil {
			l.t.Fatal(err)
		}
	}
}

// That batches may have come back is told until somebody has dealt with it.
func TestRebuildIsNoted(t *testing.T) {
	disk := vfstest.NewDisk(0)
	noted := func(want bool, opts Options, then func(s Store)) {
		t.Helper()
		s, err := openDisk(disk, ".", opts)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(RebuiltKey()); want != (err == nil) || !want && !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want it noted: %v", err, want)
		}
		if then != nil {
			then(s)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	noted(false, Options{}, func(s Store) { set(t, s, "a", "1") })
	noted(true, Options{Rebuild: true}, func(s Store) { expect(t, "seen", dump(t, s, Range{}), "a=1") })
	noted(true, Options{}, func(s Store) { remove(t, s, string(RebuiltKey())) })
	noted(false, Options{}, nil)
}

// Before the first checkpoint nothing is given up. So a file that is missing is what the power has taken, and so is what
// comes behind it. Without a manifest nobody knows that.
func TestRebuildBeforeACheckpoint(t *testing.T) {
	disk := vfstest.NewDisk(0)
	s, err := openDisk(disk, ".", Options{fileSize: 5000})
	if err != nil {
		t.Fatal(err)
	}
	s.flushing.stop() // what is full stays as it is
	set(t, s, "a", "1")
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	set(t, s, "b", strings.Repeat("2", 4900)) // in a file of its own, as is what follows
	lost := s.files.path(s.files.current().number)
	set(t, s, "c", strings.Repeat("3", 4900))
	left := disk.Clone()
	if err := errors.Join(s.Close(), left.Remove(lost)); err != nil {
		t.Fatal(err)
	}
	for _, rebuild := range []bool{false, true} {
		s, err := openDisk(left.Clone(), ".", Options{Rebuild: rebuild})
		if err != nil {
			t.Fatalf("rebuild %t: %v", rebuild, err)
		}
		expect(t, fmt.Sprint("seen, rebuild ", rebuild), dump(t, s, Range{}), "a=1")
		closeStore(t, s)
	}
	if err := errors.Join(left.Remove("MANIFEST.0"), left.Remove("MANIFEST.1")); err != nil {
		t.Fatal(err)
	}
	if _, err := openDisk(left, ".", Options{Rebuild: true}); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "nothing says that they were given up") {
		t.Errorf("without a manifest: %v", err)
	}
}

// Who does not find what belongs to the index is told what to do, on one line.
func TestErrorsNameRebuild(t *testing.T) {
	for _, gone := range [][]string{{"index/*"}, {"MANIFEST.0", "MANIFEST.1"}} {
		l := newLife(t, 1)
		l.open()
		for l.done < 100 {
			l.commit()
		}
		if err := errors.Join(l.store.checkpoint(), l.store.Close()); err != nil {
			t.Fatal(err)
		}
		for _, name := range gone {
			if name != "index/*" {
				if err := l.disk.Remove(name); err != nil {
					t.Fatal(err)
				}
				continue
			}
			tables, err := l.disk.List(indexName)
			if err != nil || len(tables) == 0 {
				t.Fatal(tables, err)
			}
			for _, i := range tables {
				if err := l.disk.Remove(indexName + "/" + i.Name); err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := openDisk(l.disk, ".", l.opts); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "RebuildIndex") || strings.Contains(err.Error(), "\n") {
			t.Errorf("without %v: %v", gone, err)
		}
	}
}

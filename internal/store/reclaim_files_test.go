package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// fewValues are options with which perFile values of fewSize fill a value file.
var fewValues = Options{valueFile: 1 << 20, memtable: 256 << 10}

const (
	perFile = 11
	fewSize = 100 << 10
)

func fewValue(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%09d.", i), fewSize/10) }

// fillFiles opens a store with n full value files, and one that is begun.
func fillFiles(t *testing.T, n int) *badgerStore {
	t.Helper()
	s := openTemp(t, t.TempDir(), fewValues)
	writeFew(t, s, 0, n*perFile+1)
	if got := currentValueFile(t, s); got != uint32(n+1) {
		t.Fatalf("%d value files are full", got-1)
	}
	return s
}

func writeFew(t *testing.T, s Store, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		var b Batch
		b.Set(offsetKey(i), fewValue(i))
		commit(t, s, &b)
	}
}

// thin deletes the first n values of a file.
func thin(t *testing.T, s Store, file, n int) {
	t.Helper()
	removeOffsets(t, s, (file-1)*perFile, (file-1)*perFile+n)
}

// checkFew expects those of count values that gone does not name.
func checkFew(t *testing.T, s Store, count int, gone func(i int) bool) {
	t.Helper()
	for i := range count {
		v, err := s.Get(offsetKey(i))
		if gone(i) {
			if !errors.Is(err, ErrNotFound) {
				t.Errorf("value %d is back: %v", i, err)
			}
		} else if err != nil || !bytes.Equal(v, fewValue(i)) {
			t.Errorf("value %d: %d bytes, %v", i, len(v), err)
		}
	}
}

// files returns which of the first n value files are there.
func files(t *testing.T, s *badgerStore, n int) (there []int) {
	t.Helper()
	for i := 1; i <= n; i++ {
		_, err := os.Stat(valueFile(s.values(), uint32(i)))
		if err == nil {
			there = append(there, i)
		} else if !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	return there
}

func reclaimWith(t *testing.T, s Store, opts ReclaimOptions) {
	t.Helper()
	opts.Pause = atOnce
	if err := s.Reclaim(context.Background(), opts); err != nil {
		t.Fatal(err)
	}
}

func TestReclaimShare(t *testing.T) {
	s := fillFiles(t, 3)
	defer closeStore(t, s)
	for file, n := range map[int]int{1: 3, 2: 5, 3: 7} { // 27, 45 and 64 % garbage
		thin(t, s, file, n)
	}
	for _, c := range []struct {
		share float64
		want  []int
	}{{0.7, []int{1, 2, 3}}, {0, []int{1, 2}}, {0.4, []int{1}}, {0.3, []int{1}}, {0.2, nil}} {
		reclaimWith(t, s, ReclaimOptions{Share: c.share})
		if got := files(t, s, 3); !slices.Equal(got, c.want) {
			t.Errorf("share %v: files %v are left, want %v", c.share, got, c.want)
		}
	}
	gone := map[int]int{0: 3, 1: 5, 2: 7}
	checkFew(t, s, 3*perFile, func(i int) bool { return i%perFile < gone[i/perFile] })
}

// Freed tells of each file that went, once it is gone.
func TestReclaimFreed(t *testing.T) {
	s := fillFiles(t, 3)
	defer closeStore(t, s)
	thin(t, s, 1, 7)
	thin(t, s, 2, perFile)
	var freed []int64
	opts := ReclaimOptions{Freed: func(n int64) {
		freed = append(freed, n)
		if got := files(t, s, 3); slices.Contains(got, 2) || len(freed) == 2 && slices.Contains(got, 1) {
			t.Errorf("%d bytes are freed, and there are files %v", n, got)
		}
	}}
	reclaimWith(t, s, opts)
	if len(freed) != 2 {
		t.Fatalf("told of %d bytes", freed)
	}
	for i, values := range []int64{perFile, 7} { // what is dead goes first
		if least := values * fewSize; freed[i] < least || freed[i] > least*101/100 {
			t.Errorf("file %d: told of %d bytes, %d values are gone", 2-i, freed[i], values)
		}
	}
	reclaimWith(t, s, opts)
	if len(freed) != 2 {
		t.Errorf("told of %d bytes of nothing", freed[2:])
	}
}

// Enough ends it when the dead files are gone, and between rounds of others.
func TestReclaimEnough(t *testing.T) {
	const full = 2 + maxRewritten + 3
	s := fillFiles(t, full)
	defer closeStore(t, s)
	for file := 1; file <= full; file++ {
		thin(t, s, file, 7)
	}
	thin(t, s, 1, perFile)
	thin(t, s, full, perFile)
	asked := 0
	reclaimWith(t, s, ReclaimOptions{Enough: func() bool {
		asked++
		return true
	}})
	if got := files(t, s, full); len(got) != full-2 || got[0] != 2 || asked != 1 {
		t.Errorf("files %v are left, asked %d times", got, asked)
	}
	asked = 0
	reclaimWith(t, s, ReclaimOptions{Enough: func() bool {
		asked++
		return asked == 2
	}})
	if got := files(t, s, full); len(got) != 3 || asked != 2 {
		t.Errorf("files %v are left, asked %d times", got, asked)
	}
	reclaimWith(t, s, ReclaimOptions{})
	if got := files(t, s, full); len(got) != 0 {
		t.Errorf("files %v are left", got)
	}
	checkFew(t, s, full*perFile, func(i int) bool {
		return i < perFile || i >= (full-1)*perFile || i%perFile < 7
	})
}

// Rest is called after each round with how long it took, and its error ends Reclaim.
func TestReclaimRest(t *testing.T) {
	const full = maxRewritten + 2
	s := fillFiles(t, full)
	defer closeStore(t, s)
	for file := 1; file <= full; file++ {
		thin(t, s, file, 7)
	}
	type key struct{}
	ctx := context.WithValue(context.Background(), key{}, "mine")
	tired, rests := errors.New("tired"), 0
	opts := ReclaimOptions{Pause: atOnce, Rest: func(ctx context.Context, worked time.Duration) error {
		if rests++; worked <= 0 || ctx.Value(key{}) != "mine" {
			t.Errorf("rest %d: worked %v, context %v", rests, worked, ctx)
		}
		return tired
	}}
	if err := s.Reclaim(ctx, opts); !errors.Is(err, tired) || rests != 1 {
		t.Errorf("%d rests, error %v", rests, err)
	}
	if got := files(t, s, full); len(got) != 2 {
		t.Errorf("files %v are left after a round of %d", got, maxRewritten)
	}
	tired = nil
	if err := s.Reclaim(ctx, opts); err != nil || rests != 2 || len(files(t, s, full)) != 0 {
		t.Errorf("%d rests, files %v are left, error %v", rests, files(t, s, full), err)
	}
	checkFew(t, s, full*perFile, func(i int) bool { return i%perFile < 7 })
}

// The dead files go with one fsync, the others with two, and none of what is alive is lost,
// now or when the store is opened again.
func TestReclaimOfDeadFilesAndOthers(t *testing.T) {
	s := fillFiles(t, 6)
	gone := map[int]int{0: perFile, 1: 7, 2: perFile, 3: 8, 4: perFile, 5: 1}
	for file, n := range gone {
		thin(t, s, file+1, n)
	}
	synced := 0
	s.files.file = func(path string) error {
		if filepath.Base(path) == filepath.Base(valueFile("", currentValueFile(t, s))) {
			synced++
		}
		return syncFile(path)
	}
	reclaimWith(t, s, ReclaimOptions{})
	if got := files(t, s, 6); !slices.Equal(got, []int{6}) || synced != 3 {
		t.Errorf("files %v are left, the value log was synced %d times", got, synced)
	}
	for range 2 {
		checkFew(t, s, 6*perFile+1, func(i int) bool { return i%perFile < gone[i/perFile] })
		closeStore(t, s)
		s = openTemp(t, s.dir, fewValues)
	}
	closeStore(t, s)
}

// A file that was not filled is dead like any other, although larger ones have more
// garbage.
func TestReclaimOfSmallDeadFile(t *testing.T) {
	s := fillFiles(t, 1)
	writeFew(t, s, perFile+1, perFile+3)
	closeStore(t, s)
	s = openTemp(t, s.dir, fewValues)
	defer closeStore(t, s)
	thin(t, s, 1, 7)
	thin(t, s, 2, 3)
	reclaimWith(t, s, ReclaimOptions{Enough: func() bool { return true }})
	if got := files(t, s, 2); !slices.Equal(got, []int{1}) {
		t.Errorf("files %v are left", got)
	}
}

// halfDone begins to reclaim two files of a store, of which some keys are deleted while that
// goes on, and calls then when the copies are made, and the files are there still, and nothing
// is buried for the second time. It returns what Reclaim does, which gets then's error.
func halfDone(t *testing.T, s *badgerStore, then func() error) error {
	t.Helper()
	thin(t, s, 1, 7)
	thin(t, s, 2, 7)
	deleted := false
	return s.Reclaim(context.Background(), ReclaimOptions{Pause: func(fn func() error) error {
		if len(s.rewritten) == 2 {
			if err := then(); err != nil {
				return err
			}
		}
		err := fn()
		if !deleted { // the counts are made: the index keeps what is deleted now
			deleted = true
			thin(t, s, 1, 8)
			thin(t, s, 2, 8)
			syncStore(t, s)
		}
		return err
	}})
}

func goneHalfDone(i int) bool { return i < 2*perFile && i%perFile < 8 }

// Killed, or without power, between the copies and the deletion of several files: neither
// are values lost nor are keys back, of whichever file.
func TestKilledAmongRewrites(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("copies lost=%v", lost), func(t *testing.T) {
			s := fillFiles(t, 2)
			syncStore(t, s)
			newest := valueFile(valuesName, currentValueFile(t, s))
			data, err := os.ReadFile(filepath.Join(s.dir, newest))
			if err != nil {
				t.Fatal(err)
			}
			end, left := wholeEntries(data), ""
			if err := halfDone(t, s, func() error {
				if left == "" {
					left = copyStore(t, s.dir)
				}
				return nil
			}); err != nil || left == "" {
				t.Fatalf("copied to %q, %v", left, err)
			}
			if lost {
				overwrite(t, filepath.Join(left, newest), int64(end), make([]byte, 6*fewSize+4096))
			}
			closeStore(t, s)

			s = openTemp(t, left, fewValues)
			note, err := s.Get(rewriteKey)
			if err != nil || len(note) != 8 || binary.BigEndian.Uint32(note)+binary.BigEndian.Uint32(note[4:]) != 3 {
				t.Errorf("noted: %x, %v", note, err)
			}
			for range 2 {
				checkFew(t, s, 2*perFile+1, goneHalfDone)
				reclaimWith(t, s, ReclaimOptions{Share: 0.1})
				checkFew(t, s, 2*perFile+1, goneHalfDone)
				if got := files(t, s, 2); len(got) != 0 {
					t.Errorf("files %v are left", got)
				}
				closeStore(t, s)
				s = openTemp(t, left, fewValues)
			}
			closeStore(t, s)
		})
	}
}

// When a rewrite fails in the middle no other may begin, which would not know what the
// first one holds; and the store is not closed as if all were well.
func TestReclaimAfterHalfOfOne(t *testing.T) {
	s := fillFiles(t, 2)
	syncStore(t, s)
	broken := errors.New("broken")
	if err := halfDone(t, s, func() error { return broken }); !errors.Is(err, broken) {
		t.Fatalf("Reclaim: %v", err)
	}
	note, err := s.Get(rewriteKey)
	if err != nil {
		t.Fatal(err)
	}
	thin(t, s, 1, perFile)
	if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); !errors.Is(err, errHalfDone) {
		t.Errorf("another Reclaim: %v", err)
	}
	if again, err := s.Get(rewriteKey); err != nil || !bytes.Equal(again, note) {
		t.Errorf("%x was noted, and now %x, %v", note, again, err)
	}
	gone := func(i int) bool { return i < perFile || goneHalfDone(i) }
	checkFew(t, s, 2*perFile+1, gone)
	closeStore(t, s)
	s = openTemp(t, s.dir, fewValues)
	defer closeStore(t, s)
	if s.Recovery().Clean {
		t.Error("clean, although copies were never synced")
	}
	reclaimWith(t, s, ReclaimOptions{Share: 0.1})
	checkFew(t, s, 2*perFile+1, gone)
	if got := files(t, s, 2); len(got) != 0 {
		t.Errorf("files %v are left", got)
	}
}

// The counts of garbage may have moved since they were read.
func TestCondemnFindsItsFile(t *testing.T) {
	s := &badgerStore{dir: t.TempDir()}
	if err := os.MkdirAll(s.values(), 0o755); err != nil {
		t.Fatal(err)
	}
	counts := func(pairs ...uint64) {
		var data []byte
		for _, n := range append(pairs, 0, 0) {
			data = binary.BigEndian.AppendUint64(data, n)
		}
		if err := os.WriteFile(filepath.Join(s.values(), garbageName), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	counts(5, 500, 7, 700)
	r := newReclaim(s, ReclaimOptions{})
	all, err := readGarbage(s.values())
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	counts(3, 300, 5, 501, 7, 701)
	if err := r.condemn(all[1]); err != nil {
		t.Fatal(err)
	}
	now, err := readGarbage(s.values())
	if err != nil || len(now) != 3 || now[0].bytes != 300 || now[1].bytes != 501 || now[2].bytes != condemned {
		t.Errorf("%v, %v", now, err)
	}
	counts(3, 300)
	if err := r.condemn(all[1]); !errors.Is(err, errWrongFile) {
		t.Errorf("a file without a count: %v", err)
	}
}

package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// placeInFile is a part of a file.
type placeInFile struct {
	file     string
	from, to int64
}

// flawsOf returns all flaws of a directory that nobody has open, but for notes, what was walked through, and where its frames
// are.
func flawsOf(t *testing.T, dir string) (flaws []Flaw, sum Walked, frames []placeInFile) {
	t.Helper()
	add := func(f Flaw) error {
		if f.Kind != FlawNote {
			flaws = append(flaws, f)
		}
		return nil
	}
	if err := Inspect(t.Context(), dir, add); err != nil {
		t.Fatal(err)
	}
	sum, err := Walk(t.Context(), dir, WalkOptions{Flaw: add, Frame: func(f *Frame) error {
		frames = append(frames, placeInFile{f.File, f.Offset, f.Offset + int64(f.Length)})
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return flaws, sum, frames
}

// inspected returns the directory of a store with many files, closed or killed, and without flaws.
func inspected(t *testing.T, closed bool) string {
	t.Helper()
	dir := t.TempDir()
	opts := Small{FileBytes: 64 << 10, TreeEntries: 300}.Options(Options{})
	rng := rand.New(rand.NewPCG(7, 9))
	for session := range 3 {
		s := openTemp(t, dir, opts)
		for i := range 400 {
			n := rng.IntN(120)
			var b Batch
			b.Set(childKey(n), childValue(rng.IntN(1000)))
			b.Set(fmt.Appendf(nil, "small%d", n), fmt.Appendf(nil, "%d %d", session, i))
			if i%7 == 0 {
				b.Delete(childKey(rng.IntN(120)))
			}
			if err := tryCommit(s, &b); err != nil {
				t.Fatal(err)
			}
			if i%50 == 0 {
				if err := s.Sync(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := s.Reclaim(context.Background()); err != nil {
			t.Fatal(err)
		}
		if session == 2 && !closed {
			set(t, s, "last", "1")
			killed := killedStore(t, s)
			closeStore(t, s)
			return killed
		}
		closeStore(t, s)
	}
	return dir
}

func TestWalkOfAWholeDirectoryFindsNothing(t *testing.T) {
	for _, closed := range []bool{true, false} {
		dir := inspected(t, closed)
		flaws, sum, frames := flawsOf(t, dir)
		if len(flaws) > 0 || sum.Cut != "" {
			t.Errorf("closed %t: %v, cut %s", closed, flaws, sum.Cut)
		}
		if sum.Closed != closed || sum.Files < 3 || int64(len(frames)) != sum.Frames {
			t.Errorf("closed %t: %+v, %d frames", closed, sum, len(frames))
		}
	}
}

// TestWalkFindsEveryDamagedByte flips one bit at a time where frames, tables and headers are.
func TestWalkFindsEveryDamagedByte(t *testing.T) {
	t.Parallel()
	for _, closed := range []bool{true, false} {
		dir := inspected(t, closed)
		_, _, places := flawsOf(t, dir)
		files := map[string]bool{}
		for _, p := range places {
			files[p.file] = true
		}
		for name := range files {
			places = append(places, placeInFile{name, 0, fileHeaderSize})
		}
		tables, err := filepath.Glob(filepath.Join(dir, indexName, "*.sst"))
		if err != nil || len(tables) == 0 {
			t.Fatal(tables, err)
		}
		for _, name := range tables {
			places = append(places, placeInFile{indexName + "/" + filepath.Base(name), 0, 200})
		}
		rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
		cuts := 0
		flips := long("FLIPS", 75)
		for range flips {
			p := places[rng.IntN(len(places))]
			at, bit := p.from+rng.Int64N(p.to-p.from), rng.IntN(8)
			flipBit(t, filepath.Join(dir, p.file), at, bit)
			flaws, sum, _ := flawsOf(t, dir)
			flipBit(t, filepath.Join(dir, p.file), at, bit)
			found := false
			for _, f := range flaws {
				found = found || f.File == p.file && f.Offset <= at && (f.End == 0 || at < f.End)
			}
			if sum.Cut != "" && strings.HasPrefix(sum.Cut, p.file) {
				cuts++ // it was the end, and nothing tells of it
				found = true
			}
			if !found {
				t.Fatalf("closed %t: bit %d of %s at %d, in %+v: %v, %+v", closed, bit, p.file, at, p, flaws, sum)
			}
		}
		if cuts > 10+flips/20 {
			t.Errorf("closed %t: %d were taken for the end", closed, cuts)
		}
	}
}

func flipBit(t *testing.T, path string, at int64, bit int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	b[0] ^= 1 << bit
	if err == nil {
		_, err = f.WriteAt(b[:], at)
	}
	if err = Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestWalkBesideAnOwner walks while another process writes, gives files up, and is killed.
func TestWalkBesideAnOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := startChild(t, dir)
	walks, frames := 0, int64(0)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; n < 12_000 && c.out.Scan(); n++ {
			continue
		}
	}()
	for running := true; running; walks++ {
		select {
		case <-done:
			running = false
		default:
		}
		sum, err := Walk(t.Context(), dir, WalkOptions{Live: true, Flaw: func(f Flaw) error { return fmt.Errorf("found %v", f) }})
		if err != nil {
			t.Error(err)
			break
		}
		frames += sum.Frames
	}
	<-done
	c.kill(t, func(string) {})
	flaws, sum, _ := flawsOf(t, dir)
	if len(flaws) > 0 || sum.Frames == 0 || frames == 0 {
		t.Errorf("killed: %v, %+v", flaws, sum)
	}
	t.Logf("%d walks, %d frames", walks, frames)
}

// TestWalkBesideAnOwnerFindsDamage damages what the owner has written before.
func TestWalkBesideAnOwnerFindsDamage(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Small{FileBytes: 64 << 10}.Options(Options{}))
	defer closeStore(t, s)
	var places []placeInFile
	for i := range 100 {
		set(t, s, string(childKey(i)), string(childValue(i)))
	}
	_, err := Walk(t.Context(), dir, WalkOptions{Live: true, Frame: func(f *Frame) error {
		places = append(places, placeInFile{f.File, f.Offset, f.Offset + int64(f.Length)})
		return nil
	}})
	if err != nil || len(places) < 100 {
		t.Fatal(len(places), err)
	}
	for _, p := range places[:len(places)-1] {
		at := p.from + rand.Int64N(p.to-p.from)
		flipBit(t, filepath.Join(dir, p.file), at, 3)
		found := 0
		_, err := Walk(t.Context(), dir, WalkOptions{Live: true, Flaw: func(f Flaw) error {
			if f.File == p.file && f.Offset <= at && (f.End == 0 || at < f.End) {
				found++
			}
			return nil
		}})
		flipBit(t, filepath.Join(dir, p.file), at, 3)
		if err != nil || found != 1 {
			t.Fatalf("%+v at %d: found %d times, %v", p, at, found, err)
		}
	}
}

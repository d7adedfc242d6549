package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"
)

// victim is a store with values in one value file, closed or killed, to be damaged.
type victim struct {
	dir    string
	values map[string][]byte
	file   string // the value file, cut to its content
	end    int64  // of the content
}

func newVictim(t *testing.T, killed bool) victim {
	t.Helper()
	v := victim{dir: t.TempDir(), values: map[string][]byte{}}
	s := openTemp(t, v.dir, Options{})
	noise := rand.New(rand.NewPCG(1, 2))
	for i := range 20 {
		var b Batch
		for j := range 3 {
			key, value := fmt.Sprintf("key%02d.%d", i, j), make([]byte, 2000+noise.IntN(3000))
			for n := range value {
				value[n] = byte(noise.Uint32())
			}
			b.Set([]byte(key), value)
			v.values[key] = value
		}
		b.Set(fmt.Appendf(nil, "small%02d", i), []byte("s"))
		commit(t, s, &b)
	}
	if killed {
		v.dir = copyStore(t, v.dir)
	}
	closeStore(t, s)
	v.file = valueFile(filepath.Join(v.dir, valuesName), 1)
	data, err := os.ReadFile(v.file)
	if err != nil {
		t.Fatal(err)
	}
	v.end = int64(wholeEntries(data))
	return v
}

// inspect opens the damaged store and reads all of it, in every way. What can be read
// must be right. It returns the number of values that are lost.
func (v victim) inspect(t *testing.T) int {
	t.Helper()
	s := openTemp(t, v.dir, Options{})
	defer closeStore(t, s)
	lost := v.read(t, s)
	// The store goes on, and Reclaim neither stumbles nor loses more.
	set(t, s, "new", "value")
	for key := range v.values {
		if key < "key10" {
			remove(t, s, key)
			delete(v.values, key)
		}
	}
	lostNow := v.read(t, s)
	if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); err != nil {
		t.Errorf("Reclaim: %v", err)
	}
	if after := v.read(t, s); after != lostNow {
		t.Errorf("%d values lost before Reclaim and %d after", lostNow, after)
	}
	expectGet(t, s, "new", "value")
	return lost
}

func (v victim) read(t *testing.T, s Store) (lost int) {
	t.Helper()
	for key, want := range v.values {
		got, err := s.Get([]byte(key))
		switch {
		case errors.Is(err, ErrCorrupt):
			lost++
		case err != nil || !bytes.Equal(got, want):
			t.Errorf("Get(%s): %d bytes, %v", key, len(got), err)
		}
	}
	for i := range 20 {
		expectGet(t, s, fmt.Sprintf("small%02d", i), "s")
	}
	scanned, found := 0, 0
	err := s.Scan(Range{From: []byte("key"), To: []byte("kez")}, func(e Entry) (bool, error) {
		found++
		got, err := e.AppendValue([]byte("kept"))
		switch {
		case errors.Is(err, ErrCorrupt):
			scanned++
			if string(got) != "kept" {
				t.Errorf("a failed AppendValue returned %d bytes", len(got))
			}
		case err != nil || !bytes.Equal(got[4:], v.values[string(e.Key)]):
			t.Errorf("Scan(%s): %d bytes, %v", e.Key, len(got), err)
		}
		return true, nil
	})
	if err != nil || scanned != lost || found != len(v.values) {
		t.Errorf("Scan: %d keys of %d, %d lost where Get lost %d, %v", found, len(v.values), scanned, lost, err)
	}
	return lost
}

func ends(t *testing.T, test func(t *testing.T, killed bool)) {
	t.Run("closed", func(t *testing.T) { test(t, false) })
	t.Run("killed", func(t *testing.T) { test(t, true) })
}

func TestCutValueFile(t *testing.T) {
	ends(t, func(t *testing.T, killed bool) {
		for _, cut := range []int64{1, 3, 5000, 100_000, 1 << 62} {
			v := newVictim(t, killed)
			if err := os.Truncate(v.file, max(0, v.end-cut)); err != nil {
				t.Fatal(err)
			}
			least := 1
			if cut > v.end {
				least = len(v.values)
			}
			if lost := v.inspect(t); lost < least || (cut <= 3 && lost > 1) {
				t.Errorf("cut by %d: %d values lost", cut, lost)
			}
		}
	})
}

func TestCutValueFileInItsHeader(t *testing.T) {
	for _, size := range []int64{0, 1, 19, 20, 21} {
		v := newVictim(t, true)
		if err := os.Truncate(v.file, size); err != nil {
			t.Fatal(err)
		}
		all := len(v.values)
		if lost := v.inspect(t); lost != all {
			t.Errorf("cut to %d: %d of %d values lost", size, lost, all)
		}
	}
}

func TestMissingValueFile(t *testing.T) {
	v := newVictim(t, true)
	if err := os.Remove(v.file); err != nil {
		t.Fatal(err)
	}
	all := len(v.values)
	if lost := v.inspect(t); lost != all {
		t.Errorf("%d of %d values lost", lost, all)
	}
}

func overwrite(t *testing.T, path string, pos int64, data []byte) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.WriteAt(data, pos); err != nil {
		t.Fatal(err)
	}
}

func TestZeroedTailOfValueFile(t *testing.T) {
	ends(t, func(t *testing.T, killed bool) {
		for _, n := range []int64{4, 4096, 50_000} {
			v := newVictim(t, killed)
			overwrite(t, v.file, v.end-n, make([]byte, n))
			if lost := v.inspect(t); lost == 0 || int64(lost) > n/2000+2 {
				t.Errorf("%d bytes zeroed: %d values lost", n, lost)
			}
		}
	})
}

// Damage to one value costs that value and no other, wherever it is.
func TestFlippedBytesInValueFile(t *testing.T) {
	ends(t, func(t *testing.T, killed bool) {
		noise := rand.New(rand.NewPCG(3, 4))
		for range 5 {
			v := newVictim(t, killed)
			pos := 20 + noise.Int64N(v.end-20)
			overwrite(t, v.file, pos, []byte{byte(noise.Uint32()), byte(noise.Uint32()), byte(noise.Uint32())})
			if lost := v.inspect(t); lost > 2 {
				t.Errorf("3 bytes overwritten at %d: %d values lost", pos, lost)
			}
		}
	})
}

// Lengths that overflow when added would make Badger panic.
func TestAbsurdLengthsInValueFile(t *testing.T) {
	absurd := []byte{0, 0, 0xe4, 0x00, 0xf0, 0xff, 0xff, 0xff, 0x0f, 0}
	ends(t, func(t *testing.T, killed bool) {
		v := newVictim(t, killed)
		overwrite(t, v.file, logHeaderSize, absurd)
		if lost := v.inspect(t); lost != 1 {
			t.Errorf("%d values lost", lost)
		}
	})
}

func TestDamagedMemtableLog(t *testing.T) {
	absurd := []byte{0, 0, 0xe4, 0x00, 0xf0, 0xff, 0xff, 0xff, 0x0f, 0}
	for _, damage := range [][]byte{absurd, {0xff}, {0, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 4096)} {
		s := openTemp(t, t.TempDir(), Options{})
		for i := range 50 {
			set(t, s, fmt.Sprintf("key%02d", i), "a value of moderate length")
		}
		dir := copyStore(t, s.dir)
		closeStore(t, s)
		path := filepath.Join(dir, indexName, "00001.mem")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		middle := logHeaderSize
		for middle < wholeEntries(data)/2 {
			middle += wholeEntry(data[middle:])
		}
		overwrite(t, path, int64(middle), damage)

		s = openTemp(t, dir, Options{})
		keys := 0
		if err := s.Scan(Range{}, func(e Entry) (bool, error) {
			expectGet(t, s, fmt.Sprintf("key%02d", keys), "a value of moderate length")
			keys++
			return true, nil
		}); err != nil {
			t.Error(err)
		}
		if keys < 20 || keys > 30 {
			t.Errorf("%d keys of 50 are left after damage in the middle", keys)
		}
		set(t, s, "new", "value")
		closeStore(t, s)
	}
}

// Files that a killed Badger leaves empty, and which it refuses to open.
func TestEmptyFilesOfKilledStore(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	set(t, s, "a", "1", "b", string(make([]byte, 5000)))
	dir := copyStore(t, s.dir)
	closeStore(t, s)
	for _, name := range []string{"index/00000.mem", "index/00002.mem", "values/000000.vlog", "values/000002.vlog", "values/000003.vlog"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s = openTemp(t, dir, Options{})
	defer closeStore(t, s)
	expectGet(t, s, "a", "1")
	expectGet(t, s, "b", string(make([]byte, 5000)))
}

// The excess of a value file that nobody closed is cut, or GC would never pick it.
func TestExcessOfKilledStoreIsCut(t *testing.T) {
	v := newVictim(t, true)
	before, err := os.Stat(v.file)
	if err != nil || before.Size() != 2*valueFileSize {
		t.Fatalf("the file has %d bytes, %v", before.Size(), err)
	}
	closeStore(t, openTemp(t, v.dir, Options{}))
	after, err := os.Stat(v.file)
	if err != nil || after.Size() < v.end || after.Size() > v.end+endSlack {
		t.Errorf("cut to %d bytes, its content ends at %d, %v", after.Size(), v.end, err)
	}
	all := len(v.values)
	if lost := v.inspect(t); lost != 0 {
		t.Errorf("%d of %d values lost", lost, all)
	}
}

// A value file that GC emptied before the process was killed is reclaimed later.
func TestOrphanedValueFileIsReclaimed(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{Logger: zap.NewNop()})
	fillStore(t, s, 1100, 64<<10)
	for i := range 1000 {
		var b Batch
		b.Delete(AppendBatchKey(nil, BatchKey{LastOffset: int64(i), MaxTimestamp: int64(i)}))
		commit(t, s, &b)
	}
	run := newReclaim(s, ReclaimOptions{Pause: atOnce})
	if err := run.countGarbage(); err != nil {
		t.Fatal(err)
	}
	s.beginDeletions()
	txn, it := s.iterate(Range{}) // a scan that keeps the file as long as the process lives
	if more, err := run.rewriteSome(); !more || err != nil {
		t.Fatalf("rewriteSome: %v, %v", more, err)
	}
	left := copyStore(t, dir)
	s.closeIterator(it)
	txn.Discard()
	s.endDeletions()
	closeStore(t, s)

	first := valueFile(filepath.Join(left, valuesName), 1)
	if _, err := os.Stat(first); err != nil {
		t.Fatalf("the file should be there still: %v", err)
	}
	s = openTemp(t, left, Options{})
	defer closeStore(t, s)
	if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file was not reclaimed: %v", err)
	}
	for i := 1000; i < 1100; i++ {
		key := AppendBatchKey(nil, BatchKey{LastOffset: int64(i), MaxTimestamp: int64(i)})
		if v, err := s.Get(key); err != nil || len(v) != 64<<10 {
			t.Errorf("value %d: %d bytes, %v", i, len(v), err)
		}
	}
}

// A damaged file is left alone by Reclaim as long as whole entries follow the damage,
// although most of it is garbage.
func TestReclaimPassesOverDamage(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	fillStore(t, s, 1100, 64<<10)
	closeStore(t, s)
	file := valueFile(filepath.Join(s.dir, valuesName), 1)
	overwrite(t, file, 100<<10, []byte("damage"))

	s = openTemp(t, s.dir, Options{})
	defer closeStore(t, s)
	keep := func(i int) bool { return i%100 == 7 }
	key := func(i int) []byte {
		return AppendBatchKey(nil, BatchKey{LastOffset: int64(i), MaxTimestamp: int64(i)})
	}
	var b Batch
	for i := range 1100 {
		if !keep(i) {
			b.Delete(key(i))
		}
	}
	commit(t, s, &b)
	for range 2 {
		if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 1100 {
		if !keep(i) {
			continue
		}
		if v, err := s.Get(key(i)); err != nil || len(v) != 64<<10 {
			t.Errorf("value %d: %d bytes, %v", i, len(v), err)
		}
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("the damaged file is gone: %v", err)
	}
}

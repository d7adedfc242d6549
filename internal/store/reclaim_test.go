package store

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

func offsetKey(i int) []byte {
	return AppendBatchKey(nil, BatchKey{LastOffset: int64(i), MaxTimestamp: int64(i)})
}

func removeOffsets(t testing.TB, s Store, from, to int) {
	t.Helper()
	for i := from; i < to; {
		var b Batch
		for ; i < to && b.Len() < 1000; i++ {
			b.Delete(offsetKey(i))
		}
		commit(t, s, &b)
	}
}

// Write and reclaim in turns: every value stays readable, beside readers and over reopening.
func TestReclaimOverAndOver(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	const step, size = 600, 64 << 10
	var scans sync.WaitGroup
	stop := make(chan struct{})
	read := func(s Store, from, to int) {
		n := 0
		err := s.Scan(Range{From: offsetKey(from), To: offsetKey(to)}, func(e Entry) (bool, error) {
			n++
			v, err := e.AppendValue(nil)
			if err == nil && len(v) != size {
				err = fmt.Errorf("value of %d bytes", len(v))
			}
			return true, err
		})
		if err != nil || n != to-from {
			t.Errorf("scan from %d to %d: %d values, %v", from, to, n, err)
		}
	}
	fill := func(from, to int) {
		for i := from; i < to; i++ {
			var b Batch
			b.Set(offsetKey(i), make([]byte, size))
			commit(t, s, &b)
		}
	}
	// These few stay for ever and are moved by every Reclaim.
	fill(0, 20)
	for range 2 {
		scans.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				read(s, 0, 20)
				if _, err := s.Get(offsetKey(7)); err != nil {
					t.Errorf("Get: %v", err)
				}
			}
		})
	}
	next := 20
	for range 4 {
		fill(next, next+step)
		removeOffsets(t, s, max(20, next-step), next)
		next += step
		if err := s.Reclaim(context.Background()); err != nil {
			t.Fatal(err)
		}
		read(s, next-step, next)
	}
	close(stop)
	scans.Wait()
	if n, err := s.Size(); err != nil || n > 3*step*size+64<<20 {
		t.Errorf("Size() = %d, %v", n, err)
	}
	closeStore(t, s)
	s = openTemp(t, dir, Options{})
	read(s, 0, 20)
	read(s, next-step, next)
	closeStore(t, s)
}

func TestReclaimGivesSpaceBack(t *testing.T) {
	if testing.Short() {
		t.Skip("writes 200 MB")
	}
	const values, size = 3200, 64 << 10
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	fillStore(t, s, values, size)
	full, err := s.Size()
	if err != nil || full < values*size {
		t.Fatalf("Size() = %d, %v; %d were written", full, err, values*size)
	}
	live := values / 10
	removeOffsets(t, s, 0, values-live)
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, err := s.Size()
	if limit := int64(live*size)*12/10 + 64<<20; err != nil || left > limit {
		t.Errorf("%d bytes are left of %d, want at most %d; %v", left, full, limit, err)
	}
	for i := values - live; i < values; i++ {
		if v, err := s.Get(offsetKey(i)); err != nil || len(v) != size {
			t.Fatalf("value %d: %d bytes, %v", i, len(v), err)
		}
	}
	removeOffsets(t, s, values-live, values)
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Size(); err != nil || left > 64<<20 {
		t.Errorf("%d bytes are left of nothing, %v", left, err)
	}
}

// What the background has copied and not given back yet is given back by who reclaims.
func TestReclaimOfWhatOthersHaveCopied(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{fileSize: 1 << 20})
	defer closeStore(t, s)
	for i := range 40 {
		var b Batch
		b.Set(offsetKey(i), make([]byte, 64<<10))
		commit(t, s, &b)
	}
	removeOffsets(t, s, 0, 10)
	if err := s.checkpoint(); err != nil {
		t.Fatal(err)
	}
	quiet(s)
	f := s.worst(true, s.files.current())
	if f == nil {
		t.Fatal("no value file has garbage")
	}
	if err := s.collect(f, false); err != nil {
		t.Fatal(err)
	}
	if err := s.emptyFiles(true, t.Context().Err); err != nil {
		t.Fatal(err)
	}
	v, _ := s.now()
	defer s.let(v)
	if v.find(f.number) != nil {
		t.Error("the value file is there still")
	}
}

// Old versions of a key that is written again and again are garbage like any other.
func TestReclaimOfOverwrittenValues(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	for i := range 1100 {
		commit(t, s, numbered(i, 1, 64<<10))
	}
	quiet(s) // a merge in the background that ends later finds garbage for the next call, and holds files while it reads
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	quiet(s)
	if left, err := s.Size(); err != nil || left > 24<<20 {
		t.Errorf("%d bytes are left for one value, %v", left, err)
	}
	if v, err := s.Get([]byte("key0")); err != nil || string(v[:6]) != "001099" {
		t.Errorf("value %.6q, %v", v, err)
	}
}

// A value as large as there can be is copied alone: with others it would be more than a frame may have, and who reads the
// file later would take that for damage.
func TestReclaimOfTheLargest(t *testing.T) {
	disk := vfstest.NewDisk(0)
	s, err := openDisk(disk, ".", Options{fileSize: 40 << 20})
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{"garbage": 6 << 20, "small": 900 << 10, "largest": limitBytes - 7, "next file": 5 << 20}
	for _, key := range []string{"garbage", "small", "largest", "next file"} {
		set(t, s, key, string(make([]byte, sizes[key])))
	}
	remove(t, s, "garbage")
	delete(sizes, "garbage")
	if err := s.Reclaim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(s.version.files); n != 1 {
		t.Fatalf("%d value files", n)
	}
	closeStore(t, s)
	if s, err = openDisk(disk, ".", Options{Rebuild: true}); err != nil {
		t.Fatal(err)
	}
	for key, size := range sizes {
		if v, err := s.Get([]byte(key)); len(v) != size || err != nil {
			t.Errorf("%s: %d bytes, want %d, %v", key, len(v), size, err)
		}
	}
	closeStore(t, s)
}

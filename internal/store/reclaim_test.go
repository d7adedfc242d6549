package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
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
	if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); err != nil {
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
	if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Size(); err != nil || left > 64<<20 {
		t.Errorf("%d bytes are left of nothing, %v", left, err)
	}
}

// Old versions of a key that is written again and again are garbage like any other.
func TestReclaimOfOverwrittenValues(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	for i := range 1100 {
		commit(t, s, numbered(i, 1, 64<<10))
	}
	if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Size(); err != nil || n > 16<<20 {
		t.Errorf("%d bytes are left for one value, %v", n, err)
	}
	if v, err := s.Get([]byte("key0")); err != nil || string(v[:6]) != "001099" {
		t.Errorf("value %.6q, %v", v, err)
	}
}

// Write and reclaim in turns: the disk stays as full as the live data, every value
// stays readable, beside readers and over reopening, and Sync keeps up with the files.
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
		if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); err != nil {
			t.Fatal(err)
		}
		read(s, next-step, next)
	}
	close(stop)
	scans.Wait()
	set(t, s, "large", string(make([]byte, 2000)))
	syncStore(t, s)
	if newest := currentValueFile(t, s); newest != s.files.last {
		t.Errorf("Sync takes value file %d for the current one, it is %d", s.files.last, newest)
	}
	if n, err := s.Size(); err != nil || n > 3*step*size+64<<20 {
		t.Errorf("Size() = %d, %v", n, err)
	}
	closeStore(t, s)
	s = openTemp(t, dir, Options{})
	read(s, 0, 20)
	read(s, next-step, next)
	closeStore(t, s)
}

func currentValueFile(t *testing.T, s *badgerStore) uint32 {
	t.Helper()
	newest, err := newestValueFile(s.files.values)
	if err != nil {
		t.Fatal(err)
	}
	return newest
}

// A file that GC has rewritten is deleted only when the copies are durable.
func TestReclaimSyncsBeforeItDeletes(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	fillStore(t, s, 1100, 64<<10)
	removeOffsets(t, s, 0, 1000)
	first := valueFile(filepath.Join(s.dir, valuesName), 1)
	synced := 0
	s.files.file = func(path string) error {
		if filepath.Base(path) == filepath.Base(valueFile("", currentValueFile(t, s))) {
			synced++
			if _, err := os.Stat(first); err != nil {
				t.Errorf("a Sync after the deletion: %v", err)
			}
		}
		return syncFile(path)
	}
	if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(first); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
	if synced != 2 {
		t.Errorf("the value log was synced %d times, want before and after the rewrite", synced)
	}
}

// When the copies cannot be made durable the original stays, and the store has failed.
func TestReclaimWithFailingSync(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	fillStore(t, s, 1100, 64<<10)
	removeOffsets(t, s, 0, 1000)
	first := valueFile(filepath.Join(s.dir, valuesName), 1)
	broken, calls := errors.New("broken"), 0
	s.files.file = func(path string) error {
		if calls++; calls > 2 { // the two of the Sync before
			return broken
		}
		return syncFile(path)
	}
	if err := s.Reclaim(context.Background(), ReclaimOptions{Pause: atOnce}); !errors.Is(err, broken) {
		t.Errorf("Reclaim: %v", err)
	}
	if _, err := os.Stat(first); err != nil {
		t.Errorf("the file is gone: %v", err)
	}
	closeFailed(t, s, "broken")
	s = openTemp(t, dir, Options{})
	defer closeStore(t, s)
	if s.Recovery().Clean {
		t.Error("clean after a failure")
	}
	if v, err := s.Get(offsetKey(1050)); err != nil || len(v) != 64<<10 {
		t.Errorf("value: %d bytes, %v", len(v), err)
	}
}

// atOnce is the pause of who has no commit in flight.
func atOnce(fn func() error) error { return fn() }

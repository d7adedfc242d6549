package store

import (
	"context"
	"fmt"
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
	closeStore(t, s)
	s = openTemp(t, dir, Options{})
	read(s, 0, 20)
	read(s, next-step, next)
	closeStore(t, s)
}

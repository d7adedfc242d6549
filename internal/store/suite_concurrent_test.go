package store

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
)

func numbered(i, keys, size int) *Batch {
	b := &Batch{}
	for k := range keys {
		v := bytes.Repeat([]byte{'x'}, size)
		copy(v, fmt.Sprintf("%06d", i))
		b.Set(fmt.Appendf(nil, "key%d", k), v)
	}
	return b
}

// Readers run beside commits that each set all keys to one number: whoever sees two
// numbers saw half a commit, and who starts after done sees at least its number.
func TestCommitIsAtomicForReaders(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		const commits, keys = 1500, 10 // beyond discardEvery
		commit(t, s, numbered(0, keys, 30))
		var readers sync.WaitGroup
		stop := make(chan struct{})
		var mu sync.Mutex
		stored := 0
		atLeast := func() int { mu.Lock(); defer mu.Unlock(); return stored }
		for reader := range 3 {
			reverse := reader == 1
			readers.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					least := atLeast()
					first, n := "", 0
					err := s.Scan(Range{Reverse: reverse}, func(e Entry) (bool, error) {
						v, err := e.AppendValue(nil)
						if err != nil {
							return false, err
						}
						number := string(v[:6])
						if first == "" {
							first = number
						}
						if number != first {
							t.Errorf("a scan saw commits %s and %s", first, number)
						}
						n++
						return true, nil
					})
					if err != nil || n != keys {
						t.Errorf("scan: %d keys, %v", n, err)
						return
					}
					if first < fmt.Sprintf("%06d", least) {
						t.Errorf("scan saw commit %s after %d was done", first, least)
					}
				}
			})
		}
		for i := 1; i <= commits; i++ {
			commit(t, s, numbered(i, keys, 30+i%2*2000))
			mu.Lock()
			stored = i
			mu.Unlock()
		}
		close(stop)
		readers.Wait()
	})
}

func TestSyncBesideCommits(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 5 {
					if err := s.Sync(); err != nil {
						t.Errorf("Sync: %v", err)
					}
				}
			})
		}
		for i := range 100 {
			commit(t, s, numbered(i, 3, 2000))
		}
		wg.Wait()
	})
}

// Close waits for the commit at work and for scans; a scan may still read meanwhile, or
// learn that the store is closed, but never hangs.
func TestCloseWaits(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		set(t, s, "a", "1")
		inScan, goOn, scanned := make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(scanned)
			err := s.Scan(Range{}, func(e Entry) (bool, error) {
				close(inScan)
				<-goOn
				if _, err := s.Get(e.Key); err != nil && !errors.Is(err, ErrClosed) {
					t.Errorf("Get in a scan while the store closes: %v", err)
				}
				v, err := e.AppendValue(nil)
				if string(v) != "1" {
					t.Errorf("value %q, %v while the store closes", v, err)
				}
				return true, err
			})
			if err != nil {
				t.Errorf("Scan: %v", err)
			}
		}()
		<-inScan
		var writer sync.WaitGroup
		writer.Go(func() {
			for i := 0; ; i++ {
				if err := s.Commit(numbered(i, 3, 2000)); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Errorf("commit while the store closes: %v", err)
					}
					return
				}
			}
		})
		closed := make(chan error)
		go func() { closed <- s.Close() }()
		close(goOn)
		if err := <-closed; err != nil {
			t.Errorf("Close: %v", err)
		}
		writer.Wait()
		<-scanned
	})
}

//go:build unix || windows

package store

import (
	"errors"
	"sync"
	"testing"
)

// Who only looks whether there is an owner never keeps one out, however often.
func TestLookingKeepsNobodyOut(t *testing.T) {
	dir := t.TempDir()
	closeStore(t, openTemp(t, dir, Options{}))
	done := make(chan struct{})
	var looking sync.WaitGroup
	for range 4 {
		looking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := Owned(dir); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 3000 {
		lock, err := lockDir(dir, false)
		if err != nil {
			t.Fatalf("the owner: %v", err)
		}
		if owned, err := Owned(dir); err != nil || !owned {
			t.Errorf("beside the owner: %t, %v", owned, err)
		}
		if _, err := lockDir(dir, false); !errors.Is(err, ErrLocked) {
			t.Errorf("another owner: %v", err)
		}
		if err := lock.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	looking.Wait()
}

// A reader who stays keeps owners out.
func TestReaderKeepsOwnersOut(t *testing.T) {
	dir := t.TempDir()
	lock, err := lockDir(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lockDir(dir, false); !errors.Is(err, ErrLocked) {
		t.Errorf("an owner: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}

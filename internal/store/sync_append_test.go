package store

import (
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// A frame that is written while its file is fsynced, and is the last of that file, is fsynced by the next Sync.
func TestSyncDuringAppend(t *testing.T) {
	disk := vfstest.NewDisk(0)
	opts := Options{fileSize: 4000}
	s, err := openDisk(disk, ".", opts)
	if err != nil {
		t.Fatal(err)
	}
	set(t, s, "a", "1")
	armed := true
	disk.Before(func(c vfstest.Call) error {
		if c.Op != "write" || !armed {
			return nil
		}
		armed = false
		return s.files.sync(true)
	})
	first := s.files.current()
	set(t, s, "b", strings.Repeat("2", 2000))
	set(t, s, "c", strings.Repeat("3", 3000))
	if s.files.current() == first || armed {
		t.Fatal("no file has ended")
	}
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(20) {
		after, err := openDisk(disk.Cut(seed), ".", opts)
		if err != nil {
			t.Fatal(err)
		}
		expectGet(t, after, "b", strings.Repeat("2", 2000))
		expectGet(t, after, "c", strings.Repeat("3", 3000))
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

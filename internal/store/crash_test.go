package store

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// quiet waits until s has nothing to do in the background.
func quiet(s *diskStore) {
	jobs := []*job{&s.tending, &s.merging, &s.flushing, &s.space.preparing}
	for busy := true; busy; time.Sleep(100 * time.Microsecond) {
		busy = false
		for _, j := range jobs { // all at once, as they wake each other
			j.mu.Lock()
			busy = busy || j.running
		}
		for _, j := range jobs {
			j.mu.Unlock()
		}
	}
}

// killedStore returns a new directory with what a process that was killed now would leave of s, which nobody writes to: with it nothing else changes in the
// middle of the copy, as files would that the background renames and removes.
func killedStore(t testing.TB, s *diskStore) string {
	t.Helper()
	quiet(s)
	dir := s.dir
	to := filepath.Join(t.TempDir(), "copy")
	for _, sub := range []string{".", indexName, valuesName} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(to, sub), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Type().IsRegular() {
				copyFile(t, filepath.Join(dir, sub, e.Name()), filepath.Join(to, sub, e.Name()))
			}
		}
	}
	return to
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = out.Close() }()
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
}

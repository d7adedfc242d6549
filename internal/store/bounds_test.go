package store

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// The directory has at most one and a half times what is alive, and idleBytes: what stands ready, what a checkpoint has
// not seen yet, and garbage that is not worth the work.
const idleBytes = 128e6

// long returns how much of something a test does: an environment variable has it, for an hour of it.
func long(name string, least int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return least
}

// scale notes how large a directory becomes.
type scale struct {
	t     *testing.T
	alive int64
	most  int64
}

func (w *scale) weigh(s Store) {
	w.t.Helper()
	n, err := s.Size()
	if err != nil {
		w.t.Fatal(err)
	}
	if w.most = max(w.most, n); n > w.alive*3/2+idleBytes {
		w.t.Fatalf("%d bytes on disk, %d are alive", n, w.alive)
	}
}

func (w *scale) tell(s Store) {
	w.t.Helper()
	last, err := s.Size()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Logf("at most %d KiB on disk, %d at last, %d alive", w.most>>10, last>>10, w.alive>>10)
}

// reopen closes the store, and opens it once more.
func (w *scale) reopen(s Store, dir string) {
	w.t.Helper()
	closeStore(w.t, s)
	begun := time.Now()
	s = openTemp(w.t, dir, Options{})
	w.t.Logf("open took %s", time.Since(begun))
	w.tell(s)
	closeStore(w.t, s)
}

// Short sessions, one after the other, leave nothing behind.
func TestManySessions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := &scale{t: t}
	var took []time.Duration
	for i := range long("SESSIONS", 40) {
		begun := time.Now()
		s := openTemp(t, dir, Options{})
		took = append(took, time.Since(begun))
		for range 3 {
			commit(t, s, numbered(i, 10, 1000))
		}
		w.alive = 30_000
		w.weigh(s)
		closeStore(t, s)
	}
	s := openTemp(t, dir, Options{})
	w.tell(s)
	closeStore(t, s)
	slices.Sort(took)
	t.Logf("an open took %s, and %s at most", took[len(took)/2], took[len(took)-1])
}

// Ten keys of 100 kB that are written again and again.
func TestOverwrittenKeys(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	w := &scale{t: t, alive: 1_000_000}
	value := make([]byte, 100_000)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value)
	for i := range long("OVERWRITTEN_MB", 150) * 10 {
		var b Batch
		b.Set(childKey(i%10), value)
		commit(t, s, &b)
		if i%10 == 0 {
			w.weigh(s)
		}
	}
	w.tell(s)
	w.reopen(s, dir)
}

// Single records, of which the newest are kept.
func TestSmallBatches(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	const kept, size = 6000, 170
	w := &scale{t: t, alive: kept * size}
	value := bytes.Repeat([]byte("batch"), size/5)
	for i := range long("BATCHES", 100_000) {
		var b Batch
		b.Set(offsetKey(i), value)
		commit(t, s, &b)
		if i%1000 == 999 && i >= kept+1000 {
			removeOffsets(t, s, i-kept-999, i-kept+1)
		}
		if i%1000 == 0 {
			w.weigh(s)
		}
	}
	w.tell(s)
	if err := s.Reclaim(t.Context()); err != nil && !errors.Is(err, ErrDiskFull) {
		t.Fatal(err)
	}
	quiet(s)
	w.tell(s)
	w.reopen(s, dir)
}

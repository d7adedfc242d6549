package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func closeStore(t testing.TB, s Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

func TestReopenKeepsEverything(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	s := openTemp(t, dir, Options{})
	set(t, s, "a", "1", "b", strings.Repeat("2", 5000), "c", "3")
	remove(t, s, "c")
	closeStore(t, s)
	for round := range 3 {
		s = openTemp(t, dir, Options{})
		expectGet(t, s, "a", "1")
		expectGet(t, s, "b", strings.Repeat("2", 5000))
		expectGone(t, s, "c")
		set(t, s, "d", fmt.Sprint(round))
		expectGet(t, s, "d", fmt.Sprint(round))
		closeStore(t, s)
	}
}

// A store that is opened and closed many times does not collect files.
func TestReopeningAddsNoFiles(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	set(t, s, "a", strings.Repeat("1", 5000))
	closeStore(t, s)
	for range 5 {
		closeStore(t, openTemp(t, dir, Options{}))
	}
	for _, sub := range []string{indexName, valuesName} {
		entries, err := os.ReadDir(filepath.Join(dir, sub))
		if err != nil || len(entries) > 6 {
			t.Errorf("%s: %q, %v", sub, entries, err)
		}
	}
}

func TestOptionsLogger(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	s := openTemp(t, t.TempDir(), Options{Logger: zap.New(core)})
	set(t, s, "a", "1")
	closeStore(t, s)
	for _, entry := range logs.TakeAll() {
		t.Errorf("in an ordinary life: %v %q", entry.Level, entry.Message)
	}
}

func TestSize(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	empty, err := s.Size()
	if err != nil {
		t.Fatal(err)
	}
	const values, size, ahead = 400, 64 << 10, 16 << 20 // what is allocated and not needed yet
	fillStore(t, s, values, size)
	full, err := s.Size()
	if err != nil {
		t.Fatal(err)
	}
	if grown := full - empty; grown < values*size-ahead || grown > values*size*6/5+ahead {
		t.Errorf("grew by %d bytes for %d", grown, values*size)
	}
}

func TestRoomWithHugeReserve(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{MinFreeBytes: 1 << 60})
	defer closeStore(t, s)
	err := s.Room(1, false)
	if !errors.Is(err, ErrDiskFull) || !strings.Contains(err.Error(), s.dir) {
		t.Errorf("Room = %v", err)
	}
	if err := s.Room(1, true); err != nil {
		t.Errorf("Room of an essential write = %v", err)
	}
}

package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// platter keeps what a power loss would leave of a store: of the memtable logs and the
// value files what was synced, under the names that were synced. Tables and the
// manifest are synced by Badger as it writes them; that a table's name is durable
// along with the manifest is what journaling file systems do.
type platter struct {
	store   *badgerStore
	content map[string][]byte   // by path, as of the last sync of the file
	names   map[string][]string // by directory, as of its last sync
}

func newPlatter(t *testing.T, s *badgerStore) *platter {
	p := &platter{store: s, content: map[string][]byte{}, names: map[string][]string{}}
	s.files.file = func(path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err // Sync is used to files that vanish
		}
		defer func() { _ = f.Close() }()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		p.content[path], err = io.ReadAll(io.NewSectionReader(f, 0, holeAtEnd(f, info.Size())))
		return err
	}
	s.files.dir = func(path string) error {
		names, err := listDir(path)
		if err != nil {
			t.Error(err)
		}
		p.names[path] = names
		return err
	}
	return p
}

// image makes a directory of what is left. With logs, the system had written out the
// memtable logs by itself, but not the values that they point to.
func (p *platter) image(t *testing.T, logs bool) string {
	t.Helper()
	to := copyStore(t, p.store.dir)
	newest := filepath.Base(valueFile("", currentValueFile(t, p.store)))
	for _, sub := range []string{indexName, valuesName} {
		dir := filepath.Join(p.store.dir, sub)
		names, err := listDir(filepath.Join(to, sub))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			isLog, isValues := strings.HasSuffix(name, memtableSuffix), strings.HasSuffix(name, valueSuffix)
			if (!isLog && !isValues) || (isLog && logs) {
				continue
			}
			copied := filepath.Join(to, sub, name)
			if !slices.Contains(p.names[dir], name) {
				if err := os.Remove(copied); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if isValues && name != newest {
				continue // synced by Badger when it was full
			}
			info, err := os.Stat(copied)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(copied, p.content[filepath.Join(dir, name)], 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(copied, info.Size()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return to
}

// Write small and large values so that memtables and value files are retired at odd
// moments, sync now and then, and cut the power at others.
func TestPowerLossKeepsWhatWasSynced(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{})
	defer closeStore(t, s)
	p := newPlatter(t, s)
	value := func(i int) []byte {
		size := 900
		if i%40 == 0 {
			size = 150_000
		}
		return bytes.Repeat(fmt.Appendf(nil, "%09d.", i), size/10)
	}
	written, synced := 0, 0
	write := func(n int) {
		for end := written + n; written < end; {
			var b Batch
			for range 100 {
				b.Set(offsetKey(written), value(written))
				written++
			}
			commit(t, s, &b)
		}
	}
	for _, n := range []int{100, 9000, 1000} {
		write(n)
		syncStore(t, s)
		synced = written
		write(2000)
		for _, logs := range []bool{false, true} {
			checkPowerLoss(t, p.image(t, logs), synced, written, value)
		}
	}
}

func checkPowerLoss(t *testing.T, dir string, synced, written int, value func(i int) []byte) {
	t.Helper()
	s := openTemp(t, dir, Options{})
	defer closeStore(t, s)
	r := s.Recovery()
	if r.Clean {
		t.Error("clean after power loss")
	}
	// New values of the same sizes must not be taken for the lost ones.
	var b Batch
	for i := range 100 {
		b.Set(fmt.Appendf(nil, "new%d", i), bytes.Repeat([]byte("n"), len(value(i))))
	}
	commit(t, s, &b)
	lost := 0
	for i := range written {
		got, err := s.Get(offsetKey(i))
		if err == nil && bytes.Equal(got, value(i)) {
			continue
		}
		lost++
		if i < synced || (!errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt)) {
			t.Fatalf("value %d of %d synced and %d written: %.20q, %v", i, synced, written, got, err)
		}
	}
	if lost == 0 {
		t.Error("nothing was lost: this tests nothing")
	}
	err := s.Scan(Range{From: offsetKey(0), To: offsetKey(written)}, func(e Entry) (bool, error) {
		if _, err := e.AppendValue(nil); err != nil && e.Version <= r.Durable {
			return false, fmt.Errorf("version %d of %d: %w", e.Version, r.Durable, err)
		}
		return true, nil
	})
	if err != nil {
		t.Error(err)
	}
}

package store

import (
	"errors"
	"strings"
	"testing"
)

// What is committed to a store that is read only is seen as long as it is open, over what is stored, and by snapshots
// that come later.
func TestReadOnlyKeepsCommitsInMemory(t *testing.T) {
	dir := t.TempDir()
	s := openTemp(t, dir, Options{})
	large := strings.Repeat("large", 1000)
	set(t, s, "a", "1")
	set(t, s, "b", large)
	set(t, s, "c", "3")
	closeStore(t, s)
	before := tree(t, dir)
	for range 2 {
		r := openTemp(t, dir, Options{ReadOnly: true})
		was, err := r.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		var b Batch
		b.Set([]byte("a"), []byte(large))
		b.Set([]byte("d"), []byte("4"))
		b.Delete([]byte("b"))
		if err := errors.Join(r.Room(b.Bytes(), true), r.Commit(&b), r.Sync(), r.Reclaim(t.Context())); err != nil {
			t.Fatal(err)
		}
		for what, c := range map[string]struct {
			in   Snapshot
			want string
		}{"the snapshot before": {was, "a=1 b=" + large + " c=3"}, "the store": {snapshotOf(t, r), "a=" + large + " c=3 d=4"}} {
			var got []string
			err := c.in.Scan(Range{}, func(e Entry) (bool, error) {
				v, err := e.AppendValue(nil)
				got = append(got, string(e.Key)+"="+string(v))
				return true, err
			})
			if text := strings.Join(got, " "); err != nil || text != c.want {
				t.Errorf("%s: %.40q, %v, want %.40q", what, text, err, c.want)
			}
			c.in.Close()
		}
		if _, err := r.Get([]byte("b")); !errors.Is(err, ErrNotFound) {
			t.Errorf("the deleted key: %v", err)
		}
		closeStore(t, r)
		if err := r.Commit(&b); !errors.Is(err, ErrClosed) {
			t.Errorf("a commit after Close: %v", err)
		}
	}
	expect(t, "files", tree(t, dir), before)
}

func snapshotOf(t *testing.T, s Store) Snapshot {
	t.Helper()
	snap, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

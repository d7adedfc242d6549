package store

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func dumpSnapshot(t testing.TB, v Snapshot, r Range) string {
	t.Helper()
	var found []string
	err := v.Scan(r, func(e Entry) (bool, error) {
		value, err := e.AppendValue(nil)
		found = append(found, string(e.Key)+"="+string(value))
		return true, err
	})
	if err != nil {
		t.Fatalf("Scan: %v", err)
	}
	return strings.Join(found, " ")
}

func snapshot(t testing.TB, s Store) Snapshot {
	t.Helper()
	v, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSnapshotStaysAsItIs(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		empty := snapshot(t, s)
		defer empty.Close()
		set(t, s, "a", "1", "b", "2", "d", "4")
		v := snapshot(t, s)
		set(t, s, "a", "one", "c", "3")
		remove(t, s, "b")

		expect(t, "before anything", dumpSnapshot(t, empty, Range{}), "")
		expect(t, "all", dumpSnapshot(t, v, Range{}), "a=1 b=2 d=4")
		expect(t, "a part", dumpSnapshot(t, v, Range{From: []byte("b"), To: []byte("d")}), "b=2")
		expect(t, "backwards", dumpSnapshot(t, v, Range{Reverse: true}), "d=4 b=2 a=1")
		for key, want := range map[string]string{"a": "1", "b": "2"} {
			got, err := v.Get([]byte(key))
			if err != nil || string(got) != want {
				t.Errorf("Get(%s) = %s, %v; want %s", key, got, err, want)
			}
		}
		if got, err := v.Get([]byte("c")); !errors.Is(err, ErrNotFound) {
			t.Errorf("a later key: %q, %v", got, err)
		}
		if got, err := v.Get(nil); !errors.Is(err, ErrNotFound) {
			t.Errorf("no key: %q, %v", got, err)
		}
		expect(t, "the store", dump(t, s, Range{}), "a=one c=3 d=4")
		v.Close()
		v.Close()
	})
}

func TestSnapshotOfClosedStore(t *testing.T) {
	both(t, func(t *testing.T, s Store) {
		v := snapshot(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := v.Get([]byte("a")); !errors.Is(err, ErrClosed) {
			t.Errorf("Get: %v", err)
		}
		if err := v.Scan(Range{}, func(Entry) (bool, error) { return true, nil }); !errors.Is(err, ErrClosed) {
			t.Errorf("Scan: %v", err)
		}
		v.Close()
		if _, err := s.Snapshot(); !errors.Is(err, ErrClosed) {
			t.Errorf("Snapshot: %v", err)
		}
	})
}

// What a snapshot holds is not reclaimed while it is open, and is afterwards.
func TestReclaimSparesSnapshots(t *testing.T) {
	s := openTemp(t, t.TempDir(), Options{fileSize: 1 << 20})
	defer closeStore(t, s)
	round := func(mark string) {
		for i := range 8 {
			set(t, s, "k"+string(rune('0'+i)), strings.Repeat(mark, 200<<10))
		}
	}
	reclaim := func() int64 {
		if err := s.Reclaim(context.Background()); err != nil {
			t.Fatal(err)
		}
		size, err := s.Size()
		if err != nil {
			t.Fatal(err)
		}
		return size
	}
	round("a")
	v := snapshot(t, s)
	later := snapshot(t, s)
	later.Close() // of two at one version the other one counts on
	want := dumpSnapshot(t, v, Range{})
	for _, mark := range []string{"b", "c", "d"} {
		round(mark)
		reclaim()
		if dumpSnapshot(t, v, Range{}) != want {
			t.Fatalf("the snapshot has changed by %s", mark)
		}
		if got, err := v.Get([]byte("k3")); err != nil || string(got) != strings.Repeat("a", 200<<10) {
			t.Fatalf("by %s: %d bytes, %v", mark, len(got), err)
		}
	}
	held := reclaim()
	v.Close()
	round("e")
	if freed := reclaim(); freed > held-1<<20 {
		t.Errorf("%d bytes after the snapshot was closed, %d before", freed, held)
	}
	expect(t, "the store", dump(t, s, Range{KeysOnly: true}), "k0 k1 k2 k3 k4 k5 k6 k7")
}

package store

import (
	"errors"
	"testing"
)

func fork(t *testing.T, st Store) Store {
	t.Helper()
	f, err := st.(Forker).Fork()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func wantContent(t *testing.T, st Store, want string) {
	t.Helper()
	if got := everything(t, st); got != want {
		t.Errorf("the store holds %q, want %q", got, want)
	}
}

func TestForksShareNothingThatChanges(t *testing.T) {
	st := OpenMemory()
	setValue(t, st, "a", []byte("1"))
	one := fork(t, st)
	setValue(t, st, "a", []byte("2"))
	setValue(t, one, "b", []byte("3"))
	two := fork(t, one)
	var b Batch
	b.Delete([]byte("a"))
	if err := commitNow(one, &b); err != nil {
		t.Fatal(err)
	}
	wantContent(t, st, "61=32\n")
	wantContent(t, one, "62=33\n")
	wantContent(t, two, "61=31\n62=33\n")
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	wantContent(t, two, "61=31\n62=33\n")
	if _, err := st.(Forker).Fork(); !errors.Is(err, ErrClosed) {
		t.Errorf("fork of a closed store: %v", err)
	}
}

func TestForkSynced(t *testing.T) {
	st := OpenMemory().(Forker)
	defer func() { _ = st.Close() }()
	left := func(want string) {
		t.Helper()
		f, err := st.ForkSynced()
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		wantContent(t, f, want)
	}
	if _, err := st.ForkSynced(); !errors.Is(err, errNotKept) {
		t.Errorf("without KeepSynced: %v", err)
	}
	setValue(t, st, "a", []byte("1"))
	st.KeepSynced()
	left("61=31\n")
	setValue(t, st, "b", []byte("2"))
	left("61=31\n")
	if err := st.Sync(); err != nil {
		t.Fatal(err)
	}
	setValue(t, st, "c", []byte("3"))
	left("61=31\n62=32\n")
	st.KeepSynced() // once more changes nothing
	left("61=31\n62=32\n")
}

package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs"
)

// What is done to a directory that is read only is seen by those who have it open so, and by nobody else.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	fsys := openOS(t, dir)
	if err := fsys.Mkdir("d"); err != nil {
		t.Fatal(err)
	}
	write(t, fsys, "d/a", "one")
	write(t, fsys, "d/b", "two")
	r := must(vfs.OpenReadOnly(dir))(t)
	defer func() { _ = r.Close() }()

	f := must(r.Open("d/a"))(t)
	if got := string(content(t, f)); got != "one" {
		t.Errorf("it holds %q", got)
	}
	data, unmap, err := f.Map(3)
	if err != nil || string(data) != "one" {
		t.Errorf("mapped %q, %v", data, err)
	}
	if err := errors.Join(unmap(), r.Remove("d/../d/b"), r.Mkdir("d"), r.Mkdir("new"), r.SyncDir("d")); err != nil {
		t.Error(err)
	}
	if f.WriteAt(0, []byte("two")) == nil {
		t.Error("it was written")
	}
	_, opened := r.Open("d/b")
	_, listed := r.List("other")
	for what, err := range map[string]error{"open": opened, "remove": r.Remove("d/b"), "another": r.Remove("d/c"), "list": listed} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want fs.ErrNotExist", what, err)
		}
	}
	_, created := r.Create("d/c", 10)
	for what, err := range map[string]error{"create": created, "rename": r.Rename("d/a", "d/c")} {
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v, want fs.ErrPermission", what, err)
		}
	}
	if got, want := must(r.List("d"))(t), []vfs.Info{{Name: "a", Size: 3}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := must(r.List("new"))(t); len(got) > 0 {
		t.Errorf("the new directory has %v", got)
	}
	if got, want := names(t, filepath.Join(dir, "d")), []string{"a", "b"}; !slices.Equal(got, want) {
		t.Errorf("the directory has %v, want %v", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

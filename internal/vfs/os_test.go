package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs"
)

func openOS(t testing.TB, dir string) *vfs.OS {
	t.Helper()
	fsys, err := vfs.OpenOS(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fsys.Close() })
	return fsys
}

// write makes a file that holds text, and leaves it open.
func write(t *testing.T, fsys vfs.FS, name, text string) vfs.File {
	t.Helper()
	f := must(fsys.Create(name, int64(len(text))))(t)
	t.Cleanup(func() { _ = f.Close() })
	if err := errors.Join(f.WriteAt(0, []byte(text)), f.Sync()); err != nil {
		t.Fatal(err)
	}
	return f
}

// names lists the files in a directory, by its path.
func names(t *testing.T, dir string) (names []string) {
	t.Helper()
	for _, e := range must(os.ReadDir(dir))(t) {
		names = append(names, e.Name())
	}
	return names
}

// A directory that is renamed goes on, and the one that takes its name sees nothing of it.
func TestRenamedDirectory(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" || runtime.GOOS == "plan9" {
		t.Skip("a directory that is open stays where it is, or is its path")
	}
	home := t.TempDir()
	dir, moved := filepath.Join(home, "data"), filepath.Join(home, "moved")
	for _, name := range []string{dir, filepath.Join(dir, "d")} {
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	fsys := openOS(t, dir)
	old := write(t, fsys, "d/a", "mine")
	gone := write(t, fsys, "d/b", "goes")
	_, total, err := fsys.Space("d")
	if err := errors.Join(err, os.Rename(dir, moved), os.MkdirAll(filepath.Join(dir, "d"), 0o755)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, "d", name), []byte("another's"), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	made := write(t, fsys, "d/c", "new")
	err = errors.Join(old.WriteAt(0, []byte("ours")), made.Close(), gone.Close(), fsys.Remove("d/b"), fsys.Rename("d/c", "d/e"), fsys.Mkdir("f"),
		fsys.SyncDir("d"), fsys.SyncDir("."))
	if err != nil {
		t.Fatal(err)
	}
	found := must(fsys.Open("d/a"))(t)
	defer func() { _ = found.Close() }()
	if got := string(content(t, found)); got != "ours" {
		t.Errorf("it holds %q", got)
	}
	if got, want := must(fsys.List("d"))(t), []vfs.Info{{Name: "a", Size: 4}, {Name: "e", Size: 3}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, again, err := fsys.Space("d"); err != nil || again != total {
		t.Errorf("%d bytes in all, then %d, %v", total, again, err)
	}
	if got, want := names(t, filepath.Join(moved, "d")), []string{"a", "e"}; !slices.Equal(got, want) {
		t.Errorf("it has %v, want %v", got, want)
	}
	if got, want := append(names(t, dir), names(t, filepath.Join(dir, "d"))...), []string{"d", "a", "b", "c"}; !slices.Equal(got, want) {
		t.Errorf("the other has %v, want %v", got, want)
	}
	for _, name := range []string{"a", "b", "c"} {
		if b, err := os.ReadFile(filepath.Join(dir, "d", name)); string(b) != "another's" {
			t.Errorf("the other's file %s holds %q, %v", name, b, err)
		}
	}
}

// In a directory that is removed nothing is created, even when there is one of its name again. What is
// open is read and written still, and not synced.
func TestRemovedDirectory(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" || runtime.GOOS == "plan9" {
		t.Skip("a directory that is open stays where it is, or is its path")
	}
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	fsys := openOS(t, dir)
	f := write(t, fsys, "a", "mine")
	if _, _, err := fsys.Space("."); err != nil {
		t.Fatal(err)
	}
	for _, again := range []bool{false, true} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if again {
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"b", "d/b"} {
			if _, err := fsys.Create(name, 10); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("create %s: %v, want fs.ErrNotExist", name, err)
			}
		}
	}
	if err := f.WriteAt(0, []byte("ours")); err != nil {
		t.Fatal(err)
	}
	_, _, err := fsys.Space(".")
	for what, err := range map[string]error{"space": err, "sync": f.Sync()} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v, want fs.ErrNotExist", what, err)
		}
	}
	if got := string(content(t, f)); got != "ours" {
		t.Errorf("it holds %q", got)
	}
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("the directory made anew has %v", got)
	}
}

// No name leads out of the directory.
func TestNamesStayInTheDirectory(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "data")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(home, "a")
	if err := os.WriteFile(outside, []byte("another's"), 0o644); err != nil {
		t.Fatal(err)
	}
	fsys := openOS(t, dir)
	out := []string{"../a", "d/../../a", outside}
	if err := os.Symlink(home, filepath.Join(dir, "link")); err == nil { // not everybody may, on Windows
		out = append(out, "link/a")
	}
	for _, name := range out {
		_, openErr := fsys.Open(name)
		_, createErr := fsys.Create(name+"b", 1)
		for doing, err := range map[string]error{
			"open": openErr, "create": createErr, "remove": fsys.Remove(name), "rename": fsys.Rename(name, "b"), "mkdir": fsys.Mkdir(name + "c"),
		} {
			if err == nil {
				t.Errorf("%s %s was done", doing, name)
			}
		}
	}
	if got, want := names(t, home), []string{"a", "data"}; !slices.Equal(got, want) {
		t.Errorf("outside there is %v, want %v", got, want)
	}
}

func TestClosedDirectory(t *testing.T) {
	fsys := openOS(t, t.TempDir())
	f := write(t, fsys, "a", "mine")
	if _, _, err := fsys.Space("."); err != nil {
		t.Fatal(err)
	}
	if err := fsys.Close(); err != nil {
		t.Fatal(err)
	}
	_, createErr := fsys.Create("b", 1)
	_, openErr := fsys.Open("a")
	_, listErr := fsys.List(".")
	for doing, err := range map[string]error{
		"create": createErr, "open": openErr, "list": listErr, "remove": fsys.Remove("a"), "rename": fsys.Rename("a", "b"), "mkdir": fsys.Mkdir("d"),
	} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: %v, want fs.ErrClosed", doing, err)
		}
	}
	if got := string(content(t, f)); got != "mine" {
		t.Errorf("the file that is open holds %q", got)
	}
	if err := fsys.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

func TestOpenOSOfNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := vfs.OpenOS(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := vfs.OpenOS(file); err == nil {
		t.Error("a file was opened as a directory")
	}
}

// What a commit of one small record costs below the store.
func BenchmarkWriteAt(b *testing.B) {
	f, err := openOS(b, b.TempDir()).Create("a", 64<<20)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	frame := make([]byte, 100)
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for at := int64(0); b.Loop(); at = (at + int64(len(frame))) % (60 << 20) {
		if err := f.WriteAt(at, frame); err != nil {
			b.Fatal(err)
		}
	}
}

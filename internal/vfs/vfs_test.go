package vfs_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/samsa-go/samsa/internal/vfs"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// The operating system and the disk in memory keep the same contract.
func both(t *testing.T, test func(t *testing.T, fsys vfs.FS)) {
	t.Run("os", func(t *testing.T) { test(t, openOS(t, t.TempDir())) })
	t.Run("memory", func(t *testing.T) { test(t, vfstest.NewDisk(0)) })
}

func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func content(t *testing.T, f vfs.File) []byte {
	t.Helper()
	b := make([]byte, must(f.Size())(t))
	if n, err := f.ReadAt(b, 0); err != nil || n != len(b) {
		t.Fatalf("read %d of %d bytes: %v", n, len(b), err)
	}
	return b
}

func TestFilesAreCreatedWhole(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		f := must(fsys.Create("a", 10_000))(t)
		if b := content(t, f); len(b) != 10_000 || bytes.ContainsFunc(b, func(r rune) bool { return r != 0 }) {
			t.Errorf("%d bytes, not all zero", len(b))
		}
		if _, err := fsys.Create("a", 1); !errors.Is(err, fs.ErrExist) {
			t.Errorf("created twice: %v", err)
		}
		if _, err := fsys.Create("none/a", 1); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("in a directory that is not there: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWritesAreRead(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		f := must(fsys.Create("a", 100))(t)
		defer func() { _ = f.Close() }()
		if err := f.WriteAt(3, []byte("one"), nil, []byte("two")); err != nil {
			t.Fatal(err)
		}
		var many [][]byte // more than one call takes
		for range 3000 {
			many = append(many, []byte("ab"), []byte("c"))
		}
		if err := f.WriteAt(50, many...); err != nil {
			t.Fatal(err)
		}
		want := append([]byte("\x00\x00\x00onetwo"), make([]byte, 41)...)
		want = append(want, strings.Repeat("abc", 3000)...)
		if got := content(t, f); !bytes.Equal(got, want) {
			t.Errorf("%d bytes, want %d, or others", len(got), len(want))
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if n, err := f.ReadAt(make([]byte, 10), int64(len(want))-4); n != 4 || !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %d bytes, %v", n, err)
		}
		g := must(fsys.Open("a"))(t)
		defer func() { _ = g.Close() }()
		if !bytes.Equal(content(t, g), want) {
			t.Error("another handle reads something else")
		}
	})
}

func TestDirectories(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		for _, name := range []string{"b", "a", "c"} {
			if err := must(fsys.Create(name, 5))(t).Close(); err != nil {
				t.Fatal(err)
			}
		}
		err := errors.Join(fsys.Mkdir("d"), fsys.Mkdir("d"), fsys.Remove("b"), fsys.Rename("c", "a"), fsys.SyncDir("."))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := must(fsys.List("."))(t), []vfs.Info{{Name: "a", Size: 5}, {Name: "d", Dir: true}}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		_, openErr := fsys.Open("c")
		_, listErr := fsys.List("none")
		for _, err := range []error{openErr, listErr, fsys.Remove("b"), fsys.Rename("c", "e")} {
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("got %v, want fs.ErrNotExist", err)
			}
		}
		below := must(fsys.Create("d/e", 7))(t)
		err = errors.Join(below.Close(), fsys.Mkdir("d/f/g"), fsys.Rename("d/e", "d/f/e"), fsys.SyncDir("d/f"), fsys.SyncDir("d"))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := must(fsys.List("d/f"))(t), []vfs.Info{{Name: "e", Size: 7}, {Name: "g", Dir: true}}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if free, total, err := fsys.Space("."); err != nil || free <= 0 || free > total {
			t.Errorf("%d bytes free of %d, %v", free, total, err)
		}
	})
}

func TestMap(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		f := must(fsys.Create("a", 10_000))(t)
		if err := f.WriteAt(4090, []byte("across pages")); err != nil {
			t.Fatal(err)
		}
		want := content(t, f)
		for _, size := range []int64{0, 1, 4096, 4100, 10_000} {
			data, unmap, err := f.Map(size)
			if err != nil || !bytes.Equal(data, want[:size]) {
				t.Fatalf("%d bytes, want the first %d: %v", len(data), size, err)
			}
			if err := unmap(); err != nil {
				t.Errorf("unmap %d bytes: %v", size, err)
			}
		}
		for size, want := range map[int64]error{10_001: io.ErrUnexpectedEOF, 1 << 40: io.ErrUnexpectedEOF, -1: fs.ErrInvalid} {
			if strconv.IntSize < 64 && size == 1<<40 {
				want = fs.ErrInvalid
			}
			if _, _, err := f.Map(size); !errors.Is(err, want) {
				t.Errorf("map %d bytes: %v, want %v", size, err, want)
			}
		}
		// A file that has grown has its new bytes, too.
		if err := f.WriteAt(10_000, []byte("x")); err != nil {
			t.Fatal(err)
		}
		data, unmap, err := f.Map(10_001)
		if err != nil || data[10_000] != 'x' {
			t.Fatalf("%d bytes: %v", len(data), err)
		}
		if err := errors.Join(f.Close(), unmap()); err != nil {
			t.Error(err)
		}
	})
}

func TestMapOutlivesItsFile(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		f := must(fsys.Create("a", 10_000))(t)
		if err := f.WriteAt(5000, []byte("still here")); err != nil {
			t.Fatal(err)
		}
		data, unmap, err := f.Map(10_000)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(f.Close(), fsys.Remove("a")); err != nil {
			t.Fatal(err)
		}
		if got := string(data[5000:5010]); got != "still here" {
			t.Errorf("got %q", got)
		}
		if err := unmap(); err != nil {
			t.Error(err)
		}
	})
}

func TestMapOfClosedFile(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		f := must(fsys.Create("a", 10))(t)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := f.Map(10); err == nil {
			t.Error("a closed file was mapped")
		}
	})
}

// What was removed is not synced.
func TestRemovedIsNotSynced(t *testing.T) {
	both(t, func(t *testing.T, fsys vfs.FS) {
		f := must(fsys.Create("a", 10))(t)
		defer func() { _ = f.Close() }()
		if err := errors.Join(f.Sync(), fsys.Rename("a", "b"), f.Sync()); err != nil {
			t.Fatal(err)
		}
		if err := fsys.Remove("b"); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

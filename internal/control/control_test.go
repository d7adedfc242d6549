package control

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func listen(t *testing.T, dir string) *Socket {
	t.Helper()
	s, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(); _ = s.Remove() })
	return s
}

// reach connects by the note.
func reach(t *testing.T, dir string) (within bool) {
	t.Helper()
	path, within, err := Path(dir)
	if err != nil {
		t.Fatal(err)
	}
	if path, err = Short(path); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	return within
}

// short returns a directory whose path has room for a socket.
func short(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "c")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestSocket(t *testing.T) {
	dir := short(t)
	s := listen(t, dir)
	if !reach(t, dir) {
		t.Error("the socket is not within the directory")
	}
	if runtime.GOOS != "windows" {
		for path, want := range map[string]fs.FileMode{s.dir: 0o700, filepath.Join(s.dir, socket): 0o600, filepath.Join(dir, note): 0o600} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != want {
				t.Errorf("%s has mode %v, want %v", path, info.Mode(), want)
			}
		}
	}
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if !reach(t, moved) { // seen under another path
		t.Error("the socket is not within the directory")
	}
	if err := os.Rename(moved, dir); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Remove()); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); len(left) > 0 {
		t.Errorf("left are %q", left)
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(short(t), strings.Repeat("long", 40))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := listen(t, dir)
	if reach(t, dir) {
		t.Error("the socket is within the directory")
	}
	if err := errors.Join(s.Close(), s.Remove()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory of the socket: %v", err)
	}
}

// What an owner that was killed has left goes when the next one listens; what is not of one stays.
func TestStale(t *testing.T) {
	for _, long := range []bool{false, true} {
		dir := short(t)
		if long {
			dir = filepath.Join(dir, strings.Repeat("long", 40))
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		killed := listen(t, dir)
		killed.Listener.(*net.UnixListener).SetUnlinkOnClose(false)
		if err := killed.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "control-mine"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		listen(t, dir)
		reach(t, dir)
		if _, err := os.Stat(killed.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the directory of the killed owner's socket: %v", err)
		}
		if _, err := os.Stat(filepath.Join(dir, "control-mine")); err != nil {
			t.Error(err)
		}
	}
}

// A note may lead anywhere. What is there is not removed.
func TestForeignNotes(t *testing.T) {
	elsewhere := short(t)
	for _, noted := range []string{elsewhere + "/s", "../" + filepath.Base(elsewhere) + "/s", "", "\n", strings.Repeat("x", maxNote+1), "\x00"} {
		dir := short(t)
		if err := os.WriteFile(filepath.Join(dir, note), []byte(noted), 0o600); err != nil {
			t.Fatal(err)
		}
		if path, within, err := Path(dir); err == nil && within && noted != "\x00" {
			t.Errorf("note %q is %s", noted, path)
		}
		listen(t, dir)
		reach(t, dir)
	}
	if _, err := os.Stat(elsewhere); err != nil {
		t.Error(err)
	}
	if _, _, err := Path(elsewhere); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a note: %v", err)
	}
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

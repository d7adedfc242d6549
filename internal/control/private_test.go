//go:build unix

package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Who is not the owner of the data cannot take the place of its socket in a directory for all, once the owner is gone.
func TestSocketOfSomebodyElse(t *testing.T) {
	dir := filepath.Join(short(t), strings.Repeat("long", 40))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	s := listen(t, dir)
	refused := func(why string) {
		t.Helper()
		if path, _, err := Path(dir); err == nil {
			t.Errorf("%s: %s would be asked", why, path)
		}
	}
	if err := os.Chmod(s.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	refused("others may write")
	if err := os.Chmod(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	reach(t, dir)
	if os.Getuid() == 0 { // who is not root cannot give a directory away
		if err := os.Chown(s.dir, 65534, -1); err != nil {
			t.Fatal(err)
		}
		refused("of another user")
	}
	moved := s.dir + "-moved"
	if err := os.Rename(s.dir, moved); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(moved) }()
	if err := os.Symlink(moved, s.dir); err != nil {
		t.Fatal(err)
	}
	refused("a link")
}

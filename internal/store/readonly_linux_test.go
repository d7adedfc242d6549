package store

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What nobody can write is read: on a file system that is mounted so, and with permissions for reading only.
func TestReadOnlyWhereNothingCanBeWritten(t *testing.T) {
	for name, forbid := range map[string]func(t *testing.T, dir string) string{
		"a read-only mount": func(t *testing.T, dir string) string {
			at := t.TempDir()
			mount(t, dir, at, "", unix.MS_BIND, "")
			if err := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
				t.Skipf("remounting is not allowed here: %v", err)
			}
			return at
		},
		"permissions": func(t *testing.T, dir string) string {
			if os.Geteuid() == 0 {
				t.Skip("root may do anything")
			}
			allow := func(mode os.FileMode) {
				for _, sub := range []string{"store", "store/" + indexName, "store/" + valuesName} {
					if err := os.Chmod(filepath.Join(dir, sub), mode); err != nil {
						t.Error(err)
					}
				}
			}
			allow(0o555)
			t.Cleanup(func() { allow(0o755) })
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := openTemp(t, filepath.Join(dir, "store"), Options{})
			set(t, s, "a", "1")
			closeStore(t, s)
			at := forbid(t, dir)
			before := tree(t, at)
			for range 2 { // beside each other
				r := openTemp(t, filepath.Join(at, "store"), Options{ReadOnly: true})
				if v, err := r.Get([]byte("a")); err != nil || string(v) != "1" {
					t.Errorf("got %q, %v", v, err)
				}
				defer closeStore(t, r)
			}
			expectRefusedWith(t, filepath.Join(at, "none"), Options{ReadOnly: true}, ErrNotExist)
			expect(t, "files", tree(t, at), before)
		})
	}
}

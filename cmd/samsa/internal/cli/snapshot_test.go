package cli

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// A file that somebody has made meanwhile is not written over, and nothing is left beside it.
func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "monday.samsa")
	_, err := writeNew(name, func(io.Writer) error { return os.WriteFile(name, []byte("theirs"), 0o600) })
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want that it exists", err)
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "theirs" {
		t.Errorf("the file has %q, %v", got, err)
	}
	tuesday := filepath.Join(dir, "tuesday.samsa")
	n, err := writeNew(tuesday, func(w io.Writer) error {
		_, err := io.WriteString(w, "ours")
		return err
	})
	if err != nil || n != 4 {
		t.Errorf("wrote %d bytes, %v", n, err)
	}
	if got, err := os.ReadFile(tuesday); err != nil || string(got) != "ours" {
		t.Errorf("the file has %q, %v", got, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 2 {
		t.Errorf("there are %v, %v", left, err)
	}
}

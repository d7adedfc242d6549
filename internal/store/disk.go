package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/samsa-go/samsa/internal/vfs"
)

// makeDir creates dir and the directories above it that are missing, durably.
func makeDir(dir string) error {
	var missing []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		_, err := os.Stat(at)
		if err == nil {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		missing = append(missing, at)
		if at == filepath.Dir(at) {
			break
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, made := range missing {
		if err := syncDir(filepath.Dir(made)); err != nil {
			return err
		}
	}
	return nil
}

// syncDir makes the entries of a directory durable.
func syncDir(dir string) error {
	fs, err := vfs.OpenOS(dir)
	if err != nil {
		return err
	}
	return Join(fs.SyncDir("."), fs.Close())
}

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// allocatedBytes returns what the files under dir occupy. Files may come and go
// meanwhile.
func allocatedBytes(dir string) (int64, error) {
	var sum int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		var info fs.FileInfo
		if err == nil {
			info, err = entry.Info()
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && info.Mode().IsRegular() {
			sum += fileBytes(info)
		}
		return err
	})
	return sum, err
}

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
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, made := range missing {
		if err := syncDir(filepath.Dir(made)); err != nil {
			return err
		}
	}
	return nil
}

//go:build unix

package e2e

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
)

// What a broker and a backup make is for their own user: what passwords are checked by is in it.
func TestFilesArePrivate(t *testing.T) {
	dir := t.TempDir()
	b := mustOpen(t, filepath.Join(dir, "above", "data"), samsa.Options{})
	if err := b.Topics().Create(t.Context(), "t", samsa.TopicConfig{}); err != nil {
		t.Fatal(err)
	}
	if err := backup.Run(t.Context(), backup.Of(b, backup.SourceOptions{}), backup.Folder(filepath.Join(dir, "copies", "t")), backup.Options{UntilNow: true}); err != nil {
		t.Fatal(err)
	}
	looked := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		looked++
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || looked < 8 {
		t.Errorf("%d files and directories, %v", looked, err)
	}
}

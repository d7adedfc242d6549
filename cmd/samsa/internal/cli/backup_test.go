package cli

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
)

// heard is a source that says what a backup asks it.
type heard struct {
	backup.Source
	frames func()
	held   func(copied uint64)
}

func (h heard) Frames(ctx context.Context, after uint64) ([]byte, backup.Mark, error) {
	h.frames()
	return h.Source.Frames(ctx, after)
}

func (h heard) Hold(ctx context.Context, id string, copied uint64) error {
	defer h.held(copied)
	return h.Source.Hold(ctx, id, copied)
}

// A backup that follows has what comes later, and ends well when it is told to.
func TestBackupFollows(t *testing.T) {
	b, err := samsa.Open(filepath.Join(t.TempDir(), "data"), samsa.Options{AutoCreateTopics: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	produced := 0
	src := heard{backup.Of(b, backup.SourceOptions{}), func() {
		if produced++; produced <= 3 {
			if _, err := b.Produce(t.Context(), samsa.Record{Topic: "t", Value: []byte("v")}); err != nil {
				t.Error(err)
			}
		}
	}, func(uint64) {
		if produced >= 3 {
			cancel()
		}
	}}
	folder := filepath.Join(t.TempDir(), "copy")
	var out bytes.Buffer
	if err := testEnv(&out, nil).runBackup(ctx, src, backup.Folder(folder), folder, true); err != nil || !strings.Contains(out.String(), "has all commits up to") {
		t.Fatalf("it says %q, error %v", &out, err)
	}
	again, _, err := backup.Restore(t.Context(), filepath.Join(t.TempDir(), "again"), backup.Folder(folder), backup.Moment{}, samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if ends, err := again.ListOffsets(t.Context(), "t", samsa.Latest()); err != nil || ends[0].Offset != 3 {
		t.Errorf("got %v, error %v", ends, err)
	}
}

// Where nobody follows, a folder that fails is told at once, and not tried for ever.
func TestBackupIntoNothing(t *testing.T) {
	b, err := samsa.Open(filepath.Join(t.TempDir(), "data"), samsa.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	err = testEnv(new(bytes.Buffer), nil).runBackup(t.Context(), backup.Of(b, backup.SourceOptions{}), backup.Folder("/dev/null/copy"), "copy", false)
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "/dev/null") {
		t.Errorf("got %v", err)
	}
}

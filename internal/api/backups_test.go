package api

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
)

// A backup that is made through the socket of a directory's owner is restored.
func TestBackupThroughTheSocket(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, samsa.Options{Control: serveControl})
	src, ctx := dialed(t, dir).Backups(), t.Context()
	produce := func(n int) {
		for i := range n {
			_, err := b.Produce(ctx, samsa.Record{Topic: "t", Value: fmt.Append(nil, i)})
			must(t, err)
		}
	}
	must(t, b.Topics().Create(ctx, "t", samsa.TopicConfig{}))
	produce(10)
	mark, base, err := src.Base(ctx, "one")
	must(t, err)
	restored, err := samsa.Restore(ctx, "", base, samsa.Options{InMemory: true})
	must(t, err)
	defer end(restored)
	must(t, base.Close())
	if s, err := restored.ListOffsets(ctx, "t", samsa.Latest()); err != nil || s[0].Offset != 10 {
		t.Fatal(s, err)
	}
	produce(5)
	frames, until, err := src.Frames(ctx, mark.Commit)
	if err != nil || until.Commit != mark.Commit+5 || len(frames) == 0 || until.Time.IsZero() {
		t.Fatal(mark, until, len(frames), err)
	}
	must(t, src.Hold(ctx, "one", until.Commit))
	none, again, err := src.Frames(ctx, until.Commit)
	if err != nil || len(none) > 0 || again.Commit != until.Commit {
		t.Fatal(again, len(none), err)
	}
	wantError(t, src.Hold(ctx, "two", 1), backup.ErrGap)
	must(t, src.Release(ctx, "one"))

	target := backup.Folder(t.TempDir())
	must(t, backup.Run(ctx, src, target, backup.Options{UntilNow: true}))
	produce(1)
	must(t, backup.Run(ctx, src, target, backup.Options{UntilNow: true})) // which goes on
	back, _, err := backup.Restore(ctx, filepath.Join(t.TempDir(), "restored"), target, backup.Moment{}, samsa.Options{})
	must(t, err)
	defer end(back)
	if s, err := back.ListOffsets(ctx, "t", samsa.Latest()); err != nil || s[0].Offset != 16 {
		t.Fatal(s, err)
	}
}

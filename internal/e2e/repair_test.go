package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inspect"
)

// TestRepair takes all tables away, finds that out, and has the index made anew.
func TestRepair(t *testing.T) {
	t.Parallel()
	r := startReader(t)
	defer r.close()
	v := newVictim(t, r, true)
	tables, err := filepath.Glob(filepath.Join(v.dir, "index", "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, name := range tables {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	found, sum := verify(t, v.dir)
	if sum.Repairable == 0 || sum.Damage > 0 {
		t.Errorf("%+v: %v", sum, found)
	}
	ended, end := context.WithCancel(t.Context())
	_, err = inspect.Repair(ended, v.dir, func(int64, int64) { end() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	last := int64(0)
	done, err := inspect.Repair(t.Context(), v.dir, func(done, total int64) {
		if done < last || done > total {
			t.Errorf("progress went from %d to %d of %d", last, done, total)
		}
		last = done
	})
	if err != nil || done.Commits == 0 || done.Bytes == 0 || done.Topics == 0 || len(done.Damaged)+len(done.Findings) > 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if found, sum := verify(t, v.dir); !sum.Whole() {
		t.Errorf("afterwards: %+v: %v", sum, found)
	}
	d, err := r.read(v.dir)
	if err != nil {
		t.Fatal(err)
	}
	if outcome, wrong := v.judge(d); outcome != "right" || len(wrong) > 0 {
		t.Errorf("%s: %v, %v", outcome, wrong, d.Told)
	}
}

// TestRepairCannotMendValueFiles is told what is wrong, and has changed nothing.
func TestRepairCannotMendValueFiles(t *testing.T) {
	t.Parallel()
	r := startReader(t)
	defer r.close()
	v := newVictim(t, r, true)
	places := 0
	for f, err := range inspect.Frames(t.Context(), v.dir, inspect.FrameOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		if places++; places == 5 {
			hurt{what: "flip", file: f.File, at: int(f.Offset) + f.Length/2}.apply(t, v.dir)
			break
		}
	}
	before, err := os.ReadFile(filepath.Join(v.dir, "MANIFEST.0"))
	if err != nil {
		t.Fatal(err)
	}
	done, err := inspect.Repair(t.Context(), v.dir, nil)
	if !errors.Is(err, samsa.ErrCorruptValue) || len(done.Findings) == 0 {
		t.Errorf("%+v, %v", done, err)
	}
	after, err := os.ReadFile(filepath.Join(v.dir, "MANIFEST.0"))
	if err != nil || string(after) != string(before) {
		t.Errorf("the manifest has changed, %v", err)
	}
	if _, err := inspect.Repair(t.Context(), filepath.Join(v.dir, "nowhere"), nil); !errors.Is(err, samsa.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
}

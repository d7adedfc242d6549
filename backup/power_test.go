package backup

import (
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/vfs"
	"github.com/samsa-go/samsa/internal/vfs/vfstest"
)

// onDisk is a folder on a disk that loses power.
type onDisk struct{ *vfstest.Disk }

func (onDisk) make() error { return nil }

func (d onDisk) open(bool) (vfs.FS, func() error, error) {
	return d.Disk, func() error { return nil }, nil
}

// cut is a disk as it was when the power was lost.
type cut struct {
	at   string
	disk *vfstest.Disk
	done int // states that were said to be in the backup then
	from int // the first of them that was still to be kept

	pruning bool // somebody was about to remove what was not
}

// The power is lost at any call that a backup makes of the file system of its folder, while it copies, merges, makes another base and prunes. What
// was said to be in the backup is restored, and all that is there is whole.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 2))
	disk := vfstest.NewDisk(0)
	target := folder{onDisk{disk}}
	b := openSmall(t, t.TempDir())
	defer func() { _ = b.Close() }()
	var states []past
	var cuts []cut
	from, pruning := 0, false
	disk.Before(func(c vfstest.Call) error {
		if len(cuts) < 1000 && rng.IntN(12) == 0 {
			cuts = append(cuts, cut{c.String(), disk.Cut(rng.Uint64()), len(states), from, pruning})
		}
		return nil
	})
	runOnce(t, b, target, Options{UntilNow: true, Status: func(Status) {}}) // the base: what a broker does by itself may come between a note and it
	for i := range 2*mergeCount + 5 {
		for range 1 + rng.IntN(3) {
			use(t, rng, b)
		}
		if _, err := b.Produce(t.Context(), samsa.Record{Topic: "always", Value: []byte("something")}); err != nil {
			t.Fatal(err)
		}
		o := Options{UntilNow: true, Status: func(Status) {}}
		if i%40 == 39 {
			o.BaseEvery = time.Nanosecond
		}
		p := note(t, b)
		runOnce(t, b, target, o)
		states = append(states, p)
		if i%40 == 39 {
			from, pruning = len(states), true // what comes is behind the base that stays
			if _, err := Prune(t.Context(), target, PruneOptions{Bases: 1}); err != nil {
				t.Fatal(err)
			}
			pruning = false
		}
	}
	disk.Before(nil)
	cuts = append(cuts, cut{"the end", disk.Cut(1), len(states), from, false})
	for _, c := range cuts {
		left := folder{onDisk{c.disk}}
		v, err := Verify(t.Context(), left, VerifyOptions{})
		half := c.pruning && len(v.Findings) == 1 && strings.Contains(v.Findings[0].What, "unless pruning was interrupted")
		if err != nil || !v.Whole() && !half {
			t.Fatalf("cut before %s: %v, %v", c.at, v.Findings, err)
		}
		for n := range 3 {
			if c.done <= c.from {
				continue
			}
			p := states[c.from+rng.IntN(c.done-c.from)]
			if n == 0 {
				p = states[c.done-1]
			}
			state, _, err := load(t, left, Moment{Commit: p.at.Commit})
			if err != nil || !maps.Equal(state, p.state) {
				t.Fatalf("cut before %s: commit %d of %d states: %v; %s", c.at, p.at.Commit, c.done, err, differ(state, p.state))
			}
		}
	}
	t.Logf("%d cuts of %d calls", len(cuts), disk.Calls())
}

// What a Put has left whose process was killed goes when the next Run begins.
func TestSweep(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	b := openSmall(t, t.TempDir())
	defer func() { _ = b.Close() }()
	once := Options{UntilNow: true}
	if err := Run(t.Context(), Of(b, SourceOptions{}), Folder(dir), once); err != nil {
		t.Fatal(err)
	}
	generations, err := filepath.Glob(filepath.Join(dir, "g*"))
	if err != nil || len(generations) != 1 {
		t.Fatal(generations, err)
	}
	for _, left := range []string{dir, generations[0]} {
		if err := os.WriteFile(filepath.Join(left, tempPrefix+"1"), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := Run(t.Context(), Of(b, SourceOptions{}), Folder(dir), once); err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{dir, generations[0]} {
		if left, err := filepath.Glob(filepath.Join(at, tempPrefix+"*")); err != nil || len(left) > 0 {
			t.Errorf("%q are left, %v", left, err)
		}
	}
}

// That the newest segment is missing is known, as it was noted that there is one: by all who look.
func TestNewestSegmentIsMissing(t *testing.T) {
	t.Parallel()
	target, dir, all := backedUp(t)
	segments, err := filepath.Glob(filepath.Join(dir, "*", "seg-*"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(segments[len(segments)-1]); err != nil {
		t.Fatal(err)
	}
	v, err := Verify(t.Context(), target, VerifyOptions{})
	if err != nil || v.Whole() || len(v.Findings) != 1 || !strings.Contains(v.Findings[0].What, "the newest, are missing") {
		t.Errorf("Verify: %+v, %v", v.Findings, err)
	}
	spans, err := List(t.Context(), target)
	if err != nil || len(spans) != 1 || !strings.HasPrefix(spans[0].Missing, "commits ") {
		t.Errorf("List: %+v, %v", spans, err)
	}
	if _, _, err := load(t, target, Moment{}); err == nil || !strings.Contains(err.Error(), "the newest, are missing") {
		t.Errorf("the newest moment: %v", err)
	}
	before := all[len(all)-3]
	if state, _, err := load(t, target, Moment{Commit: before.at.Commit}); err != nil || !maps.Equal(state, before.state) {
		t.Errorf("the moment before: %v", err)
	}
}

// late is a target in whose first list the newest segment is not, as a list is not made at one moment.
type late struct {
	Target
	lists *int
}

func (l late) List(ctx context.Context) ([]Object, error) {
	all, err := l.Target.List(ctx)
	if *l.lists++; *l.lists == 1 {
		return all[:len(all)-1], err
	}
	return all, err
}

func TestListIsNotOfOneMoment(t *testing.T) {
	t.Parallel()
	target, _, _ := backedUp(t)
	if v, err := Verify(t.Context(), late{target, new(int)}, VerifyOptions{}); err != nil || !v.Whole() {
		t.Errorf("%+v, %v", v, err)
	}
}

package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// withTwoBases returns a target with segments, a base in their middle, and segments behind it, and what the broker was, by commit.
func withTwoBases(t *testing.T) (folder string, all []past) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "backup")
	b := openSmall(t, t.TempDir())
	for i := range 8 {
		if _, err := b.Produce(t.Context(), samsa.Record{Topic: "orders", Value: make([]byte, 100*i)}); err != nil {
			t.Fatal(err)
		}
		if err := Run(t.Context(), Of(b, SourceOptions{}), Folder(folder), Options{UntilNow: true}); err != nil {
			t.Fatal(err)
		}
		if i == 4 {
			stop, cancel := context.WithCancel(t.Context())
			bases := 0
			_ = Run(stop, Of(b, SourceOptions{}), Folder(folder), Options{BaseEvery: time.Nanosecond, Status: func(s Status) {
				if bases++; s.BaseBytes == 0 {
					cancel()
				}
			}})
			cancel()
		}
		all = append(all, note(t, b))
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	return folder, all
}

// TestVerify damages each object of a backup, and takes it away: Verify names it, and says what that costs, which is what cannot be restored.
func TestVerify(t *testing.T) {
	t.Parallel()
	folder, all := withTwoBases(t)
	target := Folder(folder)
	v, err := Verify(t.Context(), target, VerifyOptions{})
	if err != nil || !v.Whole() || len(v.Findings) > 0 || v.Generations != 1 || v.Commits == 0 || v.Bytes == 0 {
		t.Fatalf("%+v, %v", v, err)
	}
	spans, err := List(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(p past) bool { return p.at.Commit > spans[0].Until.Commit }) // was not copied any more
	objects, err := target.List(t.Context())
	if err != nil || v.Objects != len(objects) {
		t.Fatalf("%d objects of %d, %v", v.Objects, len(objects), err)
	}
	for _, o := range objects {
		path := filepath.Join(folder, filepath.FromSlash(o.Name))
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, what := range []string{"first", "middle", "last", "cut", "longer", "missing"} {
			changed := slices.Clone(data)
			switch what {
			case "first":
				changed[0] ^= 4
			case "middle":
				changed[len(changed)/2] ^= 4
			case "last":
				changed[len(changed)-1] ^= 4
			case "cut":
				changed = changed[:len(changed)-1]
			case "longer":
				changed = append(changed, 0)
			}
			if err = os.WriteFile(path, changed, 0o644); what == "missing" {
				err = os.Remove(path)
			}
			if err != nil {
				t.Fatal(err)
			}
			checkVerified(t, target, all, fmt.Sprintf("%s, %s", o.Name, what), o.Name)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkVerified compares what Verify says of a target in which one object is damaged with what can be restored of it.
func checkVerified(t *testing.T, target Target, all []past, what, name string) {
	t.Helper()
	v, err := Verify(t.Context(), target, VerifyOptions{})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if strings.HasSuffix(name, ".json") { // no restore needs it
		if len(v.Findings) == 0 && strings.Contains(name, "/reach-") && !strings.HasSuffix(what, "missing") {
			t.Errorf("%s: nothing is said", what)
		}
		if !v.Whole() || len(v.Findings) > 1 {
			t.Errorf("%s: %+v", what, v.Findings)
		}
		return
	}
	missing := strings.HasSuffix(what, "missing")
	costs := false
	for _, f := range v.Findings {
		if f.Object != name && !missing {
			t.Errorf("%s: it is said of %+v", what, f)
		}
		costs = costs || f.Costs != ""
	}
	if !missing && (v.Whole() || len(v.Findings) != 1) {
		t.Errorf("%s: %+v", what, v.Findings)
	}
	for _, p := range all {
		_, _, err := Restore(t.Context(), "", target, Moment{Commit: p.at.Commit}, samsa.Options{InMemory: true})
		if err != nil && !costs {
			t.Errorf("%s: commit %d: %v, and it is said to cost nothing: %+v", what, p.at.Commit, err, v.Findings)
		}
		if err == nil || !costs {
			continue
		}
		f := v.Findings[0]
		var from, to uint64
		if i := strings.Index(f.Costs, "(commit "); i >= 0 {
			_, _ = fmt.Sscanf(f.Costs[i:], "(commit %d)", &from)
			if strings.Contains(f.Costs, "before commit") {
				continue
			}
			if j := strings.LastIndex(f.Costs, "(commit "); j > i {
				_, _ = fmt.Sscanf(f.Costs[j:], "(commit %d)", &to)
			}
		}
		if p.at.Commit < from || to > 0 && p.at.Commit >= to {
			t.Errorf("%s: commit %d cannot be restored, and it is said: %s", what, p.at.Commit, f)
		}
	}
}

// fleeting is a target in which an object is not there when it is asked for, so often.
type fleeting struct {
	Target
	name  string
	times *int
}

func (f fleeting) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == f.name && *f.times > 0 {
		*f.times--
		return nil, fs.ErrNotExist
	}
	return f.Target.Get(ctx, name)
}

// TestVerifyBesideARun looks again when something has gone since it was listed, as segments do of which a backup makes one.
func TestVerifyBesideARun(t *testing.T) {
	t.Parallel()
	target, _, _ := backedUp(t)
	objects, err := target.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		times := 1
		v, err := Verify(t.Context(), fleeting{target, o.Name, &times}, VerifyOptions{})
		if err != nil || !v.Whole() || v.Objects != len(objects) {
			t.Errorf("%s: %+v, %v", o.Name, v, err)
		}
	}
	times := 1 << 30
	if _, err := Verify(t.Context(), fleeting{target, objects[3].Name, &times}, VerifyOptions{}); !errors.Is(err, samsa.ErrUnavailable) {
		t.Errorf("one that is listed and never there: %v", err)
	}
}

// TestVerifyNotes tells what is no damage: left-overs, a beginning without an end, what is of somebody else.
func TestVerifyNotes(t *testing.T) {
	t.Parallel()
	target, _, _ := backedUp(t)
	for name, text := range map[string]string{"notes.txt": "mine", "g00000002-0123abcd/begin.json": `{"version":1,"id":"x"}`} {
		if err := target.Put(t.Context(), name, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	v, err := Verify(t.Context(), target, VerifyOptions{})
	if err != nil || !v.Whole() || len(v.Findings) != 2 {
		t.Fatalf("%+v, %v", v, err)
	}
	if got := v.Findings[1].String(); got != "note: notes.txt: it is of no backup" {
		t.Error(got)
	}
}

package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/store"
)

// Verified is what Verify has found.
type Verified struct {
	Generations int       `json:"generations"`
	Objects     int       `json:"objects"`
	Bytes       int64     `json:"bytes"`
	Commits     int64     `json:"commits"` // in segments that are whole
	Findings    []Finding `json:"findings"`
}

// Whole reports whether nothing is damaged or missing.
func (v Verified) Whole() bool {
	for _, f := range v.Findings {
		if f.Damage {
			return false
		}
	}
	return true
}

// Finding is something about a backup that is not as it should be.
type Finding struct {
	Object string `json:"object,omitempty"` // its name; "" for what is missing
	What   string `json:"what"`
	Damage bool   `json:"damage"` // else it is a note: nothing that Restore needs
	// Costs says which moments cannot be restored, "" if all can.
	Costs string `json:"costs,omitempty"`
}

// String returns f in a line.
func (f Finding) String() string {
	kind := "note"
	if f.Damage {
		kind = "damage"
	}
	text := kind + ": "
	if f.Object != "" {
		text += f.Object + ": "
	}
	text += f.What
	if f.Costs != "" {
		text += "; " + f.Costs
	}
	return text
}

// VerifyOptions of Verify. The zero value is right for most.
type VerifyOptions struct {
	// Progress is told how many bytes of how many were read, now and then. It may be nil.
	Progress func(done, total int64)
}

// Verify reads every byte of a target, checks it as Restore would, and says what is damaged or missing and what that costs. It restores nothing,
// holds a segment in memory at a time, at most 64 MiB, and may be called while Run writes to the target. An error says that the target
// could not be read.
func Verify(ctx context.Context, target Target, o VerifyOptions) (Verified, error) {
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	v := verifier{ctx: ctx, target: target, opts: o, read: make(map[string]error), commits: make(map[string]int64)}
	sum, err := v.run()
	if err != nil {
		return sum, fmt.Errorf("backup: verify: %w", err)
	}
	return sum, nil
}

type verifier struct {
	ctx    context.Context
	target Target
	opts   VerifyOptions

	done, total int64
	read        map[string]error // of the objects that were read; nil for whole ones
	commits     map[string]int64 // of segments
}

// verifyRounds bounds how often a target that changes all the time is listed again.
const verifyRounds = 20

// run reads what is there until nothing has gone meanwhile: a backup that goes on makes one segment of many.
func (v *verifier) run() (Verified, error) {
	for range verifyRounds {
		objects, all, err := look(v.ctx, v.target)
		if err != nil {
			return Verified{}, err
		}
		v.done, v.total = 0, 0
		for _, o := range objects {
			v.total += o.Size
		}
		again, err := v.objects(all)
		if err != nil {
			return Verified{}, err
		}
		if !again {
			return v.sum(objects, all), nil
		}
	}
	return Verified{}, fmt.Errorf("%w: what is in it goes faster than it can be read", samsa.ErrUnavailable)
}

// objects reads what was not read yet, and reports whether something has gone meanwhile.
func (v *verifier) objects(all []*generation) (again bool, err error) {
	check := func(name string, size int64, do func() error) error {
		_, known := v.read[name]
		if !known {
			err := do()
			switch {
			case errors.Is(err, fs.ErrNotExist):
				again = true
				return nil
			case err != nil && !errors.Is(err, ErrDamaged):
				return err
			}
			v.read[name] = err
		}
		v.done += size
		v.opts.Progress(v.done, v.total)
		return nil
	}
	for _, g := range all {
		if g.begun {
			name := g.name + "/begin.json"
			if err := check(name, 0, func() error { return v.beginning(name) }); err != nil {
				return again, err
			}
		}
		for _, at := range g.reaches {
			name := reachName(g.name, at)
			if err := check(name, 0, func() error { return v.reach(name, at) }); err != nil {
				return again, err
			}
		}
		for _, b := range g.bases {
			if err := check(b.name, b.size, func() error { return v.base(b) }); err != nil {
				return again, err
			}
		}
		for _, s := range append(g.segments[:len(g.segments):len(g.segments)], g.leftover...) {
			if err := check(s.name, s.size, func() error { return v.segment(s) }); err != nil {
				return again, err
			}
		}
	}
	return again, v.ctx.Err()
}

func (v *verifier) beginning(name string) error {
	text, err := read(v.ctx, v.target, name, 1<<10)
	if err != nil {
		return err
	}
	var b beginning
	if err := json.Unmarshal(text, &b); err != nil || b.Version != 1 || b.ID == "" {
		return fmt.Errorf("%w: it does not say whose the backup is", ErrDamaged)
	}
	return nil
}

func (v *verifier) reach(name string, at Mark) error {
	text, err := read(v.ctx, v.target, name, 1<<10)
	if err == nil && !bytes.Equal(text, reachText(at)) {
		err = fmt.Errorf("%w: it does not say what its name says", ErrDamaged)
	}
	return err
}

func (v *verifier) base(b snapshot) error {
	body, err := v.target.Get(v.ctx, b.name)
	if err != nil {
		return err
	}
	r := &counter{r: contextReader{v.ctx, body}, tell: func(n int64) { v.opts.Progress(v.done+n, v.total) }}
	err = store.CheckStream(v.ctx, r, func(_, _ []byte) error { return nil })
	if err == nil {
		if n, e := io.Copy(io.Discard, r); e != nil || n > 0 {
			err = errors.Join(e, fmt.Errorf("%w: it goes on behind its end", store.ErrBadStream))
		}
	}
	if errors.Is(err, store.ErrBadStream) {
		err = fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return errors.Join(err, body.Close())
}

func (v *verifier) segment(s segment) error {
	b, err := read(v.ctx, v.target, s.name, s.size)
	if err != nil {
		return err
	}
	if _, err := decodeSegment(b, s); err != nil {
		return err
	}
	v.commits[s.name] = int64(s.until.Commit - s.first + 1)
	return nil
}

// sum says what all that was read means.
func (v *verifier) sum(objects []Object, all []*generation) Verified {
	sum := Verified{Findings: []Finding{}}
	ours := make(map[string]bool)
	for i, g := range all {
		ours[g.name+"/begin.json"] = g.begun
		if len(g.bases) > 0 {
			sum.Generations++
		}
		for _, b := range g.bases {
			ours[b.name] = true
		}
		for _, at := range g.reaches {
			ours[reachName(g.name, at)] = true
		}
		for _, s := range g.segments {
			ours[s.name] = true
			sum.Commits += v.commits[s.name]
		}
		for _, s := range g.leftover {
			ours[s.name] = true
			sum.Findings = append(sum.Findings, Finding{Object: s.name, What: "it lies within another segment: a left-over, which the next backup removes"})
		}
		sum.Findings = append(sum.Findings, v.generation(g, i == len(all)-1)...)
	}
	for _, o := range objects {
		if !ours[o.Name] {
			sum.Findings = append(sum.Findings, Finding{Object: o.Name, What: "it is of no backup"})
			continue
		}
		sum.Objects++
		sum.Bytes += o.Size
	}
	return sum
}

// generation says what is wrong with one.
func (v *verifier) generation(g *generation, newest bool) (found []Finding) {
	name := g.name + "/begin.json"
	switch err := v.read[name]; {
	case !g.begun && newest:
		found = append(found, Finding{What: name + " is missing: the next backup begins anew"})
	case err != nil && newest:
		found = append(found, Finding{Object: name, What: "it cannot be read: the next backup begins anew"})
	}
	for _, at := range g.reaches {
		name := reachName(g.name, at)
		if err := v.read[name]; err != nil {
			found = append(found, Finding{Object: name, What: reason(err, name)})
		}
	}
	if len(g.bases) == 0 {
		f := Finding{What: g.name + " has no base: it was not finished when it was begun", Damage: len(g.segments) > 0}
		if f.Damage {
			f.What, f.Costs = g.name+" has no base", "nothing of it can be restored"
		}
		return append(found, f)
	}
	l := losses{g: g}
	for _, b := range g.bases {
		if v.read[b.name] == nil {
			l.bases = append(l.bases, b.at)
		}
	}
	for _, b := range g.bases {
		if err := v.read[b.name]; err != nil {
			found = append(found, Finding{Object: b.name, What: reason(err, b.name), Damage: true, Costs: l.withoutBase(b.at)})
		}
	}
	at := g.bases[0].at
	if s := g.segments; len(s) > 0 && s[0].until.Commit <= at.Commit {
		what := fmt.Sprintf("commits from %d on lie before the first base of %s: a base is missing, unless pruning was interrupted, which the next one ends", s[0].first, g.name)
		found = append(found, Finding{What: what, Damage: true, Costs: fmt.Sprintf("no moment before commit %d can be restored", at.Commit)})
	}
	for _, s := range g.segments {
		if s.until.Commit <= at.Commit {
			continue
		}
		if s.first > at.Commit+1 {
			what := fmt.Sprintf("commits %d to %d are missing in %s", at.Commit+1, s.first-1, g.name)
			found = append(found, Finding{What: what, Damage: true, Costs: l.behind(at, s.first-1)})
			at = Mark{s.first - 1, at.Time}
		}
		if err := v.read[s.name]; err != nil {
			found = append(found, Finding{Object: s.name, What: reason(err, s.name), Damage: true, Costs: l.behind(at, s.until.Commit)})
		}
		at = s.until
	}
	if last := g.missing(at); last > 0 {
		what := fmt.Sprintf("commits %d to %d, the newest, are missing in %s", at.Commit+1, last, g.name)
		found = append(found, Finding{What: what, Damage: true, Costs: l.behind(at, last)})
	}
	return found
}

// reason returns what is wrong with an object, without its name.
func reason(err error, name string) string {
	text := strings.TrimPrefix(err.Error(), ErrDamaged.Error()+": ")
	return strings.TrimPrefix(text, name+": ")
}

// losses says which moments of a generation cannot be restored.
type losses struct {
	g     *generation
	bases []Mark // that are whole
}

// behind says what it costs that commits behind one, up to a last one, are damaged or missing: all up to the next base.
func (l losses) behind(before Mark, last uint64) string {
	for _, b := range l.bases {
		if b.Commit >= last {
			return moments(before, &b)
		}
	}
	return moments(before, nil)
}

// withoutBase says what it costs that a base cannot be used: nothing if there is an older one.
func (l losses) withoutBase(at Mark) string {
	if len(l.bases) == 0 {
		return "nothing of " + l.g.name + " can be restored"
	}
	if l.bases[0].Commit < at.Commit {
		return ""
	}
	return moments(at, &l.bases[0])
}

// moments says that the moments behind one, up to another, if there is one, cannot be restored.
func moments(from Mark, to *Mark) string {
	at := func(m Mark) string { return fmt.Sprintf("%s (commit %d)", m.Time.UTC().Format(time.RFC3339), m.Commit) }
	if to == nil {
		return "no moment behind " + at(from) + " can be restored"
	}
	return "no moment from " + at(from) + " to " + at(*to) + " can be restored"
}

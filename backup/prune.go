package backup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa"
)

// PruneOptions says what Prune keeps: what either of them asks for. One is set.
type PruneOptions struct {
	// Keep is how long before now any moment can be restored.
	Keep time.Duration
	// Bases is how many bases are kept, the newest, with all moments since the oldest of them.
	Bases int
	// DryRun removes nothing, and tells what would be.
	DryRun bool
}

// Pruned is what was removed.
type Pruned struct {
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	From    Mark  `json:"from"` // the oldest moment that can be restored now; zero when the backup has none
}

// Prune removes from a target what is not needed for the moments that are to be kept. The newest base stays, whatever its age. It may be called while Run writes to the
// target. With an error Pruned is what was removed until then.
func Prune(ctx context.Context, target Target, o PruneOptions) (done Pruned, err error) {
	if o.Keep < 0 || o.Bases < 0 || o.Keep == 0 && o.Bases == 0 {
		return done, fmt.Errorf("backup: prune: %w: say for how long, or how many bases are to be kept", samsa.ErrInvalidOption)
	}
	objects, err := target.List(ctx)
	if err != nil {
		return done, fmt.Errorf("backup: prune: %w", err)
	}
	sizes := make(map[string]int64, len(objects))
	for _, o := range objects {
		sizes[o.Name] = o.Size
	}
	all := parse(objects)
	from, ok := o.oldest(all, time.Now())
	if ok {
		done.From = all[from.generation].bases[from.base].at
	}
	for _, name := range prunable(all, from) {
		if !o.DryRun {
			if err := target.Delete(ctx, name); err != nil {
				return done, fmt.Errorf("backup: prune: %w", err)
			}
		}
		done.Objects++
		done.Bytes += sizes[name]
	}
	return done, nil
}

// place is where a base is: the index of its generation, and its own.
type place struct{ generation, base int }

// beside returns the oldest base that is kept of a generation that began at once with the one where from is: no younger than that.
func beside(g *generation, from Mark) (oldest int) {
	for i, b := range g.bases {
		if !b.at.Time.After(from.Time) {
			oldest = i
		}
	}
	return oldest
}

// oldest returns the oldest base that is kept: the newest one that is as old as the oldest moment to be kept, or that behind which there are as
// many as are to be kept, whichever is older. ok is false where there is no base.
func (o PruneOptions) oldest(all []*generation, now time.Time) (from place, ok bool) {
	var bases []place
	for i, g := range all {
		for j := range g.bases {
			bases = append(bases, place{i, j})
		}
	}
	if len(bases) == 0 {
		return place{}, false
	}
	at := func(b place) time.Time { return all[b.generation].bases[b.base].at.Time }
	slices.SortStableFunc(bases, func(a, b place) int { // generations that began at once go side by side
		if a.generation == b.generation || all[a.generation].number() != all[b.generation].number() {
			return 0
		}
		return at(a).Compare(at(b))
	})
	byAge := 0
	for i, b := range bases {
		if !at(b).After(now.Add(-o.Keep)) {
			byAge = i
		}
	}
	keep := len(bases) - 1
	if o.Keep > 0 {
		keep = min(keep, byAge)
	}
	if o.Bases > 0 {
		keep = min(keep, max(0, len(bases)-o.Bases))
	}
	return bases[keep], true
}

// prunable returns the names of what is not needed to restore any moment from a base on, in the order in which they may go.
func prunable(generations []*generation, from place) (names []string) {
	for i, g := range generations {
		for _, s := range g.leftover {
			names = append(names, s.name)
		}
		first, gone := 0, i < from.generation // the base that is kept
		if kept := generations[from.generation]; i == from.generation {
			first = from.base
		} else if g.number() == kept.number() && len(kept.bases) > 0 {
			first, gone = beside(g, kept.bases[from.base].at), false
		}
		commit := uint64(0)
		if first < len(g.bases) {
			commit = g.bases[first].at.Commit
		}
		for j, b := range g.bases {
			if gone || j < first {
				names = append(names, b.name)
			}
		}
		for _, s := range g.segments {
			if gone || s.until.Commit <= commit {
				names = append(names, s.name)
			}
		}
		for n, at := range g.reaches {
			if gone || n < len(g.reaches)-1 {
				names = append(names, reachName(g.name, at))
			}
		}
		if gone && g.begun {
			names = append(names, g.name+"/begin.json")
		}
	}
	return names
}

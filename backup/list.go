package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

// order puts the segments in order, and finds those that lie within others.
func (g *generation) order() {
	slices.SortFunc(g.segments, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.first, b.first), -cmp.Compare(a.until.Commit, b.until.Commit), cmp.Compare(a.level, b.level))
	})
	slices.SortFunc(g.bases, func(a, b snapshot) int { return cmp.Compare(a.at.Commit, b.at.Commit) })
	slices.SortFunc(g.reaches, func(a, b Mark) int { return cmp.Compare(a.Commit, b.Commit) })
	last := uint64(0)
	g.segments = slices.DeleteFunc(g.segments, func(s segment) bool {
		if s.until.Commit <= last {
			g.leftover = append(g.leftover, s)
			return true
		}
		last = s.until.Commit
		return false
	})
}

// Span is one generation of a backup: any moment from From to Until can be restored, if nothing is missing.
type Span struct {
	Generation string `json:"generation"`
	From       Mark   `json:"from"`
	Until      Mark   `json:"until"`
	Bases      []Mark `json:"bases"`
	Objects    int    `json:"objects"`
	Bytes      int64  `json:"bytes"`
	// Missing says which commits are missing behind Until, "" if none.
	Missing string `json:"missing,omitempty"`
}

// List returns what is in a target, the oldest first. It reads names only.
func List(ctx context.Context, target Target) ([]Span, error) {
	_, all, err := look(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	var spans []Span
	for _, g := range all {
		if len(g.bases) == 0 {
			continue
		}
		s := Span{Generation: g.name, From: g.bases[0].at, Until: g.until(g.bases[0].at), Objects: len(g.bases) + len(g.segments)}
		for _, b := range g.bases {
			s.Bases, s.Bytes = append(s.Bases, b.at), s.Bytes+b.size
		}
		for _, b := range g.segments {
			s.Bytes += b.size
			if b.first > s.Until.Commit+1 && s.Missing == "" {
				s.Missing = fmt.Sprintf("commits %d to %d", s.Until.Commit+1, b.first-1)
			}
		}
		if last := g.missing(s.Until); last > 0 && s.Missing == "" {
			s.Missing = fmt.Sprintf("commits %d to %d", s.Until.Commit+1, last)
		}
		spans = append(spans, s)
	}
	return spans, nil
}

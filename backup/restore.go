package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// Moment is what is to be restored. The zero value is the newest that there is.
type Moment struct {
	// Time is the moment, by the clock of the broker that was backed up: all commits up to the first that is younger are restored.
	Time time.Time
	// Commit is the last commit that is restored, instead of Time. Of several generations that have it the newest counts, unless
	// Generation names another.
	Commit     uint64
	Generation string
}

// Restored is what was restored.
type Restored struct {
	Generation string `json:"generation"`
	Base       Mark   `json:"base"`
	Last       Mark   `json:"last"` // the last commit, and its time; those of the base if none came behind
	// Until is how far the backup reaches: what was stored later than it is not in it.
	Until   Mark  `json:"until"`
	Commits int64 `json:"commits"` // that were applied to the base
	// Passed says which bases are damaged, and were passed over for older ones.
	Passed []string `json:"passed,omitempty"`
}

// ErrNoMoment says that the backup does not have the moment, and what it has.
var ErrNoMoment = family.New(family.ErrUnknown, "the backup does not have that moment")

// Restore opens a new broker that holds what the broker had at a moment that was backed up: in dir, which must be missing or empty, else it is
// fs.ErrExist; or in memory, with Options.InMemory and dir "". All that is read is checked. Where something is missing or damaged on
// the way to the moment it is ErrDamaged, with its name, and no directory is left.
//
// It is one state that the broker has had: that of a commit. Producers without a name get ids that
// nobody was given since, as with samsa.Restore.
func Restore(ctx context.Context, dir string, target Target, at Moment, opts samsa.Options) (*samsa.Broker, Restored, error) {
	b, done, err := restore(ctx, dir, target, at, opts)
	if err != nil {
		return nil, done, fmt.Errorf("backup: restore: %w", err)
	}
	return b, done, nil
}

func restore(ctx context.Context, dir string, target Target, at Moment, opts samsa.Options) (*samsa.Broker, Restored, error) {
	if !at.Time.IsZero() && at.Commit > 0 {
		return nil, Restored{}, fmt.Errorf("%w: a moment has a time or a commit", samsa.ErrInvalidOption)
	}
	_, all, err := look(ctx, target)
	if err != nil {
		return nil, Restored{}, err
	}
	g, bases, err := choose(all, at)
	if err != nil {
		return nil, Restored{}, err
	}
	var passed []string
	for _, base := range bases {
		a := applier{ctx: ctx, target: target, gen: g, at: at}
		a.done = Restored{Generation: g.name, Base: base.at, Last: base.at, Until: g.until(base.at), Passed: passed}
		b, err := a.open(dir, base, opts)
		if !errors.Is(err, errBase) {
			return b, a.done, err
		}
		passed = append(passed, base.name)
		if base == bases[len(bases)-1] {
			return nil, a.done, err
		}
	}
	return nil, Restored{}, ErrNoMoment // there is no base
}

// choose returns the generation that has a moment, and its bases from which it can be reached, the best first.
func choose(all []*generation, at Moment) (*generation, []snapshot, error) {
	has := "nothing"
	for i, g := range slices.Backward(all) {
		if len(g.bases) == 0 || at.Generation != "" && at.Generation != g.name {
			continue
		}
		until := g.until(g.bases[0].at)
		has = fmt.Sprintf("%s from %s (commit %d) to %s (commit %d)", g.name,
			g.bases[0].at.Time.UTC().Format(time.RFC3339Nano), g.bases[0].at.Commit, until.Time.UTC().Format(time.RFC3339Nano), until.Commit)
		bases := slices.DeleteFunc(slices.Clone(g.bases), func(b snapshot) bool {
			return at.Commit > 0 && b.at.Commit > at.Commit || !at.Time.IsZero() && b.at.Time.After(at.Time)
		})
		if len(bases) == 0 || at.Commit > max(until.Commit, g.last()) {
			continue // it began later, or ended before
		}
		if at.Commit == 0 && !at.Time.IsZero() && at.Time.After(until.Time) && at.Generation == "" && begunBehind(all[i+1:]) {
			return nil, nil, fmt.Errorf("%w: it lies behind %s, and before the generation that follows: what was stored there is not known", ErrNoMoment, has)
		}
		slices.Reverse(bases)
		return g, bases, nil
	}
	return nil, nil, fmt.Errorf("%w: it has %s", ErrNoMoment, has)
}

// last returns the last commit that a segment has, whatever is missing before.
func (g *generation) last() uint64 {
	if len(g.segments) == 0 {
		return 0
	}
	return g.segments[len(g.segments)-1].until.Commit
}

func begunBehind(later []*generation) bool {
	return slices.ContainsFunc(later, func(g *generation) bool { return len(g.bases) > 0 })
}

// errBase says that a base cannot be used, and another may.
var errBase = errors.New("the base cannot be used")

// applier makes the state of a moment.
type applier struct {
	ctx    context.Context
	target Target
	gen    *generation
	at     Moment
	done   Restored

	st    store.Store
	batch store.Batch
}

// open makes a broker of a base and what follows.
func (a *applier) open(dir string, base snapshot, opts samsa.Options) (*samsa.Broker, error) {
	fill := func(st store.Store) error { return a.fill(st, base) }
	if opts.InMemory {
		st := store.OpenMemory()
		if err := fill(st); err != nil {
			return nil, store.Join(err, st.Close())
		}
		b, err := inside.Open[*samsa.Broker](st, opts)
		if err == nil {
			err = inside.Of(b).Producers.Leap()
		}
		return b, err
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	err = store.RestoreWith(dir, store.Options{MinFreeBytes: opts.MinFreeBytes}, fill, func(dir string) error {
		b, err := samsa.Open(dir, samsa.Options{MinFreeBytes: opts.MinFreeBytes})
		if err != nil {
			return err
		}
		return store.Join(inside.Of(b).Producers.Leap(), b.Close())
	})
	if err != nil {
		return nil, err
	}
	return samsa.Open(dir, opts)
}

// fill makes the state in a store that is empty.
func (a *applier) fill(st store.Store, base snapshot) error {
	a.st = st
	if err := a.base(base); err != nil {
		return err
	}
	return a.follow()
}

// base reads the snapshot.
func (a *applier) base(base snapshot) error {
	body, err := a.target.Get(a.ctx, base.name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w: %s is missing", ErrDamaged, errBase, base.name)
	}
	if err != nil {
		return err
	}
	err = store.ReadStream(a.ctx, body, a.st)
	if errors.Is(err, store.ErrBadStream) {
		err = fmt.Errorf("%w: %w: %s: %w", ErrDamaged, errBase, base.name, err)
	}
	return errors.Join(err, body.Close())
}

// errReached ends the following of frames.
var errReached = errors.New("the moment was reached")

// follow applies frames up to the moment.
func (a *applier) follow() error {
	err := a.segments()
	if errors.Is(err, errReached) {
		err = nil
	}
	if err == nil {
		err = a.flush()
	}
	if err == nil && a.at.Commit > a.done.Last.Commit {
		err = fmt.Errorf("%w: commit %d; %s reaches to commit %d", ErrNoMoment, a.at.Commit, a.gen.name, a.done.Last.Commit)
	}
	return err
}

func (a *applier) segments() error {
	if a.at.Commit > 0 && a.at.Commit == a.done.Last.Commit {
		return errReached
	}
	for _, s := range a.gen.segments {
		next := a.done.Last.Commit + 1
		switch {
		case s.until.Commit < next:
			continue
		case s.first > next:
			return fmt.Errorf("%w: commits %d to %d are missing in %s", ErrDamaged, next, s.first-1, a.gen.name)
		}
		b, err := read(a.ctx, a.target, s.name, s.size)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w: %s is missing", ErrDamaged, s.name)
		}
		if err != nil {
			return err
		}
		frames, err := decodeSegment(b, s)
		if err != nil {
			return err
		}
		if err := a.apply(frames); err != nil {
			return err
		}
	}
	if last := a.gen.missing(a.done.Last); last > 0 {
		return fmt.Errorf("%w: commits %d to %d, the newest, are missing in %s", ErrDamaged, a.done.Last.Commit+1, last, a.gen.name)
	}
	return nil
}

// apply applies frames.
func (a *applier) apply(frames []byte) error {
	for len(frames) > 0 {
		f, err := store.ParseFrame(frames)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		frames = frames[f.Length:]
		if f.Commit <= a.done.Last.Commit {
			continue
		}
		if !a.at.Time.IsZero() && f.Time.After(a.at.Time) {
			return errReached
		}
		if err := a.frame(f); err != nil {
			return err
		}
		a.done.Last = Mark{f.Commit, f.Time}
		a.done.Commits++
		if f.Commit == a.at.Commit {
			return errReached
		}
	}
	return a.flush() // their bytes go with the segment
}

const (
	applyBytes   = 4 << 20
	applyEntries = 4000
)

// frame adds the operations of a frame to the batch.
func (a *applier) frame(f *store.Frame) error {
	limits := a.st.Limits()
	return f.Each(func(o store.FrameOp) error {
		if o.Key == nil || o.Key[0] == '!' { // the store's own
			return nil
		}
		if a.batch.Len()+1 > min(applyEntries, limits.Entries) || a.batch.Len() > 0 && a.batch.Bytes()+len(o.Key)+len(o.Value) > min(applyBytes, limits.Bytes) {
			if err := a.flush(); err != nil {
				return err
			}
		}
		if o.Kind == store.OpDelete {
			a.batch.Delete(o.Key)
		} else {
			a.batch.Set(o.Key, o.Value)
		}
		return nil
	})
}

func (a *applier) flush() error {
	if a.batch.Len() == 0 {
		return a.ctx.Err()
	}
	if err := a.st.Room(a.batch.Bytes(), false); err != nil {
		return err
	}
	err := a.st.Commit(&a.batch)
	a.batch.Reset()
	return errors.Join(err, a.ctx.Err())
}

package table

import (
	"bytes"
	"context"
	"errors"
	"iter"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// How many changed keys are remembered for a watcher that does not come for them, and of how many bytes.
const (
	maxNoted      = 1024
	maxNotedBytes = 1 << 20
)

// noted is a key that has changed.
type noted struct {
	stored string
	name   []byte // of the record, where the stored one is not
}

// watcher is what a Watch has not come for yet. The table's step guards it.
type watcher struct {
	t      *Table
	waiter *engine.Waiter
	noted  map[string]struct{}
	keys   []noted        // in the order in which they changed first
	bytes  int            // of them
	over   store.Snapshot // when there were too many: as of then; what came later is not noted
	err    error          // of over
}

// note notes changes, which are stored.
func (w *watcher) note(edits []*edit) {
	if w.over != nil || w.err != nil {
		return
	}
	for _, e := range edits {
		if _, ok := w.noted[string(e.key)]; ok || e.row == nil && !e.was {
			continue
		}
		n := noted{string(e.key), e.name}
		w.noted[n.stored] = struct{}{}
		w.keys = append(w.keys, n)
		w.bytes += len(n.stored) + len(n.name)
	}
	if len(w.keys) > maxNoted || w.bytes > maxNotedBytes {
		w.over, w.err = w.t.rows.Snapshot()
	}
	w.waiter.Wake()
}

// take returns the keys that have changed, with a state of the table in which they have. With last, this is where noting ended.
func (w *watcher) take(ctx context.Context) (keys []noted, state store.Snapshot, last bool, err error) {
	if err := w.t.step.TakeUntil(ctx); err != nil {
		return nil, nil, false, err
	}
	defer w.t.step.Give()
	switch {
	case len(w.keys) == 0:
		return nil, nil, false, nil
	case w.err != nil:
		err = w.err
	case w.over != nil:
		state, last = w.over, true
	default:
		state, err = w.t.rows.Snapshot()
	}
	keys = w.keys
	if !last {
		w.begin()
	}
	return keys, state, last, err
}

// begin has changes be noted from now on.
func (w *watcher) begin() {
	w.noted, w.keys, w.bytes, w.over, w.err = make(map[string]struct{}), nil, 0, nil, nil
}

// turn returns the table as of now, from where on changes are noted.
func (w *watcher) turn(ctx context.Context) (store.Snapshot, error) {
	if err := w.t.step.TakeUntil(ctx); err != nil {
		return nil, err
	}
	defer w.t.step.Give()
	w.begin()
	w.t.watchers[w] = struct{}{}
	return w.t.snapshot()
}

// end is the end of the watcher.
func (w *watcher) end() {
	w.t.step.Take()
	defer w.t.step.Give()
	delete(w.t.watchers, w)
	if w.over != nil {
		w.over.Close()
	}
}

// Change is samsa.TableChange.
type Change struct {
	Record log.Record
	Mark   bool
}

// Watch is samsa.Table.Watch.
func (t *Table) Watch(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		w := &watcher{t: t, waiter: engine.NewWaiter()}
		defer w.end()
		if err := w.run(ctx, yield); err != nil {
			if ended := t.Err(); ended != nil {
				err = ended
			}
			yield(Change{}, err)
		}
	}
}

// errLeft is for a loop that was left.
var errLeft = errors.New("left")

func (w *watcher) run(ctx context.Context, yield func(Change, error) bool) error {
	give := func(c Change, wrong error) error {
		switch err := ctx.Err(); {
		case err != nil:
			return err
		case !yield(c, wrong):
			return errLeft
		}
		return w.t.Err()
	}
	err := w.follow(ctx, give)
	if errors.Is(err, errLeft) {
		return nil
	}
	return err
}

// follow gives the state, the mark, and changes for ever.
func (w *watcher) follow(ctx context.Context, give func(Change, error) error) error {
	base, marked := store.Snapshot(nil), false
	for {
		err := w.state(ctx, base, give)
		if err == nil && !marked {
			marked = true
			err = give(Change{Mark: true}, nil)
		}
		if err == nil {
			base, err = w.changes(ctx, give)
		}
		if err != nil {
			return err
		}
	}
}

// state gives what differs now from base, which may be nil and is closed, as what the loop does may panic.
func (w *watcher) state(ctx context.Context, base store.Snapshot, give func(Change, error) error) error {
	if base != nil {
		defer base.Close()
	}
	now, err := w.turn(ctx)
	if err != nil {
		return err
	}
	defer now.Close()
	return w.diff(base, now, give)
}

// changes gives what changes, until there is too much of it. Then it returns the state that it has come to.
func (w *watcher) changes(ctx context.Context, give func(Change, error) error) (store.Snapshot, error) {
	ended := w.t.ctx.Done()
	for {
		keys, state, last, err := w.take(ctx)
		if err != nil {
			return nil, err
		}
		if err := w.give(keys, state, last, give); err != nil {
			return nil, err
		}
		if last {
			w.t.step.Take()
			w.over = nil // it is the caller's; nothing is noted until turn
			w.err = errLeft
			w.t.step.Give()
			return state, nil
		}
		if state != nil {
			continue
		}
		select {
		case <-w.waiter.C():
		case <-ended:
			return nil, w.t.Err()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// give gives what keys are in a state, and closes that unless it is the last: then end does, or who goes on from there.
func (w *watcher) give(keys []noted, state store.Snapshot, last bool, give func(Change, error) error) error {
	if state != nil && !last {
		defer state.Close()
	}
	for _, key := range keys {
		if err := w.change(state, key, give); err != nil {
			return err
		}
	}
	return nil
}

// change gives what a key is in a state.
func (w *watcher) change(state getter, n noted, give func(Change, error) error) error {
	key := []byte(n.stored)
	row, err := state.Get(key)
	switch {
	case errors.Is(err, store.ErrNotFound) && n.name != nil:
		return w.gone(n.name, give)
	case errors.Is(err, store.ErrNotFound):
		return w.gone(w.t.head(key), give)
	case err != nil:
		return err
	}
	return w.tell(stored{key, row}, give)
}

// gone gives the end of a key.
func (w *watcher) gone(key []byte, give func(Change, error) error) error {
	return give(Change{Record: log.Record{Topic: w.t.opts.Topic, Key: key, Offset: -1}}, nil)
}

// goneFrom gives the end of a row that a state had.
func (w *watcher) goneFrom(base store.Snapshot, s stored, give func(Change, error) error) error {
	key := w.t.head(s.key)
	if len(key) == keySize {
		row, err := base.Get(s.key)
		var r log.Record
		if err == nil {
			_, err = parseRow(key, row, &r)
		}
		if err != nil {
			return err
		}
		key = r.Key
	}
	return w.gone(key, give)
}

// tell gives a row.
func (w *watcher) tell(s stored, give func(Change, error) error) error {
	rec, err := w.t.opened(s, w.t.rowAgain)
	switch {
	case errors.Is(err, log.ErrKeyNotFound):
		return nil // that comes
	case err != nil:
		return err
	}
	if w.t.b.Hooks.Intercepts() {
		if rec, err = w.t.intercepted(rec); err != nil {
			return give(Change{}, err)
		}
	}
	return give(Change{Record: rec}, nil)
}

// diff gives what is in the state now and not in base, which may be nil, or is another row there, and what has gone.
func (w *watcher) diff(base, now store.Snapshot, give func(Change, error) error) error {
	all := (&Range{}).stored(w.t.prefix)
	none := func(func(stored, error) bool) {}
	before := iter.Seq2[stored, error](none)
	if base != nil {
		before = each(base, all, true)
	}
	next, stop := iter.Pull2(before)
	defer stop()
	old, err, has := next()
	for s, problem := range each(now, all, false) {
		if problem != nil {
			return problem
		}
		for has && err == nil && bytes.Compare(old.key, s.key) < 0 {
			if err := w.goneFrom(base, old, give); err != nil {
				return err
			}
			old, err, has = next()
		}
		if err != nil {
			return err
		}
		if has && bytes.Equal(old.key, s.key) {
			same := bytes.Equal(old.row, s.row[:min(rowHead, len(s.row))])
			if old, err, has = next(); same {
				continue
			}
		}
		if err := w.tell(s, give); err != nil {
			return err
		}
	}
	for ; has && err == nil; old, err, has = next() {
		if err := w.goneFrom(base, old, give); err != nil {
			return err
		}
	}
	return err
}

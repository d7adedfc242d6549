package streams

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

// entry is one group with what drives it.
type entry struct {
	c       *Coordinator
	name    string
	damaged error       // why the group cannot be used, wraps log.ErrCorruptValue; nil for most
	behind  atomic.Bool // the store refused what the group had made of itself

	mu    sync.Mutex // guards what follows; never held while waiting
	group *Group
	last  *outcome // of what was stored last; nil if nothing was
	// head and stored are what the store has, or will have: the group without its members, and these, nil for one that
	// is to be written again.
	head   []byte
	stored map[string]*member
	timer  *time.Timer
	due    time.Time     // when the timer fires; zero when it does not
	gone   bool          // it is being deleted, or another entry may have the name by now
	buried chan struct{} // closed when it is known which of the two
}

func (c *Coordinator) newEntry(g *Group) *entry {
	return &entry{c: c, name: g.Name(), group: g, stored: make(map[string]*member), buried: make(chan struct{})}
}

// goneError: the entry is not that of its name, until it is buried, or any more.
type goneError struct{ buried <-chan struct{} }

// Error implements error.
func (goneError) Error() string { return "the group has gone" }

// outcome is that of a write.
type outcome struct {
	en   *entry
	done chan struct{} // closed when err is set
	err  error
}

// tell is called once, with the outcome.
func (o *outcome) tell(err error) {
	if o.err = err; err != nil {
		o.en.behind.Store(true)
	}
	close(o.done)
}

// wait returns the outcome, that of nil at once.
func (o *outcome) wait(ctx context.Context) error {
	if o == nil {
		return nil
	}
	select {
	case <-o.done:
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lock takes en.mu. If what was to be stored could not be, the group is ahead of the store: then all members are out, and
// join anew.
func (en *entry) lock() {
	en.mu.Lock()
	if en.gone || !en.behind.Swap(false) {
		return
	}
	s := en.group.Snapshot()
	s.members, s.EmptySince = nil, time.Now()
	s.Epoch++
	s.AssignmentEpoch, s.AssignedAt = s.Epoch, time.Time{}
	en.group = Restore(time.Now(), en.name, en.c.opts.Config(en.name), s)
	en.head = nil
	for id := range en.stored {
		en.stored[id] = nil
	}
}

// bornLocked reports whether anybody has ever joined the group.
func (en *entry) bornLocked() bool { return en.damaged != nil || en.group.topology != nil }

// heartbeat is that of a member. What it is told counts once the outcome is known.
func (en *entry) heartbeat(req Heartbeat, around Surroundings) (Answer, *outcome, error) {
	en.lock()
	defer en.mu.Unlock()
	if en.gone {
		return Answer{}, nil, goneError{en.buried}
	}
	now := time.Now()
	answer, effects, err := en.group.Heartbeat(now, req, around)
	if err != nil {
		return Answer{}, nil, err
	}
	en.carryOut(effects)
	en.schedule(now)
	return answer, en.last, nil
}

// carryOut stores what has become of the group, in the order of the calls. The caller holds en.mu.
func (en *entry) carryOut(e Effects) {
	if e.Rebalanced != "" {
		en.c.opts.Logger.Info("streams group rebalanced", zap.String("group", en.name), zap.Int32("epoch", en.group.assignmentEpoch),
			zap.Int("members", len(en.group.members)), zap.String("reason", e.Rebalanced))
	}
	if e.Persist == nil {
		return
	}
	out := en.outcome()
	series := en.c.committer.NewSeries(out.tell)
	en.write(series, *e.Persist)
	series.Submit()
}

// write adds what of the group is not stored yet. The caller holds en.mu.
//
// Where that is more than one commit has room for, the first has the group with a target that is still to be made, and the last
// with the one that members have by then.
func (en *entry) write(b *writer.Series, s Snapshot) {
	for id := range en.stored {
		if en.group.members[id] == nil {
			delete(en.stored, id)
			b.Set(store.StreamsKey(en.name, id), nil)
		}
	}
	for _, m := range s.members {
		if en.stored[m.id] != m {
			en.stored[m.id] = m
			b.Set(store.StreamsKey(en.name, m.id), m.encode())
		}
	}
	if head := s.encode(); !bytes.Equal(head, en.head) {
		en.head = head
		b.Set(store.StreamsKey(en.name, ""), head)
	}
	if !b.Several() {
		return
	}
	s.Epoch = max(s.Epoch, firstEpoch+1)
	s.AssignmentEpoch = min(s.AssignmentEpoch, s.Epoch-1)
	b.Begin(store.StreamsKey(en.name, ""), s.encode())
}

// submit hands a write of the group over, and has lock learn if it fails. The caller holds en.mu.
func (en *entry) submit(tx *writer.Tx) *outcome {
	out := en.outcome()
	tx.Done = out.tell
	en.c.committer.Submit(tx)
	return out
}

// outcome returns that of a write that is to come, which is the last one now. The caller holds en.mu.
func (en *entry) outcome() *outcome {
	en.last = &outcome{en: en, done: make(chan struct{})}
	return en.last
}

// schedule sets the timer for the group's next deadline. One that fires too early does no harm. The caller holds en.mu.
func (en *entry) schedule(now time.Time) {
	next, ok := en.group.NextDeadline()
	if en.gone || !ok || !en.due.IsZero() && !next.Before(en.due) {
		return
	}
	en.due = next
	if en.timer == nil {
		en.timer = time.AfterFunc(next.Sub(now), en.expire)
		return
	}
	en.timer.Reset(next.Sub(now))
}

// expire is what the timer calls.
func (en *entry) expire() {
	en.lock()
	defer en.mu.Unlock()
	if en.gone {
		return
	}
	en.due = time.Time{}
	now := time.Now()
	gone, effects := en.group.Expire(now)
	for _, m := range gone {
		en.c.opts.Logger.Info("a member is out of a streams group", zap.String("group", en.name), zap.String("member", m.MemberID), zap.String("reason", m.Reason))
	}
	en.carryOut(effects)
	en.schedule(now)
}

func (en *entry) stopLocked() {
	if en.timer != nil {
		en.timer.Stop()
	}
}

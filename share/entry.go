package share

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// entry is the states of a group in a partition with what drives them.
type entry struct {
	c      *Coordinator
	key    Key
	number uint64 // orders the locks of entries
	part   *partition.Partition
	id     store.PartitionID
	turn   turns.Turn // held by who takes in, begins or replaces
	ahead  readAhead  // of who has the turn

	mu      sync.Mutex // guards what follows; held on the committer's time too, and never while waiting
	damaged error      // why the states cannot be used, wraps log.ErrCorruptValue; nil for most
	states  *Partition // nil until somebody begins
	void    bool       // chunks are stored that count no more: who begins deletes them. states is nil
	begins  int64      // where the group begins then, -1 for where its settings say
	lease   uint64     // another one when states is replaced; no two entries have the same
	pending []*op      // not in the committer's order yet
	queued  bool       // a flush is on its way that will take them
	jobs    []job      // dead letters to be stored
	burying bool       // somebody does that
	failing error      // why they could not be stored the last time, while it is waited for the next one
	timer   *time.Timer
	dueMs   int64 // when the timer fires; 0 when it does not
	closed  bool
	full    crowd // somebody was refused for that; none of it since who watches was woken
	counts  Counts
	given   int64 // deliveries

	watching sync.Mutex // guards watchers; taken last
	watchers map[partition.Watcher]struct{}
}

// crowd is what bounds how many records are given: those that members have, and those that come after another of their key.
type crowd struct{ acquired, blocked int }

func (en *entry) refuseLocked() { en.full = crowd{en.states.Acquired(), en.states.Blocked()} }

// roomLocked reports, once, that there is room again for which somebody was refused.
func (en *entry) roomLocked() bool {
	if en.full.acquired <= en.states.Acquired() && en.full.blocked <= en.states.Blocked() {
		return false
	}
	en.full = crowd{}
	return true
}

// nowMs returns the time in whole milliseconds that have passed, and soonMs in those that have begun: who waits from now
// on does not wait less than he is to.
func nowMs() int64  { return time.Now().UnixMilli() }
func soonMs() int64 { return time.Now().Add(time.Millisecond - 1).UnixMilli() }

// usable returns why the states cannot be used, nil if they can.
func (en *entry) usable() error {
	en.mu.Lock()
	defer en.mu.Unlock()
	return en.damaged
}

// wrap says whose an error is.
func (en *entry) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", en.key, err)
}

// Wake implements partition.Watcher: there is something new in the partition.
func (en *entry) Wake() { en.wake() }

func (en *entry) wake() {
	en.watching.Lock()
	defer en.watching.Unlock()
	for w := range en.watchers {
		w.Wake()
	}
}

// Watch wakes w whenever something may have become available, and when there is an end of it: the topic is deleted, the
// coordinator closed. Until Unwatch.
func (c *Coordinator) Watch(k Key, w partition.Watcher) error {
	en, err := c.find(k, true)
	if err != nil {
		return err
	}
	en.watching.Lock()
	first := len(en.watchers) == 0
	if en.watchers == nil {
		en.watchers = make(map[partition.Watcher]struct{})
	}
	en.watchers[w] = struct{}{}
	en.watching.Unlock()
	if first {
		en.part.Watch(en)
	}
	return nil
}

// Unwatch undoes Watch. It does nothing where there is no state any more.
func (c *Coordinator) Unwatch(k Key, w partition.Watcher) {
	c.mu.Lock()
	en := c.entries[k]
	c.mu.Unlock()
	if en == nil {
		return
	}
	en.watching.Lock()
	delete(en.watchers, w)
	last := len(en.watchers) == 0
	en.watching.Unlock()
	if last {
		en.part.Unwatch(en)
		en.watching.Lock()
		again := len(en.watchers) > 0
		en.watching.Unlock()
		if again {
			en.part.Watch(en)
		}
	}
}

// take waits for the turn, until ctx ends or the coordinator is closed.
func (en *entry) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case en.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-en.c.ctx.Done():
		return en.wrap(log.ErrClosed)
	}
}

// begin makes the states of who begins, which are stored when it returns. The caller has the turn.
func (en *entry) begin(ctx context.Context, s Settings) error {
	en.mu.Lock()
	begun, start := en.states != nil, int64(-1)
	if en.void {
		start = en.begins
	}
	en.mu.Unlock()
	if begun {
		return nil
	}
	if start < 0 {
		var err error
		if start, err = en.resolve(s); err != nil {
			return en.wrap(err)
		}
	}
	return en.replace(ctx, start)
}

// resolve returns where a group begins.
func (en *entry) resolve(s Settings) (int64, error) {
	if err := en.part.Err(); err != nil {
		return 0, err
	}
	end := en.end(s.Isolation)
	switch s.Reset.Kind {
	case ResetEarliest:
		return en.part.LogStart(), nil
	case ResetByDuration, ResetAtTime:
		at := s.Reset.AtMs
		if s.Reset.Kind == ResetByDuration {
			at = time.Now().Add(-s.Reset.By).UnixMilli()
		}
		offset, _, ok, err := en.part.OffsetForTime(s.Isolation, at)
		if !ok {
			offset = end
		}
		return offset, err
	}
	return end, nil
}

// end returns the offset behind the last record that members get.
func (en *entry) end(iso log.Isolation) int64 {
	if iso == log.ReadCommitted {
		return en.part.LastStable()
	}
	return en.part.HighWatermark()
}

// replace has the group be at start, with nothing decided from there on. The caller has the turn.
func (en *entry) replace(ctx context.Context, start int64) error {
	return en.wrap(en.supplant(ctx, NewPartition(start)))
}

// supplantEntries bounds how many chunks a commit of supplant deletes.
const supplantEntries = 4096

// supplant puts states in the place of those that there are, nil for none. The caller has the turn.
//
// Where more is stored than a commit takes, the first one says that chunks count no more, and the last one ends that: the
// group is nowhere meanwhile, and begins where states do if that does not come to its end.
func (en *entry) supplant(ctx context.Context, states *Partition) (err error) {
	var dropped []job
	defer func() { tell(dropped, errAnew) }()
	for last := false; !last; ctx = context.WithoutCancel(ctx) {
		tx := &writer.Tx{Essential: true, Reserve: en.reserve(1 + lateEntries)}
		var known map[int64]bool
		if known, last, err = en.deleteStored(tx); err != nil {
			return err
		}
		tx.Check = func() error {
			en.mu.Lock()
			defer en.mu.Unlock()
			if err := en.refuses(); err != nil {
				return err
			}
			if last {
				err = en.endLocked(tx, known, states)
			} else {
				en.voidLocked(tx, states)
			}
			if err != nil {
				return err
			}
			dropped = append(dropped, en.jobs...)
			en.jobs, en.damaged = nil, nil
			en.lease = en.c.leases.Add(1)
			return nil
		}
		if err := en.c.committer.DoUntil(ctx, tx); err != nil {
			return err
		}
	}
	en.ahead = readAhead{}
	en.wake()
	return nil
}

// deleteStored has tx delete chunks that are stored, and returns their numbers. With the last ones goes how far the group is.
func (en *entry) deleteStored(tx *writer.Tx) (known map[int64]bool, last bool, err error) {
	known, last = make(map[int64]bool), true
	r := store.ShareGroupRange(en.id, en.key.Group)
	r.KeysOnly = true
	var head []byte
	err = en.c.st.Scan(r, func(e store.Entry) (bool, error) {
		k, err := store.ParseShareKey(e.Key)
		switch {
		case err != nil:
			return false, err
		case k.Chunk < 0:
			head = bytes.Clone(e.Key)
			return true, nil
		case len(known) == supplantEntries:
			last = false
			return false, nil
		}
		known[k.Chunk] = true
		tx.Writes.Delete(bytes.Clone(e.Key))
		return true, nil
	})
	if last && head != nil {
		tx.Writes.Delete(head)
	}
	return known, last, err
}

// voidLocked has the group be nowhere, with chunks that are still stored.
func (en *entry) voidLocked(tx *writer.Tx, states *Partition) {
	en.states, en.void, en.begins = nil, true, -1
	if states != nil {
		en.begins = states.Start()
	}
	en.store(tx, []Change{{Chunk: -1, Value: encodeVoid(en.begins)}})
}

// endLocked has the group be where states say, when the chunks are known that are stored.
func (en *entry) endLocked(tx *writer.Tx, known map[int64]bool, states *Partition) error {
	late := en.lateLocked(known)
	if len(late) > lateEntries {
		return fmt.Errorf("%w: %d chunks were stored meanwhile", log.ErrConflict, len(late))
	}
	en.store(tx, late)
	if states != nil {
		en.store(tx, states.Changes(1))
	}
	en.states, en.void = states, false
	return nil
}

// lateEntries bounds what is stored of a group while somebody looks what is.
const lateEntries = 1024

// lateLocked returns the deletion of what is stored besides the chunks that are known.
func (en *entry) lateLocked(known map[int64]bool) (late []Change) {
	if en.states == nil {
		return nil
	}
	for _, number := range en.states.Kept() {
		if !known[number] {
			late = append(late, Change{Chunk: number})
		}
	}
	return late
}

// checkLocked says whether a member may acknowledge as it wants to.
func (en *entry) checkLocked(member string, acks []Ack) error {
	if err := en.refuses(); err != nil {
		return err
	}
	if en.states == nil {
		return log.ErrNotAcquired
	}
	for i := range acks {
		if l := acks[i].Lease; l != 0 && l != en.lease {
			return fmt.Errorf("offset %d: %w", acks[i].First, errAnew)
		}
	}
	return en.states.Check(member, acks)
}

// refuses returns why nothing can be decided any more, nil as long as it can.
func (en *entry) refuses() error {
	if err := en.part.Err(); err != nil {
		return err
	}
	if en.closed {
		return log.ErrClosed
	}
	return nil
}

const maxKey = 1 + 4 + 4 + 2 + store.MaxGroupName + 8

// reserve is room for so many changes.
func (en *entry) reserve(n int) writer.Reserve {
	return writer.Reserve{Entries: n, Bytes: n * (maxKey - store.MaxGroupName + len(en.key.Group) + maxChunkValue)}
}

// store adds changes to tx.
func (en *entry) store(tx *writer.Tx, changes []Change) {
	for _, ch := range changes {
		key := store.AppendShareKey(nil, store.ShareKey{PartitionID: en.id, Group: en.key.Group, Chunk: ch.Chunk})
		if ch.Value == nil {
			tx.Writes.Delete(key)
		} else {
			tx.Writes.Set(key, ch.Value)
		}
	}
}

// expireLocked does what time and the log have brought.
func (en *entry) expireLocked(now int64, r Rules) {
	if en.closed || en.states == nil {
		return
	}
	en.states.Cut(en.part.LogStart())
	en.counts.add(en.states.Expire(now, r))
	en.noteLetters(nil)
}

// noteLetters enters the dead letters that are new. They are those of o, if it is not nil.
func (en *entry) noteLetters(o *op) {
	for _, l := range en.states.Letters() {
		j := job{Letter: l}
		switch {
		case o == nil:
		case en.failing != nil:
			o.failed.Do(func() { o.err = en.failing })
		default:
			o.left.Add(1)
			j.op = o
		}
		en.jobs = append(en.jobs, j)
	}
}

// tend has all that is due done in the background, now or at its time, and wakes who was refused and need not be any more.
func (en *entry) tend() {
	en.mu.Lock()
	if en.closed || en.states == nil {
		ops := en.abandonLocked()
		en.mu.Unlock()
		for _, o := range ops {
			o.tell(log.ErrClosed)
		}
		return
	}
	en.scheduleLocked()
	f := en.flushLocked(true)
	bury := len(en.jobs) > 0 && !en.burying
	en.burying = en.burying || bury
	room := en.roomLocked()
	en.mu.Unlock()
	if room {
		en.wake()
	}
	if f != nil {
		en.c.committer.Submit(&f.tx)
	}
	if bury && !en.c.spawn(en.buryAll) {
		en.mu.Lock()
		en.burying = false
		en.mu.Unlock()
	}
}

// maxSleep bounds how late something is when the clock was set, or the machine has slept: timers count time that it was awake.
const maxSleep = time.Minute

// scheduleLocked sets the timer.
func (en *entry) scheduleLocked() {
	at, ok := en.states.Due()
	if !ok {
		return
	}
	at = min(at, soonMs()+maxSleep.Milliseconds())
	if en.dueMs != 0 && en.dueMs <= at {
		return
	}
	en.dueMs = at
	d := time.Until(time.UnixMilli(at))
	if en.timer == nil {
		en.timer = time.AfterFunc(d, en.tick)
		return
	}
	en.timer.Reset(d)
}

// tick is what the timer calls.
func (en *entry) tick() {
	r := en.c.settings(en.key.Group).rules()
	en.mu.Lock()
	if en.closed || en.states == nil {
		en.mu.Unlock()
		return
	}
	en.dueMs = 0
	en.expireLocked(nowMs(), r)
	ready := en.states.Ready() > 0
	en.mu.Unlock()
	en.tend()
	if ready {
		en.wake()
	}
}

func (en *entry) close() {
	en.mu.Lock()
	en.closed = true
	if en.timer != nil {
		en.timer.Stop()
	}
	ops := en.abandonLocked()
	for _, j := range en.jobs {
		if j.op != nil {
			ops = append(ops, j.op)
		}
	}
	en.jobs = nil
	en.mu.Unlock()
	for _, o := range ops {
		o.tell(log.ErrClosed)
	}
	en.part.Unwatch(en)
	en.wake()
}

// abandonLocked returns those whom nobody will tell, once nothing more can be decided.
func (en *entry) abandonLocked() (ops []*op) {
	if !en.queued {
		ops, en.pending = en.pending, nil
	}
	return ops
}

// gone reports whether the partition is none any more.
func (en *entry) gone() bool { return errors.Is(en.part.Err(), log.ErrUnknownTopic) }

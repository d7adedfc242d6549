package share

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// op is one call that acknowledges.
type op struct {
	member string
	acks   []Ack
	synced bool
	extent int  // how many entries it may write
	plain  bool // its dead letters are stored on their own
	left   atomic.Int32
	failed sync.Once
	err    error
	then   func(error) // is called with the outcome, and must not block
}

// tell ends a part of what o waits for: that its acknowledgements are stored, and each of its dead letters.
func (o *op) tell(err error) {
	if err != nil {
		o.failed.Do(func() { o.err = err })
	}
	if o.left.Add(-1) == 0 {
		o.then(o.err)
	}
}

// flush is one transaction that stores what was decided.
type flush struct {
	en    *entry
	tx    writer.Tx
	ops   []*op // that it has taken
	told  bool  // those that do not wait for fsync
	taken bool
}

const (
	spareEntries = 8
	flushEntries = 2048
)

// flushLocked returns the flush that somebody has to hand over, if there is something to be stored and none on its way.
func (en *entry) flushLocked(background bool) *flush {
	if en.queued || len(en.pending) == 0 && (!background || en.states.Pending() == 0) {
		return nil
	}
	en.queued = true
	n := spareEntries
	if en.states != nil {
		n = min(flushEntries, spareEntries+en.states.Pending())
	}
	for i, o := range en.pending {
		if i > 0 && n+o.extent > flushEntries {
			break
		}
		n += o.extent
	}
	f := &flush{en: en}
	f.tx.Essential = true
	f.tx.Reserve = en.reserve(n)
	f.tx.Check, f.tx.Stored, f.tx.Done = f.check, f.stored, f.end
	return f
}

// check decides about what has come until now.
func (f *flush) check() error {
	en := f.en
	s := en.c.settings(en.key.Group)
	r := s.rules()
	en.mu.Lock()
	defer en.mu.Unlock()
	f.taken, en.queued = true, false
	err := en.refuses()
	if err == nil && en.states == nil {
		err = log.ErrNotAcquired // they were deleted meanwhile
	}
	if err != nil {
		f.ops, en.pending = en.pending, nil
		return err
	}
	budget := f.tx.Reserve.Entries
	n := 0
	for ; n < len(en.pending); n++ {
		if o := en.pending[n]; o.extent <= budget {
			budget -= o.extent
		} else {
			break
		}
	}
	f.ops = append(f.ops, en.pending[:n]...)
	en.pending = append(en.pending[:0], en.pending[n:]...)
	now := soonMs()
	en.expireLocked(nowMs(), r)
	var changes []Change
	for _, o := range f.ops {
		if err := en.checkLocked(o.member, o.acks); err != nil {
			o.failed.Do(func() { o.err = err })
			continue
		}
		en.counts.add(en.states.Settle(now, o.acks, r))
		en.noteLetters(o)
		f.tx.Synced = f.tx.Synced || o.synced
		changes = en.states.ChangesOf(o.acks, changes)
	}
	en.store(&f.tx, changes)
	en.store(&f.tx, en.states.Changes(budget))
	return nil
}

// stored is when it is in the store: fsync is still to come perhaps.
func (f *flush) stored() {
	en := f.en
	f.told = true
	waiting := f.ops[:0]
	for _, o := range f.ops {
		if o.synced {
			waiting = append(waiting, o)
		} else {
			o.tell(nil)
		}
	}
	f.ops = waiting
	en.follow()
}

// end is the end of it.
func (f *flush) end(err error) {
	en := f.en
	if !f.taken { // refused before its turn, with all who wait
		en.mu.Lock()
		f.ops, en.pending, en.queued = en.pending, nil, false
		en.mu.Unlock()
	}
	for _, o := range f.ops {
		o.tell(err)
	}
	f.ops = nil
	switch {
	case err != nil:
		en.refuseRest()
	case !f.told:
		en.follow()
	}
}

// refuseRest has those hear of a failure for whom there was no room in the flush that has failed.
func (en *entry) refuseRest() {
	en.mu.Lock()
	var f *flush
	if len(en.pending) > 0 {
		f = en.flushLocked(false)
	}
	en.mu.Unlock()
	if f != nil {
		en.c.committer.Submit(&f.tx)
	}
}

// follow does what has become possible, or due, with what was decided.
func (en *entry) follow() {
	if p := en.c.committer.Probes().Get(); p != nil {
		p.Settled()
	}
	en.mu.Lock()
	ready := en.states != nil && en.states.Ready() > 0
	en.mu.Unlock()
	en.tend()
	if ready {
		en.wake()
	}
}

// Acknowledge decides about records that a member has: all that acks say, or with ErrInvalidRecordState and ErrNotAcquired
// nothing. When it returns nil that is stored, and fsynced if synced, with the dead letters that come of it, in one commit.
// Where that cannot be done for the sake of the dead letters, or of their number, the rest is stored without them, and they
// come with the ends of their records in commits of their own.
//
// It is ErrInvalidRecordState where the member does not have a record any more, or never had it, and ErrNotAcquired for one
// that nobody was ever given, and what makes no sense. What is before the start offset nobody minds, unless a certain delivery
// is meant and the record is there.
//
// A dead letter that cannot be stored is ErrDeadLetter, but the record is with nobody then: it is tried again.
func (c *Coordinator) Acknowledge(ctx context.Context, k Key, member string, synced bool, acks ...Ack) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	outcome := make(chan error, 1)
	c.acknowledge(ctx, k, &op{member: member, acks: acks, synced: synced, then: func(err error) { outcome <- err }}, c.committer.Do)
	return <-outcome
}

// Hand is Acknowledge that does not wait. Then is called once with what Acknowledge returns, perhaps before Hand does, and
// must not block. What is handed over while a commit is on its way is in the next one, together.
func (c *Coordinator) Hand(k Key, member string, synced bool, then func(error), acks ...Ack) {
	c.acknowledge(context.Background(), k, &op{member: member, acks: acks, synced: synced, then: then}, c.submit)
}

// submit hands over what nobody waits for.
func (c *Coordinator) submit(tx *writer.Tx) error {
	c.committer.Submit(tx)
	return nil
}

// begin begins an op: commit hands over what is to be stored, and o is told what became of it.
func (c *Coordinator) begin(k Key, o *op, commit func(*writer.Tx) error) {
	en, err := c.find(k, false)
	switch {
	case err != nil:
		o.then(err)
	case en == nil:
		o.then(fmt.Errorf("%s: %w", k, log.ErrNotAcquired))
	default:
		then := o.then
		o.then = func(err error) { then(en.wrap(err)) }
		en.acknowledge(o, commit)
	}
}

func (en *entry) acknowledge(o *op, commit func(*writer.Tx) error) {
	o.left.Store(1)
	o.acks = en.pruned(o.acks)
	if len(o.acks) == 0 {
		o.tell(nil)
		return
	}
	s := en.c.settings(en.key.Group)
	r := s.rules()
	en.mu.Lock()
	now := soonMs()
	en.expireLocked(nowMs(), r)
	err := en.checkLocked(o.member, o.acks)
	if err == nil {
		o.acks = en.states.Remaining(o.acks)
		o.extent = Extent(o.acks)
	}
	var letters []Letter
	if err == nil && !o.plain {
		letters = en.states.LettersOf(o.acks, r)
	}
	switch {
	case err != nil:
	case len(o.acks) == 0:
		en.mu.Unlock()
		o.tell(nil)
		return
	case len(letters) > 0 && len(letters) <= lettersAtOnce && o.extent <= flushEntries:
		en.mu.Unlock()
		en.acknowledgeWith(o, letters, s, commit)
		return
	case atOnce(o.acks, r):
		en.counts.add(en.states.Settle(now, o.acks, r))
		en.noteLetters(o)
		en.mu.Unlock()
		en.tend()
		o.tell(nil)
		return
	case o.extent > flushEntries:
		err = fmt.Errorf("%w: acknowledgements over %d chunks of offsets, at most %d at a time", log.ErrTxTooLarge, o.extent, flushEntries)
	}
	if err != nil {
		en.mu.Unlock()
		o.tell(err)
		return
	}
	en.pending = append(en.pending, o)
	f := en.flushLocked(false)
	en.mu.Unlock()
	if f != nil {
		_ = commit(&f.tx)
	}
}

// pruned leaves out what is about certain deliveries of records that the log has no more: it is as good as done.
func (en *entry) pruned(acks []Ack) []Ack {
	start := en.part.LogStart()
	keep := make([]Ack, 0, len(acks))
	for _, a := range acks {
		if a.Deliveries == 0 || a.Last >= start || a.validate() != nil {
			keep = append(keep, a)
		}
	}
	return keep
}

// atOnce reports whether nothing of acks is to be stored before it is true: locks begin anew, and records go to the dead
// letters, which are stored with their end.
func atOnce(acks []Ack, r Rules) bool {
	for i := range acks {
		for _, t := range acks[i].Types {
			if t != Renew && (t != Reject || !r.DeadLetters) {
				return false
			}
		}
	}
	return true
}

// ReleaseMember gives back all that a member has in a partition, at once to be had by others: it is gone.
func (c *Coordinator) ReleaseMember(k Key, member string) {
	en, err := c.find(k, false)
	if err != nil || en == nil {
		return
	}
	r := c.settings(k.Group).rules()
	en.mu.Lock()
	if en.closed || en.states == nil {
		en.mu.Unlock()
		return
	}
	en.counts.add(en.states.Drop(soonMs(), member, r))
	en.noteLetters(nil)
	en.mu.Unlock()
	en.tend()
	en.wake()
}

// Settlement is acknowledgements of a member in a partition, for With.
type Settlement struct {
	Key
	Member string
	Acks   []Ack
}

// With has tx do, with all else that it does, what these say: all of it or nothing. Errors are those of Acknowledge,
// and of tx.Check, which is set before. What is released for the last time becomes a dead letter in a commit of its own.
func (c *Coordinator) With(tx *writer.Tx, all []Settlement) error {
	w := with{c: c, check: tx.Check}
	for i := range all {
		en, err := c.find(all[i].Key, false)
		if err == nil && en == nil {
			err = fmt.Errorf("%s: %w", all[i].Key, log.ErrNotAcquired)
		}
		if err != nil {
			return err
		}
		all[i].Acks = en.pruned(all[i].Acks)
		w.add(en, &all[i])
		more := en.reserve(Extent(all[i].Acks))
		tx.Reserve.Entries += more.Entries
		tx.Reserve.Bytes += more.Bytes
	}
	tx.Essential = tx.Essential || len(tx.Appends) == 0 && tx.Writes.Len() == 0
	tx.Check = func() error { return w.decide(tx) }
	return nil
}

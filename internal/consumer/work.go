package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/log"
)

// work is a call of Work that is under way: the caller's goroutine does what Poll does and hands records out, and n
// workers call the program's function. Of each partition it knows which records are not through, in their order; what
// comes before the first of these is done (track.done), and is committed by whatever commits: the keeper, a
// revocation, the end.
//
// A task that is stale never begins: its partition is given up, or was sought in since. The consumer's mutex guards
// all of it.
type work struct {
	c      *Consumer
	fn     func(context.Context, log.Record) error
	n      int
	ctx    context.Context // of the calls
	cancel context.CancelCauseFunc

	begin   *sync.Cond          // there is a task to begin, or over
	ended   *sync.Cond          // a call has
	ready   []*task             // to be begun, in this order
	behind  int                 // tasks that wait for another of their key
	bytes   int                 // of the records of both
	lanes   map[laneKey][]*task // of keys of which a task is in ready or under way: those that wait for it
	parts   map[*track]*part
	callers map[uint64]struct{} // goroutines that are in a call
	over    bool                // nothing more begins
	err     error               // of the first call that has failed

	begun *handed // the records of calls that have begun, for hooks; nil without one
	spare batch   // for begun
	drawn bool    // there was nothing left to be handed out, last time
}

// part is what a work has of a partition.
type part struct {
	tr      *track
	seeks   int // of the track, for tasks
	tasks   []*task
	running int
	leaving bool // the consumer gives it up
	ctx     context.Context
	cancel  context.CancelCauseFunc
}

// task is a record that was handed out.
type task struct {
	record log.Record
	part   *part
	seeks  int
	done   bool
	lane   laneKey // zero for one without an order
}

// laneKey is a key in a partition.
type laneKey struct {
	tr  *track
	key string
}

// leastAhead is how many tasks are handed out ahead, at least, so that it need not be done for each.
const leastAhead = 16

// Work calls fn for each record, n at once.
func (c *Consumer) Work(ctx context.Context, n int, fn func(context.Context, log.Record) error) (err error) {
	w, err := c.startWork(ctx, n, fn)
	if err != nil {
		return fmt.Errorf("work: %w", err)
	}
	var workers sync.WaitGroup
	clean := false
	defer func() { // even if a callback panics
		w.stop()
		workers.Wait()
		w.begun.end() // no call begins any more
		c.endWork(w)
		if err = w.outcome(err); clean && !c.isClosing() && !c.ManualCommit() {
			err = errors.Join(err, c.member.saveWork(ctx))
		}
		if err != nil {
			err = fmt.Errorf("work: %w", err)
		}
	}()
	for range n {
		workers.Go(w.run)
	}
	err = c.awaitFor(ctx, w.handOutLocked, w.tell)
	if err != nil && w.goesOn() { // what comes before the error is done first: else it would come again, and the error too
		if late := c.awaitFor(ctx, w.emptyLocked, w.tell); late != nil {
			err = errors.Join(err, late)
		}
	}
	clean = true
	return err
}

func (c *Consumer) startWork(ctx context.Context, n int, fn func(context.Context, log.Record) error) (*work, error) {
	switch {
	case n < 1:
		return nil, fmt.Errorf("%w: %d calls at once, want 1 or more", log.ErrInvalidOption, n)
	case fn == nil:
		return nil, fmt.Errorf("%w: the function is nil", log.ErrInvalidOption)
	case c.member == nil:
		return nil, ErrNoGroup
	case c.ManualCommit() && n > 1:
		return nil, fmt.Errorf("%w: MemberOptions.ManualCommit is true, and what %d calls at once have done only Work can commit", log.ErrInvalidOption, n)
	}
	w := &work{
		c: c, fn: fn, n: n, begin: sync.NewCond(&c.mu), ended: sync.NewCond(&c.mu),
		lanes: make(map[laneKey][]*task), parts: make(map[*track]*part), callers: make(map[uint64]struct{}),
	}
	if c.intercepts && c.interceptsOn(callback.Goroutine()) {
		return nil, errIntercepts
	}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	c.settle() // what was returned before is processed
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing:
		return nil, log.ErrClosed
	case c.work != nil:
		return nil, errWorks
	}
	w.begun = c.newHanded(ctx)
	c.work = w
	return w, nil
}

// errWorks is for whoever polls while Work does.
var errWorks = fmt.Errorf("%w: Work is under way, and polls", log.ErrInCallback)

// handOutLocked hands out what is there, as long as there is room for it. It is true when work is to end.
func (w *work) handOutLocked() (end bool, err error) {
	defer w.settleLocked()
	w.drawn = false
	for w.err == nil && !w.over && w.roomLocked() {
		var r log.Record
		if ok, err := w.c.oneLocked(&r); !ok || err != nil {
			w.drawn = true
			return false, err
		}
		w.begun.weighLocked()
		w.addLocked(r)
	}
	return w.err != nil || w.over, nil
}

// goesOn reports whether calls may still begin, after an error of what Poll tells.
func (w *work) goesOn() bool {
	if w.c.over() {
		return false
	}
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	return w.ctx.Err() == nil && w.err == nil && !w.over
}

// emptyLocked is true when all that was handed out is through, or a call has failed.
func (w *work) emptyLocked() (bool, error) {
	w.settleLocked()
	w.drawn = true
	return w.err != nil || len(w.ready)+w.behind+len(w.callers) == 0, nil
}

// tell tells hooks of the records of calls that have begun, if it is time.
func (w *work) tell() {
	h := w.begun
	if h == nil {
		return
	}
	w.c.mu.Lock()
	due := w.drawn || h.due()
	if due {
		h.late.Store(false)
		h.batch, w.spare = w.spare, h.batch
	}
	w.c.mu.Unlock()
	if due {
		h.tell(&w.spare)
		w.spare.forget()
	}
}

func (w *work) roomLocked() bool {
	most := max(2*w.n, leastAhead)
	return len(w.ready) < most && w.behind < max(most, w.c.opts.MaxPollRecords) &&
		(w.bytes < w.c.opts.MaxPollBytes || len(w.ready) == 0)
}

func (w *work) addLocked(r log.Record) {
	tr := w.c.tracks[log.TopicPartition{Topic: r.Topic, Partition: r.Partition}]
	p := w.parts[tr]
	if p == nil {
		p = &part{tr: tr, seeks: tr.seeks}
		p.ctx, p.cancel = context.WithCancelCause(w.ctx)
		w.parts[tr] = p
	}
	if p.seeks != tr.seeks { // a seek: what is under way counts for nothing
		p.seeks, p.tasks = tr.seeks, nil
	}
	j := &task{record: r, part: p, seeks: p.seeks}
	p.tasks = append(p.tasks, j)
	w.bytes += recordBytes(&r)
	if w.c.opts.OrderByKey && r.Key != nil {
		j.lane = laneKey{tr, string(r.Key)}
		if waiting, busy := w.lanes[j.lane]; busy {
			w.lanes[j.lane] = append(waiting, j)
			w.behind++
			return
		}
		w.lanes[j.lane] = nil
	}
	w.readyLocked(j)
}

func (w *work) readyLocked(j *task) {
	w.ready = append(w.ready, j)
	w.begin.Signal()
}

// settleLocked is settle while there is work: of each partition that is done which comes before the first task that
// is not.
func (w *work) settleLocked() {
	kept := w.c.moved[:0]
	for _, tr := range w.c.moved {
		if p := w.parts[tr]; p != nil && p.seeks == tr.seeks && len(p.tasks) > 0 {
			kept = append(kept, tr)
			continue
		}
		tr.done, tr.moved = tr.position, false
	}
	clear(w.c.moved[len(kept):])
	w.c.moved = kept
	for tr, p := range w.parts {
		if tr.removed && p.running == 0 {
			p.cancel(nil)
			delete(w.parts, tr)
		}
	}
}

// run is a worker.
func (w *work) run() {
	me := callback.Goroutine()
	for j := w.next(me); j != nil; j = w.next(me) {
		w.do(me, j)
	}
}

// next returns the next task, which begins, or nil when none will.
func (w *work) next(me uint64) *task {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for !w.over {
		if len(w.ready) == 0 {
			w.begin.Wait()
			continue
		}
		j := w.ready[0]
		w.ready[0], w.ready = nil, w.ready[1:]
		w.bytes -= recordBytes(&j.record)
		if len(w.ready) <= w.n/2 {
			w.c.ready.Wake() // to hand out more
		}
		if j.stale() {
			w.passLaneLocked(j)
			continue
		}
		j.part.running++
		w.callers[me] = struct{}{}
		w.begun.add(&j.record)
		return j
	}
	return nil
}

func (j *task) stale() bool {
	return j.part.leaving || j.part.tr.removed || j.seeks != j.part.tr.seeks
}

// passLaneLocked lets the next task of j's key begin.
func (w *work) passLaneLocked(j *task) {
	if j.lane.tr == nil {
		return
	}
	waiting := w.lanes[j.lane]
	if len(waiting) == 0 {
		delete(w.lanes, j.lane)
		return
	}
	w.lanes[j.lane] = waiting[1:]
	w.behind--
	w.readyLocked(waiting[0])
}

// do calls the program's function for a task.
func (w *work) do(me uint64, j *task) {
	err := errNoReturn // it has ended the goroutine (runtime.Goexit), or panicked
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPanic, v)
			w.c.b.Logger.Error("a function that works on a record has panicked", zap.String("group", w.c.opts.Group),
				zap.String("topic", j.record.Topic), zap.Int32("partition", j.record.Partition), zap.Int64("offset", j.record.Offset),
				zap.Any("panic", v), zap.ByteString("stack", debug.Stack()))
		}
		w.end(me, j, err, err != nil && w.c.member.lost(j.part.tr.tp))
	}()
	err = w.fn(j.part.ctx, j.record)
}

var (
	errNoReturn = errors.New("the function did not return")
	errPanic    = errors.New("panic")
)

// end notes how a call has ended. One that was interrupted, for its partition is lost, or the work ends, has not
// failed. lost says that the member has heard so, by the commit of the call say, and Poll has not acted on it yet.
func (w *work) end(me uint64, j *task, err error, lost bool) {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	delete(w.callers, me)
	p := j.part
	p.running--
	switch {
	case err == nil:
		j.done = true
		p.advanceLocked()
	case lost:
		p.leave(true)
	case p.ctx.Err() == nil && !p.tr.removed && w.err == nil:
		w.err = fmt.Errorf("%s: offset %d: %w", p.tr.tp, j.record.Offset, err)
		w.over = true
		w.begin.Broadcast()
	}
	w.passLaneLocked(j)
	w.ended.Broadcast()
	if w.err != nil || len(w.ready) <= w.n/2 {
		w.c.ready.Wake()
	}
}

// leave has no task of the partition begin, and if that is lost ends the contexts of those that have.
func (p *part) leave(lost bool) {
	p.leaving = true
	if lost {
		p.cancel(fmt.Errorf("%s: %w: it was lost", p.tr.tp, log.ErrIllegalGeneration))
	}
}

// advanceLocked moves what is done of the partition to the first task that is not.
func (p *part) advanceLocked() {
	for len(p.tasks) > 0 && p.tasks[0].done {
		p.tasks[0], p.tasks = nil, p.tasks[1:]
	}
	switch {
	case p.seeks != p.tr.seeks: // there was a seek
	case len(p.tasks) > 0:
		p.tr.done = p.tasks[0].record.Offset
	default:
		p.tr.done = p.tr.position
	}
}

// stop has nothing more begin.
func (w *work) stop() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	w.over = true
	w.begin.Broadcast()
}

// outcome is what Work returns: what a call has failed with, before all else.
func (w *work) outcome(err error) error {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if w.err != nil {
		return w.err
	}
	return err
}

// endWork puts the consumer, when no call is under way any more, before the first record of each partition that is
// not done: it comes again.
func (c *Consumer) endWork(w *work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w.settleLocked()
	for _, tr := range c.moved { // of which something is not done
		tr.moved = false
		if !tr.removed {
			tr.seek(w.parts[tr].tasks[0].record.Offset)
		}
	}
	clear(c.moved)
	c.moved = c.moved[:0]
	c.waiter.Wake()
	w.cancel(nil)
	c.work = nil
}

// saveWork commits what is done, when Work ends.
func (m *membership) saveWork(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.opts.SessionTimeout)
	defer cancel()
	return m.commit(ctx, true, func() (map[log.TopicPartition]group.Offset, error) { return m.c.unsaved(nil) })
}

// quiesce has no call for these partitions begin, and waits for those that are under way. If they are lost their
// contexts end.
func (c *Consumer) quiesce(tps []log.TopicPartition, lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.work
	if w == nil {
		return
	}
	for _, tp := range tps {
		p := w.parts[c.tracks[tp]]
		if p == nil {
			continue
		}
		p.leave(lost)
	}
	for _, tp := range tps {
		tr := c.tracks[tp]
		for p := w.parts[tr]; p != nil && p.running > 0; {
			w.ended.Wait()
		}
		if p := w.parts[tr]; p != nil {
			p.cancel(nil)
			if p.seeks == tr.seeks && len(p.tasks) > 0 {
				tr.done = p.tasks[0].record.Offset
			}
		}
	}
}

// callsOn reports whether a function of the program's is being called on that goroutine.
func (c *Consumer) callsOn(goroutine uint64) bool {
	if c.interceptsOn(goroutine) || c.member != nil && c.member.callsOn(goroutine) {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.work == nil {
		return false
	}
	_, calls := c.work.callers[goroutine]
	return calls
}

// waitForCalls waits until no function of Work is being called.
func (c *Consumer) waitForCalls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for w := c.work; w != nil && len(w.callers) > 0; {
		w.ended.Wait()
	}
}

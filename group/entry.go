package group

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// entry is one group with what drives it.
type entry struct {
	c    *Coordinator
	name string

	mu         sync.Mutex // guards what follows; never held while waiting
	group      *Group     // nil if it is of the consumer protocol
	modern     *Modern    // nil if not
	ticket     Ticket     // the last one given out
	joins      map[Ticket]chan JoinResponse
	syncs      map[Ticket]chan SyncResponse
	watchers   map[*partition.Waiter]struct{}
	timer      *time.Timer
	due        time.Time // when the timer fires; zero when it does not
	closed     bool
	told       outline // the probe
	rebalances int64   // since Open

	buried chan struct{} // closed when a deletion is over

	changed bool // it was of another protocol before
	unsaid  unsaid
	gone    map[string]struct{} // members that the store has and the group has not: see reset
	damaged error               // why the group cannot be used, wraps log.ErrCorruptValue; nil for most

	relay  relay
	behind atomic.Bool // the store refused what the group had made of itself

	committing atomic.Int32 // commits on their way: not in offsets yet

	offsets *committed
	pending *pendingOffsets
}

func (c *Coordinator) newEntry(name string, g *Group) *entry {
	return &entry{
		c: c, name: name, group: g,
		joins:    make(map[Ticket]chan JoinResponse),
		syncs:    make(map[Ticket]chan SyncResponse),
		watchers: make(map[*partition.Waiter]struct{}),
		pending:  new(pendingOffsets),
		offsets:  &committed{readers: &c.readers, byTopic: make(map[string]map[int32]Offset)},
		buried:   make(chan struct{}),
	}
}

// waiting is where the answer to a call goes; one of the two is used.
type waiting struct {
	join chan JoinResponse
	sync chan SyncResponse
}

// answered is what came out of a call.
type answered struct {
	join JoinResponse
	sync SyncResponse
}

// await makes a call that is answered later and waits for the answer or the end of ctx.
func await(ctx context.Context, en *entry, call func(time.Time, Ticket, waiting) Effects) (answered, error) {
	if err := ctx.Err(); err != nil {
		return answered{}, err
	}
	w := waiting{join: make(chan JoinResponse, 1), sync: make(chan SyncResponse, 1)}
	en.lock()
	if en.closed {
		en.mu.Unlock()
		return answered{}, fmt.Errorf("group %s: %w", en.name, log.ErrClosed)
	}
	en.ticket++
	ticket := en.ticket
	now := time.Now()
	en.carryOut(call(now, ticket, w))
	en.schedule(now)
	en.mu.Unlock()
	select {
	case r := <-w.join:
		return answered{join: r}, nil
	case r := <-w.sync:
		return answered{sync: r}, nil
	case <-ctx.Done():
		if en.cancel(ticket) {
			return answered{}, ctx.Err()
		}
	}
	select { // it is answered already, if only the store has that: who joined shall know it
	case r := <-w.join:
		return answered{join: r}, nil
	case r := <-w.sync:
		return answered{sync: r}, nil
	}
}

// cancel forgets a call whose caller has gone, and reports whether it was still waiting.
func (en *entry) cancel(t Ticket) bool {
	en.lock()
	defer en.mu.Unlock()
	if en.joins[t] == nil && en.syncs[t] == nil {
		return false
	}
	delete(en.joins, t)
	delete(en.syncs, t)
	now := time.Now()
	en.carryOut(en.machine().Cancel(now, t))
	en.schedule(now)
	return true
}

// carryOut makes the effects of a call durable and then releases the answers, among them those given besides. The caller
// holds en.mu: effects go to the committer in the order of the calls.
func (en *entry) carryOut(e Effects, besides ...func(error)) {
	p := &parcel{answers: besides}
	if e.Classic != nil {
		en.convert(e.Classic, nil)
	}
	for _, r := range e.Joins {
		if ch := en.joins[r.Ticket]; ch != nil {
			delete(en.joins, r.Ticket)
			p.add(func(err error) {
				if err != nil {
					r = JoinResponse{Ticket: r.Ticket, MemberID: r.MemberID, Err: err}
				}
				ch <- r
			})
		}
	}
	for _, r := range e.Syncs {
		if ch := en.syncs[r.Ticket]; ch != nil {
			delete(en.syncs, r.Ticket)
			p.add(func(err error) {
				if err != nil {
					r = SyncResponse{Ticket: r.Ticket, Err: err}
				}
				ch <- r
			})
		}
	}
	if e.Rebalanced != "" {
		en.rebalances++
		en.c.rebalances.Add(1)
		en.logRebalance(p, e.Rebalanced)
	}
	if en.modern == nil || e.Change != nil { // most heartbeats are nothing to others
		for w := range en.watchers {
			w.Wake()
		}
		en.tell()
	}
	en.relay.push(p)
	if e.Persist == nil && e.Change == nil {
		en.relay.ready(p, nil)
		return
	}
	en.persist(e, func(err error) {
		if err != nil {
			en.behind.Store(true)
		}
		en.relay.ready(p, err)
	})
}

// logRebalance has the logger told of a new generation, once it is stored.
func (en *entry) logRebalance(p *parcel, reason string) {
	generation, members, protocol := en.machine().Generation(), en.machine().size(), en.logProtocol()
	p.add(func(err error) {
		if err == nil {
			en.c.opts.Logger.Info("group rebalanced", zap.String("group", en.name), zap.Int32("generation", generation),
				zap.Int("members", members), protocol, zap.String("reason", reason))
		}
	})
}

// lock takes en.mu. If what was to be stored could not be, the group is ahead of the store:
// then all sessions end, and the members join anew.
func (en *entry) lock() {
	en.mu.Lock()
	if en.closed || !en.behind.Swap(false) {
		return
	}
	now := time.Now()
	en.forget(en.unsaid.take())
	if en.modern != nil {
		en.reset()
		en.answerAll(fmt.Errorf("group %s: %w", en.name, log.ErrUnknownMember))
		return
	}
	s := Snapshot{Generation: en.group.Generation(), ProtocolType: en.group.protocolType}
	en.group = Restore(now, en.name, en.group.rules, s)
	en.answerAll(fmt.Errorf("group %s: %w", en.name, log.ErrUnknownMember))
	en.schedule(now)
}

// answerAll answers every call that waits with err.
func (en *entry) answerAll(err error) {
	for t, ch := range en.joins {
		ch <- JoinResponse{Ticket: t, Err: err}
	}
	for t, ch := range en.syncs {
		ch <- SyncResponse{Ticket: t, Err: err}
	}
	clear(en.joins)
	clear(en.syncs)
	for w := range en.watchers {
		w.Wake()
	}
}

// schedule sets the timer for the group's next deadline. One that fires too early does
// no harm.
func (en *entry) schedule(now time.Time) {
	next, ok := en.machine().NextDeadline()
	if en.closed || !ok || !en.due.IsZero() && !next.Before(en.due) {
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
	if en.closed {
		return
	}
	en.due = time.Time{}
	now := time.Now()
	en.carryOut(en.machine().Expire(now))
	en.schedule(now)
}

func (en *entry) close() {
	en.lock()
	defer en.mu.Unlock()
	en.closed = true
	if en.timer != nil {
		en.timer.Stop()
	}
	en.answerAll(fmt.Errorf("group %s: %w", en.name, log.ErrClosed))
}

// relay releases answers in the order in which they were given, each when what it rests on
// is in the store.
type relay struct {
	mu    sync.Mutex // guards queue; held while answers go to their channels, which have room
	queue []*parcel
}

// parcel is the answers of one call.
type parcel struct {
	ready   bool
	err     error
	answers []func(error)
}

func (p *parcel) add(answer func(error)) { p.answers = append(p.answers, answer) }

func (r *relay) push(p *parcel) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queue = append(r.queue, p)
}

// ready notes the outcome of p and releases what is ready at the head of the queue.
func (r *relay) ready(p *parcel, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.ready, p.err = true, err
	for len(r.queue) > 0 && r.queue[0].ready {
		head := r.queue[0]
		r.queue = append(r.queue[:0], r.queue[1:]...)
		for _, answer := range head.answers {
			answer(head.err)
		}
	}
}

// Package consumer is the engine of consumers: it reads ahead, hands out, and takes part in groups. It sees what
// it reads through internal/engine alone. Users import the module root.
package consumer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group/member"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/log"
)

// Consumer is the root's Consumer, without the program's point of view: the methods of these names are
// described there.
type Consumer struct {
	b      *Broker
	opts   Options
	client *callback.Client
	wg     sync.WaitGroup
	waiter *engine.Waiter  // wakes the fetching goroutine
	ready  *engine.Waiter  // wakes Poll
	ctx    context.Context // ends when the consumer is closed
	cancel context.CancelFunc

	member *membership        // nil without a group
	born   map[[16]byte]int32 // by topic id, for a member: how many partitions there were when the consumer began

	calls calls // of the partitions

	intercepts   bool          // BeforeDeliver of hooks
	interceptors atomic.Uint64 // the goroutine that calls them, 0 for none

	mu        sync.Mutex            // guards what follows and the tracks
	whole     map[engine.Topic]bool // all partitions of it, new ones too
	changes   engine.Changes        // of topics, that are to be looked at
	tracks    map[log.TopicPartition]*track
	former    map[log.TopicPartition]int64 // see track.former; of partitions that the consumer had before
	sorted    []*track                     // the tracks by topic and partition; nil until somebody asks
	hungry    lineup                       // of tracks for the fetcher, which may have something to be read
	sated     lineup                       // and of those that must wait until others are not hungry
	filled    lineup                       // of tracks with chunks, for Poll
	moved     []*track                     // for a member: of which the program was given something since the last Poll
	ends      ends                         // of the loop over RecordsUntil
	current   *track                       // whose records the loop over Records gets, while stint lasts
	stint     quota                        // of current
	returns   uint64                       // how often the loop has come back for more
	fetched   int                          // bytes that were read ahead
	ahead     int                          // and how many records, of which an error counts for one
	errs      []pollError
	resets    []Reset // to be told
	complaint error   // of the auto-commits, for the next Poll
	gone      error   // why nothing is left to read
	work      *work   // nil without one
	closing   bool
	did       Stats  // counts only
	leave     func() // the tally
	closedCh  chan struct{}
}

// Broker is what consumers need of the broker, or cluster, that they read.
type Broker struct {
	Topics      engine.Topics
	Coordinator engine.Coordinator
	Offsets     engine.Offsets
	Logger      *zap.Logger
	Clients     *callback.Clients // each consumer is one
	Resets      *ResetStats
	Tally       *Tally
	Hooks       *hook.Hooks
	Passed      *atomic.Int64 // counts the records of aborted transactions that consumers have come past
}

// New returns a consumer, which joins its group, if it has one, with the first Poll.
func New(ctx context.Context, b *Broker, opts Options) (*Consumer, error) {
	c := &Consumer{
		b:        b,
		opts:     opts,
		waiter:   engine.NewWaiter(),
		ready:    engine.NewWaiter(),
		whole:    make(map[engine.Topic]bool),
		tracks:   make(map[log.TopicPartition]*track),
		former:   make(map[log.TopicPartition]int64),
		closedCh: make(chan struct{}),
	}
	c.intercepts = b.Hooks.ChangesDelivered(ctx)
	c.client = &callback.Client{Name: callback.Name("a consumer", opts.Member.ClientID), Shut: c.shut, CallsOn: c.callsOn}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.leave = func() {}
	err := c.prepare(ctx)
	if err == nil {
		c.leave = b.Tally.Enter(StatsName{opts.Group, opts.Member.ClientID}, c.stats)
		err = b.Clients.Add(c.client)
	}
	if err == nil && c.member != nil {
		err = c.member.start()
	}
	if err != nil {
		c.cancel()
		c.unwatch()
		c.leave()
		b.Clients.Remove(c.client)
		return nil, err
	}
	c.wg.Go(c.fetch)
	return c, nil
}

// prepare sets up what is read, or what is subscribed to.
func (c *Consumer) prepare(ctx context.Context) error {
	if c.opts.Group == "" {
		return c.assign(ctx)
	}
	var errs []error
	for _, name := range c.opts.Topics {
		_, err := c.b.Topics.Find(ctx, name, true)
		errs = append(errs, err)
	}
	c.member = newMembership(c)
	c.client = &callback.Client{
		Name: callback.Name("a consumer of group "+c.opts.Group, c.opts.Member.ClientID), Shut: c.shut, CallsOn: c.callsOn,
		Die: func() { c.member.tell((*member.Member).Lose) },
	}
	c.born = make(map[[16]byte]int32)
	for _, name := range c.member.wants.names() {
		if t, err := c.b.Topics.Get(name); err == nil {
			c.born[t.ID()] = t.Partitions()
		}
	}
	return errors.Join(errs...)
}

// assign sets up the tracks that the options name, each at its start.
func (c *Consumer) assign(ctx context.Context) error {
	var errs []error
	for _, name := range c.opts.Topics {
		t, err := c.b.Topics.Find(ctx, name, true)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.whole[t] = true
	}
	c.changes = c.b.Topics.Changes()
	if c.opts.TopicPattern != nil {
		for _, t := range c.b.Topics.List() {
			if c.matches(t) {
				c.whole[t] = true
			}
		}
	}
	for t := range c.whole {
		for i := range t.Partitions() {
			errs = append(errs, c.begin(ctx, t, i, c.opts.Start))
		}
	}
	for name, indexes := range c.opts.Partitions {
		t, err := c.b.Topics.Find(ctx, name, true)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, i := range indexes {
			errs = append(errs, c.begin(ctx, t, i, c.opts.Start))
		}
	}
	for _, tr := range c.sortedLocked() {
		c.hungry.push(&tr.fetching) // in this order
	}
	c.b.Topics.Watch(c.waiter)
	return errors.Join(errs...)
}

// begin begins to read a partition of t, from start on.
func (c *Consumer) begin(ctx context.Context, t engine.Topic, i int32, start engine.Start) error {
	tr, err := c.newTrack(ctx, t, i, start)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addLocked(tr)
	return nil
}

// sortedLocked returns all tracks, by topic and partition.
func (c *Consumer) sortedLocked() []*track {
	if c.sorted == nil {
		c.sorted = slices.SortedFunc(maps.Values(c.tracks), func(a, b *track) int {
			return cmp.Or(cmp.Compare(a.tp.Topic, b.tp.Topic), cmp.Compare(a.tp.Partition, b.tp.Partition))
		})
	}
	return c.sorted
}

// await is a call of Poll: it does what is to be done for the group, and calls take, with the
// lock held, until that has something. Before it sleeps it calls idle, if that is not nil.
func (c *Consumer) await(ctx context.Context, take func() (bool, error), idle func()) error {
	if c.works() {
		return fmt.Errorf("poll: %w", errWorks)
	}
	if c.intercepts && c.interceptsOn(callback.Goroutine()) {
		return fmt.Errorf("poll: %w", errIntercepts)
	}
	return c.awaitFor(ctx, take, idle)
}

// works reports whether Work is under way.
func (c *Consumer) works() bool {
	if c.member == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.work != nil
}

// awaitFor is await for who may.
func (c *Consumer) awaitFor(ctx context.Context, take func() (bool, error), idle func()) error {
	if c.member != nil {
		if err := c.member.enter(); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		c.settle()
		defer c.member.leave()
	}
	for {
		select {
		case <-c.ready.C(): // what it stands for is looked at below
		default:
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if c.member != nil && !c.isClosing() {
			if err := c.member.step(ctx); err != nil {
				return fmt.Errorf("poll: %w", err)
			}
		}
		c.tellResets(ctx)
		ok, err := c.attempt(take)
		if err != nil {
			return fmt.Errorf("poll: %w", err)
		}
		if ok {
			return nil
		}
		if idle != nil {
			idle()
		}
		select {
		case <-c.ready.C():
		case <-ctx.Done():
		}
	}
}

// attempt takes what is ready; it returns false when nothing is.
func (c *Consumer) attempt(take func() (bool, error)) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false, log.ErrClosed
	}
	if len(c.resets) > 0 {
		return false, nil // to be told first
	}
	if err := c.errLocked(); err != nil {
		return false, err
	}
	if c.gone != nil {
		return false, c.gone
	}
	return take()
}

// pollError is an error for the next Poll, of a track or of none.
type pollError struct {
	err   error
	track *track
	epoch int
}

// errLocked takes the next error. The track it is of is read again, and if nothing has
// changed the error comes again; an error from before a seek is forgotten.
func (c *Consumer) errLocked() error {
	if err := c.complaint; err != nil {
		c.complaint = nil
		return err
	}
	for len(c.errs) > 0 {
		e := c.errs[0]
		c.errs = c.errs[1:]
		if e.track == nil {
			return e.err
		}
		if e.track.epoch == e.epoch {
			e.track.stuck = false
			e.track.hungry()
			c.waiter.Wake()
			return e.err
		}
	}
	return nil
}

// takeLocked takes up to most records from the tracks in turn. In the first round each gets no
// more than its share, so that a full partition does not keep others waiting.
func (c *Consumer) takeLocked(most int) ([]log.Record, error) {
	if c.filled.n == 0 {
		return nil, nil
	}
	quota := quota{records: min(most, max(1, c.ahead)), bytes: c.opts.MaxPollBytes} // batches may be empty
	dst := make([]log.Record, 0, quota.records)
	share := quota.share(c.filled.n)
	var owing *track
	for round := range 2 {
		for n := c.filled.n; n > 0 && !quota.spent(); n-- {
			tr := c.filled.first.track
			part := quota
			if round == 0 {
				part = quota.atMost(share)
			}
			before := part
			owed, err := false, error(nil)
			dst, owed, err = tr.take(dst, &part)
			quota.spend(before, part)
			if tr.filled.line != nil {
				c.filled.push(&tr.filled)
			}
			if err != nil {
				return dst, err
			}
			if owed {
				owing = tr
			}
		}
	}
	if owing != nil && owing.filled.line != nil { // and not taken in the second round
		c.filled.pushFront(&owing.filled) // its error, or its large record, is the next Poll's
	}
	return dst, nil
}

// returned returns how often the loop over Records has come back for more.
func (c *Consumer) returned() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.returns
}

func (c *Consumer) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// over reports whether nothing is left to read.
func (c *Consumer) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gone != nil || c.member != nil && c.member.over()
}

// Close ends the consumer.
func (c *Consumer) Close() error { return c.client.Close() }

// Shutdown is Close that waits until ctx ends.
func (c *Consumer) Shutdown(ctx context.Context) error { return c.client.Shutdown(ctx) }

// shut begins the end of the consumer: see callback.Client.
func (c *Consumer) shut(ctx context.Context) (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return func() { <-c.closedCh }
	}
	c.closing = true
	if c.work != nil {
		c.work.cancel(fmt.Errorf("work: %w", log.ErrClosed))
	}
	c.ready.Wake()
	return func() { c.end(ctx) }
}

// end ends the consumer. Somebody waits for that until ctx ends.
func (c *Consumer) end(ctx context.Context) {
	defer func() { // even if a callback panics
		c.waiter.Wake()
		c.cancel()
		c.wg.Wait()
		c.unwatch()
		c.leave()
		c.b.Clients.Remove(c.client)
		close(c.closedCh)
	}()
	if c.member != nil {
		c.member.end(ctx)
		c.waitForCalls()
	}
}

func (c *Consumer) unwatch() {
	c.b.Topics.Unwatch(c.waiter)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, tr := range c.tracks {
		tr.partition.Unwatch(tr)
	}
}

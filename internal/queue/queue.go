// Package queue is the engine of queues: it gives the records of a share group to whoever asks, wakes who waits, and
// ends. It sees what it gives through internal/engine alone. Users import the module root.
package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/share"
)

// Broker is what queues need of the broker that they belong to.
type Broker struct {
	Topics  engine.Topics
	Shares  engine.Shares
	Logger  *zap.Logger
	Clients *callback.Clients // each queue is one
	Hooks   *hook.Hooks
}

// Options of a queue.
type Options struct {
	Group    string
	Topics   []string
	ClientID string
	Synced   bool // acknowledgements wait for fsync
	Settings share.Settings
}

// Queue is the root's Queue, without the program's point of view: the methods of these names are described there.
type Queue struct {
	b      *Broker
	opts   Options
	id     string // of the member that the queue is
	client *callback.Client
	wg     sync.WaitGroup
	waiter *engine.Waiter  // wakes who follows the topics
	ready  *engine.Waiter  // wakes one who receives
	ctx    context.Context // ends when the queue is closed
	cancel context.CancelFunc
	calls  calls

	mu      sync.Mutex // guards what follows
	sources map[log.TopicPartition]*source
	lineup  []*source // those in which something may be available
	closing bool
	left    bool // nothing can be acknowledged any more
	closed  chan struct{}
}

// source is a partition of a queue. It is woken when something may be available in it.
type source struct {
	q      *Queue
	key    share.Key
	topic  engine.Topic
	queued bool // it is in the lineup; the queue's mutex guards it
}

// New returns a queue. Topics that are not there are an error, unless the broker creates them by itself.
func New(ctx context.Context, b *Broker, opts Options) (*Queue, error) {
	q := &Queue{
		b: b, opts: opts, id: "queue-" + uuid.Text(uuid.New()), waiter: engine.NewWaiter(), ready: engine.NewWaiter(),
		sources: make(map[log.TopicPartition]*source), closed: make(chan struct{}),
	}
	q.client = &callback.Client{Name: "a queue of group " + opts.Group, Shut: q.shut, CallsOn: q.calls.on}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	if err := q.prepare(ctx); err != nil {
		q.cancel()
		return nil, err
	}
	err := b.Clients.Add(q.client)
	if err == nil {
		err = q.follow(ctx, opts.Settings.Reset)
	}
	if err != nil {
		b.Clients.Remove(q.client)
		q.leave()
		return nil, err
	}
	q.wg.Go(q.run)
	return q, nil
}

// prepare finds the topics, and enters the group.
func (q *Queue) prepare(ctx context.Context) error {
	var errs []error
	for _, name := range q.opts.Topics {
		_, err := q.b.Topics.Find(ctx, name, true)
		errs = append(errs, err)
	}
	if dead := q.opts.Settings.DeadLetter; dead != "" {
		_, err := q.b.Topics.Find(ctx, dead, true)
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return q.b.Shares.Enter(share.Member{ID: q.id, ClientID: q.opts.ClientID, Topics: q.opts.Topics, Settings: &q.opts.Settings}, q.opts.Group)
}

// fromTheStart is where the group begins in what there was not when the queue was made.
var fromTheStart = share.Reset{Kind: share.ResetEarliest}

// run follows the topics: new partitions are read, and topics that were created anew.
func (q *Queue) run() {
	q.b.Topics.Watch(q.waiter)
	defer q.b.Topics.Unwatch(q.waiter)
	for {
		if err := q.follow(q.ctx, fromTheStart); err != nil && q.ctx.Err() == nil {
			q.b.Logger.Warn("a queue cannot read a partition that is new", zap.String("group", q.opts.Group), zap.Error(err))
		}
		select {
		case <-q.waiter.C():
		case <-q.ctx.Done():
			return
		}
	}
}

// follow adds the partitions that the queue does not read yet, in which the group begins as reset says if it is new there.
func (q *Queue) follow(ctx context.Context, reset share.Reset) error {
	var errs []error
	for _, name := range q.opts.Topics {
		t, err := q.b.Topics.Get(name)
		if err != nil {
			continue // who receives hears of it
		}
		for i := range t.Partitions() {
			errs = append(errs, q.add(ctx, t, log.TopicPartition{Topic: name, Partition: i}, reset))
		}
	}
	return errors.Join(errs...)
}

func (q *Queue) add(ctx context.Context, t engine.Topic, tp log.TopicPartition, reset share.Reset) error {
	q.mu.Lock()
	s := q.sources[tp]
	if q.closing || s != nil && s.topic == t {
		q.mu.Unlock()
		return nil
	}
	s = &source{q: q, topic: t, key: engine.ShareKey(q.opts.Group, tp)}
	q.sources[tp] = s
	q.mu.Unlock()
	err := q.b.Shares.InitializeAt(ctx, s.key, reset)
	if err == nil {
		err = q.b.Shares.Watch(s.key, s)
	}
	if err != nil {
		q.drop(s)
	}
	s.Wake()
	return err
}

// drop takes a partition out.
func (q *Queue) drop(s *source) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.sources[s.key.TopicPartition] == s {
		delete(q.sources, s.key.TopicPartition)
	}
}

// dropTopic takes a topic out that was deleted, and reports whether it was there: all partitions of the one that s is of.
func (q *Queue) dropTopic(s *source) (was bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	was = q.sources[s.key.TopicPartition] == s
	for tp, other := range q.sources {
		if other.topic == s.topic {
			delete(q.sources, tp)
		}
	}
	return was
}

// Wake implements engine.Watcher.
func (s *source) Wake() {
	s.q.mu.Lock()
	if !s.queued {
		s.queued = true
		s.q.lineup = append(s.q.lineup, s)
	}
	s.q.mu.Unlock()
	s.q.ready.Wake()
}

// next takes the next partition out of the lineup, nil if there is none.
func (q *Queue) next() (s *source, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closing:
		return nil, q.wrap(log.ErrClosed)
	case len(q.lineup) > 0:
		s = q.lineup[0]
		q.lineup[0] = nil
		q.lineup = q.lineup[1:]
		s.queued = false
		return s, nil
	case len(q.sources) == 0:
		return nil, q.wrap(fmt.Errorf("%w: %q", log.ErrUnknownTopic, q.opts.Topics))
	}
	return nil, nil
}

func (q *Queue) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("queue of group %s: %w", q.opts.Group, err)
}

// Receive returns deliveries, as soon as there are any.
func (q *Queue) Receive(ctx context.Context, most int) ([]Delivery, error) {
	if most < 1 {
		return nil, q.wrap(fmt.Errorf("%w: at most %d deliveries", log.ErrInvalidOption, most))
	}
	began := q.asked()
	for {
		if err := ctx.Err(); err != nil {
			q.ready.Wake() // it may have been woken in the place of another one
			return nil, err
		}
		s, err := q.next()
		if err != nil {
			q.ready.Wake() // the others too
			return nil, err
		}
		if s != nil {
			if got, err := q.from(ctx, s, most); err != nil || len(got) > 0 {
				q.tellDelivered(ctx, began, got)
				return got, err
			}
			continue
		}
		select {
		case <-q.ready.C():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// from acquires in a partition.
func (q *Queue) from(ctx context.Context, s *source, most int) ([]Delivery, error) {
	got, err := q.b.Shares.AcquireRecords(ctx, share.AcquireRequest{
		Key: s.key, Member: q.id, MaxRecords: most, Client: q.opts.ClientID, Reset: &fromTheStart, // of a topic made anew
	})
	switch {
	case errors.Is(err, log.ErrUnknownTopic), errors.Is(err, log.ErrUnknownPartition):
		q.ready.Wake()
		if !q.dropTopic(s) {
			return nil, nil // somebody was told
		}
		return nil, q.wrap(fmt.Errorf("%w: %q was deleted", log.ErrUnknownTopic, s.key.Topic))
	case err != nil:
		s.Wake() // it is tried again
		return nil, err
	case len(got) == 0:
		return nil, nil
	}
	s.Wake() // there may be more
	ds := make([]Delivery, len(got))
	for i := range got {
		ds[i] = Delivery{Delivery: got[i], q: q}
	}
	return ds, nil
}

// Broker returns what the queue was given of its broker.
func (q *Queue) Broker() *Broker { return q.b }

// Stats returns how far the group is.
func (q *Queue) Stats(ctx context.Context) ([]share.PartitionInfo, error) {
	if err := q.over(); err != nil {
		return nil, err
	}
	all, err := q.b.Shares.Describe(ctx, q.opts.Group)
	return all, err
}

// over returns ErrClosed once the queue has given back what it had: who works may acknowledge until then.
func (q *Queue) over() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.left {
		return q.wrap(log.ErrClosed)
	}
	return nil
}

// Close ends the queue.
func (q *Queue) Close() error { return q.client.Close() }

// Shutdown is Close that waits until ctx ends.
func (q *Queue) Shutdown(ctx context.Context) error { return q.client.Shutdown(ctx) }

// shut begins the end of the queue: see callback.Client.
func (q *Queue) shut(context.Context) (end func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closing {
		return func() { <-q.closed }
	}
	q.closing = true
	q.ready.Wake()
	q.cancel()
	return q.end
}

// end waits for what runs, and gives back what the queue has.
func (q *Queue) end() {
	q.calls.wait()
	q.wg.Wait()
	q.leave()
	q.b.Clients.Remove(q.client)
	close(q.closed)
}

// leave ends what the queue is in the group.
func (q *Queue) leave() {
	q.cancel()
	q.mu.Lock()
	q.closing, q.left = true, true
	sources := make([]*source, 0, len(q.sources))
	for _, s := range q.sources {
		sources = append(sources, s)
	}
	q.mu.Unlock()
	for _, s := range sources {
		q.b.Shares.Unwatch(s.key, s)
	}
	q.b.Shares.ReleaseAll(q.opts.Group, q.id)
	q.b.Shares.Leave(q.id, q.opts.Group)
}

// calls are the functions of the program's that are being called, and the goroutines that call them.
type calls struct {
	mu      sync.Mutex
	workers sync.WaitGroup
	by      map[uint64]int
}

// on reports whether one is called on that goroutine.
func (c *calls) on(goroutine uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[goroutine] > 0
}

func (c *calls) begin(goroutine uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = make(map[uint64]int)
	}
	c.by[goroutine]++
}

func (c *calls) done(goroutine uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by[goroutine]--; c.by[goroutine] == 0 {
		delete(c.by, goroutine)
	}
}

func (c *calls) wait() { c.workers.Wait() }

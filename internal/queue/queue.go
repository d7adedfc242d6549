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
	Waits    bool // the waits of Settings were asked for
}

// Queue is the root's Queue, without the program's point of view: the methods of these names are described there.
type Queue struct {
	b      *Broker
	opts   Options
	id     string // of the member that the queue is
	member engine.ShareMember
	client *callback.Client
	ctx    context.Context // ends when the queue is closed
	cancel context.CancelFunc
	calls  calls

	mu      sync.Mutex // guards what follows
	closing bool
	left    bool    // nothing can be acknowledged any more
	refused []error // by interceptors, to be told
	closed  chan struct{}
}

// New returns a queue. Topics that are not there are an error, unless the broker creates them by itself.
func New(ctx context.Context, b *Broker, opts Options) (*Queue, error) {
	q := &Queue{b: b, opts: opts, id: "queue-" + uuid.Text(uuid.New()), closed: make(chan struct{})}
	q.client = &callback.Client{Name: "a queue of group " + opts.Group, Shut: q.shut, CallsOn: q.calls.on}
	if err := q.findTopics(ctx); err != nil {
		return nil, err
	}
	var err error
	q.member, err = b.Shares.Enter(ctx, opts.Group, share.Member{ID: q.id, ClientID: opts.ClientID, Topics: opts.Topics, Settings: &q.opts.Settings, Waits: opts.Waits})
	if err != nil {
		return nil, err
	}
	q.ctx, q.cancel = context.WithCancel(context.Background())
	if err := b.Clients.Add(q.client); err != nil {
		q.leave()
		return nil, err
	}
	return q, nil
}

// findTopics finds all that the queue needs.
func (q *Queue) findTopics(ctx context.Context) error {
	var errs []error
	for _, name := range q.opts.Topics {
		_, err := q.b.Topics.Find(ctx, name, true)
		errs = append(errs, err)
	}
	if dead := q.opts.Settings.DeadLetter; dead != "" {
		_, err := q.b.Topics.Find(ctx, dead, true)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
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
		if err := q.refusal(); err != nil {
			return nil, err
		}
		got, err := q.member.Receive(ctx, most)
		if err != nil {
			return nil, err
		}
		ds := make([]Delivery, len(got))
		for i := range got {
			ds[i] = Delivery{Delivery: got[i], q: q}
		}
		if q.b.Hooks.ChangesDelivered(ctx) {
			ds = q.intercepted(ctx, ds)
		}
		if len(ds) > 0 {
			q.tellDelivered(ctx, began, ds)
			return ds, nil
		}
	}
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
	q.member.Stop()
	q.cancel()
	return q.end
}

// end waits for what runs, and gives back what the queue has.
func (q *Queue) end() {
	q.calls.wait()
	q.leave()
	q.b.Clients.Remove(q.client)
	close(q.closed)
}

// leave ends what the queue is in the group.
func (q *Queue) leave() {
	q.cancel()
	q.mu.Lock()
	q.closing, q.left = true, true
	q.mu.Unlock()
	q.member.Leave()
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

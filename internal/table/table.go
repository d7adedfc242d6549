// Package table keeps the latest record of each key of a topic, ready to ask: rows in a store, which one goroutine brings up to
// the log. Users import the module root.
package table

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Rows is where the rows of a table are: a store, or a part of one. Calls of Commit do not overlap.
type Rows interface {
	// Get returns a copy of the value under key, or store.ErrNotFound.
	Get(key []byte) ([]byte, error)
	Snapshot() (store.Snapshot, error)
	// Commit stores b, all or nothing, unless the topic has gone: then the error says so. With less, b makes room, and is stored
	// on a full disk too.
	Commit(ctx context.Context, b *store.Batch, less bool) error
	// Close is the end of the table.
	Close() error
}

// memory is the rows of a table that is in memory.
type memory struct{ store.Store }

// InMemory returns rows in memory, without any yet.
func InMemory() Rows { return memory{store.OpenIndexed()} }

func (m memory) Commit(_ context.Context, b *store.Batch, _ bool) error { return m.Store.Commit(b) }

// Options say what a table is.
type Options struct {
	Topic       string
	Name, Group string // for Stats
	Isolation   log.Isolation
	SkipDamaged bool
	ClientID    string
	Shared      bool // only the partitions that it is given by Assign are its own
	Version     int  // rows of another one are of no use
	// Rows returns where the rows are, and what their keys begin with.
	Rows func(t engine.Topic) (Rows, []byte, error)
	// Rest is called with the table when it closes, before what it has is given back, and waited for.
	Rest func()
}

// Broker is what tables have of the broker that they belong to.
type Broker struct {
	Topics  engine.Topics
	Clients *callback.Clients
	Logger  *zap.Logger
	Hooks   *hook.Hooks
	// Ordered calls fn when all that was written before the call has its offsets in these partitions, in the order of all writes. It is nil where
	// the records are elsewhere.
	Ordered func(ctx context.Context, in []*partition.Partition, fn func()) error
	// Moment calls fn when the store has all that readers see in partitions and nothing more, and gives it that as of then. fn must not
	// block. It is nil where Ordered is.
	Moment func(ctx context.Context, fn func(store.Snapshot, error)) error
	// Kept returns where the tables are that are kept of a topic, and what the keys of each begin with. It is nil where none are.
	Kept func(t engine.Topic) (Rows, [][]byte, error)

	mu   sync.Mutex // guards open
	open map[*Table]struct{}
}

// Table is a table: see samsa.Table, whose methods these are. They may be called by anybody at any time.
type Table struct {
	b        *Broker
	opts     Options
	topic    engine.Topic
	rows     Rows
	prefix   []byte
	client   *callback.Client
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup // what runs of it
	done     chan struct{}  // closed when nothing does
	waiter   *engine.Waiter // of its goroutine
	ended    atomic.Pointer[error]
	size     atomic.Int64
	bytes    atomic.Int64 // of rows and their keys
	rebuilds atomic.Int64
	turn     turns.Turn // held by who begins trails
	still    bool       // nothing brings it further: it is not open

	writer writer // the goroutine's own

	// step is held by the table's goroutine while it stores, so that who has it sees rows, positions and what
	// watchers are told in step.
	step     turns.Turn
	parts    map[int32]*part // that the table has
	watchers map[*watcher]struct{}

	over    sync.Mutex // held by who ends the table; guards the next two
	dropped bool       // the rows are removed at the end
	err     error      // of the end, once done is closed

	mu      sync.Mutex     // guards what follows
	wanted  map[int32]bool // that a table which is Shared was given
	assigns int            // how often that was
	adopted int            // the last of them whose partitions it has
	given   chan struct{}  // closed when it was given some, or none, for the first time
	cuts    []*cut         // that wait for the table, in the order of their moments
	moved   chan struct{}  // closed when something has happened that may be waited for; nil when nobody does
}

// part is a partition of a table.
type part struct {
	engine.Partition
	index int32
	next  atomic.Int64 // the offset that is read next
	start int64        // rows from before it have gone
	seen  time.Time    // when the table had all that there was; of one that has begun anew since, when it did
	away  bool         // that is so long ago that tombstones may have gone which it has not read

	epoch  int32 // of the leader that has stored what was read last
	looked int32 // the epoch that its log was in when it was looked whether it was cut, -1 before that

	link    *partition.Link // of the trail of the partition, that the table has come to; nil before a Tx
	untrail func()
}

// New returns a table, whose goroutine runs, and which may have nothing yet.
func New(ctx context.Context, b *Broker, opts Options) (*Table, error) {
	t := &Table{
		b: b, opts: opts, done: make(chan struct{}), waiter: engine.NewWaiter(),
		parts: make(map[int32]*part), watchers: make(map[*watcher]struct{}), given: make(chan struct{}),
		turn: turns.New(), step: turns.New(),
	}
	var err error
	if t.topic, err = b.Topics.Find(ctx, opts.Topic, true); err != nil {
		return nil, err
	}
	if t.rows, t.prefix, err = opts.Rows(t.topic); err != nil {
		return nil, err
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.client = &callback.Client{Name: "a table of " + opts.Topic, Shut: t.shut}
	if err = t.restore(ctx); err == nil {
		err = b.Clients.Add(t.client)
	}
	if err != nil {
		t.cancel()
		return nil, store.Join(err, t.rows.Close())
	}
	b.add(t)
	t.b.Topics.Watch(t.waiter)
	t.wg.Go(t.run)
	return t, nil
}

// Go calls fn in a goroutine that ends with the table, at the end of ctx.
func (t *Table) Go(fn func(ctx context.Context)) { t.wg.Go(func() { fn(t.ctx) }) }

// shut begins the end: see callback.Client.
func (t *Table) shut(context.Context) (end func()) {
	t.End(log.ErrClosed)
	return func() {
		if t.opts.Rest != nil {
			t.opts.Rest()
		}
		t.wg.Wait()
		t.over.Lock()
		defer t.over.Unlock()
		select {
		case <-t.done:
		default:
			if t.dropped {
				t.err = t.Wipe(context.Background(), true)
			}
			if errors.Is(t.err, log.ErrUnknownTopic) {
				t.err = nil // the rows go with the topic
			}
			t.err = store.Join(t.err, t.rows.Close())
			t.b.Clients.Remove(t.client)
			t.b.remove(t)
			close(t.done)
		}
	}
}

// Close ends the table.
func (t *Table) Close() error { return t.client.Close() }

// Drop is Close that removes the rows.
func (t *Table) Drop() error {
	t.over.Lock()
	select {
	case <-t.done:
		t.over.Unlock()
		return t.wrap(log.ErrClosed)
	default:
		t.dropped = true
	}
	t.over.Unlock()
	return store.Join(t.Close(), t.err)
}

// End has everything fail with err from now on, unless it does already.
func (t *Table) End(err error) {
	err = t.wrap(err)
	if t.ended.CompareAndSwap(nil, &err) && !errors.Is(err, log.ErrClosed) {
		t.b.Logger.Warn("a table has ended", zap.Error(err))
	}
	t.cancel()
	t.signal()
}

func (t *Table) wrap(err error) error { return fmt.Errorf("table of %s: %w", t.opts.Topic, err) }

// Err returns why the table has ended, nil before.
func (t *Table) Err() error {
	if err := t.ended.Load(); err != nil {
		return *err
	}
	return nil
}

// pause is how long the goroutine waits after an error that goes by itself.
const pause = 50 * time.Millisecond

// run is the table's goroutine.
func (t *Table) run() {
	defer func() {
		t.b.Topics.Unwatch(t.waiter)
		for _, p := range t.parts {
			p.leave(t)
		}
	}()
	for t.ctx.Err() == nil {
		idle, err := t.round()
		var again <-chan time.Time
		switch {
		case err == nil && !idle:
			continue
		case err == nil:
		case log.Retriable(err):
			again = time.After(pause)
		default:
			t.End(err)
			return
		}
		select {
		case <-t.waiter.C():
		case <-again:
		case <-t.ctx.Done():
		}
	}
}

// round brings each partition a step further, and reports whether there was nothing to do.
func (t *Table) round() (idle bool, err error) {
	if err := t.adopt(); err != nil {
		return false, err
	}
	idle = true
	var waits error // of one partition; the others go on
	for _, p := range t.parts {
		did, err := t.advance(p)
		switch {
		case log.Retriable(err):
			waits = err
		case err != nil:
			return false, err
		}
		idle = idle && !did
	}
	if t.serve() || !idle {
		return false, nil
	}
	return idle, waits
}

// adopt takes partitions that are new, and gives up those that are the table's no more.
func (t *Table) adopt() error {
	if !t.opts.Shared {
		for i := int32(len(t.parts)); i < t.topic.Partitions(); i++ {
			if err := t.add(i); err != nil {
				return err
			}
		}
		return nil
	}
	t.mu.Lock()
	assigns, wanted := t.assigns, t.wanted
	adopted := assigns == t.adopted
	t.mu.Unlock()
	if adopted {
		return nil
	}
	for i, p := range t.parts {
		if wanted[i] {
			continue
		}
		if err := t.forget(p); err != nil {
			return err
		}
	}
	for i := range wanted {
		if t.parts[i] == nil {
			if err := t.add(i); err != nil {
				return err
			}
		}
	}
	t.mu.Lock()
	t.adopted = assigns
	t.mu.Unlock()
	t.signal()
	return nil
}

// add takes a partition.
func (t *Table) add(i int32) error {
	of, err := t.topic.Partition(i)
	if err != nil {
		return err
	}
	p := &part{Partition: of, index: i}
	lost, err := t.resume(p)
	if err != nil {
		return err
	}
	switch cut := p.wasCut(); { // before anybody takes it for read
	case lost:
		err = t.rebuild(p, "where it was is damaged")
	case cut:
		err = t.rebuild(p, cutOff)
	}
	if err != nil {
		return err
	}
	t.step.Take()
	t.parts[i] = p
	t.step.Give()
	p.Watch(t.waiter)
	t.signal()
	return nil
}

// Assign gives partitions to a table that is Shared, and takes others. The map is the table's.
func (t *Table) Assign(wanted map[int32]bool) {
	t.mu.Lock()
	t.wanted = wanted
	t.assigns++
	select {
	case <-t.given:
	default:
		close(t.given)
	}
	t.mu.Unlock()
	t.waiter.Wake()
}

// Given returns when the table has its first partitions, which may be none.
func (t *Table) Given(ctx context.Context) error {
	select {
	case <-t.given:
		return nil
	case <-t.ctx.Done():
		return t.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// signal wakes who waits for something to happen.
func (t *Table) signal() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.moved != nil {
		close(t.moved)
		t.moved = nil
	}
}

// await waits until ok, which is called without a lock, again whenever something has happened.
func (t *Table) await(ctx context.Context, ok func() (bool, error)) error {
	for {
		t.mu.Lock()
		if t.moved == nil {
			t.moved = make(chan struct{})
		}
		moved := t.moved
		t.mu.Unlock()
		if err := t.Err(); err != nil {
			return err
		}
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// WaitFor waits until the table is behind these offsets.
func (t *Table) WaitFor(ctx context.Context, offsets map[int32]int64) error {
	return t.waitFor(ctx, offsets, false)
}

// CatchUp waits until the table is where the log is now, in the partitions that it has then.
func (t *Table) CatchUp(ctx context.Context) error {
	ends, err := t.Ends(ctx)
	if err == nil {
		err = t.waitFor(ctx, ends, true)
	}
	return err
}

// waitFor is WaitFor, which passes over partitions that a group takes from the table, or fails.
func (t *Table) waitFor(ctx context.Context, offsets map[int32]int64, pass bool) error {
	return t.await(ctx, func() (bool, error) {
		t.mu.Lock()
		pending := t.adopted != t.assigns
		t.mu.Unlock()
		if err := t.step.TakeUntil(ctx); err != nil {
			return false, err
		}
		defer t.step.Give()
		for i, offset := range offsets {
			p := t.parts[i]
			switch {
			case p == nil && t.opts.Shared && !pending && pass:
			case p == nil && t.opts.Shared && !pending:
				return false, t.wrap(fmt.Errorf("%w: %d is not the table's", log.ErrUnknownPartition, i))
			case i < 0 || p == nil && i >= t.topic.Partitions():
				return false, t.wrap(fmt.Errorf("%w: %d", log.ErrUnknownPartition, i))
			case p == nil || p.next.Load() <= offset:
				return false, nil
			}
		}
		return true, nil
	})
}

// Ends returns the last offset of each partition that the table has, or is to have, as of now.
func (t *Table) Ends(ctx context.Context) (map[int32]int64, error) {
	t.mu.Lock()
	wanted := t.wanted
	t.mu.Unlock()
	ends := make(map[int32]int64)
	for i := range t.topic.Partitions() {
		if t.opts.Shared && !wanted[i] {
			continue
		}
		p, err := t.topic.Partition(i)
		if err != nil {
			return nil, t.wrap(err)
		}
		if r, ok := p.(engine.Remote); ok {
			if err := r.Ask(ctx); err != nil {
				return nil, t.wrap(err)
			}
		}
		if end := engine.End(p, t.opts.Isolation); end > p.LogStart() {
			ends[i] = end - 1
		}
	}
	return ends, nil
}

// Len returns how many rows there are.
func (t *Table) Len() int64 { return t.size.Load() }

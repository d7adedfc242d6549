// Package fake is a broker for tests that is controlled from outside, through the HTTP API: samsa serve --fake, in a container
// say. What it does package samsatest does, whose words it speaks.
package fake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/internal/port"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// Options says what a fake broker is.
type Options struct {
	// Broker are the options of the broker, which is in memory.
	Broker samsa.Options
	// Prepare, if set, is called with a broker that is empty: at first, and after each reset. It creates topics, say.
	Prepare func(ctx context.Context, b *samsa.Broker) error
	// Serve, if set, is where Kafka clients find the broker, the same after it was restarted or reset. It ends with the broker.
	Serve *Door
}

// Door serves a fake broker to Kafka clients, and copies of it.
type Door struct {
	addr  string
	nodes int
	opts  kafka.ClusterOptions
	own   string     // where the fake broker itself is, which New has served before anybody else comes
	held  []*os.File // its ports
}

// Kafka returns a door at addr, and for a copy at another port, where it is what its clients are told. With more than one node it is a
// cluster, and its addresses have commas between them.
func Kafka(addr string, nodes int, o kafka.ClusterOptions) *Door {
	return &Door{addr: addr, nodes: nodes, opts: o}
}

// serve serves b at an address where the door has served before, or with "" where it likes, and returns where that is and what ends it.
func (d *Door) serve(b *samsa.Broker, at string) (served string, shut func() error, err error) {
	first, opts := d.own == "", d.opts
	switch {
	case first:
		var addrs []string
		addrs, d.held = port.Hold(d.addr, max(1, d.nodes))
		at = strings.Join(addrs, ",")
	case at != d.own:
		at, opts.Advertise = cmp.Or(at, "127.0.0.1:0"), "" // which leads to own
	}
	served, shut, err = listen(b, d.nodes, at, opts)
	if err == nil && first {
		d.own = served
	}
	return served, shut, err
}

// close gives the ports back.
func (d *Door) close() {
	if d == nil {
		return
	}
	for _, f := range d.held {
		_ = f.Close() // nil where nothing is held
	}
}

// listen serves b, as several nodes if they are more than one.
func listen(b *samsa.Broker, nodes int, at string, o kafka.ClusterOptions) (string, func() error, error) {
	if nodes <= 1 {
		srv, err := kafka.Listen(b, at, o.Options)
		if err != nil {
			return "", nil, err
		}
		return srv.Addr().String(), srv.Close, nil
	}
	c, err := kafka.ListenCluster(b, nodes, at, o)
	if err != nil {
		return "", nil, err
	}
	return strings.Join(c.Addrs(), ","), c.Close, nil
}

// Fake is a fake broker. It implements api.Kit, whose methods are described there, and api.Fake.
type Fake struct {
	opts   Options
	copied bool         // it is a copy of another one, whose door stays
	http   http.Handler // its control
	addr   string       // of Kafka clients, "" for none; it does not change

	mu     sync.RWMutex // guards what follows; held while a broker takes the place of another
	b      *samsa.Broker
	tb     *tb // that b belongs to
	shut   func() error
	nodes  *kafka.Cluster // as which b is served; nil if it is not
	faults map[int64]*fault
	nextID int64
	forks  map[string]*Fake
	closed bool
}

var (
	_ api.Kit  = (*Fake)(nil)
	_ api.Fake = (*Fake)(nil)
)

// New opens a fake broker. Close it.
func New(ctx context.Context, o Options) (*Fake, error) {
	k := &Fake{opts: o}
	k.http = api.KitHandler(k)
	if err := k.begin(ctx); err != nil {
		o.Serve.close()
		return nil, err
	}
	return k, nil
}

// begin opens an empty broker.
func (k *Fake) begin(ctx context.Context) error {
	t := new(tb)
	var b *samsa.Broker
	err := t.try(ctx, func() { b = samsatest.New(t, samsatest.Options(k.opts.Broker), samsatest.AllowOpenClients()) })
	if err == nil && k.opts.Prepare != nil {
		err = k.opts.Prepare(ctx, b)
	}
	if err != nil {
		return errors.Join(err, t.end())
	}
	return k.take(b, t)
}

// take has b be the broker.
func (k *Fake) take(b *samsa.Broker, t *tb) error {
	k.b, k.tb, k.faults, k.shut = b, t, make(map[int64]*fault), nil
	if k.forks == nil {
		k.forks = make(map[string]*Fake)
	}
	if k.opts.Serve == nil {
		return nil
	}
	addr, shut, err := k.opts.Serve.serve(b, k.addr)
	if err != nil {
		return errors.Join(err, t.end())
	}
	k.addr, k.shut, k.nodes = addr, shut, nil
	for _, srv := range kafka.Servers(b) {
		k.nodes = cmp.Or(k.nodes, srv.Cluster())
	}
	return nil
}

// Addr returns where Kafka clients find it, "" for nowhere.
func (k *Fake) Addr() string { return k.addr }

// Broker implements api.Kit.
func (k *Fake) Broker() *samsa.Broker {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.b
}

// ServeHTTP implements api.Fake.
func (k *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) { k.http.ServeHTTP(w, r) }

// Close closes the broker and its copies. It may be called more than once.
func (k *Fake) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return nil
	}
	k.closed = true
	err := k.end()
	if !k.copied {
		k.opts.Serve.close()
	}
	return err
}

// end closes everything.
func (k *Fake) end() error {
	var errs []error
	for _, f := range k.forks {
		errs = append(errs, f.Close())
	}
	clear(k.forks)
	if k.shut != nil {
		errs = append(errs, k.shut())
	}
	return errors.Join(append(errs, k.tb.end())...)
}

// Reset implements api.Kit.
func (k *Fake) Reset(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.open(); err != nil {
		return err
	}
	return errors.Join(k.end(), k.begin(ctx))
}

// open refuses work for a fake that is closed.
func (k *Fake) open() error {
	if k.closed {
		return samsa.ErrClosed
	}
	return nil
}

// Restart implements api.Kit. What was acknowledged is there again, but after a power failure what was not synced. The faults are gone.
func (k *Fake) Restart(ctx context.Context, r api.Restart) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.open(); err != nil {
		return err
	}
	old, t := k.tb, new(tb)
	var again *samsa.Broker
	err := t.try(ctx, func() {
		if r.Kill == "" && k.shut != nil { // what Kafka clients have asked for is seen through
			_ = k.shut()
			k.shut = nil
		}
		if r.Kill == "power" {
			samsatest.CutPower(t, k.b)
		} else {
			samsatest.Crash(t, k.b)
		}
		again = samsatest.Restart(t, k.b, samsatest.AllowOpenClients())
	})
	if k.shut != nil {
		_ = k.shut() // its broker is gone
	}
	_ = old.end() // it was killed
	if err != nil {
		return err
	}
	return k.take(again, t)
}

// NewFork implements api.Kit.
func (k *Fake) NewFork(ctx context.Context, name string) (api.Fork, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.open(); err != nil {
		return api.Fork{}, err
	}
	if k.forks[name] != nil {
		return api.Fork{}, fmt.Errorf("%w: there is a fork %q already", samsa.ErrInvalid, name)
	}
	if len(k.forks) == maxForks {
		return api.Fork{}, fmt.Errorf("%w: there are %d forks already", samsa.ErrTooLarge, maxForks)
	}
	t := new(tb)
	f := &Fake{opts: k.opts, copied: true}
	var b *samsa.Broker
	err := t.try(ctx, func() { b = samsatest.Fork(t, k.b, samsatest.AllowOpenClients()) })
	if err == nil {
		err = f.take(b, t)
	}
	if err != nil {
		return api.Fork{}, err
	}
	k.forks[name] = f
	return api.Fork{Name: name, Kafka: f.addr}, nil
}

// maxForks bounds the copies of a broker.
const maxForks = 1000

// Forks implements api.Kit.
func (k *Fake) Forks() []api.Fork {
	k.mu.RLock()
	defer k.mu.RUnlock()
	var all []api.Fork
	for _, name := range slices.Sorted(maps.Keys(k.forks)) {
		all = append(all, api.Fork{Name: name, Kafka: k.forks[name].addr})
	}
	return all
}

// OfFork implements api.Kit.
func (k *Fake) OfFork(name string) (api.Kit, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if f := k.forks[name]; f != nil {
		return f, nil
	}
	return nil, fmt.Errorf("%w: there is no fork %.100q", samsa.ErrUnknown, name)
}

// RemoveFork implements api.Kit.
func (k *Fake) RemoveFork(name string) error {
	k.mu.Lock()
	f := k.forks[name]
	delete(k.forks, name)
	k.mu.Unlock()
	if f == nil {
		return fmt.Errorf("%w: there is no fork %.100q", samsa.ErrUnknown, name)
	}
	return f.Close()
}

// Wait implements api.Kit.
func (k *Fake) Wait(ctx context.Context, w api.Wait) error {
	b, t := k.Broker(), new(tb)
	var hit *fault
	if w.Fault != 0 {
		var err error
		if hit, err = k.find(w.Fault); err != nil {
			return err
		}
	}
	err := t.try(ctx, func() {
		switch {
		case hit != nil:
			hit.Wait(t)
		case w.Records != nil:
			samsatest.WaitRecords(t, b, w.Records.Topic, w.Records.N)
		case w.Committed != nil:
			samsatest.WaitCommitted(t, b, w.Committed.Group, w.Committed.Topic, w.Committed.N)
		case w.Stable != nil:
			samsatest.WaitStable(t, b, w.Stable.Group, w.Stable.Members)
		}
	})
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return err
}

// Expire implements api.Kit.
func (k *Fake) Expire(ctx context.Context, e api.Expire) error {
	b, t := k.Broker(), new(tb)
	return t.try(ctx, func() {
		if e.Transaction != "" {
			samsatest.ExpireTransaction(t, b, e.Transaction)
		} else {
			samsatest.Expire(t, b, e.Group, e.Member)
		}
	})
}

// Corrupt implements api.Kit.
func (k *Fake) Corrupt(ctx context.Context, c api.Corrupt) error {
	b, t := k.Broker(), new(tb)
	return t.try(ctx, func() { samsatest.Corrupt(t, b, c.Topic, c.Partition, c.Offset) })
}

// tb is a test for the kit: what fails it is an error.
type tb struct {
	ctx      context.Context // of the call
	cleanups []func()
	errs     []error
}

// fatal is what a call of Fatalf panics with.
type fatal struct{ err error }

// try calls fn, and returns what has failed it.
func (t *tb) try(ctx context.Context, fn func()) (err error) {
	t.ctx = ctx
	defer func() {
		t.ctx = nil
		switch p := recover().(type) {
		case nil:
			err = t.failure()
		case fatal:
			err = errors.Join(t.failure(), p.err)
		default:
			panic(p)
		}
	}()
	fn()
	return nil
}

// failure returns what Errorf was told, once.
func (t *tb) failure() error {
	err := errors.Join(t.errs...)
	t.errs = nil
	return err
}

// end calls the clean-ups, the last one first.
func (t *tb) end() error {
	for _, c := range slices.Backward(t.cleanups) {
		c()
	}
	t.cleanups = nil
	return t.failure()
}

// Until ends the waits of the kit.
func (t *tb) Until() context.Context { return t.ctx }

func (t *tb) Helper()             {}
func (t *tb) Name() string        { return "fake" }
func (t *tb) Logf(string, ...any) {}
func (t *tb) Failed() bool        { return len(t.errs) > 0 }
func (t *tb) Cleanup(c func())    { t.cleanups = append(t.cleanups, c) }

func (t *tb) Errorf(format string, args ...any) { t.errs = append(t.errs, wrapped(format, args)) }
func (t *tb) Fatalf(format string, args ...any) { panic(fatal{wrapped(format, args)}) }

// wrapped returns a message as an error that wraps those that are in it.
func wrapped(format string, args []any) error {
	return fmt.Errorf(strings.ReplaceAll(strings.TrimPrefix(format, "samsatest: "), "%v", "%w"), args...)
}

package samsa

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/admin"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/local"
	"github.com/samsa-go/samsa/internal/queue"
	"github.com/samsa-go/samsa/internal/stats"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/table"
	"github.com/samsa-go/samsa/internal/transact"
)

// Broker owns a data directory, or a store in memory: its topics and their records. Or it stands for a Kafka cluster: module
// github.com/samsa-go/samsa/cluster opens those. Calls that there is nothing for then are ErrUnsupported. All
// its methods may be called by anybody at any time.
type Broker struct {
	on        engine.Parts  // what it stands on
	local     *local.Broker // the same, of this process; nil where it is elsewhere
	given     Options       // to Open
	opts      Options       // every field filled in
	logger    *zap.Logger
	consumers consumer.Broker // what they see of it
	queues    queue.Broker    // and queues
	tables    table.Broker    // and tables
	updates   *transact.Updater
	admin     admin.Groups
	resets    consumer.ResetStats
	produced  batcher.Tally
	consumed  consumer.Tally
	hooks     *hook.Hooks // nil without any
	stats     stats.Collector
	passed    atomic.Int64 // records of aborted transactions, by consumers

	clients callback.Clients // producers, consumers and servers
	closer  sync.WaitGroup
	closed  chan struct{} // closed when closer is done
	err     error         // what Close returns, once closed is closed
}

// Open opens the broker whose data is in dir and creates it when dir is missing or empty.
// With Options.InMemory dir must be "" and the data is gone at Close.
//
// A directory has one owner at a time: ErrLocked tells that another broker, here or in
// another process, has it open. ErrNotDirectory, ErrReadOnly, ErrOldFormat, ErrNewerFormat and, with
// Options.MustExist, ErrNotExist say why else a directory cannot be used; ErrInvalidOption names every wrong option. All
// of them leave the directory as it was.
//
// What Open finds after an unclean end is one state that the broker has had, of all partitions,
// groups and keys together: a write that the power has cut, and what came after it, is not there,
// and the logger is told. Nothing that was acknowledged as the crash rules promise is among that.
// Where what was to be relied on is damaged, Open is ErrCorruptValue, and nothing is changed. What is
// missing or damaged of the index Options.RebuildIndex makes anew, and the error says so.
//
// With Options.ReadOnly a directory that nobody owns is opened for reading, beside any number of others who read it;
// they and an owner exclude each other, by ErrLocked.
//
// A small value that is damaged costs what it belongs to, and the logger is told: that topic,
// group, committed offset or producer is ErrCorruptValue to whoever uses it. What is stored of it
// stays, its name is taken, and Delete makes room for a new one.
func Open(dir string, opts Options) (*Broker, error) {
	began := time.Now()
	if err := opts.validate(dir); err != nil {
		return nil, fmt.Errorf("samsa: open: %w", err)
	}
	dir, err := absolute(dir)
	if err != nil {
		return nil, fmt.Errorf("samsa: open: %w", err)
	}
	st, err := openStore(dir, opts.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("samsa: open: %w", err)
	}
	return openOn(began, st, dir, opts)
}

// absolute returns the path of dir, "" for none, from the root: the program may go to another
// directory at any time.
func absolute(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	path, err := filepath.Abs(dir)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrStorage, err)
	}
	return path, err
}

// newBroker returns a broker that stands on nothing yet.
func newBroker(given Options) *Broker {
	opts := given.withDefaults()
	return &Broker{given: given, opts: opts, logger: opts.Logger, closed: make(chan struct{}), hooks: hook.New(opts.Hooks, opts.Logger)}
}

// openOn opens the broker whose data is in st, which belongs to it even if that fails.
// began is when that was begun.
func openOn(began time.Time, st store.Store, dir string, given Options) (*Broker, error) {
	b := newBroker(given)
	var err error
	b.local, err = local.Open(began, st, local.Options{
		Dir: dir, ReadOnly: b.opts.ReadOnly, AutoCreateTopics: b.opts.AutoCreateTopics, TopicDefaults: b.opts.TopicDefaults,
		Rules: b.opts.Groups.rules(), Configs: b.opts.Groups.broker(), ProducerIDExpiry: b.opts.ProducerIDExpiry,
		TransactionTimeout: b.opts.Transactions.MaxTimeout, TransactionIDExpiry: b.opts.Transactions.IDExpiry,
		RetentionInterval: b.opts.RetentionInterval, MinFreeBytes: b.opts.MinFreeBytes, Produce: engine.ProduceOptions(b.opts.Produce),
		Logger: b.logger, Hooks: b.hooks, Clients: &b.clients, Produced: &b.produced,
	})
	if err != nil {
		return nil, fmt.Errorf("samsa: open %s: %w", dir, err)
	}
	b.standOn(began, b.local.Parts())
	if err := b.startControl(); err != nil {
		return nil, fmt.Errorf("samsa: open %s: %w", dir, store.Join(err, b.Close()))
	}
	return b, nil
}

// standOn has the broker work with these parts, which it closes. began is when it was begun to open.
func (b *Broker) standOn(began time.Time, parts engine.Parts) {
	b.on = parts.WithAbsent()
	if b.on.Rules.MaxSessionTimeout == 0 {
		b.on.Rules.MaxSessionTimeout = maxExpiry
	}
	b.updates = transact.NewUpdater(b.on.Transactor, b.opts.MaxUpdateRetries)
	b.admin = admin.Groups{Admin: b.on.Groups, Offsets: b.on.Offsets, Topics: b.on.Topics, Shares: b.on.ShareAdmin}
	b.consumers = consumer.Broker{
		Topics: b.on.Topics, Coordinator: b.on.Coordinator, Offsets: b.on.Offsets, Logger: b.logger, Clients: &b.clients, Resets: &b.resets, Tally: &b.consumed, Hooks: b.hooks, Passed: &b.passed,
	}
	b.queues = queue.Broker{Topics: b.on.Topics, Shares: b.on.Shares, Logger: b.logger, Clients: &b.clients, Hooks: b.hooks}
	b.tables.Topics, b.tables.Clients, b.tables.Logger, b.tables.Hooks = b.on.Topics, &b.clients, b.logger, b.hooks
	if b.local != nil {
		b.tables.Ordered, b.tables.Moment, b.tables.Kept = b.local.Ordered, b.local.Moment, b.local.KeptTables
	}
	b.stats = stats.Collector{
		Opened: began, Local: b.local, Stored: b.on.Stored, Topics: b.on.Topics, Admin: b.admin,
		Clients: &b.clients, Resets: &b.resets, Passed: &b.passed, Hooks: b.hooks, Producers: &b.produced, Consumers: &b.consumed, Tables: &b.tables,
	}
}

// ofStore returns what only a broker of this process has, or ErrUnsupported.
func (b *Broker) ofStore(what string) (*local.Broker, error) {
	if b.local == nil {
		return nil, engine.Absent{Where: b.on.Where}.Unsupported(what)
	}
	return b.local, nil
}

func openStore(dir string, opts Options) (store.Store, error) {
	if opts.InMemory {
		return store.OpenMemory(), nil
	}
	return store.Open(dir, store.Options{
		MustExist: opts.MustExist, ReadOnly: opts.ReadOnly, MinFreeBytes: opts.MinFreeBytes, Rebuild: opts.RebuildIndex, Logger: opts.Logger,
	})
}

// Sync returns when everything that was acknowledged before the call is fsynced. When ctx ends before, it is
// the error of ctx alone, not ErrOutcomeUnknown: nothing is at stake. What was acknowledged is as safe as its Acks
// say, the fsync goes on, and only the next Sync says that it has succeeded.
func (b *Broker) Sync(ctx context.Context) error {
	if err := b.check(ctx); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	l, err := b.ofStore("Sync")
	if err == nil {
		err = l.Sync(ctx)
	}
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	return nil
}

// check refuses work for a broker that is closed and for a context that has ended.
func (b *Broker) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.clients.Err()
}

// checkWrite is check for what writes, and for what would otherwise begin only to find that it cannot.
func (b *Broker) checkWrite(ctx context.Context) error {
	err := b.check(ctx)
	if err == nil && b.opts.ReadOnly {
		err = local.ErrReadOnly
	}
	return err
}

// Close ends the broker: producers send what they hold, waiting consumers get ErrClosed,
// everything is fsynced and the directory is free again. It waits for all of that, and
// may be called more than once.
//
// It waits for promises and callbacks of groups too, for 30 s: see Shutdown. After an error of the
// store, ErrFailed, it is that error.
func (b *Broker) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), callback.CloseLimit)
	defer cancel()
	return b.Shutdown(ctx)
}

// Shutdown is Close that waits for functions of the program's until ctx ends. Those that have
// not returned by then are left behind, and the broker ends without them, as it does otherwise:
// what was acknowledged is durable and the directory free. Then the error is ErrCutOff and says
// which they are. For the disk it waits another 30 s.
//
// Called by a function that it would wait for, a promise, say, it is ErrInCallback, and the
// broker stays open.
func (b *Broker) Shutdown(ctx context.Context) error {
	if err := callback.Check(b.clients.Open()...); err != nil {
		return fmt.Errorf("samsa: close: %w", err)
	}
	clients, first := b.clients.Close()
	if !first {
		return b.awaitClosed(ctx)
	}
	return b.endClose(ctx, clients)
}

// endClose closes everything, from the top down.
func (b *Broker) endClose(ctx context.Context, clients []*callback.Client) error {
	if b.local != nil {
		b.local.Committer.Probes().Release()
	}
	began := time.Now()
	return callback.Shut(ctx, func(late error) error {
		b.closer.Go(func() { b.end(began, late) })
		return b.awaitClosed(ctx)
	}, clients...)
}

// end closes what the broker stands on, below the clients, of which some may be late, after a Close that began then.
func (b *Broker) end(began time.Time, late error) {
	defer close(b.closed)
	if err := store.Join(late, b.on.Close()); err != nil {
		b.err = fmt.Errorf("samsa: close: %w", err)
	} else {
		b.logger.Info("broker closed", zap.String("data", b.on.Where), zap.Duration("took", time.Since(began)))
	}
}

// awaitClosed waits for end, until ctx ends and then a while for the disk.
func (b *Broker) awaitClosed(ctx context.Context) error {
	select {
	case <-b.closed:
		return b.err
	case <-ctx.Done():
	}
	limit := time.NewTimer(callback.CloseLimit)
	defer limit.Stop()
	select {
	case <-b.closed:
		return b.err
	case <-limit.C:
		return fmt.Errorf("samsa: close: %w: the store has not been closed: %w", ErrCutOff, ctx.Err())
	}
}

// ClusterID returns what tells this broker's data from others', 22 characters. It was made when
// the data was: it stays when the directory moves, is copied, or comes back from a Snapshot, and a
// fork in a test has that of the broker it was forked from. Kafka clients see it as the id of the
// cluster, unless kafka.Options names another.
func (b *Broker) ClusterID() string { return b.on.ClusterID }

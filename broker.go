package samsa

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/admin"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/clusterid"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/feature"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/queue"
	"github.com/samsa-go/samsa/internal/stats"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/transact"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/producers"
	"github.com/samsa-go/samsa/retention/sweep"
	"github.com/samsa-go/samsa/share"
	"github.com/samsa-go/samsa/share/members"
	"github.com/samsa-go/samsa/streams"
	"github.com/samsa-go/samsa/topic"
	"github.com/samsa-go/samsa/txn"
)

// Broker owns a data directory, or a store in memory: its topics and their records. All
// its methods may be called by anybody at any time.
type Broker struct {
	dir        string
	clusterID  string
	given      Options // to Open
	opts       Options // every field filled in
	logger     *zap.Logger
	st         store.Store
	committer  *writer.Committer
	catalogue  *topic.Catalogue
	configs    *config.Registry
	groups     *group.Coordinator
	producers  *producers.Registry
	shares     *share.Coordinator
	streams    *streams.Coordinator
	members    *members.Coordinator
	txns       *txn.Coordinator
	batcher    *batcher.Batcher
	consumers  consumer.Broker // what they see of it
	queues     queue.Broker    // and queues
	admin      admin.Groups
	features   *feature.Levels
	sweeper    *sweep.Sweeper
	transactor *transact.Transactor
	resets     consumer.ResetStats
	produced   batcher.Tally
	consumed   consumer.Tally
	hooks      *hook.Hooks // nil without any
	stats      stats.Collector
	passed     atomic.Int64 // records of aborted transactions, by consumers

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

// openOn opens the broker whose data is in st, which belongs to it even if that fails.
// began is when that was begun.
func openOn(began time.Time, st store.Store, dir string, given Options) (*Broker, error) {
	opts := given.withDefaults()
	b := &Broker{
		dir: dir, given: given, opts: opts, logger: opts.Logger, st: st, committer: writer.NewCommitter(st, opts.Logger),
		closed: make(chan struct{}), hooks: hook.New(opts.Hooks, opts.Logger),
	}
	found, err := b.openParts()
	tellFound(b.logger, found)
	if err != nil {
		if b.members != nil {
			b.members.Close()
		}
		if b.shares != nil {
			b.shares.Close()
		}
		if b.streams != nil {
			b.streams.Close()
		}
		if b.groups != nil {
			b.groups.Close()
		}
		b.committer.Close()
		return nil, fmt.Errorf("samsa: open %s: %w", dir, store.Join(err, st.Close()))
	}
	b.connect()
	b.startSweeper()
	b.stats = stats.Collector{
		Opened: began, Store: b.st, Committer: b.committer, Topics: b.catalogue, Groups: b.groups, Shares: b.shares, Admin: b.admin, Sweeper: b.sweeper,
		Clients: &b.clients, Resets: &b.resets, Passed: &b.passed, Hooks: b.hooks, Producers: &b.produced, Consumers: &b.consumed,
	}
	b.tellOpened(time.Since(began), found)
	if err := b.startControl(); err != nil {
		return nil, fmt.Errorf("samsa: open %s: %w", dir, store.Join(err, b.Close()))
	}
	return b, nil
}

// openParts opens what reads the store, the lower floors first. Those that run until they are closed come last, but for the groups.
func (b *Broker) openParts() (found topic.Found, err error) {
	if b.catalogue, found, err = topic.Open(b.st, b.committer, b.logger); err != nil {
		return found, err
	}
	if b.configs, err = config.Open(b.st, b.committer, b.opts.Groups.broker(), b.logger); err != nil {
		return found, err
	}
	b.groups, err = group.Open(b.st, b.committer, b.catalogue, group.Options{
		Rules: b.opts.Groups.rules(), Configs: b.configs, ReadOnly: b.opts.ReadOnly, Logger: b.logger,
	})
	if err != nil {
		return found, err
	}
	var damaged []error
	b.producers, damaged, err = producers.Open(b.st, b.committer, b.catalogue.Partitions(), b.opts.ProducerIDExpiry)
	found.Damaged = append(found.Damaged, damaged...)
	if err != nil {
		return found, err
	}
	if b.clusterID, err = clusterid.Open(b.st, b.committer, b.logger); err != nil {
		return found, err
	}
	if b.features, err = feature.Open(b.st, b.committer, b.logger); err != nil {
		return found, err
	}
	kept := new(members.Kept)
	b.shares, err = share.Open(share.Parts{Store: b.st, Committer: b.committer, Topics: b.catalogue, Names: b.groups.Names()}, share.Options{
		Settings: b.shareSettings, Topic: b.deadLetterTopic, Kept: kept.Has, ReadOnly: b.opts.ReadOnly, Logger: b.logger,
	})
	if err != nil {
		return found, err
	}
	b.members, err = members.Open(members.Parts{
		Store: b.st, Committer: b.committer, Topics: b.catalogue, Names: b.groups.Names(), Configs: b.configs, Records: b.shares, Kept: kept, Logger: b.logger,
	})
	if err != nil {
		return found, err
	}
	b.streams, err = streams.Open(streams.Parts{Store: b.st, Committer: b.committer, Topics: b.catalogue, Groups: b.groups}, streams.Options{
		Config:        func(group string) streams.Config { return streams.ConfigOf(b.configs.Values(group)) },
		TopicDefaults: b.opts.TopicDefaults, Logger: b.logger,
	})
	if err != nil {
		return found, err
	}
	b.txns, err = txn.Open(txn.Parts{Store: b.st, Committer: b.committer, Topics: b.catalogue, Groups: b.groups, Producers: b.producers},
		txn.Options{
			MaxTimeout: b.opts.Transactions.MaxTimeout, IDExpiry: b.opts.Transactions.IDExpiry, ReadOnly: b.opts.ReadOnly, Logger: b.logger,
		})
	return found, err
}

// connect builds what stands on the parts.
func (b *Broker) connect() {
	topics, local := &engine.LocalTopics{Catalogue: b.catalogue, Create: b.topic}, engine.LocalGroups{Coordinator: b.groups}
	shares := engine.LocalShareAdmin{Coordinator: b.shares, HasMembers: b.members.HasMembers, Forgot: func(name string, tps []log.TopicPartition) {
		b.members.Forget(name, func(p members.Partition) bool {
			return slices.Contains(tps, log.TopicPartition{Topic: p.Topic, Partition: p.Index})
		})
	}}
	b.admin = admin.Groups{Admin: local, Offsets: local, Topics: topics, Shares: shares}
	b.consumers = consumer.Broker{
		Topics: topics, Coordinator: local, Offsets: local, Logger: b.logger, Clients: &b.clients, Resets: &b.resets, Tally: &b.consumed, Hooks: b.hooks, Passed: &b.passed,
	}
	b.batcher = batcher.New(batcher.Broker{
		Committer: b.committer, Catalogue: b.catalogue, Producers: b.producers, Clients: &b.clients, Tally: &b.produced, Hooks: b.hooks, Logger: b.logger, Topic: b.topic,
	}, batcher.ProduceOptions(b.opts.Produce))
	b.queues = queue.Broker{Topics: topics, Shares: b.shares, Logger: b.logger, Clients: &b.clients, Hooks: b.hooks}
	b.transactor = transact.New(transact.Broker{
		Store: b.st, Catalogue: b.catalogue, Groups: b.groups, Batcher: b.batcher, Shares: b.shares,
		MaxRetries: b.opts.MaxUpdateRetries, AutoCreateTopics: b.opts.AutoCreateTopics, TopicDefaults: b.opts.TopicDefaults,
		Hooks: b.hooks,
	})
}

// startSweeper has records go that may go, or has all writing end here.
func (b *Broker) startSweeper() {
	targets := sweep.Targets{Topics: b.catalogue, Groups: sweep.AllGroups{b.groups, b.shares}, Producers: b.producers, Store: b.st, Committer: b.committer}
	if b.opts.ReadOnly {
		b.sweeper = sweep.New(targets, b.logger)
		b.committer.Refuse(errReadOnly)
		return
	}
	b.sweeper = sweep.Start(targets, b.opts.RetentionInterval, b.logger)
}

// tellOpened tells what was opened.
func (b *Broker) tellOpened(took time.Duration, found topic.Found) {
	b.logger.Info("broker opened", zap.String("data", b.where()), zap.Bool("read only", b.opts.ReadOnly), zap.Int("format", store.FormatVersion), zap.Duration("took", took),
		zap.Int("topics", len(b.catalogue.List())), zap.Int("partitions", len(b.catalogue.Partitions())),
		zap.Int("groups", len(b.groups.List())), zap.Int("damaged", len(found.Damaged)+b.groups.Damaged()+b.streams.Damaged()))
}

// where is the data directory, for people.
func (b *Broker) where() string {
	return cmp.Or(b.dir, "in memory")
}

// tellFound tells what was damaged.
func tellFound(logger *zap.Logger, found topic.Found) {
	for _, err := range found.Damaged {
		logger.Warn("something stored is damaged, what it belongs to cannot be used", zap.Error(err))
	}
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
	done := make(chan error, 1)
	b.committer.Sync(func(err error) { done <- err })
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("sync: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("sync: %w", ctx.Err())
	}
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
		err = errReadOnly
	}
	return err
}

var errReadOnly = fmt.Errorf("%w: the broker was opened with Options.ReadOnly", ErrReadOnly)

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
	b.committer.Probes().Release()
	began := time.Now()
	return callback.Shut(ctx, func(late error) error {
		b.closer.Go(func() { b.end(began, late) })
		return b.awaitClosed(ctx)
	}, clients...)
}

// end closes what is below the clients, of which some may be late, after a Close that began then.
func (b *Broker) end(began time.Time, late error) {
	defer close(b.closed)
	b.sweeper.Close()
	b.txns.Close()
	b.members.Close()
	b.shares.Close()
	b.streams.Close()
	b.groups.Close()
	b.catalogue.Close(ErrClosed)
	b.committer.Close()
	if err := store.Join(late, b.st.Close()); err != nil {
		b.err = fmt.Errorf("samsa: close: %w", err)
	} else {
		b.logger.Info("broker closed", zap.String("data", b.where()), zap.Duration("took", time.Since(began)))
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

// topic returns the topic of that name and creates it if the options say so.
func (b *Broker) topic(ctx context.Context, name string) (*topic.Topic, error) {
	t, err := b.catalogue.Get(name)
	if !errors.Is(err, log.ErrUnknownTopic) || !b.opts.AutoCreateTopics {
		return t, err
	}
	t, err = b.catalogue.Create(ctx, name, b.opts.TopicDefaults)
	if errors.Is(err, log.ErrTopicExists) { // by somebody else, just now
		return b.catalogue.Get(name)
	}
	return t, err
}

// ClusterID returns what tells this broker's data from others', 22 characters. It was made when
// the data was: it stays when the directory moves, is copied, or comes back from a Snapshot, and a
// fork in a test has that of the broker it was forked from. Kafka clients see it as the id of the
// cluster, unless kafka.Options names another.
func (b *Broker) ClusterID() string { return b.clusterID }

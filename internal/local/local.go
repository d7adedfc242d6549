// Package local is the engine of a broker of this process: the parts that read and write its store, opened and closed in
// their order, and what they are through internal/engine. Users import the module root.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/clusterid"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/feature"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/quota"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/transact"
	"github.com/samsa-go/samsa/internal/users"
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

// Options are those of the root that the parts need, with every field filled in.
type Options struct {
	Dir                 string // "" in memory
	ReadOnly            bool
	AutoCreateTopics    bool
	TopicDefaults       topic.Config
	Rules               group.Rules
	Configs             config.Broker // of groups
	ProducerIDExpiry    time.Duration
	TransactionTimeout  time.Duration // the longest
	TransactionIDExpiry time.Duration
	RetentionInterval   time.Duration
	MinFreeBytes        int64
	Produce             engine.ProduceOptions

	Logger   *zap.Logger
	Hooks    *hook.Hooks       // nil without any
	Clients  *callback.Clients // of the broker
	Produced *batcher.Tally    // what its producers have done
}

// Broker is the parts over a store. They belong to it: none of them may be closed, and all writes go through Committer.
type Broker struct {
	Options
	ClusterID  string
	Store      store.Store
	Committer  *writer.Committer
	Catalogue  *topic.Catalogue
	Configs    *config.Registry
	Groups     *group.Coordinator
	Producers  *producers.Registry
	Shares     *share.Coordinator
	Members    *members.Coordinator // of share groups
	Streams    *streams.Coordinator
	Txns       *txn.Coordinator
	Features   *feature.Levels
	Users      *users.Store
	ACLs       *acl.Rules
	Quotas     *quota.Kept
	Sweeper    *sweep.Sweeper
	Tables     Tables
	batcher    *batcher.Batcher
	transactor *transact.Transactor
}

// Open opens the parts over st, which belongs to the broker even if that fails. began is when that was begun.
func Open(began time.Time, st store.Store, opts Options) (*Broker, error) {
	b := &Broker{Options: opts, Store: st, Committer: writer.NewCommitter(st, opts.Logger)}
	found, err := b.open()
	for _, err := range found.Damaged {
		b.Logger.Warn("something stored is damaged, what it belongs to cannot be used", zap.Error(err))
	}
	if err != nil {
		b.abandon()
		return nil, store.Join(err, st.Close())
	}
	b.batcher = batcher.New(batcher.Broker{
		Committer: b.Committer, Catalogue: b.Catalogue, Producers: b.Producers, Clients: b.Clients, Tally: b.Produced, Hooks: b.Hooks, Logger: b.Logger, Topic: b.topic,
	}, b.Produce)
	b.transactor = transact.New(transact.Broker{
		Store: b.Store, Catalogue: b.Catalogue, Groups: b.Groups, Batcher: b.batcher, Shares: b.Shares,
		AutoCreateTopics: b.AutoCreateTopics, TopicDefaults: b.TopicDefaults, Hooks: b.Hooks,
	})
	b.startSweeper()
	b.removeImports()
	b.Logger.Info("broker opened", zap.String("data", b.Where()), zap.Bool("read only", b.ReadOnly), zap.Int("format", store.FormatVersion), zap.Duration("took", time.Since(began)),
		zap.Int("topics", len(b.Catalogue.List())), zap.Int("partitions", len(b.Catalogue.Partitions())),
		zap.Int("groups", len(b.Groups.List())), zap.Int("damaged", len(found.Damaged)+b.Groups.Damaged()+b.Streams.Damaged()))
	return b, nil
}

// open opens what reads the store, the lower floors first. Those that run until they are closed come last, but for the groups.
func (b *Broker) open() (found topic.Found, err error) {
	if b.Catalogue, found, err = topic.Open(b.Store, b.Committer, b.Logger); err != nil {
		return found, err
	}
	if b.Configs, err = config.Open(b.Store, b.Committer, b.Options.Configs, b.Logger); err != nil {
		return found, err
	}
	b.Groups, err = group.Open(b.Store, b.Committer, b.Catalogue, group.Options{Rules: b.Rules, Configs: b.Configs, ReadOnly: b.ReadOnly, Logger: b.Logger})
	if err != nil {
		return found, err
	}
	var damaged []error
	b.Producers, damaged, err = producers.Open(b.Store, b.Committer, b.Catalogue.Partitions(), b.ProducerIDExpiry)
	found.Damaged = append(found.Damaged, damaged...)
	if err != nil {
		return found, err
	}
	if b.ClusterID, err = clusterid.Open(b.Store, b.Committer, b.Logger); err != nil {
		return found, err
	}
	if b.Features, err = feature.Open(b.Store, b.Committer, b.Logger); err != nil {
		return found, err
	}
	if b.Users, err = users.Open(b.Store, b.Committer, b.Logger); err != nil {
		return found, err
	}
	if b.ACLs, err = acl.Open(b.Store, b.Committer, b.Logger); err != nil {
		return found, err
	}
	if b.Quotas, err = quota.Open(b.Store, b.Committer, b.Logger); err != nil {
		return found, err
	}
	kept := new(members.Kept)
	b.Shares, err = share.Open(share.Parts{Store: b.Store, Committer: b.Committer, Topics: b.Catalogue, Names: b.Groups.Names()}, share.Options{
		Settings: b.shareSettings, Topic: b.deadLetterTopic, Kept: kept.Has, ReadOnly: b.ReadOnly, Logger: b.Logger,
	})
	if err != nil {
		return found, err
	}
	b.Members, err = members.Open(members.Parts{
		Store: b.Store, Committer: b.Committer, Topics: b.Catalogue, Names: b.Groups.Names(), Configs: b.Configs, Records: b.Shares, Kept: kept, Logger: b.Logger,
	})
	if err != nil {
		return found, err
	}
	b.Streams, err = streams.Open(streams.Parts{Store: b.Store, Committer: b.Committer, Topics: b.Catalogue, Groups: b.Groups}, streams.Options{
		Config:        func(group string) streams.Config { return streams.ConfigOf(b.Configs.Values(group)) },
		TopicDefaults: b.TopicDefaults, Logger: b.Logger,
	})
	if err != nil {
		return found, err
	}
	b.Txns, err = txn.Open(txn.Parts{Store: b.Store, Committer: b.Committer, Topics: b.Catalogue, Groups: b.Groups, Producers: b.Producers},
		txn.Options{MaxTimeout: b.TransactionTimeout, IDExpiry: b.TransactionIDExpiry, ReadOnly: b.ReadOnly, Logger: b.Logger})
	return found, err
}

// abandon closes what open has opened before it failed.
func (b *Broker) abandon() {
	if b.Members != nil {
		b.Members.Close()
	}
	if b.Shares != nil {
		b.Shares.Close()
	}
	if b.Streams != nil {
		b.Streams.Close()
	}
	if b.Groups != nil {
		b.Groups.Close()
	}
	b.Committer.Close()
}

// startSweeper has records go that may go, or has all writing end here.
func (b *Broker) startSweeper() {
	targets := sweep.Targets{Topics: b.Catalogue, Groups: sweep.AllGroups{b.Groups, b.Shares}, Producers: b.Producers, Store: b.Store, Committer: b.Committer}
	if b.ReadOnly {
		b.Sweeper = sweep.New(targets, b.Logger)
		b.Committer.Refuse(ErrReadOnly)
		return
	}
	b.Sweeper = sweep.Start(targets, b.RetentionInterval, b.Logger)
}

// ErrReadOnly is for what a broker refuses that was opened to read.
var ErrReadOnly = fmt.Errorf("%w: the broker was opened with Options.ReadOnly", log.ErrReadOnly)

// Where is the data directory, for people.
func (b *Broker) Where() string { return cmp.Or(b.Dir, "in memory") }

// Close ends the parts, the higher floors first, and closes the store.
func (b *Broker) Close() error {
	b.Sweeper.Close()
	b.Txns.Close()
	b.Members.Close()
	b.Shares.Close()
	b.Streams.Close()
	b.Groups.Close()
	b.Catalogue.Close(log.ErrClosed)
	b.Committer.Close()
	return b.Store.Close()
}

// Sync returns when everything that was acknowledged before the call is fsynced, or when ctx ends.
func (b *Broker) Sync(ctx context.Context) error {
	done := make(chan error, 1)
	b.Committer.Sync(func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// topic returns the topic of that name and creates it if the options say so.
func (b *Broker) topic(ctx context.Context, name string) (*topic.Topic, error) {
	t, err := b.Catalogue.Get(name)
	if !errors.Is(err, log.ErrUnknownTopic) || !b.AutoCreateTopics {
		return t, err
	}
	t, err = b.Catalogue.Create(ctx, name, b.TopicDefaults)
	if errors.Is(err, log.ErrTopicExists) { // by somebody else, just now
		return b.Catalogue.Get(name)
	}
	return t, err
}

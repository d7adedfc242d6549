package samsa

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/store"
)

// What stands beside the API, in this module, is given the parts of a broker.
var _ = inside.Fill(inside.Hooks{
	Of:   func(b any) inside.Broker { return b.(*Broker).inside() },
	Open: func(st store.Store, options any) (any, error) { return openOver(st, options.(Options)) },
	OpenEngine: func(options any, open func(inside.Host) (engine.Parts, error)) (any, error) {
		return openEngine(options.(Options), open)
	},
	Each: func(ctx context.Context, c any, until bool, own *Record, at func(r *Record, err error) bool) {
		c.(*Consumer).engine.Each(ctx, until, own, at)
	},
})

func (b *Broker) inside() inside.Broker {
	in := inside.Broker{
		Parts:     b.on,
		ClusterID: b.on.ClusterID,
		Logger:    b.logger,
		Hooks:     b.hooks,
		Tables:    &b.tables,
		Clients:   b.describeClients,
		Held:      b.stats.Held,

		Options:          b.given,
		AutoCreateTopics: b.opts.AutoCreateTopics,
		TopicDefaults:    b.opts.TopicDefaults,
		Register: func(name string, server any, end func()) (func(), error) {
			client := &callback.Client{Name: name, Shut: func(context.Context) func() { return end }, Server: server}
			return func() { b.clients.Remove(client) }, b.clients.Add(client)
		},
		Servers: func() (all []any) {
			for _, c := range b.clients.Open() {
				if c.Server != nil {
					all = append(all, c.Server)
				}
			}
			return all
		},
	}
	if l := b.local; l != nil {
		in.Dir, in.Store, in.Committer, in.Catalogue, in.Configs, in.Groups = l.Dir, l.Store, l.Committer, l.Catalogue, l.Configs, l.Groups
		in.Producers, in.Shares, in.Streams, in.Members, in.Txns, in.Features, in.Users = l.Producers, l.Shares, l.Streams, l.Members, l.Txns, l.Features, l.Users
		in.ACLs, in.Quotas = l.ACLs, l.Quotas
		in.Kill = b.kill
	}
	return in
}

// openEngine opens a broker that stands on what open returns: see inside.OpenEngine.
func openEngine(opts Options, open func(inside.Host) (engine.Parts, error)) (*Broker, error) {
	began := time.Now()
	checked := opts
	checked.InMemory = true // it is nowhere on a disk of ours
	if err := checked.validate(""); err != nil {
		return nil, err
	}
	b := newBroker(opts)
	parts, err := open(inside.Host{Logger: b.logger, Hooks: b.hooks, Clients: &b.clients, Produced: &b.produced})
	if err != nil {
		return nil, err
	}
	b.standOn(began, parts)
	b.logger.Info("broker opened", zap.String("data", b.on.Where), zap.Duration("took", time.Since(began)))
	return b, nil
}

// openOver opens a broker over st: see inside.Open.
func openOver(st store.Store, opts Options) (*Broker, error) {
	opts.InMemory = true
	if err := opts.validate(""); err != nil {
		return nil, fmt.Errorf("samsa: open: %w", err)
	}
	return openOn(time.Now(), st, "", opts)
}

// errKilled is for what was on its way when the broker was killed: it may be stored or not.
var errKilled = family.Of(ErrOutcomeUnknown, fmt.Errorf("%w: the broker was killed: %w", ErrClosed, ErrFailed))

var errNoPower = errors.New("a store on disk loses no power: only a broker in memory that was made for it")

// kill ends b as the death of the process would, for the test kit (see inside.Broker). Who
// uses b is told ErrClosed, and consumers lose their partitions.
func (b *Broker) kill(power bool) (store.Store, error) {
	memory, inMemory := b.local.Store.(store.Forker)
	if power && !inMemory {
		return nil, errNoPower
	}
	clients, first := b.clients.Close()
	if !first {
		return nil, ErrClosed
	}
	b.local.Committer.Abandon(errKilled)
	var left store.Store
	var err error
	switch {
	case power:
		left, err = memory.ForkSynced()
	case inMemory:
		left, err = memory.Fork()
	}
	for _, c := range clients {
		if c.Die != nil {
			c.Die()
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), callback.CloseLimit)
	defer cancel()
	return left, errors.Join(err, b.endClose(ctx, clients))
}

// describeClients describes the open producers and consumers.
func (b *Broker) describeClients() []string {
	var all []string
	for _, c := range b.clients.Open() {
		all = append(all, c.Name)
	}
	slices.Sort(all)
	return all
}

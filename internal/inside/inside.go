// Package inside names the parts of a broker for the packages of this module that stand beside
// its Go API: the wire door (package kafka) and the test kit (package samsatest). It lies
// between the floors of topic and group and the module root, which fills it in.
package inside

import (
	"context"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/acl"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/feature"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/quota"
	"github.com/samsa-go/samsa/internal/stats"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/table"
	"github.com/samsa-go/samsa/internal/users"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/producers"
	"github.com/samsa-go/samsa/share"
	"github.com/samsa-go/samsa/share/members"
	"github.com/samsa-go/samsa/streams"
	"github.com/samsa-go/samsa/topic"
	"github.com/samsa-go/samsa/txn"
)

// Broker is the parts of an open broker. They belong to it: none of them may be closed, and
// all writes go through Committer.
type Broker struct {
	Parts engine.Parts // that it stands on, none of them nil

	// Those from Dir to Quotas, and Kill, only a broker of this process has: Local says whether it is one.
	Dir       string // "" in memory
	ClusterID string
	Store     store.Store
	Committer *writer.Committer
	Catalogue *topic.Catalogue
	Configs   *config.Registry
	Groups    *group.Coordinator
	Producers *producers.Registry
	Streams   *streams.Coordinator
	Shares    *share.Coordinator
	Members   *members.Coordinator // of share groups
	Txns      *txn.Coordinator
	Features  *feature.Levels
	Users     *users.Store
	ACLs      *acl.Rules
	Quotas    *quota.Kept

	Logger *zap.Logger
	Hooks  *hook.Hooks
	Tables *table.Broker

	// Options is what the broker was opened with, a samsa.Options.
	Options any
	// AutoCreateTopics and TopicDefaults are the broker's options of those names.
	AutoCreateTopics bool
	TopicDefaults    topic.Config
	// Register has end called when the broker closes, before its parts do; the broker waits
	// for it. It returns what undoes that, or ErrClosed from a broker that is closed. Until then server is among
	// Servers, and the client of that name among Clients.
	Register func(name string, server any, end func()) (unregister func(), err error)
	// Servers returns the servers that are registered, in no order.
	Servers func() []any
	// Clients describes the producers and consumers that are open.
	Clients func() []string
	// Held tells what the store has of a partition, and counts and looks up what is not known if count says so.
	Held func(ctx context.Context, tp log.TopicPartition, count bool) (stats.Held, error)
	// Kill ends the broker as the death of the process would: nothing more is stored or
	// acknowledged, and nothing that waited is sent. Of a store in memory it returns what
	// is left, all that was stored, or, with power, what was synced; a store on disk is
	// closed and keeps what was stored. An error says why the broker was not killed.
	Kill func(power bool) (store.Store, error)
}

// Hooks is what the module root, which stands above this package, does here for the packages beside it. A broker is a
// *samsa.Broker, and options are samsa.Options.
type Hooks struct {
	Of         func(b any) Broker
	Open       func(st store.Store, options any) (b any, err error)
	OpenEngine func(options any, open func(Host) (engine.Parts, error)) (b any, err error)
	Each       func(ctx context.Context, c any, until bool, own *log.Record, at func(r *log.Record, err error) bool)
}

// Local returns nil for a broker of this process, and ErrUnsupported, which says what it cannot do, for others.
func (b *Broker) Local(what string) error {
	if b.Store != nil {
		return nil
	}
	return engine.Absent{Where: b.Parts.Where}.Unsupported(what)
}

// Host is what a broker has for the parts that it stands on.
type Host struct {
	Logger *zap.Logger
	Hooks  *hook.Hooks // nil without any; those of producers the parts have to call
	// Clients are the program's, which Close of the broker ends before it closes the parts. Producers have to enter.
	Clients *callback.Clients
	// Produced counts what producers do.
	Produced *batcher.Tally
}

var hooks Hooks

// Fill is called by the module root, once, before all else.
func Fill(h Hooks) struct{} {
	hooks = h
	return struct{}{}
}

// AsStored returns a context with which the Go API produces records as they are given, and reads them as they are stored: see hook.AsStored.
func AsStored(ctx context.Context) context.Context { return hook.AsStored(ctx) }

// Of returns the parts of b, a *samsa.Broker.
func Of(b any) Broker { return hooks.Of(b) }

// Open opens a broker, of type *samsa.Broker, over st, which belongs to it from then on, even if it fails. It
// does as samsa.Options say.
func Open[B any](st store.Store, options any) (B, error) {
	b, err := hooks.Open(st, options)
	return b.(B), err
}

// Each gives the records that c, a *samsa.Consumer, gives by Records, or if until says so by RecordsUntil, without a copy of each: a record is valid until at
// returns, which returns false when it wants no more. Where it can, it reads records to own.
func Each(ctx context.Context, c any, until bool, own *log.Record, at func(r *log.Record, err error) bool) {
	hooks.Each(ctx, c, until, own, at)
}

// OpenEngine opens a broker, of type *samsa.Broker, that stands on the parts that open returns, and closes them. It does as samsa.Options
// say: of these count Logger, Slog, Hooks and MaxUpdateRetries; the others are for the parts, if they mean something there. Errors are open's,
// or ErrInvalidOption.
func OpenEngine[B any](options any, open func(Host) (engine.Parts, error)) (B, error) {
	b, err := hooks.OpenEngine(options, open)
	return b.(B), err
}

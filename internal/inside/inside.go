// Package inside names the parts of a broker for the packages of this module that stand beside
// its Go API: the wire door (package kafka) and the test kit (package samsatest). It lies
// between the floors of topic and group and the module root, which fills it in.
package inside

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/group/config"
	"github.com/samsa-go/samsa/internal/feature"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/partition/producers"
	"github.com/samsa-go/samsa/retention/sweep"
	"github.com/samsa-go/samsa/share"
	"github.com/samsa-go/samsa/share/members"
	"github.com/samsa-go/samsa/streams"
	"github.com/samsa-go/samsa/topic"
	"github.com/samsa-go/samsa/txn"
)

// Broker is the parts of an open broker. They belong to it: none of them may be closed, and
// all writes go through Committer.
type Broker struct {
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
	Logger    *zap.Logger
	Hooks     *hook.Hooks

	// Options is what the broker was opened with, a samsa.Options.
	Options any
	// AutoCreateTopics and TopicDefaults are the broker's options of those names.
	AutoCreateTopics bool
	TopicDefaults    topic.Config
	// Register has end called when the broker closes, before its parts do; the broker waits
	// for it. It returns what undoes that, or ErrClosed from a broker that is closed. Until then server is among
	// Servers.
	Register func(server any, end func()) (unregister func(), err error)
	// Servers returns the servers that are registered, in no order.
	Servers func() []any
	// Clients describes the producers and consumers that are open.
	Clients func() []string
	// Retention tells what retention knows of a partition, and counts its bytes where they are not known. Retained counts
	// nothing: they are -1 then.
	Retention func(ctx context.Context, p *partition.Partition) (sweep.PartitionStats, error)
	Retained  func(p *partition.Partition) sweep.PartitionStats
	// Due returns when the oldest batch of p will be too old: see sweep.Due.
	Due func(p *partition.Partition, start int64, config topic.Config) (time.Time, error)
	// Kill ends the broker as the death of the process would: nothing more is stored or
	// acknowledged, and nothing that waited is sent. Of a store in memory it returns what
	// is left, all that was stored, or, with power, what was synced; a store on disk is
	// closed and keeps what was stored. An error says why the broker was not killed.
	Kill func(power bool) (store.Store, error)
}

// Hooks is what the module root, which stands above this package, does here for the packages beside it. A broker is a
// *samsa.Broker, and options are samsa.Options.
type Hooks struct {
	Of   func(b any) Broker
	Open func(st store.Store, options any) (b any, err error)
}

var hooks Hooks

// Fill is called by the module root, once, before all else.
func Fill(h Hooks) struct{} {
	hooks = h
	return struct{}{}
}

// Of returns the parts of b, a *samsa.Broker.
func Of(b any) Broker { return hooks.Of(b) }

// Open opens a broker, of type *samsa.Broker, over st, which belongs to it from then on, even if it fails. It
// does as samsa.Options say.
func Open[B any](st store.Store, options any) (B, error) {
	b, err := hooks.Open(st, options)
	return b.(B), err
}

// Package batcher makes batches of what a program produces: of the records of a call, and in the
// background of those that a producer is given. Users import the module root.
package batcher

import (
	"context"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/partition/choose"
	"github.com/samsa-go/samsa/partition/producers"
	"github.com/samsa-go/samsa/topic"
)

// Broker is what the batcher has of the broker that it belongs to.
type Broker struct {
	Committer *writer.Committer
	Catalogue *topic.Catalogue
	Producers *producers.Registry
	Clients   *callback.Clients
	Tally     *Tally
	Hooks     *hook.Hooks
	Logger    *zap.Logger

	// Topic returns the topic of that name, which it may have to create.
	Topic Lookup
}

// Lookup returns the topic of that name.
type Lookup func(ctx context.Context, name string) (*topic.Topic, error)

// Batcher makes the batches of one broker.
type Batcher struct {
	broker Broker
	opts   engine.ProduceOptions // of calls that do not say otherwise
	topics                       // of those
	calls  sync.Pool
}

// New returns the batcher of broker. Calls that do not say otherwise are as opts says.
func New(broker Broker, opts engine.ProduceOptions) *Batcher {
	if opts.Partitioner == nil {
		opts.Partitioner = choose.Hash()
	}
	return &Batcher{broker: broker, opts: opts, topics: newTopics(opts.Partitioner)}
}

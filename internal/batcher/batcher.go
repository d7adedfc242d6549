// Package batcher makes batches of what a program produces: of the records of a call, and in the
// background of those that a producer is given. Users import the module root.
package batcher

import (
	"context"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/partition/producers"
	"github.com/samsa-go/samsa/topic"
)

// Broker is what the batcher has of the broker that it belongs to.
type Broker struct {
	Committer *writer.Committer
	Catalogue *topic.Catalogue
	Producers *producers.Registry
	Clients   *callback.Clients
	Logger    *zap.Logger

	// Topic returns the topic of that name, which it may have to create.
	Topic Lookup
}

// Lookup returns the topic of that name.
type Lookup func(ctx context.Context, name string) (*topic.Topic, error)

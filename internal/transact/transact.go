// Package transact is the transactions of a broker of this process, and how often one of any engine is tried: what they read and write of the application's
// keys, which of them conflict, and how one is committed with its records and offsets. Users import
// the module root.
package transact

import (
	"context"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/share"
	"github.com/samsa-go/samsa/topic"
)

// Broker is what transactions have of the broker that they belong to.
type Broker struct {
	Store     store.Store
	Catalogue *topic.Catalogue
	Groups    *group.Coordinator
	Batcher   *batcher.Batcher
	Shares    Shares

	AutoCreateTopics bool         // with a transaction that produces to them
	TopicDefaults    topic.Config // of those
	Hooks            *hook.Hooks
}

// Shares are where deliveries of queues are settled: see share.Coordinator.
type Shares interface {
	With(tx *writer.Tx, all []share.Settlement) error
	Decided(all []share.Settlement)
	Admit(ctx context.Context, all []share.Settlement) error
	Answered(ctx context.Context, all []share.Settlement, err error) error
}

// Transactor runs transactions. Its methods may be called by anybody at any time.
type Transactor struct {
	broker    Broker
	conflicts conflicts
}

// New returns the transactor of broker.
func New(broker Broker) *Transactor {
	t := &Transactor{broker: broker}
	t.conflicts.init()
	return t
}

// View returns a view of the store as of now.
func (t *Transactor) View(context.Context) (engine.View, error) {
	v, err := t.view()
	if err != nil {
		return nil, err
	}
	return &v, nil
}

// Begin returns a transaction.
func (t *Transactor) Begin(ctx context.Context) (engine.Tx, error) {
	start := t.conflicts.begin()
	v, err := t.view()
	if err != nil {
		return nil, err
	}
	tx := &Tx{View: v, conflicts: &t.conflicts, start: start, ctx: ctx, drafts: make(map[string]*topic.Topic)}
	tx.call = t.broker.Batcher.Begin(tx.topic)
	return tx, nil
}

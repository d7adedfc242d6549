// Package transact is the transactions of a broker of this process, and how often one of any engine is tried: what they read and write of the application's
// keys, which of them conflict, and how one is committed with its records and offsets. Users import
// the module root.
package transact

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

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

// Update calls fn with a transaction of t and commits it, again up to so many times when it has failed for a reason that another
// try may not meet: see samsa.Broker.Update.
func Update(ctx context.Context, t engine.Transactor, retries int, fn func(engine.Tx) error) error {
	wait := newBackoff()
	for try := 0; ; try++ {
		err := update(ctx, t, fn)
		var again *engine.TryAgain
		if !errors.As(err, &again) {
			return err
		}
		if try == retries {
			return fmt.Errorf("%w (after %d tries)", again.Err, try+1)
		}
		if err := wait.pause(ctx, again.When); err != nil {
			return fmt.Errorf("%w (before another try: %w)", again.Err, err)
		}
	}
}

// update is one try.
func update(ctx context.Context, t engine.Transactor, fn func(engine.Tx) error) error {
	tx, err := t.Begin(ctx)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	defer tx.End()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// backoff makes pauses that double, of which a random half is taken.
type backoff struct{ next time.Duration }

const (
	firstBackoff = time.Millisecond
	maxBackoff   = 128 * time.Millisecond
)

func newBackoff() *backoff { return &backoff{next: firstBackoff} }

// pause waits for when, or if that is nil for a while.
func (b *backoff) pause(ctx context.Context, when <-chan struct{}) error {
	var after <-chan time.Time
	if when == nil {
		timer := time.NewTimer(b.next/2 + rand.N(b.next/2))
		defer timer.Stop()
		after = timer.C
		b.next = min(maxBackoff, 2*b.next)
	}
	select {
	case <-after:
		return nil
	case <-when:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Package transact is the transactions of a broker: what they read and write of the application's
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

	MaxRetries       int          // of a transaction that conflicts
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

// View calls fn with a view of the store as of now: see samsa.Broker.View.
func (t *Transactor) View(fn func(*View) error) error {
	v, err := t.view()
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	defer v.end()
	return fn(&v)
}

// Update calls fn with a transaction and commits it, again and again: see samsa.Broker.Update.
func (t *Transactor) Update(ctx context.Context, fn func(*Tx) error) error {
	wait := newBackoff()
	for try := 0; ; try++ {
		err := t.try(ctx, fn)
		var again *tryAgain
		if !errors.As(err, &again) {
			return err
		}
		if try == t.broker.MaxRetries {
			return fmt.Errorf("%w (after %d tries)", again.err, try+1)
		}
		if err := wait.pause(ctx, again.when); err != nil {
			return fmt.Errorf("%w (before another try: %w)", again.err, err)
		}
	}
}

// tryAgain says that a transaction failed for a reason that another try may not meet.
type tryAgain struct {
	err  error
	when <-chan struct{} // not before; nil for a pause
}

func (e *tryAgain) Error() string { return e.err.Error() }
func (e *tryAgain) Unwrap() error { return e.err }

// try is one try.
func (t *Transactor) try(ctx context.Context, fn func(*Tx) error) error {
	start := t.conflicts.begin()
	v, err := t.view()
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	tx := &Tx{View: v, conflicts: &t.conflicts, ctx: ctx, drafts: make(map[string]*topic.Topic)}
	tx.call = t.broker.Batcher.Begin(tx.topic)
	defer tx.end()
	if err := fn(tx); err != nil {
		return err
	}
	if tx.err != nil {
		return tx.err
	}
	return tx.commit(start)
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

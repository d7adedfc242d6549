package transact

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/turns"
)

// Updater has functions run in transactions of an engine, again after a conflict. Its method may be called by anybody at any time.
type Updater struct {
	on      engine.Transactor
	retries int
	// turns have those that have met a conflict over the same key try again one after another: else all but one of them would meet it
	// again. A few keys share one.
	turns [64]turns.Turn
}

// NewUpdater returns one that tries again so many times.
func NewUpdater(on engine.Transactor, retries int) *Updater {
	u := &Updater{on: on, retries: retries}
	for i := range u.turns {
		u.turns[i] = turns.New()
	}
	return u
}

// Update calls fn with a transaction and commits it, again up to so many times when it has failed for a reason that another
// try may not meet: see samsa.Broker.Update.
func (u *Updater) Update(ctx context.Context, fn func(engine.Tx) error) error {
	wait := backoff{next: firstBackoff}
	defer wait.leave()
	for try := 0; ; try++ {
		err := u.try(ctx, fn)
		var again *engine.TryAgain
		if !errors.As(err, &again) {
			return err
		}
		if try == u.retries {
			return fmt.Errorf("%w (after %d tries)", again.Err, try+1)
		}
		if err := wait.pause(ctx, again.When, u.turn(again)); err != nil {
			return fmt.Errorf("%w (before another try: %w)", again.Err, err)
		}
	}
}

// try is one try.
func (u *Updater) try(ctx context.Context, fn func(engine.Tx) error) error {
	tx, err := u.on.Begin(ctx)
	if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	defer tx.End()
	if err := fn(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// turn returns the turn to wait for, or nil.
func (u *Updater) turn(again *engine.TryAgain) turns.Turn {
	var conflict *engine.Conflict
	if !errors.As(again.Err, &conflict) {
		return nil
	}
	return u.turns[xxhash.Sum64String(conflict.Over)%uint64(len(u.turns))]
}

// backoff is what is between the tries of a transaction: a pause, which doubles and of which a random half is taken, in which what it has met
// becomes visible; behind that its turn.
type backoff struct {
	next time.Duration
	turn turns.Turn // which it has
}

const (
	firstBackoff = time.Millisecond
	maxBackoff   = 128 * time.Millisecond
	// maxTurn is how long a transaction waits for its turn. Then it tries without: whose turn it is may be slow, or wait for this one.
	maxTurn = time.Second
)

// pause waits for when, or if that is nil for a while, and then for a turn, if that is not nil and it does not have it. It gives others back.
func (b *backoff) pause(ctx context.Context, when <-chan struct{}, turn turns.Turn) error {
	if b.turn != turn {
		b.leave()
	}
	var after <-chan time.Time
	if when == nil {
		after = time.After(b.next/2 + rand.N(b.next/2))
		b.next = min(maxBackoff, 2*b.next)
	}
	select {
	case <-after:
	case <-when:
	case <-ctx.Done():
		return ctx.Err()
	}
	if b.turn == turn {
		return ctx.Err()
	}
	limited, cancel := context.WithTimeout(ctx, maxTurn)
	defer cancel()
	if turn.TakeUntil(limited) == nil {
		b.turn = turn
	}
	return ctx.Err()
}

// leave gives the turn to the next.
func (b *backoff) leave() {
	if b.turn != nil {
		b.turn.Give()
		b.turn = nil
	}
}

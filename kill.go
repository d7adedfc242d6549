package samsa

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/internal/store"
)

// errKilled is for what was on its way when the broker was killed: it may be stored or not.
var errKilled = family.Of(ErrOutcomeUnknown, fmt.Errorf("%w: the broker was killed: %w", ErrClosed, ErrFailed))

var errNoPower = errors.New("a store on disk loses no power: only a broker in memory that was made for it")

// kill ends b as the death of the process would, for the test kit (see inside.Broker). Who
// uses b is told ErrClosed, and consumers lose their partitions.
func (b *Broker) kill(power bool) (store.Store, error) {
	memory, inMemory := b.st.(store.Forker)
	if power && !inMemory {
		return nil, errNoPower
	}
	clients, first := b.clients.Close()
	if !first {
		return nil, ErrClosed
	}
	b.committer.Abandon(errKilled)
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

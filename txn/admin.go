package txn

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Description is a transactional id at an instant.
type Description struct {
	ID         string
	Producer   Producer
	State      State
	Timeout    time.Duration
	Started    time.Time            // of the present or the last transaction; zero for none
	Partitions []log.TopicPartition // of the open one
	Groups     []string             // whose offsets it commits
}

// Describe returns a transactional id as it is now. ErrUnknownTransactionalID says that there is none.
func (c *Coordinator) Describe(id string) (Description, error) {
	if err := CheckID(id); err != nil {
		return Description{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	en := c.ids[id]
	switch {
	case en == nil:
		return Description{}, fmt.Errorf("%w: %q", log.ErrUnknownTransactionalID, id)
	case en.damaged != nil:
		return Description{}, en.damaged
	}
	s := en.txn.Snapshot()
	return Description{
		ID: id, Producer: s.Producer, State: s.State, Timeout: s.Timeout, Started: s.Started, Partitions: s.Partitions, Groups: s.Groups,
	}, nil
}

// Listing is a transactional id in a list.
type Listing struct {
	ID       string
	Producer Producer
	State    State
	Started  time.Time // as of Description
	Damaged  error     // ErrCorruptValue; then nothing else is known
}

// List returns all transactional ids, by name.
func (c *Coordinator) List() []Listing {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Listing, 0, len(c.ids))
	for id, en := range c.ids {
		l := Listing{ID: id, Producer: noProducer, Damaged: en.damaged}
		if en.damaged == nil {
			l.Producer, l.State, l.Started = en.txn.producer, en.txn.state, en.txn.started
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Listing) int { return strings.Compare(a.ID, b.ID) })
	return all
}

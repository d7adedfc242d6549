package writer

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Identity is that of an idempotent producer whose batches the committer numbers: its id, and
// whether its next batch may be stored.
type Identity struct {
	ID     int64
	Name   string
	fenced atomic.Bool

	mu     sync.Mutex // guards broken
	broken map[*partition.Partition]error
}

// Fence has the batches refused that come from now on, since somebody else has the name. It is
// called by the committer, as Begun of a transaction: those before it are stored.
func (id *Identity) Fence() { id.fenced.Store(true) }

// err refuses a batch of a producer that has lost its name, and one behind a batch that was
// refused: it would get that one's numbers.
func (id *Identity) err(p *partition.Partition) error {
	if id.fenced.Load() {
		return fmt.Errorf("%s: producer %s: %w", p.TopicPartition(), id.Name, log.ErrProducerFenced)
	}
	if err := p.Log().ProducerErr(id.ID); err != nil {
		return fmt.Errorf("producer %s: %w", id.Name, err)
	}
	id.mu.Lock()
	defer id.mu.Unlock()
	if err := id.broken[p]; err != nil {
		return fmt.Errorf("%s: producer %s: %w: an earlier batch failed: %s", p.TopicPartition(), id.Name, log.ErrOutOfOrderSequence, err.Error())
	}
	return nil
}

// refused notes that a batch of the producer for p was not stored; of a partition that has
// ended no batch will be.
func (id *Identity) refused(p *partition.Partition, err error) {
	if p.Err() != nil {
		return
	}
	id.mu.Lock()
	defer id.mu.Unlock()
	if id.broken == nil {
		id.broken = make(map[*partition.Partition]error)
	}
	if id.broken[p] == nil {
		id.broken[p] = err
	}
}

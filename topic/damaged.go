package topic

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

// damaged is a topic that cannot be used, because its entry or something small of a partition
// is damaged. Its name stays taken and its data where it is, until Delete.
type damaged struct {
	number uint32 // 0 when it is not known; then its data cannot be told from anybody's
	err    error  // wraps log.ErrCorruptValue
}

// Damaged returns the names of the topics that cannot be used, sorted. List has none of them.
func (c *Catalogue) Damaged() []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Sorted(maps.Keys(c.damaged))
}

// unattributed reports whether a damaged topic, besides those named, may have data under any
// number that no other topic has.
func (c *Catalogue) unattributed(besides ...string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for name, d := range c.damaged {
		if d.number == 0 && !slices.Contains(besides, name) {
			return true
		}
	}
	return false
}

// deleteDamaged is Delete for a topic that cannot be used. Where its number is not known all
// data that is nobody's goes with it, unless another such topic may have it. The caller holds
// the catalogue's change lock.
func (c *Catalogue) deleteDamaged(ctx context.Context, name string) error {
	c.mu.RLock()
	numbers := []uint32{c.damaged[name].number}
	c.mu.RUnlock()
	if numbers[0] == 0 {
		numbers = nil
		if !c.unattributed(name) {
			var err error
			if numbers, err = c.orphanNumbers(); err != nil {
				return fmt.Errorf("delete topic %s: %w", name, err)
			}
		}
	}
	tx := &writer.Tx{Essential: true}
	tx.Writes.Delete(store.CatalogueKey(topicKey + name))
	for _, n := range numbers {
		tx.Writes.Set(doomedTopicKey(n), store.OffsetValue(int64(n)))
	}
	if err := c.committer.DoUntil(ctx, tx); err != nil {
		return fmt.Errorf("delete topic %s: %w", name, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell("damaged topic deleted", zap.String("topic", name))
	delete(c.damaged, name) // nobody could hold it, and watchers have nothing to learn
	return nil
}

// orphanNumbers returns the numbers of topics that have data in the store, and of which the
// catalogue knows none.
func (c *Catalogue) orphanNumbers() ([]uint32, error) {
	known, err := c.knownPartitions()
	if err != nil {
		return nil, err
	}
	orphans := make(map[uint32]bool)
	first, last := store.TopicRanges(0), store.TopicRanges(1<<32-1)
	for i, r := range first {
		r.To = last[i].To
		for {
			id, found, err := c.firstPartition(r)
			if err != nil {
				return nil, err
			}
			if !found {
				break
			}
			if !known(store.PartitionID{Topic: id.Topic}) {
				orphans[id.Topic] = true
			}
			r.From = store.TopicRanges(id.Topic)[i].To
		}
	}
	return slices.Sorted(maps.Keys(orphans)), nil
}

// newestNumber returns the largest number of a topic that anything in the store has, or 0.
func (c *Catalogue) newestNumber() (int64, error) {
	newest := int64(0)
	first, last := store.TopicRanges(0), store.TopicRanges(1<<32-1)
	for i, r := range first {
		r.To, r.Reverse = last[i].To, true
		id, found, err := c.firstPartition(r)
		if err != nil {
			return 0, err
		}
		if found {
			newest = max(newest, int64(id.Topic))
		}
	}
	doomed, err := c.read(doomedKey)
	for _, e := range doomed {
		if n, ok := doomedKeyNumber(e.key); ok {
			newest = max(newest, int64(n))
		}
	}
	return newest, err
}

// knownPartitions returns the test for whether a partition's data is accounted for: its
// topic has it, or is doomed or damaged.
func (c *Catalogue) knownPartitions() (func(store.PartitionID) bool, error) {
	doomed, err := c.read(doomedKey)
	if err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	counts := make(map[uint32]int64, len(c.topics)+len(doomed))
	for _, t := range c.topics {
		counts[t.number] = int64(len(t.Partitions()))
	}
	for _, d := range c.damaged {
		counts[d.number] = 1 << 32
	}
	for _, e := range doomed {
		if number, ok := doomedKeyNumber(e.key); ok {
			counts[number] = 1 << 32
		}
	}
	return func(id store.PartitionID) bool { return int64(id.Partition) < counts[id.Topic] }, nil
}

// firstPartition returns the partition that the first key of r belongs to.
func (c *Catalogue) firstPartition(r store.Range) (id store.PartitionID, found bool, err error) {
	err = c.st.Scan(r, func(e store.Entry) (bool, error) {
		id, err = store.ParsePartition(e.Key)
		found = true
		return false, err
	})
	return id, found, err
}

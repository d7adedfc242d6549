package topic

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
)

// dropOrphans deletes the data of partitions that the catalogue does not know.
//
// After power loss the creation of a topic, or its growth, can be missing while records
// that were stored later are there. The next topic gets the same number again, and must
// not begin with them.
//
// While a damaged topic may be the owner of what nobody else has, all of it stays. The next topic
// gets another number then.
func (c *Catalogue) dropOrphans() error {
	if c.unattributed() {
		return nil
	}
	known, err := c.knownPartitions()
	if err != nil {
		return err
	}
	first, last := store.TopicRanges(0), store.TopicRanges(1<<32-1)
	for i, r := range first {
		r.To = last[i].To
		for {
			id, found, err := c.firstPartition(r)
			if err != nil {
				return err
			}
			if !found {
				break
			}
			of := partitionRange(r, id)
			if !known(id) {
				if err := c.erase(context.Background(), new(partition.Erased), of); err != nil {
					return fmt.Errorf("catalogue: data of an unknown partition: %w", err)
				}
			}
			r.From = of.To
		}
	}
	return nil
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

// partitionKeySize is how much of the key of anything that belongs to a partition is
// the same for all of it: a letter, the topic's number and the partition's index.
const partitionKeySize = 1 + 4 + 4

// firstPartition returns the partition that the first key of r belongs to.
func (c *Catalogue) firstPartition(r store.Range) (id store.PartitionID, found bool, err error) {
	err = c.st.Scan(r, func(e store.Entry) (bool, error) {
		if len(e.Key) < partitionKeySize {
			return false, fmt.Errorf("catalogue: %w: key %x", store.ErrCorrupt, e.Key)
		}
		id.Topic = binary.BigEndian.Uint32(e.Key[1:])
		id.Partition = binary.BigEndian.Uint32(e.Key[5:])
		found = true
		return false, nil
	})
	return id, found, err
}

// partitionRange covers what of r belongs to the partition.
func partitionRange(r store.Range, id store.PartitionID) store.Range {
	lo := slices.Concat(r.From[:1], binary.BigEndian.AppendUint32(nil, id.Topic), binary.BigEndian.AppendUint32(nil, id.Partition))
	hi := bytes.Clone(lo)
	for i := len(hi) - 1; ; i-- { // to the next partition; the letter never overflows
		if hi[i]++; hi[i] != 0 {
			break
		}
	}
	return store.Range{From: lo, To: hi, KeysOnly: true}
}

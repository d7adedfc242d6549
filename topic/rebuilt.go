package topic

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// removeDead removes the batches that came back with an index that was made anew, if it was, before any
// log is opened. It reads the catalogue as it is stored.
func (c *Catalogue) removeDead() error {
	_, err := c.st.Get(store.RebuiltKey())
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rebuilt index: %w", err)
	}
	o, err := c.owners()
	if err != nil {
		return err
	}
	removed, err := log.RemoveDead(c.st, o.of)
	if removed > 0 {
		c.logger.Info("batches that were gone and came back with the index are removed", zap.Int("batches", removed))
	}
	return err
}

// owners are whose partitions are, by the number of the topic.
type owners struct {
	topics  map[uint32]owned
	doomed  map[uint32]bool
	unknown bool // a damaged topic may have any number
}

// owned is one topic; one without partitions is damaged.
type owned struct {
	name       string
	partitions int
}

func (c *Catalogue) owners() (owners, error) {
	o := owners{topics: make(map[uint32]owned), doomed: make(map[uint32]bool)}
	entries, err := c.read(topicKey)
	if err != nil {
		return o, err
	}
	for _, e := range entries {
		t, config, err := e.topic()
		_, twice := o.topics[t.number]
		switch {
		case t.number == 0:
			o.unknown = true
		case err != nil || twice:
			o.topics[t.number] = owned{}
		default:
			o.topics[t.number] = owned{name: t.name, partitions: config.Partitions}
		}
	}
	doomed, err := c.read(doomedKey)
	if err != nil {
		return o, err
	}
	for _, e := range doomed {
		number, ok := doomedKeyNumber(e.key)
		if !ok {
			return o, fmt.Errorf("catalogue: %w: key of a deleted topic %x", log.ErrCorruptValue, e.key)
		}
		o.doomed[number] = true
	}
	return o, nil
}

func (o owners) of(id store.PartitionID) (log.TopicPartition, log.Ownership) {
	t, ok := o.topics[id.Topic]
	switch {
	case ok && t.partitions == 0, !ok && o.unknown && !o.doomed[id.Topic]:
		return log.TopicPartition{}, log.Unclear
	case int64(id.Partition) < int64(t.partitions):
		return log.TopicPartition{Topic: t.name, Partition: int32(id.Partition)}, log.Owned
	}
	return log.TopicPartition{}, log.Nobodys
}

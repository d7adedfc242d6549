package topic

import (
	"context"
	"fmt"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/uuid"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Draft returns a topic that does not exist yet, and that nobody else sees. CreateWith creates
// it together with batches for its partitions, all of it or nothing; else Discard is its end.
func (c *Catalogue) Draft(ctx context.Context, name string, config Config) (*Topic, error) {
	config, err := ready(name, config)
	if err != nil {
		return nil, err
	}
	if err := c.lock(ctx); err != nil {
		return nil, fmt.Errorf("create topic %s: %w", name, err)
	}
	defer c.unlock()
	return c.draft(name, config)
}

// draft is Draft with what is ready and under the lock. The number is used up.
func (c *Catalogue) draft(name string, config Config) (*Topic, error) {
	if err := c.free(name); err != nil {
		return nil, err
	}
	t := &Topic{name: name, id: uuid.New(), number: uint32(c.next)}
	ps, err := t.openPartitions(c.st, 0, config.Partitions, config, true)
	if err != nil {
		return nil, err
	}
	c.next++
	t.state.Store(&state{config: config, partitions: ps})
	return t, nil
}

// CreateWith adds the creation of drafts to tx, whose names may be taken by now: ErrTopicExists.
// When it returns nil nobody else changes the catalogue until end is called, with whether tx
// was stored.
func (c *Catalogue) CreateWith(ctx context.Context, tx *writer.Tx, drafts []*Topic) (end func(stored bool), err error) {
	if len(drafts) == 0 {
		return func(bool) {}, nil
	}
	if err := c.lock(ctx); err != nil {
		return nil, fmt.Errorf("create topic %s: %w", drafts[0].name, err)
	}
	names := make(map[string]string)
	for _, t := range drafts {
		err := c.free(t.name)
		if other, ok := names[collisionKey(t.name)]; ok && err == nil {
			err = fmt.Errorf("%w: %q collides with the topic %q: '.' and '_' count as the same", log.ErrInvalidTopic, t.name, other)
		}
		if err != nil {
			c.unlock()
			return nil, err
		}
		names[collisionKey(t.name)] = t.name
		t.addTo(tx)
	}
	tx.Writes.Set(store.CatalogueKey(nextNumberKey), store.OffsetValue(c.next))
	return func(stored bool) {
		defer c.unlock()
		for _, t := range drafts {
			if stored {
				c.created(t)
			}
		}
	}, nil
}

// addTo adds the entry of t to tx.
func (t *Topic) addTo(tx *writer.Tx) {
	tx.Writes.Set(store.CatalogueKey(topicKey+t.name), t.encode(t.Config()))
}

// created makes a draft that is stored a topic that everybody sees.
func (c *Catalogue) created(t *Topic) {
	s := t.state.Load()
	c.tell("topic created", zap.String("topic", t.name), zap.Stringer("id", t.id),
		zap.Int("partitions", s.config.Partitions), zap.Strings("configs", s.config.since(Config{})))
	c.publish(t, s, true)
}

// Discard is the end of a draft that was not created.
func (t *Topic) Discard() {
	for _, p := range t.Partitions() {
		p.End(fmt.Errorf("%w: it was not created", log.ErrUnknownTopic))
	}
	t.forgotten()
}

package topic

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

// Receive creates a topic with data from elsewhere, which fill commits piece by piece, under keys of the topic with that
// number. Nobody sees the topic before all of it is there. Until then it is one of the deleted ones: so nothing is left of it
// when fill fails, Receive is interrupted, or the process ends, once Purge has come by.
func (c *Catalogue) Receive(ctx context.Context, name string, config Config, fill func(number uint32, commit func(*store.Batch) error) error) (*Topic, error) {
	config, err := ready(name, config)
	if err != nil {
		return nil, err
	}
	t, err := c.expect(ctx, name, config)
	if err != nil {
		return nil, err
	}
	defer c.arrived(t.number)
	err = fill(t.number, func(b *store.Batch) error {
		tx := &writer.Tx{}
		tx.Writes.Append(b)
		return c.committer.DoUntil(ctx, tx)
	})
	if err == nil {
		err = c.lock(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("receive topic %s: %w", name, err)
	}
	defer c.unlock()
	if err := c.free(name); err != nil { // somebody was faster
		return nil, err
	}
	ps, err := t.openPartitions(c.st, 0, config.Partitions, config, false)
	if err != nil {
		return nil, fmt.Errorf("receive topic %s: %w", name, err)
	}
	t.state.Store(&state{config: config, partitions: ps})
	tx := &writer.Tx{}
	t.addTo(tx)
	tx.Writes.Delete(doomedTopicKey(t.number))
	if err := c.committer.DoUntil(ctx, tx); err != nil {
		t.Discard()
		return nil, fmt.Errorf("receive topic %s: %w", name, err)
	}
	c.created(t)
	return t, nil
}

// expect gives a topic that is to come its number, and notes that what is stored under it may go.
func (c *Catalogue) expect(ctx context.Context, name string, config Config) (*Topic, error) {
	if err := c.lock(ctx); err != nil {
		return nil, fmt.Errorf("receive topic %s: %w", name, err)
	}
	defer c.unlock()
	t, err := c.draft(name, config)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.comingData[t.number] = true
	c.mu.Unlock()
	tx := &writer.Tx{}
	tx.Writes.Set(store.CatalogueKey(nextNumberKey), store.OffsetValue(c.next))
	tx.Writes.Set(doomedTopicKey(t.number), store.OffsetValue(int64(t.number)))
	if err := c.committer.DoUntil(ctx, tx); err != nil {
		c.arrived(t.number)
		return nil, fmt.Errorf("receive topic %s: %w", name, err)
	}
	return t, nil
}

// isComing reports whether Receive works on the topic with that number.
func (c *Catalogue) isComing(number uint32) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.comingData[number]
}

func (c *Catalogue) arrived(number uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.comingData, number)
}

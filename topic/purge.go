package topic

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Purged counts what Purge removed.
type Purged struct {
	Topics int
	writer.Erased
}

func doomedTopicKey(number uint32) []byte {
	return binary.BigEndian.AppendUint32(store.CatalogueKey(doomedKey), number)
}

// doomedKeyNumber is the inverse, of what follows the kind.
func doomedKeyNumber(key string) (uint32, bool) {
	if len(key) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32([]byte(key)), true
}

// Purge deletes the data of deleted topics, in transactions small enough not to hold
// up producers. Interrupted by ctx or a crash it goes on at the next call. The space
// comes back with the store's Reclaim. A topic of which the entry is damaged stays, and is an
// error in the end.
func (c *Catalogue) Purge(ctx context.Context) (Purged, error) {
	var done Purged
	doomed, err := c.read(doomedKey)
	if err != nil {
		return done, err
	}
	var damaged error
	for _, e := range doomed {
		number, err := e.doomed()
		if err != nil {
			damaged = fmt.Errorf("purge: %w", err)
			continue
		}
		if c.isComing(number) {
			continue
		}
		if err := c.erase(ctx, &done.Erased, store.TopicRanges(number)...); err != nil {
			return done, fmt.Errorf("purge: %w", err)
		}
		tx := &writer.Tx{Essential: true}
		tx.Writes.Delete(doomedTopicKey(number))
		if err := c.committer.Do(tx); err != nil {
			return done, fmt.Errorf("purge: %w", err)
		}
		done.Topics++
	}
	return done, damaged
}

// doomed returns the number of a doomed topic, which key and value must agree on:
// a wrong one would be the end of a topic that lives.
func (e entry) doomed() (uint32, error) {
	n, err := int64(0), e.err
	if err == nil {
		n, err = store.ParseOffset(e.value)
	}
	if number, ok := doomedKeyNumber(e.key); err == nil && (!ok || int64(number) != n) {
		err = fmt.Errorf("%w: %d under key %x", log.ErrCorruptValue, n, e.key)
	}
	if err != nil {
		return 0, fmt.Errorf("catalogue entry of a deleted topic: %w", err)
	}
	return uint32(n), nil
}

// Doomed reports whether Purge has something to do.
func (c *Catalogue) Doomed() bool {
	doomed, err := c.read(doomedKey)
	for _, e := range doomed {
		if number, ok := doomedKeyNumber(e.key); !ok || !c.isComing(number) {
			return true
		}
	}
	return err != nil
}

// erase deletes all keys of the ranges.
func (c *Catalogue) erase(ctx context.Context, done *writer.Erased, ranges ...store.Range) error {
	e := writer.NewEraser(c.committer)
	var err error
	for _, r := range ranges {
		if err = e.Erase(ctx, r, done); err != nil {
			break
		}
	}
	return store.Join(err, e.Wait())
}

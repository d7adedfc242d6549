package topic

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
)

// Purged counts what Purge removed.
type Purged struct {
	Topics int
	partition.Erased
}

func doomedTopicKey(number uint32) []byte {
	return binary.BigEndian.AppendUint32(store.CatalogueKey(doomedKey), number)
}

// Purge deletes the data of deleted topics, in transactions small enough not to hold
// up producers. Interrupted by ctx or a crash it goes on at the next call. The space
// comes back with the store's Reclaim.
func (c *Catalogue) Purge(ctx context.Context) (Purged, error) {
	var done Purged
	doomed, err := c.read(doomedKey)
	if err != nil {
		return done, err
	}
	for _, key := range slices.Sorted(maps.Keys(doomed)) {
		number, err := doomedNumber(key, doomed[key])
		if err != nil {
			return done, fmt.Errorf("purge: %w", err)
		}
		if err := c.erase(ctx, &done.Erased, store.TopicRanges(number)...); err != nil {
			return done, fmt.Errorf("purge: %w", err)
		}
		tx := &partition.Tx{Essential: true}
		tx.Writes.Delete(doomedTopicKey(number))
		if err := c.committer.Do(tx); err != nil {
			return done, fmt.Errorf("purge: %w", err)
		}
		done.Topics++
	}
	return done, nil
}

// doomedNumber returns the number of a doomed topic, which key and value must agree on:
// a wrong one would be the end of a topic that lives.
func doomedNumber(key string, value []byte) (uint32, error) {
	n, err := store.ParseOffset(value)
	if err != nil {
		return 0, fmt.Errorf("catalogue entry of a deleted topic: %w", err)
	}
	if len(key) != 4 || int64(binary.BigEndian.Uint32([]byte(key))) != n {
		return 0, fmt.Errorf("catalogue entry of a deleted topic: %w: %d under key %x", store.ErrCorrupt, n, key)
	}
	return uint32(n), nil
}

// Doomed reports whether Purge has something to do.
func (c *Catalogue) Doomed() bool {
	doomed, err := c.read(doomedKey)
	return err != nil || len(doomed) > 0
}

// erase deletes all keys of the ranges.
func (c *Catalogue) erase(ctx context.Context, done *partition.Erased, ranges ...store.Range) error {
	e := partition.NewEraser(c.committer)
	var err error
	for _, r := range ranges {
		if err = e.Erase(ctx, r, done); err != nil {
			break
		}
	}
	return errors.Join(err, e.Wait())
}

package topic

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
)

// Purged counts what Purge removed.
type Purged struct {
	Topics  int
	Batches int64
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
	for _, value := range doomed {
		number, err := store.ParseOffset(value)
		if err != nil {
			return done, fmt.Errorf("purge: %w", err)
		}
		for _, r := range store.TopicRanges(uint32(number)) {
			n, err := c.deleteRange(ctx, r)
			done.Batches += n
			if err != nil {
				return done, fmt.Errorf("purge: %w", err)
			}
		}
		tx := &partition.Tx{Essential: true}
		tx.Writes.Delete(doomedTopicKey(uint32(number)))
		if err := c.committer.Do(tx); err != nil {
			return done, fmt.Errorf("purge: %w", err)
		}
		done.Topics++
	}
	return done, nil
}

// deleteRange deletes every key of r.
func (c *Catalogue) deleteRange(ctx context.Context, r store.Range) (deleted int64, err error) {
	limit := c.st.Limits().Entries / 4
	for {
		if err := ctx.Err(); err != nil {
			return deleted, err
		}
		tx := &partition.Tx{Essential: true}
		err := c.st.Scan(r, func(e store.Entry) (bool, error) {
			r.From = bytes.Clone(e.Key) // the next scan does not walk over what is deleted
			tx.Writes.Delete(r.From)
			return tx.Writes.Len() < limit, nil
		})
		if err != nil || tx.Writes.Len() == 0 {
			return deleted, err
		}
		if err := c.committer.Do(tx); err != nil {
			return deleted, err
		}
		deleted += int64(tx.Writes.Len())
	}
}

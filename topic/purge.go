package topic

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/partition"
)

// Purged counts what Purge removed.
type Purged struct {
	Topics  int
	Batches int64
	Bytes   int64 // of the batches
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
		for _, r := range store.TopicRanges(number) {
			batches, bytes, err := c.deleteRange(ctx, r)
			done.Batches += batches
			done.Bytes += bytes
			if err != nil {
				return done, fmt.Errorf("purge: %w", err)
			}
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

// deleteRange deletes every key of r and returns how many were batches, of how many bytes.
func (c *Catalogue) deleteRange(ctx context.Context, r store.Range) (batches, size int64, err error) {
	limit := c.st.Limits().Entries / 4
	for {
		if err := ctx.Err(); err != nil {
			return batches, size, err
		}
		tx := &partition.Tx{Essential: true}
		var n, m int64
		err := c.st.Scan(r, func(e store.Entry) (bool, error) {
			r.From = bytes.Clone(e.Key) // the next scan does not walk over what is deleted
			tx.Writes.Delete(r.From)
			if _, err := store.ParseBatchKey(r.From); err == nil {
				n++
				m += int64(e.Size)
			}
			return tx.Writes.Len() < limit, nil
		})
		if err != nil || tx.Writes.Len() == 0 {
			return batches, size, err
		}
		if err := c.committer.Do(tx); err != nil {
			return batches, size, err
		}
		batches += n
		size += m
	}
}

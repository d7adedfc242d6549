package log

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/samsa-go/samsa/internal/store"
)

// RecoverRewrites finishes the rewrites that a crash has interrupted, and is called
// before any OpenLog. redone were carried out again; dropped had not begun, or ended
// before the log start offset, and left no trace.
//
// The notes themselves stay until FinishRewrites: should the power fail again before
// what was redone is fsynced, they are needed once more. The caller owns the store. He
// opens all logs, calls Sync as OpenLog says, and then FinishRewrites, before a Rewriter
// begins. RecoverRewrites does not Sync, for that would vouch for tails not yet checked.
func RecoverRewrites(st store.Store) (redone, dropped int, err error) {
	keys, err := rewriteKeys(st, store.RewritesRange())
	if err != nil {
		return 0, 0, fmt.Errorf("interrupted compaction: %w", err)
	}
	for _, key := range keys {
		done, err := redo(st, key)
		if err != nil {
			return redone, dropped, fmt.Errorf("interrupted compaction: %w", err)
		}
		if done {
			redone++
		} else {
			dropped++
		}
	}
	return redone, dropped, nil
}

// FinishRewrites forgets what RecoverRewrites dealt with, after a Sync. The caller owns
// the store.
func FinishRewrites(st store.Store) error {
	keys, err := rewriteKeys(st, store.RewritesRange())
	if err != nil {
		return fmt.Errorf("interrupted compaction: %w", err)
	}
	for chunk := range slices.Chunk(keys, st.Limits().Entries/2) {
		if err := deleteKeys(st, chunk); err != nil {
			return fmt.Errorf("interrupted compaction: %w", err)
		}
	}
	return nil
}

func rewriteKeys(st store.Store, r store.Range) (keys [][]byte, err error) {
	r.KeysOnly = true
	err = st.Scan(r, func(e store.Entry) (bool, error) {
		keys = append(keys, bytes.Clone(e.Key))
		return true, nil
	})
	return keys, err
}

// redo carries out the rewrite noted under key if it had begun, and reports whether.
func redo(st store.Store, key []byte) (bool, error) {
	value, err := st.Get(key)
	if errors.Is(err, store.ErrCorrupt) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	id, n, err := decodeNote(key, value)
	if err != nil {
		return false, nil // damaged, so not fsynced
	}
	start, err := NewLog(st, id, TopicPartition{}).readStart()
	if err != nil {
		return false, unlessCorrupt(err) // then nobody reads the partition
	}
	if n.env.Batch().LastOffset() < start {
		return false, nil // trimmed since, and the note's deletion was lost
	}
	intact, err := n.untouched(st, id)
	if err != nil || intact {
		return false, err
	}
	var b store.Batch
	n.carryOut(&b, id)
	return true, st.Commit(&b)
}

// untouched reports whether every source is in the store as it was when n was noted, and
// the new batch is not.
func (n note) untouched(st store.Store, id store.PartitionID) (bool, error) {
	if own := n.own(); own.MaxTimestamp != n.sources[len(n.sources)-1].MaxTimestamp {
		if _, err := st.Get(own.key(id)); !errors.Is(err, store.ErrNotFound) {
			return false, unlessCorrupt(err)
		}
	}
	for _, s := range n.sources {
		value, err := st.Get(s.key(id))
		if err != nil {
			if errors.Is(err, store.ErrNotFound) {
				err = nil
			}
			return false, unlessCorrupt(err)
		}
		if env, err := OpenEnvelope(value); err != nil || sourceOf(env, s.MaxTimestamp) != s {
			return false, nil
		}
	}
	return true, nil
}

// unlessCorrupt returns err, or nil when it says that a value cannot be read.
func unlessCorrupt(err error) error {
	if errors.Is(err, store.ErrCorrupt) {
		return nil
	}
	return err
}

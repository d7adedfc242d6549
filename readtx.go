package samsa

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa/internal/store"
)

// KeyValue is one of the application's own keys and its value.
type KeyValue struct {
	Key, Value []byte
}

// ReadTx reads the application's own keys and the committed offsets of groups, all as of
// one moment. It is valid during the function it was given to, for one goroutine.
type ReadTx struct {
	b    *Broker
	snap store.Snapshot
	over bool
}

// View calls fn with a view of the application's keys and of committed offsets as of now:
// a snapshot, which no Update changes. It returns what fn returns. What is removed
// meanwhile takes space until fn returns. When the broker is closed meanwhile, what fn
// reads next is ErrClosed.
func (b *Broker) View(ctx context.Context, fn func(tx *ReadTx) error) error {
	if fn == nil {
		return fmt.Errorf("view: %w", errNoFunction)
	}
	if err := b.check(ctx); err != nil {
		return fmt.Errorf("view: %w", err)
	}
	snap, err := b.st.Snapshot()
	if err != nil {
		return fmt.Errorf("view: %w", err)
	}
	defer snap.Close()
	tx := &ReadTx{b: b, snap: snap}
	defer func() { tx.over = true }()
	return fn(tx)
}

// errNoFunction is for a call whose function is nil.
var errNoFunction = fmt.Errorf("%w: the function is nil", ErrInvalidOption)

var errTxOver = fmt.Errorf("%w: the transaction is over", ErrClosed)

// Get returns a copy of the value under key, or ErrKeyNotFound.
func (tx *ReadTx) Get(key []byte) ([]byte, error) {
	if err := tx.checkKey(key); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	stored, err := tx.snap.Get(store.AppendAppKey(nil, key))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("get: %w: %q", ErrKeyNotFound, key)
	}
	if err == nil {
		stored, err = appValue(stored)
	}
	if err != nil {
		return nil, fmt.Errorf("get %q: %w", key, err)
	}
	return stored, nil
}

// Scan iterates over the keys that begin with prefix, in bytewise order; all of them for an
// empty one. The bytes are the caller's. An error ends it.
func (tx *ReadTx) Scan(prefix []byte) iter.Seq2[KeyValue, error] {
	return func(yield func(KeyValue, error) bool) {
		r := store.AppRange(prefix)
		for limit := firstScanned; ; limit = min(2*limit, maxScanned) {
			some, more, err := tx.scanSome(&r, limit)
			for _, kv := range some { // holding nothing of the store
				if !yield(kv, nil) {
					return
				}
			}
			if err != nil {
				yield(KeyValue{}, fmt.Errorf("scan: %w", err))
			}
			if err != nil || !more {
				return
			}
		}
	}
}

// How many keys Scan reads ahead, and no more than of so many bytes.
const (
	firstScanned = 16
	maxScanned   = 1024
	scannedBytes = 256 << 10
)

// scanSome returns the first keys of r, and leaves the others in it.
func (tx *ReadTx) scanSome(r *store.Range, limit int) (some []KeyValue, more bool, err error) {
	if tx.over {
		return nil, false, errTxOver
	}
	size := 0
	var last []byte
	err = tx.snap.Scan(*r, func(e store.Entry) (bool, error) {
		kv, err := keyValue(e)
		if err != nil {
			return false, err
		}
		some = append(some, kv)
		size += len(kv.Key) + len(kv.Value)
		if more = len(some) == limit || size >= scannedBytes; more {
			last = append([]byte{}, e.Key...)
		}
		return !more, nil
	})
	r.From = append(last, 0) // the next key there can be
	return some, more, err
}

// Committed returns the committed offsets of a group for tps, or without any for all
// partitions that have one. Partitions without one are missing. One that is damaged, or whose topic is, is
// ErrCorruptValue.
func (tx *ReadTx) Committed(group string, tps ...TopicPartition) (map[TopicPartition]CommittedOffset, error) {
	if tx.over {
		return nil, fmt.Errorf("committed: %w", errTxOver)
	}
	found, err := tx.b.groups.FetchFrom(tx.snap, group, tps...)
	if err != nil {
		return nil, fmt.Errorf("committed: %w", err)
	}
	return committedOffsets(found), nil
}

func (tx *ReadTx) checkKey(key []byte) error {
	switch {
	case tx.over:
		return errTxOver
	case len(key) == 0:
		return fmt.Errorf("%w: it is empty", ErrInvalidKey)
	case len(key) > store.MaxAppKey:
		return fmt.Errorf("%w: %d bytes, at most %d", ErrInvalidKey, len(key), store.MaxAppKey)
	}
	return nil
}

// A value of the application is stored behind a version, 1: the store knows no empty ones.
const appValueVersion = 1

func appValue(stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] != appValueVersion {
		return nil, fmt.Errorf("%w: a value of %d bytes without its version", ErrCorruptValue, len(stored))
	}
	return stored[1:], nil
}

func keyValue(e store.Entry) (KeyValue, error) {
	key, err := store.ParseAppKey(e.Key)
	if err != nil {
		return KeyValue{}, err
	}
	stored, err := e.AppendValue(nil)
	if err == nil {
		stored, err = appValue(stored)
	}
	if err != nil {
		return KeyValue{}, fmt.Errorf("%q: %w", key, err)
	}
	return KeyValue{Key: append([]byte{}, key...), Value: stored}, nil
}

package transact

import (
	"bytes"
	"errors"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// View is what is stored as of one moment: see samsa.ReadTx. It is valid during the function it was given to, for
// one goroutine.
type View struct {
	broker *Broker
	snap   store.Snapshot
	over   bool
}

// view returns a view of what is stored now.
func (t *Transactor) view() (View, error) {
	snap, err := t.broker.Store.Snapshot()
	return View{broker: &t.broker, snap: snap}, err
}

// Move has the view be of another snapshot, which is its own then.
func (v *View) Move(snap store.Snapshot) {
	v.snap.Close()
	v.snap = snap
}

// End is the end of the view.
func (v *View) End() {
	v.over = true
	v.snap.Close()
}

// Err returns why the transaction is of no use any more, or nil during the function.
func (v *View) Err() error {
	if v.over {
		return errOver
	}
	return nil
}

var errOver = fmt.Errorf("%w: the transaction is over", log.ErrClosed)

// Get is samsa.ReadTx.Get.
func (v *View) Get(key []byte) ([]byte, error) {
	if err := v.checkKey(len(key)); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	stored, err := v.snap.Get(store.AppendAppKey(nil, key))
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("get: %w: %q", log.ErrKeyNotFound, key)
	}
	if err == nil {
		stored, err = appValue(stored)
	}
	if err != nil {
		return nil, fmt.Errorf("get %q: %w", key, err)
	}
	return stored, nil
}

// keysOf returns where the keys are, as stored.
func keysOf(o engine.ScanOptions) store.Range {
	r := store.AppRange(o.Prefix)
	r.Reverse = o.Reverse
	if len(o.Start) == 0 {
		return r
	}
	start := store.AppendAppKey(nil, o.Start)
	switch behind := append(start, 0); {
	case o.Reverse && bytes.Compare(behind, r.To) < 0:
		r.To = behind
	case !o.Reverse && bytes.Compare(start, r.From) > 0:
		r.From = start
	}
	return r
}

// Scan is samsa.ReadTx.ScanWith.
func (v *View) Scan(opts engine.ScanOptions) iter.Seq2[engine.KeyValue, error] {
	return func(yield func(engine.KeyValue, error) bool) { v.scan(keysOf(opts), yield) }
}

func (v *View) scan(r store.Range, yield func(engine.KeyValue, error) bool) {
	for limit := firstScanned; ; limit = min(2*limit, maxScanned) {
		some, more, err := v.scanSome(&r, limit)
		for _, kv := range some { // holding nothing of the store
			if !yield(kv, nil) {
				return
			}
		}
		if err != nil {
			yield(engine.KeyValue{}, fmt.Errorf("scan: %w", err))
		}
		if err != nil || !more {
			return
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
func (v *View) scanSome(r *store.Range, limit int) (some []engine.KeyValue, more bool, err error) {
	if err := v.Err(); err != nil {
		return nil, false, err
	}
	size := 0
	var last []byte
	err = v.snap.Scan(*r, func(e store.Entry) (bool, error) {
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
	if r.Reverse {
		r.To = last
	} else {
		r.From = append(last, 0) // the next key there can be
	}
	return some, more, err
}

// Committed is samsa.ReadTx.Committed.
func (v *View) Committed(name string, tps ...log.TopicPartition) (map[log.TopicPartition]group.Offset, error) {
	if err := v.Err(); err != nil {
		return nil, fmt.Errorf("committed: %w", err)
	}
	found, err := v.broker.Groups.FetchFrom(v.snap, name, tps...)
	if err != nil {
		return nil, fmt.Errorf("committed: %w", err)
	}
	return found, nil
}

func (v *View) checkKey(size int) error {
	switch {
	case v.over:
		return errOver
	case size == 0:
		return fmt.Errorf("%w: it is empty", log.ErrInvalidKey)
	case size > store.MaxAppKey:
		return fmt.Errorf("%w: %d bytes, at most %d", log.ErrInvalidKey, size, store.MaxAppKey)
	}
	return nil
}

// A value of the application is stored behind a version, 1: the store knows no empty ones.
const valueVersion = 1

func appValue(stored []byte) ([]byte, error) {
	if len(stored) == 0 || stored[0] != valueVersion {
		return nil, fmt.Errorf("%w: a value of %d bytes without its version", log.ErrCorruptValue, len(stored))
	}
	return stored[1:], nil
}

func keyValue(e store.Entry) (engine.KeyValue, error) {
	key, err := store.ParseAppKey(e.Key)
	if err != nil {
		return engine.KeyValue{}, err
	}
	stored, err := e.AppendValue(nil)
	if err == nil {
		stored, err = appValue(stored)
	}
	if err != nil {
		return engine.KeyValue{}, fmt.Errorf("%q: %w", key, err)
	}
	return engine.KeyValue{Key: append([]byte{}, key...), Value: stored}, nil
}

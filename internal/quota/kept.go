package quota

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/turns"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// Kept is the limits of a broker, which its store keeps. Its methods may be called by anybody at any time.
type Kept struct {
	c        *writer.Committer
	changing turns.Turn // held while limits are being changed
	now      atomic.Pointer[Table]
}

// maxEntities is how many entities have limits.
const maxEntities = 100_000

// saved is the limits of an entity as they are stored, JSON.
type saved struct {
	Version int    `json:"version"`
	Entity  Entity `json:"entity"`
	Limits  Limits `json:"limits"`
}

const savedVersion = 1

// Open returns the limits that st holds. Those of an entity that are damaged count as never set: the logger is told.
func Open(st store.Store, c *writer.Committer, logger *zap.Logger) (*Kept, error) {
	k := &Kept{c: c, changing: turns.New()}
	entries := make(map[string]Entry)
	err := st.Scan(store.QuotaRange(), func(e store.Entry) (bool, error) {
		v, err := e.AppendValue(nil)
		var s saved
		if err == nil {
			s, err = decode(v)
		}
		switch {
		case err == nil:
			entries[s.Entity.key()] = Entry{s.Entity, s.Limits}
		case store.Lost(err):
			logger.Warn("the quotas of an entity are damaged, it has none", zap.ByteString("key", e.Key), zap.Error(err))
		default:
			return false, err
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("quotas: %w", err)
	}
	k.now.Store(newTable(entries))
	return k, nil
}

func decode(v []byte) (s saved, err error) {
	if err = json.Unmarshal(v, &s); err == nil {
		_, err = NewEntity(s.Entity...)
	}
	for name, value := range s.Limits {
		if err == nil {
			err = s.Entity.check(name, value)
		}
	}
	if err != nil || s.Version != savedVersion {
		return s, fmt.Errorf("%w: quotas of version %d: %w", log.ErrCorruptValue, s.Version, err)
	}
	return s, nil
}

// Now returns the limits that are in force.
func (k *Kept) Now() *Table { return k.now.Load() }

// Edit is new limits of an entity; nil removes one. Others that it has stay, unless the edit is of all.
type Edit struct {
	Entity Entity
	Limits map[string]*float64
	All    bool
}

// Check refuses limits that cannot be: ErrInvalid.
func (e Edit) Check() error {
	for name, value := range e.Limits {
		if value == nil {
			continue
		}
		if err := e.Entity.check(name, *value); err != nil {
			return err
		}
	}
	return nil
}

// Change makes edits, which Check takes, all or none of them. When it returns they are stored and in force. ctx counts until
// storing begins.
func (k *Kept) Change(ctx context.Context, edits ...Edit) error {
	if err := k.changing.TakeUntil(ctx); err != nil {
		return err
	}
	defer k.changing.Give()
	next := maps.Clone(k.Now().entries)
	for _, e := range edits {
		limits := maps.Clone(next[e.Entity.key()].Limits)
		if limits == nil || e.All {
			limits = make(Limits)
		}
		for name, value := range e.Limits {
			if value == nil {
				delete(limits, name)
			} else {
				limits[name] = *value
			}
		}
		if next[e.Entity.key()] = (Entry{e.Entity, limits}); len(limits) == 0 {
			delete(next, e.Entity.key())
		}
	}
	if len(next) > maxEntities {
		return fmt.Errorf("%w: %d entities with quotas, at most %d are kept", log.ErrInvalid, len(next), maxEntities)
	}
	tx := &writer.Tx{Essential: true}
	for _, key := range slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, e := range edits {
			if !yield(e.Entity.key()) {
				return
			}
		}
	})) {
		one, ok := next[key]
		if !ok {
			tx.Writes.Delete(store.QuotaKey(key))
			continue
		}
		v, err := json.Marshal(saved{savedVersion, one.Entity, one.Limits})
		if err != nil {
			return fmt.Errorf("quotas: %w", err)
		}
		tx.Writes.Set(store.QuotaKey(key), v)
	}
	if tx.Writes.Len() == 0 {
		return nil
	}
	tx.Stored = func() { k.now.Store(newTable(next)) }
	if err := k.c.DoUntil(ctx, tx); err != nil {
		return fmt.Errorf("quotas: %w", err)
	}
	return nil
}

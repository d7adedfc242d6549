package group

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// load reads what is stored.
func (c *Coordinator) load() error {
	now := time.Now()
	var emptied []*entry
	err := c.each(store.GroupRange(), func(key, value []byte, err error) error {
		name, bad := store.ParseGroupKey(key)
		if bad != nil {
			return bad
		}
		var s Snapshot
		if err == nil && isModern(value) {
			if err = c.loadModern(name, value); err == nil {
				return nil
			}
		} else if err == nil {
			s, err = DecodeSnapshot(value)
		}
		if err != nil {
			en := c.loaded(NewGroup(name, c.rules))
			en.damaged = fmt.Errorf("group %s: %w", name, err)
			return en.damaged
		}
		en := c.loaded(Restore(now, name, c.rules, s))
		if since, ok := en.group.EmptySince(); ok && !since.Equal(s.EmptySince) {
			emptied = append(emptied, en)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read groups: %w", err)
	}
	if err := c.each(store.AllMemberRange(), c.loadMember(now)); err != nil {
		return fmt.Errorf("read members of groups: %w", err)
	}
	if err := c.each(store.OffsetRange(), c.loadOffset); err != nil {
		return fmt.Errorf("read committed offsets: %w", err)
	}
	if err := c.each(store.AllPendingRange(), c.loadPending); err != nil {
		return fmt.Errorf("read pending offsets: %w", err)
	}
	for _, en := range emptied { // its members died with the last owner: its offsets age from now on
		s := en.group.Snapshot()
		en.persist(Effects{Persist: &s}, func(error) {})
	}
	for _, en := range c.groups {
		en.lock() // a timer may fire at once
		en.schedule(now)
		en.mu.Unlock()
	}
	return nil
}

// loaded makes the entry of a group that is stored, or of which something is.
func (c *Coordinator) loaded(g *Group) *entry {
	en := c.newEntry(g.Name(), g)
	c.groups[g.Name()] = en
	_ = c.names.Claim(g.Name(), Classic) // nobody else has claimed any yet
	return en
}

// Damaged returns how much was damaged of groups when they were opened: entries and offsets.
func (c *Coordinator) Damaged() int { return c.damaged }

// loadOffset reads one committed offset.
func (c *Coordinator) loadOffset(key, value []byte, err error) error {
	k, bad := store.ParseOffsetKey(key)
	if bad != nil {
		return bad
	}
	tp := log.TopicPartition{Topic: k.Topic, Partition: k.Partition}
	var o Offset
	if err == nil {
		o, err = decodeOffset(value)
	}
	if err != nil {
		o = Offset{At: time.Now(), damaged: fmt.Errorf("%s: %w", tp, err)}
		err = fmt.Errorf("group %s: %w", k.Group, o.damaged)
	}
	en := c.groups[k.Group]
	if en == nil {
		en = c.loaded(NewGroup(k.Group, c.rules))
	}
	en.offsets.put(map[log.TopicPartition]Offset{tp: o})
	return err
}

// each calls fn for the keys of r with their values, or with why a value cannot be read. That
// something is damaged, as fn answers, goes to the logger and ends nothing.
func (c *Coordinator) each(r store.Range, fn func(key, value []byte, err error) error) error {
	return c.st.Scan(r, func(e store.Entry) (bool, error) {
		value, err := e.AppendValue(nil)
		if err != nil && !errors.Is(err, log.ErrCorruptValue) {
			return false, err
		}
		if err = fn(e.Key, value, err); errors.Is(err, log.ErrCorruptValue) {
			c.opts.Logger.Warn("what is stored of a group is damaged", zap.Error(err))
			c.damaged++
			err = nil
		}
		return true, err
	})
}

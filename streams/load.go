package streams

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
)

// found is what the store holds of a group.
type found struct {
	head    []byte
	members map[string][]byte
	err     error // why a value cannot be read, wraps log.ErrCorruptValue
}

// load reads what is stored.
func (c *Coordinator) load() error {
	groups, err := c.scan()
	if err != nil {
		return fmt.Errorf("read streams groups: %w", err)
	}
	now := time.Now()
	for name, f := range groups {
		en := c.loaded(now, name, f)
		if en.damaged != nil {
			c.damaged++
			c.opts.Logger.Warn("what is stored of a streams group is damaged, it cannot be used", zap.Error(en.damaged))
		}
		c.groups[name] = en
		if err := c.names.Claim(name, group.Streams); err != nil {
			return fmt.Errorf("read streams groups: %w", err)
		}
		en.lock()
		en.schedule(now)
		en.mu.Unlock()
	}
	return nil
}

// scan reads the values of all groups.
func (c *Coordinator) scan() (map[string]*found, error) {
	groups := make(map[string]*found)
	err := c.st.Scan(store.StreamsRange(), func(e store.Entry) (bool, error) {
		name, member, err := store.ParseStreamsKey(e.Key)
		if err != nil {
			return false, err
		}
		f := groups[name]
		if f == nil {
			f = &found{members: make(map[string][]byte)}
			groups[name] = f
		}
		value, err := e.AppendValue(nil)
		switch {
		case err != nil && !errors.Is(err, log.ErrCorruptValue):
			return false, err
		case member == "":
			f.head = value
		default:
			f.members[member] = value
		}
		f.err = cmp.Or(f.err, err)
		return true, nil
	})
	return groups, err
}

// loaded makes the entry of a group that is stored.
func (c *Coordinator) loaded(now time.Time, name string, f *found) *entry {
	var s Snapshot
	err := f.err
	if err == nil {
		s, err = decodeSnapshot(f.head, f.members)
	}
	if err != nil {
		en := c.newEntry(NewGroup(name))
		en.damaged = fmt.Errorf("group %s: %w", name, err)
		for id := range f.members {
			en.stored[id] = nil
		}
		return en
	}
	en := c.newEntry(Restore(now, name, c.opts.Config(name), s))
	en.head = f.head
	for _, m := range s.members {
		en.stored[m.id] = m
	}
	return en
}

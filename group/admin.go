package group

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// List returns the names and states of all groups, sorted by name.
func (c *Coordinator) List() []Listing {
	var all []Listing
	for _, en := range c.entries() {
		en.lock()
		all = append(all, Listing{Name: en.name, State: en.group.State(), ProtocolType: en.group.Describe().ProtocolType})
		en.mu.Unlock()
	}
	return all
}

// Listing is a group in a list.
type Listing struct {
	Name         string
	State        State
	ProtocolType string
}

// entries returns all groups by name.
func (c *Coordinator) entries() []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.groups), func(a, b *entry) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
}

// Describe returns a group as it is now, or ErrUnknownGroup.
func (c *Coordinator) Describe(name string) (Description, error) {
	en, err := c.entry(name, false)
	if err != nil {
		return Description{}, err
	}
	en.lock()
	defer en.mu.Unlock()
	return en.group.Describe(), nil
}

// Delete removes an empty group and its offsets; else it is ErrGroupNotEmpty.
func (c *Coordinator) Delete(ctx context.Context, name string) error {
	en, err := c.entry(name, false)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	en.lock()
	err = en.group.Delete()
	en.mu.Unlock()
	if err != nil {
		return err
	}
	defer close(en.buried)
	if err := c.bury(en); err != nil { // it is not deleted: go on with an empty one
		again := c.newEntry(NewGroup(name, c.opts.Rules))
		again.offsets = en.offsets
		c.mu.Lock()
		defer c.mu.Unlock()
		c.groups[name] = again
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.groups, name)
	return nil
}

// bury removes a dead group from the store. Nobody can commit for it any more, and what
// was committed before is in en.offsets when the first transaction is done.
func (c *Coordinator) bury(en *entry) error {
	tx := &partition.Tx{Essential: true}
	tx.Writes.Delete(store.GroupKey(en.name))
	if err := c.committer.Do(tx); err != nil {
		return fmt.Errorf("delete group %s: %w", en.name, err)
	}
	all := en.committedPartitions(func(log.TopicPartition, Offset) bool { return true })
	return c.removeOffsets(en, all)
}

// removeOffsets deletes offsets, in several transactions if there are many.
func (c *Coordinator) removeOffsets(en *entry, tps []log.TopicPartition) error {
	for part := range slices.Chunk(tps, c.st.Limits().Entries/4) {
		tx := &partition.Tx{Essential: true}
		for _, tp := range part {
			tx.Writes.Delete(offsetKey(en.name, tp))
		}
		if err := c.committer.Do(tx); err != nil {
			return fmt.Errorf("group %s: remove offsets: %w", en.name, err)
		}
		en.offsetsMu.Lock()
		for _, tp := range part {
			delete(en.offsets, tp)
		}
		en.offsetsMu.Unlock()
	}
	return nil
}

// DeleteOffsets removes committed offsets of a group without members; else it is
// ErrGroupNotEmpty.
func (c *Coordinator) DeleteOffsets(ctx context.Context, name string, tps ...log.TopicPartition) error {
	return c.editOffsets(ctx, name, func(tx *partition.Tx, en *entry) {
		for _, tp := range tps {
			tx.Writes.Delete(offsetKey(en.name, tp))
		}
	}, func(offsets map[log.TopicPartition]Offset) {
		for _, tp := range tps {
			delete(offsets, tp)
		}
	})
}

// Reset commits offsets for a group without members; else it is ErrGroupNotEmpty.
func (c *Coordinator) Reset(ctx context.Context, name string, offsets map[log.TopicPartition]Offset) error {
	built, err := c.commitTx(name, CommitRequest{Offsets: offsets})
	if err != nil {
		return err
	}
	if _, err := c.entry(name, len(offsets) > 0); err != nil {
		return err
	}
	return c.editOffsets(ctx, name, func(tx *partition.Tx, _ *entry) {
		tx.Writes.Append(&built.Writes)
	}, func(all map[log.TopicPartition]Offset) {
		maps.Copy(all, offsets)
	})
}

// editOffsets changes the offsets of an empty group, in the store and then in memory.
func (c *Coordinator) editOffsets(ctx context.Context, name string, build func(*partition.Tx, *entry), apply func(map[log.TopicPartition]Offset)) error {
	en, err := c.entry(name, false)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	tx := &partition.Tx{Essential: true}
	build(tx, en)
	done := make(chan error, 1)
	tx.Done = func(err error) {
		if err == nil {
			en.offsetsMu.Lock()
			apply(en.offsets)
			en.offsetsMu.Unlock()
		}
		done <- err
	}
	en.lock()
	if d := en.group.Describe(); len(d.Members) > 0 {
		en.mu.Unlock()
		return fmt.Errorf("group %s: %w: it is %s with %d members", name, log.ErrGroupNotEmpty, d.State, len(d.Members))
	}
	c.committer.Submit(tx) // before anybody can join: whoever does finds the new offsets
	en.mu.Unlock()
	if err := <-done; err != nil {
		return fmt.Errorf("group %s: %w", name, err)
	}
	return nil
}

// committedPartitions returns the partitions whose offset satisfies which, in order.
func (en *entry) committedPartitions(which func(log.TopicPartition, Offset) bool) []log.TopicPartition {
	en.offsetsMu.Lock()
	defer en.offsetsMu.Unlock()
	var tps []log.TopicPartition
	for tp, o := range en.offsets {
		if which(tp, o) {
			tps = append(tps, tp)
		}
	}
	return tps
}

// expireOffsets is the goroutine that removes what nobody will want any more.
func (c *Coordinator) expireOffsets() {
	ticker := time.NewTicker(expiryInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			c.ExpireOffsets(time.Now())
		case <-c.stop:
			return
		}
	}
}

// ExpireOffsets removes the offsets of groups that have been empty for OffsetsRetention,
// offsets that are older than that of groups that never had members, offsets of topics
// that are gone, and then groups that have nothing left.
func (c *Coordinator) ExpireOffsets(now time.Time) {
	for _, en := range c.entries() {
		if err := c.expireGroup(now, en); err != nil {
			c.opts.Logger.Warn("removing old offsets failed, will be tried again", zap.String("group", en.name), zap.Error(err))
		}
	}
}

func (c *Coordinator) expireGroup(now time.Time, en *entry) error {
	en.lock()
	state := en.group.State()
	since, left := en.group.EmptySince()
	en.mu.Unlock()
	limit := now.Add(-c.opts.OffsetsRetention)
	old := en.committedPartitions(func(tp log.TopicPartition, o Offset) bool {
		last := o.At
		if left && since.After(last) {
			last = since
		}
		return !c.valid(tp, o) || state == Empty && last.Before(limit)
	})
	en.offsetsMu.Lock()
	rest := len(en.offsets) - len(old)
	en.offsetsMu.Unlock()
	if state == Empty && rest == 0 && (!left || since.Before(limit)) {
		return c.Delete(context.Background(), en.name)
	}
	return c.removeOffsets(en, old)
}

package streams

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// protocolType is what groups of streams say where others name a protocol.
const protocolType = "streams"

// states are the states in package group.
var states = map[State]group.State{
	Empty: group.Empty, NotReady: group.NotReady, Assigning: group.Assigning, Reconciling: group.Reconciling, Stable: group.Stable,
}

var _ group.OffsetKeeper = (*Coordinator)(nil)

// List implements group.Keeper.
func (c *Coordinator) List() []group.Listing {
	var all []group.Listing
	for _, en := range c.entries() {
		en.lock()
		l := group.Listing{Name: en.name, Kind: group.Streams, State: states[en.group.State()], ProtocolType: protocolType}
		born := en.bornLocked() && !en.gone
		en.mu.Unlock()
		if en.damaged != nil {
			l.State = group.Dead
		}
		if born {
			all = append(all, l)
		}
	}
	return all
}

func (c *Coordinator) entries() []*entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.groups))
}

// locked returns the group of that name, once somebody has joined it, with its lock held.
func (c *Coordinator) locked(name string) (*entry, error) {
	en, err := c.find(name)
	if err != nil {
		return nil, err
	}
	en.lock()
	if en.gone || !en.bornLocked() {
		en.mu.Unlock()
		return nil, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	return en, nil
}

// Describe implements group.Keeper: a member reads the topics of the topology, and has the partitions of its active tasks.
func (c *Coordinator) Describe(name string) (group.Description, error) {
	en, err := c.locked(name)
	if err != nil {
		return group.Description{}, err
	}
	defer en.mu.Unlock()
	g := en.group
	d := group.Description{
		Kind: group.Streams, State: states[g.State()], ProtocolType: protocolType, ProtocolName: AssignorName, Generation: g.epoch,
	}
	var sub group.Subscription
	for i := range g.topology.Subtopologies {
		sub.Topics = append(sub.Topics, g.topology.Subtopologies[i].inputs()...)
	}
	slices.Sort(sub.Topics)
	sub.Topics = slices.Compact(sub.Topics)
	for _, id := range sortedMembers(g.members) {
		m := g.members[id]
		assignment := make(group.Assignment)
		for _, tp := range g.topology.inputsOf(m.has[Active], c.partitions) {
			assignment[tp.Topic] = append(assignment[tp.Topic], tp.Partition)
		}
		d.Members = append(d.Members, group.MemberDescription{
			ID: m.id, InstanceID: m.instance, ClientID: m.clientID, ClientHost: m.clientHost,
			Metadata: group.EncodeSubscription(sub), Assignment: group.EncodeAssignment(assignment),
		})
	}
	return d, nil
}

// partitions is Topics.
func (c *Coordinator) partitions(name string) (int32, bool) {
	t, ok := c.topic(name)
	return t.Partitions, ok
}

// Delete implements group.Keeper.
func (c *Coordinator) Delete(ctx context.Context, name string) error {
	en, err := c.find(name)
	if err != nil && !errors.Is(err, log.ErrCorruptValue) {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := c.bury(ctx, en); err != nil {
		return fmt.Errorf("delete group %s: %w", name, err)
	}
	c.opts.Logger.Info("group deleted", zap.String("group", name))
	return nil
}

// bury takes a group without members away, when it is removed from the store. If the store refuses, or ctx ends before it begins, the group goes on
// as it was.
func (c *Coordinator) bury(ctx context.Context, en *entry) error {
	tx, err := en.die()
	if err != nil {
		return err
	}
	err = c.committer.DoUntil(ctx, tx)
	en.lock()
	defer en.mu.Unlock()
	if err != nil {
		c.revive(en)
		return err
	}
	c.remove(en, true)
	return nil
}

// revive undoes die. The caller holds en.mu.
func (c *Coordinator) revive(en *entry) {
	close(en.buried)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closed {
		en.gone, en.buried, en.due = false, make(chan struct{}), time.Time{}
		en.schedule(time.Now())
	}
}

// die is the first half of bury: nobody uses the entry any more. It returns what removes the group from the store.
func (en *entry) die() (*writer.Tx, error) {
	en.lock()
	defer en.mu.Unlock()
	switch {
	case en.gone || !en.bornLocked():
		return nil, log.ErrUnknownGroup
	case len(en.group.members) > 0:
		return nil, fmt.Errorf("%w: %d members", log.ErrGroupNotEmpty, len(en.group.members))
	}
	en.gone = true
	en.stopLocked()
	return en.removal(), nil
}

// removal removes the group from the store. The caller holds en.mu.
func (en *entry) removal() *writer.Tx {
	tx := &writer.Tx{Essential: true}
	tx.Writes.Delete(store.StreamsKey(en.name, ""))
	for id := range en.stored {
		tx.Writes.Delete(store.StreamsKey(en.name, id))
	}
	return tx
}

// Yield implements group.Keeper. A group without members becomes a classic one.
func (c *Coordinator) Yield(name string, to group.Kind) bool {
	c.mu.Lock()
	en, closed := c.groups[name], c.closed
	c.mu.Unlock()
	if en == nil {
		return !closed
	}
	en.lock()
	defer en.mu.Unlock()
	born := en.bornLocked()
	switch {
	case closed || en.damaged != nil || len(en.group.members) > 0 || born && to != group.Classic:
		return false
	case en.gone:
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.groups[name] != en // else it is being deleted
	}
	if born {
		en.submit(en.removal()) // before another one of that name is stored
	}
	c.remove(en, false)
	return true
}

// CheckCommit implements group.OffsetKeeper.
func (c *Coordinator) CheckCommit(_ time.Time, name string, req group.CommitRequest, inTransaction bool) (entered func(), err error) {
	en, err := c.locked(name)
	if err != nil {
		return nil, err
	}
	tps := slices.Collect(maps.Keys(req.Offsets))
	err = en.group.CheckCommit(req.MemberID, req.Generation, inTransaction, tps)
	if known := en.group.members[req.MemberID] != nil; known && req.Epochless && !inTransaction {
		err = fmt.Errorf("group %s: member %q: %w: it commits by version 9 of OffsetCommit or later", name, req.MemberID, log.ErrUnsupported)
	}
	if err != nil {
		en.mu.Unlock()
		return nil, err
	}
	return en.mu.Unlock, nil
}

// Subscribed implements group.OffsetKeeper.
func (c *Coordinator) Subscribed(name string) (func(topic string) bool, error) {
	en, err := c.locked(name)
	if err != nil {
		return nil, err
	}
	defer en.mu.Unlock()
	read := make(map[string]bool)
	if t := en.group.topology; t != nil && len(en.group.members) > 0 {
		for i := range t.Subtopologies {
			for _, topic := range t.Subtopologies[i].inputs() {
				read[topic] = true
			}
		}
	}
	return func(topic string) bool { return read[topic] }, nil
}

// EmptySince implements group.OffsetKeeper.
func (c *Coordinator) EmptySince(name string) (time.Time, bool) {
	en, err := c.locked(name)
	if err != nil {
		return time.Time{}, false
	}
	defer en.mu.Unlock()
	return en.group.EmptySince()
}

package group

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
)

// own is a Coordinator as the Keeper of its groups.
type own struct{ c *Coordinator }

// List implements Keeper.
func (o own) List() []Listing { return o.c.listOwn() }

// Describe implements Keeper.
func (o own) Describe(name string) (Description, error) { return o.c.describeOwn(name) }

// Delete implements Keeper.
func (o own) Delete(ctx context.Context, name string) error { return o.c.deleteOwn(ctx, name) }

// Yield implements Keeper. A group that nobody is in, and that no answer is on its way to, becomes that of a keeper who has
// committed offsets; its own stay. To a share group it yields only if it never was one: what it has committed would be lost.
func (o own) Yield(name string, to Kind) bool {
	en := o.c.known(name)
	if en == nil {
		return true
	}
	if en.damaged != nil {
		return false
	}
	en.lock()
	defer en.mu.Unlock()
	switch {
	case en.closed || en.machine().State() != Empty:
		return false
	case to != Streams || en.modern != nil:
		return !en.bornLocked()
	case en.group.Generation() > 0:
		tx := &writer.Tx{Essential: true}
		tx.Writes.Delete(store.GroupKey(name))
		o.c.committer.Submit(tx)
		en.group = NewGroup(name, en.group.rules)
		en.schedule(time.Now())
	}
	return true
}

// foreign returns the keeper of the group whose offsets these are, nil if it is a group of the coordinator.
func (en *entry) foreign() OffsetKeeper {
	k, _ := en.c.names.keeper(en.name, own{en.c})
	o, _ := k.(OffsetKeeper)
	return o
}

// checkCommit asks the group whether it allows a commit: see OffsetKeeper.CheckCommit. The caller holds en.mu until the
// commit has its place.
func (en *entry) checkCommit(now time.Time, req CommitRequest) (entered func(), err error) {
	if k := en.foreign(); k != nil {
		return k.CheckCommit(now, en.name, req, req.owner != "")
	}
	return func() {}, en.machine().checkCommit(now, req)
}

// subscribed is Group.Subscribed. The caller holds en.mu.
func (en *entry) subscribed() (func(topic string) bool, error) {
	if k := en.foreign(); k != nil {
		return k.Subscribed(en.name)
	}
	return en.machine().Subscribed()
}

// vacant returns whether the group has no members, and since when; left is false if nobody knows that. The caller holds en.mu.
func (en *entry) vacant() (since time.Time, left, empty bool) {
	if k := en.foreign(); k != nil {
		since, empty = k.EmptySince(en.name)
		return since, empty, empty
	}
	since, left = en.machine().EmptySince()
	return since, left, en.machine().State() == Empty
}

// expireKept deletes the groups of others with committed offsets that have none left, and have been empty for
// OffsetsRetention.
func (c *Coordinator) expireKept(now time.Time) {
	for _, k := range c.names.others(own{c}) {
		keeper, ok := k.(OffsetKeeper)
		if !ok {
			continue
		}
		for _, l := range keeper.List() {
			since, empty := keeper.EmptySince(l.Name)
			if en := c.known(l.Name); !empty || since.IsZero() || now.Sub(since) < c.opts.OffsetsRetention || en != nil && en.holdsOffsets() {
				continue
			}
			if err := c.Delete(context.Background(), l.Name); err != nil {
				c.opts.Logger.Warn("an old group was not deleted, will be tried again", zap.String("group", l.Name), zap.Error(err))
			}
		}
	}
}

// holdsOffsets reports whether there are committed offsets of the group, or such on their way.
func (en *entry) holdsOffsets() bool {
	return en.offsets.len() > 0 || en.committing.Load() > 0 || !en.pending.empty()
}

package group

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// List returns the names and states of all groups of all kinds, sorted by name. One that is damaged is Dead.
func (c *Coordinator) List() []Listing {
	all := c.listOwn()
	for _, k := range c.names.others(own{c}) {
		all = append(all, k.List()...)
	}
	slices.SortFunc(all, func(a, b Listing) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// listOwn returns the groups of this coordinator.
func (c *Coordinator) listOwn() []Listing {
	var all []Listing
	for _, en := range c.entries() {
		if !c.owns(en.name) {
			continue
		}
		en.lock()
		born := en.bornLocked()
		l := Listing{Name: en.name, State: en.machine().State(), Kind: Consumer, ProtocolType: consumerType}
		if en.group != nil {
			l.Kind, l.ProtocolType = Classic, en.group.protocolType
		}
		en.mu.Unlock()
		if !born {
			continue
		}
		if en.damaged != nil {
			l.State = Dead
		}
		all = append(all, l)
	}
	return all
}

// bornLocked reports whether anybody has ever joined the group or committed for it. Until then
// there is only a consumer that may, or the request of one that was refused.
func (en *entry) bornLocked() bool {
	return en.damaged != nil || en.changed || en.machine().State() != Empty || en.machine().Generation() > 0 ||
		en.offsets.len() > 0 || en.committing.Load() > 0 || !en.pending.empty()
}

// Listing is a group in a list.
type Listing struct {
	Name         string
	Kind         Kind
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

// Describe returns a group of whatever kind as it is now, or ErrUnknownGroup.
func (c *Coordinator) Describe(name string) (Description, error) {
	if k, _ := c.names.keeper(name, own{c}); k != nil {
		return k.Describe(name)
	}
	return c.describeOwn(name)
}

func (c *Coordinator) describeOwn(name string) (Description, error) {
	en, err := c.entry(name, false)
	if err != nil {
		return Description{}, err
	}
	en.lock()
	defer en.mu.Unlock()
	if !en.bornLocked() {
		return Description{}, fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	d := en.machine().Describe()
	d.Rebalances = en.rebalances
	return d, nil
}

// Rebalances returns how many new generations there were since Open, of all groups that this coordinator has had.
func (c *Coordinator) Rebalances() int64 { return c.rebalances.Load() }

// Delete removes an empty group of whatever kind and its offsets; else it is ErrGroupNotEmpty. One that is damaged
// is removed too, and the name is free for a new group. ctx counts until storing begins.
func (c *Coordinator) Delete(ctx context.Context, name string) error {
	k, _ := c.names.keeper(name, own{c})
	if k == nil {
		return c.deleteOwn(ctx, name)
	}
	if err := k.Delete(ctx, name); err != nil {
		return err
	}
	if en := c.known(name); en != nil {
		return c.removeOffsets(en, en.allPartitions())(context.Background())
	}
	return nil
}

func (c *Coordinator) deleteOwn(ctx context.Context, name string) error {
	en, err := c.entry(name, false)
	if err != nil && !errors.Is(err, log.ErrCorruptValue) {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	en.lock()
	if !en.bornLocked() {
		en.mu.Unlock()
		return fmt.Errorf("group %s: %w", name, log.ErrUnknownGroup)
	}
	err = en.machine().Delete()
	en.mu.Unlock()
	if err != nil {
		return err
	}
	if err := c.bury(ctx, en); err != nil {
		return err
	}
	c.opts.Logger.Info("group deleted", zap.String("group", name))
	return nil
}

// bury removes a group that is Dead now and was empty before. If the store refuses, the group
// goes on as it was.
func (c *Coordinator) bury(ctx context.Context, en *entry) error {
	defer close(en.buried)
	err := c.removeGroup(ctx, en)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		again := c.newEntry(en.name, en.group)
		again.revive(en)
		again.offsets, again.pending, again.damaged = en.offsets, en.pending, en.damaged
		c.groups[en.name] = again
		return err
	}
	delete(c.groups, en.name)
	c.names.Release(en.name, Classic)
	c.names.Release(en.name, Consumer)
	return nil
}

// revive makes the group of an entry that is Dead this one's, empty as it was.
func (en *entry) revive(dead *entry) {
	if en.modern = dead.modern; en.modern != nil {
		en.group, en.modern.dead = nil, false
		return
	}
	s := dead.group.Snapshot()
	en.group = Restore(time.Now(), dead.name, dead.group.rules, s)
}

func memberKeys(name string) store.Range {
	r := store.MemberRange(name)
	r.KeysOnly = true
	return r
}

// removeGroup removes a dead group from the store. Nobody can commit for it any more, and
// what was committed before is in en.offsets when the first transaction is done.
func (c *Coordinator) removeGroup(ctx context.Context, en *entry) error {
	tx := &writer.Tx{Essential: true}
	tx.Writes.Delete(store.GroupKey(en.name))
	if err := c.st.Scan(memberKeys(en.name), func(e store.Entry) (bool, error) { // of an empty group: what is damaged
		tx.Writes.Delete(slices.Clone(e.Key))
		return true, nil
	}); err != nil {
		return fmt.Errorf("delete group %s: %w", en.name, err)
	}
	if err := c.committer.DoUntil(ctx, tx); err != nil {
		return fmt.Errorf("delete group %s: %w", en.name, err)
	}
	return partly(c.removeOffsets(en, en.allPartitions())(context.Background()), 1)
}

// allPartitions returns the partitions that have a committed offset, or one of an open transaction.
func (en *entry) allPartitions() []log.TopicPartition {
	all := en.committedPartitions(func(log.TopicPartition, Offset) bool { return true })
	for tp := range en.pending.partitions() {
		if _, ok := en.offsets.get(tp); !ok {
			all = append(all, tp)
		}
	}
	return all
}

// removeOffsets begins to delete offsets, those of open transactions too, in several store transactions if there are
// many, and returns a function that waits for it: see outcome. An end that comes later finds no offset any more.
func (c *Coordinator) removeOffsets(en *entry, tps []log.TopicPartition) (wait func(context.Context) error) {
	share := c.st.Limits().Entries / 4
	var txs []*writer.Tx
	for part := range slices.Chunk(tps, share) {
		tx := &writer.Tx{Essential: true}
		for _, tp := range part {
			tx.Writes.Delete(offsetKey(en.name, tp))
		}
		tx.Stored = func() { en.offsets.remove(part) }
		txs = append(txs, tx)
	}
	undo := make(map[*writer.Tx][]pendingOffset)
	for part := range slices.Chunk(en.pending.take(tps), share) {
		tx := &writer.Tx{Essential: true}
		undo[tx] = part
		for _, p := range part {
			tx.Writes.Delete(pendingKey(p.owner, en.name, p.tp))
		}
		txs = append(txs, tx)
	}
	done := make(chan error, len(txs))
	for _, tx := range txs {
		part := undo[tx]
		tx.Done = func(err error) {
			if err != nil {
				en.pending.giveBack(part)
			}
			done <- err
		}
		c.committer.Submit(tx)
	}
	return func(ctx context.Context) error {
		if err := outcome(ctx, done, txs); err != nil {
			return fmt.Errorf("group %s: remove offsets: %w", en.name, err)
		}
		return nil
	}
}

// outcome waits for that of transactions that are one call together, and whose Done tells done: the first error, which is
// ErrOutcomeUnknown too when others are stored. When ctx ends, those that the committer has not begun with are taken back, and its error is theirs.
func outcome(ctx context.Context, done <-chan error, txs []*writer.Tx) (first error) {
	stored := 0
	ended := ctx.Done()
	for told := 0; told < len(txs); {
		select {
		case err := <-done:
			told++
			if err == nil {
				stored++
			} else if first == nil {
				first = err
			}
		case <-ended:
			ended = nil
			for _, tx := range txs {
				if tx.Withdraw() {
					tx.Done(ctx.Err())
				}
			}
		}
	}
	return partly(first, stored)
}

// partly returns err as that of a call of which so many parts are stored.
func partly(err error, stored int) error {
	if err == nil || stored == 0 {
		return err
	}
	return family.Of(family.ErrOutcomeUnknown, err)
}

// DeleteOffsets removes committed offsets of a group, and returns the partitions whose offsets it
// has kept because consumers of the group subscribe to their topics. A group of members that are
// no consumers is ErrGroupNotEmpty: nobody knows what they read. Offsets that are too many for one
// transaction take several, and ErrOutcomeUnknown leaves those removed that were done. ctx counts until
// storing begins.
func (c *Coordinator) DeleteOffsets(ctx context.Context, name string, tps ...log.TopicPartition) (kept []log.TopicPartition, err error) {
	en, err := c.entry(name, false)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	en.lock()
	subscribed, err := en.subscribed()
	if err != nil {
		en.mu.Unlock()
		return nil, err
	}
	var gone []log.TopicPartition
	for _, tp := range tps {
		if subscribed(tp.Topic) {
			kept = append(kept, tp)
		} else {
			gone = append(gone, tp)
		}
	}
	wait := c.removeOffsets(en, gone) // before anybody can subscribe
	en.mu.Unlock()
	if err := wait(ctx); err != nil || len(gone) == 0 {
		return kept, err
	}
	c.opts.Logger.Info("group offsets deleted", zap.String("group", name), zap.Stringers("partitions", gone))
	return kept, nil
}

// AlterOffsets commits offsets for a group without members; else it is ErrGroupNotEmpty. Offsets that are
// too many for one transaction take several, and ErrOutcomeUnknown leaves those that were done. ctx counts until
// storing begins.
func (c *Coordinator) AlterOffsets(ctx context.Context, name string, offsets map[log.TopicPartition]Offset) error {
	parts := c.parts(name, offsets)
	txs := make([]*writer.Tx, len(parts))
	for i, part := range parts {
		txs[i] = &writer.Tx{Essential: true}
		if err := c.addOffsets(txs[i], name, "", time.Time{}, part); err != nil {
			return fmt.Errorf("group %s: %w", name, err)
		}
	}
	en, err := c.entry(name, len(offsets) > 0)
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	done := make(chan error, len(parts))
	var moves []string
	en.lock()
	if _, _, empty := en.vacant(); !empty {
		defer en.mu.Unlock()
		return en.machine().notEmpty()
	}
	for i, part := range parts { // before anybody can join: whoever does finds the new offsets
		txs[i].Done = func(err error) {
			if err == nil {
				moves = append(moves, en.moves(part)...)
				en.offsets.put(part)
			}
			en.committing.Add(-1)
			done <- err
		}
		en.committing.Add(1)
		c.committer.Submit(txs[i])
	}
	en.mu.Unlock()
	if err = outcome(ctx, done, txs); err != nil {
		err = fmt.Errorf("group %s: %w", name, err)
	}
	c.tellCommits(map[string]CommitRequest{name: {Offsets: offsets}}, err)
	if err == nil {
		c.opts.Logger.Info("group offsets altered", zap.String("group", name), zap.Strings("offsets", moves))
	}
	return err
}

// moves describes what offsets change.
func (en *entry) moves(offsets map[log.TopicPartition]Offset) []string {
	moves := make([]string, 0, len(offsets))
	for tp, o := range offsets {
		from := "none"
		if old, ok := en.offsets.get(tp); ok {
			from = strconv.FormatInt(old.Offset, 10)
		}
		moves = append(moves, fmt.Sprintf("%s: %s to %d", tp, from, o.Offset))
	}
	slices.Sort(moves)
	return moves
}

// committedPartitions returns the partitions whose offset satisfies which.
func (en *entry) committedPartitions(which func(log.TopicPartition, Offset) bool) []log.TopicPartition {
	var tps []log.TopicPartition
	en.offsets.each(func(tp log.TopicPartition, o Offset) {
		if which(tp, o) {
			tps = append(tps, tp)
		}
	})
	return tps
}

// Consumed returns, for a topic of n partitions, the least committed offset in each over
// all groups that have committed offsets in the topic; 0 where one of them has not, or where it is
// damaged. ok is false when there is no such group.
func (c *Coordinator) Consumed(topic string, n int) (least []int64, ok bool) {
	for _, offsets := range c.readers.of(topic) {
		of := make([]int64, n)
		any := false
		offsets.eachOf(topic, func(i int32, o Offset) {
			counts, err := c.counts(log.TopicPartition{Topic: topic, Partition: i}, o)
			if int(i) < n && (counts || err != nil) {
				of[i], any = o.Offset, true
			}
		})
		switch {
		case !any:
		case !ok:
			least, ok = of, true
		default:
			for i, o := range of {
				least[i] = min(least[i], o)
			}
		}
	}
	return least, ok
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
	c.expireKept(now)
}

// expireGroup decides and takes its place in the committer's order under one lock: an offset
// that is committed meanwhile is not lost.
func (c *Coordinator) expireGroup(now time.Time, en *entry) error {
	en.lock()
	if en.committing.Load() > 0 || en.damaged != nil {
		en.mu.Unlock()
		return nil // next time
	}
	since, left, empty := en.vacant()
	limit := now.Add(-c.opts.OffsetsRetention)
	old := en.committedPartitions(func(tp log.TopicPartition, o Offset) bool {
		last := o.At
		if left && since.After(last) {
			last = since
		}
		_, open := en.pending.get(tp) // then a transaction goes on from it
		return !open && (c.gone(tp, o) || empty && last.Before(limit))
	})
	rest := en.offsets.len() - len(old)
	if en.foreign() == nil && empty && rest == 0 && (!left || since.Before(limit)) && en.pending.empty() {
		err := en.machine().Delete()
		en.mu.Unlock()
		if err != nil {
			return err
		}
		if err := c.bury(context.Background(), en); err != nil {
			return err
		}
		c.opts.Logger.Info("group expired", zap.String("group", en.name), zap.Int("offsets", len(old)))
		return nil
	}
	wait := c.removeOffsets(en, old)
	en.mu.Unlock()
	if err := wait(context.Background()); err != nil || len(old) == 0 {
		return err
	}
	c.opts.Logger.Info("group offsets expired", zap.String("group", en.name), zap.Stringers("partitions", old))
	return nil
}

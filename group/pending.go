package group

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// pendingOffsets is the offsets of one group that transactions commit when they end, as the store has them or is
// about to. Its methods may be called by anybody at any time.
type pendingOffsets struct {
	mu       sync.Mutex                               // guards what follows
	open     map[string]map[log.TopicPartition]Offset // by owner, a transactional id
	settling map[*settlement]struct{}                 // of transactions that have ended: not in the group's offsets yet
	newest   map[log.TopicPartition]pendingOffset     // that were put last, while there are any open; some may be open no more
	watchers map[*partition.Waiter]struct{}           // who waits for the end of one
}

// watch has w woken when a transaction has ended, until unwatch.
func (p *pendingOffsets) watch(w *partition.Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers == nil {
		p.watchers = make(map[*partition.Waiter]struct{})
	}
	p.watchers[w] = struct{}{}
}

func (p *pendingOffsets) unwatch(w *partition.Waiter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.watchers, w)
}

// put adds offsets of a transaction, or replaces them.
func (p *pendingOffsets) put(owner string, offsets map[log.TopicPartition]Offset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == nil {
		p.open = make(map[string]map[log.TopicPartition]Offset)
	}
	if p.open[owner] == nil {
		p.open[owner] = make(map[log.TopicPartition]Offset, len(offsets))
	}
	maps.Copy(p.open[owner], offsets)
	if p.newest == nil {
		p.newest = make(map[log.TopicPartition]pendingOffset)
	}
	for tp, o := range offsets {
		if last, ok := p.newest[tp]; !ok || !o.At.Before(last.offset.At) {
			p.newest[tp] = pendingOffset{owner, tp, o}
		}
	}
}

// removeLocked removes the offsets of a transaction.
func (p *pendingOffsets) removeLocked(owner string) {
	delete(p.open, owner)
	if len(p.open) == 0 {
		p.newest = nil
	}
}

// of returns the offsets of an open transaction.
func (p *pendingOffsets) of(owner string) map[log.TopicPartition]Offset {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.open[owner])
}

// settle moves the offsets of a transaction that ends to those that are about to be shown.
func (p *pendingOffsets) settle(s *settlement) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.removeLocked(s.owner)
	if p.settling == nil {
		p.settling = make(map[*settlement]struct{})
	}
	p.settling[s] = struct{}{}
}

// settled forgets what settle has moved.
func (p *pendingOffsets) settled(s *settlement) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.settling, s)
	for w := range p.watchers {
		w.Wake()
	}
}

// pendingOffset is one offset of an open transaction.
type pendingOffset struct {
	owner  string
	tp     log.TopicPartition
	offset Offset
}

// take removes the offsets of partitions, of whatever open transaction, and returns them.
func (p *pendingOffsets) take(tps []log.TopicPartition) (taken []pendingOffset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for owner, offsets := range p.open {
		for _, tp := range tps {
			if o, ok := offsets[tp]; ok {
				taken = append(taken, pendingOffset{owner, tp, o})
				delete(offsets, tp)
			}
		}
		if len(offsets) == 0 {
			p.removeLocked(owner)
		}
	}
	return taken
}

// giveBack undoes take.
func (p *pendingOffsets) giveBack(taken []pendingOffset) {
	for _, t := range taken {
		p.put(t.owner, map[log.TopicPartition]Offset{t.tp: t.offset})
	}
}

// partitions returns the partitions that have pending offsets, with one of them each.
func (p *pendingOffsets) partitions() map[log.TopicPartition]Offset {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[log.TopicPartition]Offset)
	for s := range p.settling {
		maps.Copy(all, s.all)
	}
	for _, offsets := range p.open {
		maps.Copy(all, offsets)
	}
	return all
}

// get returns a pending offset of the partition.
func (p *pendingOffsets) get(tp log.TopicPartition) (o Offset, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.settling {
		if o, ok = s.all[tp]; ok {
			return o, true
		}
	}
	if o, ok := p.newest[tp]; !ok || p.has(o) {
		return o.offset, ok
	}
	for _, offsets := range p.open {
		if o, ok = offsets[tp]; ok {
			return o, true
		}
	}
	return o, false
}

// last returns when an offset of the partition became pending last, of another owner: others that are open did before.
func (p *pendingOffsets) last(owner string, tp log.TopicPartition) (at time.Time, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o, ok := p.newest[tp]
	return o.offset.At, ok && o.owner != owner
}

func (p *pendingOffsets) empty() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)+len(p.settling) == 0
}

// has reports whether it is open still. The caller holds mu.
func (p *pendingOffsets) has(o pendingOffset) bool {
	_, ok := p.open[o.owner][o.tp]
	return ok
}

func pendingKey(owner, group string, tp log.TopicPartition) []byte {
	return store.AppendPendingKey(nil, store.PendingKey{
		TransactionalID: owner, OffsetKey: store.OffsetKey{Group: group, Topic: tp.Topic, Partition: tp.Partition},
	})
}

// CheckTxnCommit says whether a transaction may commit offsets for the group, on behalf of this member in this
// generation, or with no member and generation -1 on nobody's. Unlike CheckCommit it takes that while
// the group has members, and anything while the group completes a rebalance, and it is no sign of life.
func (g *Group) CheckTxnCommit(memberID, instanceID string, generation int32) error {
	switch {
	case g.state == Dead:
		return g.wrap(memberID, log.ErrUnknownGroup)
	case generation < 0 && (g.state == Empty || memberID == "" && instanceID == ""):
		return nil
	}
	_, err := g.current(memberID, instanceID, generation)
	return err
}

// Pend stores offsets that a transaction commits when it ends: until Settle nobody reads them. Owner is its
// transactional id. The offsets are checked as those of a Commit, the member as CheckTxnCommit says. tx, whose Check
// and Begun the caller may have set, gets the writes; all of it is stored, or nothing. It is like CommitWith
// otherwise.
func (c *Coordinator) Pend(ctx context.Context, tx *writer.Tx, owner, name string, req CommitRequest) error {
	req.owner = owner
	return c.commitWith(ctx, tx, map[string]CommitRequest{name: req})
}

// PendingCost bounds what offsets of a transaction add to the commit that ends it, as store.Limits count.
func PendingCost(owner, name string, offsets map[log.TopicPartition]Offset) (entries, bytes int) {
	for tp, o := range offsets {
		bytes += len(pendingKey(owner, name, tp)) + len(offsetKey(name, tp)) + offsetFixedSize + len(o.Metadata)
	}
	return 2 * len(offsets), bytes
}

// PendingOf returns the pending offsets of an open transaction in a group.
func (c *Coordinator) PendingOf(owner, name string) map[log.TopicPartition]Offset {
	if en := c.known(name); en != nil {
		return en.pending.of(owner)
	}
	return nil
}

// Pending returns those of the partitions that have offsets of transactions in the group, or without any, all that
// have: what is committed for them is about to change. Who wants offsets that are not asks this before Fetch: an end
// shows its offsets before they are pending no more.
func (c *Coordinator) Pending(name string, tps ...log.TopicPartition) []log.TopicPartition {
	en := c.known(name)
	if en == nil {
		return nil
	}
	if len(tps) == 0 {
		tps = slices.Collect(maps.Keys(en.pending.partitions()))
	}
	var found []log.TopicPartition
	for _, tp := range tps {
		o, ok := en.pending.get(tp)
		if ok && !c.gone(tp, o) {
			found = append(found, tp)
		}
	}
	return found
}

// PendingGroups returns the groups that open transactions commit offsets of, by owner.
func (c *Coordinator) PendingGroups() map[string][]string {
	groups := make(map[string][]string)
	for _, en := range c.entries() {
		en.pending.mu.Lock()
		for owner := range en.pending.open {
			groups[owner] = append(groups[owner], en.name)
		}
		en.pending.mu.Unlock()
	}
	return groups
}

// known returns the group of that name, damaged or not, or nil.
func (c *Coordinator) known(name string) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.groups[name]
}

// settlement is a group's part in the end of a transaction.
type settlement struct {
	en     *entry
	owner  string
	all    map[log.TopicPartition]Offset
	stored map[log.TopicPartition]Offset // of all, what becomes the group's
}

// Settle stores tx, which ends a transaction, together with what becomes of its pending offsets in these groups:
// with commit they are the groups' from then on, without it they are gone. What the group has been told since, by
// others, stays, and so do offsets of topics that are gone: none. Nobody is checked: Pend has done that. tx.Check is
// to refuse if something of the transaction has changed since Settle was called. It is like CommitWith otherwise.
//
// An offset that is damaged cannot be committed: ErrCorruptValue.
func (c *Coordinator) Settle(ctx context.Context, tx *writer.Tx, owner string, groups []string, commit bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var all []*settlement
	for _, name := range groups {
		if en := c.known(name); en != nil {
			all = append(all, &settlement{en: en, owner: owner})
		}
	}
	begun, done, settled := tx.Begun, tx.Done, false
	end := func(err error) {
		if settled {
			return
		}
		settled = true
		for _, s := range all {
			s.end(err)
		}
		if done != nil {
			done(err)
		}
	}
	tx.Begun = func() {
		for _, s := range all {
			s.en.pending.settle(s)
		}
		if begun != nil {
			begun()
		}
	}
	tx.Stored, tx.Done = func() { end(nil) }, end
	if err := c.enterSettlements(tx, all, commit); err != nil {
		return err
	}
	err := c.committer.Await(ctx, tx)
	if tx.Withdrawn() {
		end(err)
	}
	if commit {
		c.tellSettled(all, err)
	}
	return err
}

// enterSettlements writes what becomes of the offsets, and hands tx over, to be awaited. Both belong together: what
// is deleted later is stored later.
func (c *Coordinator) enterSettlements(tx *writer.Tx, all []*settlement, commit bool) error {
	for _, s := range all {
		s.en.lock()
		defer s.en.mu.Unlock()
	}
	for _, s := range all {
		s.all = s.en.pending.of(s.owner)
		if err := c.writeSettlement(tx, s, commit); err != nil {
			return err
		}
	}
	for _, s := range all {
		s.en.committing.Add(1)
	}
	c.committer.Enter(tx)
	return nil
}

// writeSettlement adds the writes of one group.
func (c *Coordinator) writeSettlement(tx *writer.Tx, s *settlement, commit bool) error {
	name := s.en.name
	s.stored = make(map[log.TopicPartition]Offset)
	for tp, o := range s.all {
		tx.Writes.Delete(pendingKey(s.owner, name, tp))
		if !commit || s.en.machine().State() == Dead {
			continue
		}
		err := s.en.damaged
		if err == nil {
			err = o.damaged
		}
		if err != nil {
			return fmt.Errorf("group %s: %w", name, err)
		}
		newer, ok := s.en.offsets.get(tp)
		if ok && newer.At.After(o.At) || c.gone(tp, o) {
			continue
		}
		s.stored[tp] = o
		tx.Writes.Set(offsetKey(name, tp), o.encode())
	}
	return nil
}

// end shows the offsets of a settlement that is stored.
func (s *settlement) end(err error) {
	if err == nil {
		s.en.offsets.put(s.stored)
		s.en.pending.settled(s)
	}
	s.en.committing.Add(-1)
}

// tellSettled tells the probe of the offsets that a transaction has committed.
func (c *Coordinator) tellSettled(all []*settlement, err error) {
	commits := make(map[string]CommitRequest, len(all))
	for _, s := range all {
		if len(s.stored) > 0 {
			commits[s.en.name] = CommitRequest{Offsets: s.stored}
		}
	}
	c.tellCommits(commits, err)
}

// loadPending reads one pending offset.
func (c *Coordinator) loadPending(key, value []byte, err error) error {
	k, bad := store.ParsePendingKey(key)
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
		err = fmt.Errorf("group %s, transactional id %s: %w", k.Group, k.TransactionalID, o.damaged)
	}
	en := c.groups[k.Group]
	if en == nil {
		en = c.loaded(NewGroup(k.Group, c.rules))
	}
	en.pending.put(k.TransactionalID, map[log.TopicPartition]Offset{tp: o})
	return err
}

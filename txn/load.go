package txn

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/store"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// load reads what is stored, and joins the transactions with what they have written.
func (c *Coordinator) load() error {
	now := time.Now()
	err := c.st.Scan(store.TransactionRange(), func(e store.Entry) (bool, error) {
		id, err := store.ParseTransactionKey(e.Key)
		if err != nil {
			return false, err
		}
		var s Snapshot
		value, err := e.AppendValue(nil)
		if err == nil {
			s, err = DecodeSnapshot(value)
		}
		switch {
		case err == nil:
			s.notAfter(now)
			c.insertLocked(&entry{id: id, txn: Restore(id, s)})
			c.owners[s.Producer.ID] = id
		case errors.Is(err, log.ErrCorruptValue):
			err = fmt.Errorf("transactional id %s: %w", id, err)
			c.insertLocked(&entry{id: id, damaged: err})
			c.opts.Logger.Warn("what is stored of a transactional id is damaged, it can be used when a producer begins with it anew", zap.Error(err))
		default:
			return false, err
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("read transactional ids: %w", err)
	}
	c.orphans.due = now.Add(c.opts.MaxTimeout)
	if err := c.joinGroups(); err != nil {
		return fmt.Errorf("drop offsets of transactions: %w", err)
	}
	c.joinPartitions(now)
	if at, ok := c.orphans.next(); ok {
		c.clock.wakeAt(at)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, en := range c.ids {
		c.scheduleLocked(en, c.dueLocked(en))
	}
	return nil
}

// joinGroups finds the groups in which transactions have pending offsets. Those of an id that has no open transaction
// nobody will commit, and they go.
func (c *Coordinator) joinGroups() error {
	for id, names := range c.groups.PendingGroups() {
		en := c.ids[id]
		switch {
		case en != nil && en.damaged != nil:
			en.groups = names
			c.orphans.offsets = append(c.orphans.offsets, id)
		case en != nil && en.txn.state == Ongoing:
			for _, name := range names {
				en.txn.groups[name] = struct{}{}
			}
			en.pending = c.pendingCost(en.txn)
		default:
			c.opts.Logger.Warn("offsets of a transaction that is not open are dropped", zap.String("transactional id", id), zap.Strings("groups", names))
			if c.opts.ReadOnly {
				continue
			}
			if err := c.groups.Settle(context.Background(), &writer.Tx{Essential: true}, id, names, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinPartitions finds the partitions in which transactions are open.
func (c *Coordinator) joinPartitions(now time.Time) {
	for _, p := range c.topics.Partitions() {
		for _, info := range p.Log().Producers() {
			if info.OpenSince < 0 {
				continue
			}
			tp := p.TopicPartition()
			if t := c.opener(info); t != nil {
				t.partitions[tp] = struct{}{}
				continue
			}
			due := now
			if used := time.UnixMilli(info.UsedAt); used.Before(now) {
				due = used
			}
			due = due.Add(c.opts.MaxTimeout)
			c.orphans.add(tp, info, due)
			c.opts.Logger.Warn("a transaction is open that no transactional id knows: it is aborted later, or by hand", zap.Time("later", due),
				zap.Stringer("partition", tp), zap.Int64("producer id", info.ID), zap.Int16("epoch", info.Epoch), zap.Int64("offset", info.OpenSince))
		}
	}
}

// opener returns whose transaction is open in a partition as info says, or nil.
func (c *Coordinator) opener(info log.ProducerInfo) *Transaction {
	id, ok := c.owners[info.ID]
	if !ok {
		return nil
	}
	t := c.ids[id].txn
	if t.state != Ongoing || info.Epoch >= 0 && info.Epoch != t.producer.Epoch { // it is not known where that is damaged
		return nil
	}
	return t
}

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
			c.ids[id] = &entry{txn: Restore(id, s)}
		case errors.Is(err, log.ErrCorruptValue):
			err = fmt.Errorf("transactional id %s: %w", id, err)
			c.ids[id] = &entry{damaged: err}
			c.opts.Logger.Warn("what is stored of a transactional id is damaged, it can be used when a producer begins with it anew", zap.Error(err))
		default:
			return false, err
		}
		return true, nil
	})
	if err != nil {
		return fmt.Errorf("read transactional ids: %w", err)
	}
	if err := c.joinGroups(); err != nil {
		return fmt.Errorf("drop offsets of transactions: %w", err)
	}
	c.joinPartitions()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, en := range c.ids {
		c.clock.wakeAt(c.dueLocked(en))
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
		case en != nil && en.txn.state == Ongoing:
			for _, name := range names {
				en.txn.groups[name] = struct{}{}
			}
			en.pending = c.pendingCost(en.txn)
		default:
			c.opts.Logger.Warn("offsets of a transaction that is not open are dropped", zap.String("transactional id", id), zap.Strings("groups", names))
			if err := c.groups.Settle(context.Background(), &writer.Tx{Essential: true}, id, names, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// joinPartitions finds the partitions in which transactions are open.
func (c *Coordinator) joinPartitions() {
	open := make(map[int64]*Transaction)
	for _, en := range c.ids {
		if en.damaged == nil && en.txn.state == Ongoing {
			open[en.txn.producer.ID] = en.txn
		}
	}
	for _, p := range c.topics.Partitions() {
		for _, info := range p.Log().Producers() {
			if info.OpenSince < 0 {
				continue
			}
			t := open[info.ID]
			if t == nil || info.Epoch >= 0 && info.Epoch != t.producer.Epoch { // it is not known where that is damaged
				c.opts.Logger.Warn("a transaction is open that no transactional id knows: it can be aborted by hand",
					zap.Stringer("partition", p.TopicPartition()), zap.Int64("producer id", info.ID), zap.Int16("epoch", info.Epoch), zap.Int64("offset", info.OpenSince))
				continue
			}
			t.partitions[p.TopicPartition()] = struct{}{}
		}
	}
}

package txn

import (
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
)

// What is stored of an id may be damaged, and then nobody knows the transaction that it had open: its partitions, whose
// readers wait, and its offsets, for which groups wait. Nobody can end it, as only the id's state says who may. It is
// aborted MaxTimeout after its last sign of life: a transaction would have timed out by then.

// orphan is a transaction that is open in a partition, and that no transactional id knows.
type orphan struct {
	tp       log.TopicPartition
	producer Producer
	since    int64
	due      time.Time
}

// orphans is what a coordinator has found of them when it was opened. It belongs to the goroutine that run is.
type orphans struct {
	open    []orphan
	offsets []string  // ids that are damaged and have offsets in groups
	due     time.Time // of these
}

// add notes a transaction that is open in a partition.
func (o *orphans) add(tp log.TopicPartition, info log.ProducerInfo, due time.Time) {
	o.open = append(o.open, orphan{tp, Producer{info.ID, info.Epoch}, info.OpenSince, due})
}

// next returns when something is due; false for never.
func (o *orphans) next() (next time.Time, ok bool) {
	if len(o.offsets) > 0 {
		next, ok = o.due, true
	}
	for _, open := range o.open {
		if !ok || open.due.Before(next) {
			next, ok = open.due, true
		}
	}
	return next, ok
}

// endOrphans aborts those that are due, and returns when to look again; false for never.
func (c *Coordinator) endOrphans(ctx context.Context) (next time.Time, ok bool) {
	now := time.Now()
	again := now.Add(retryPause)
	left := c.orphans.open[:0]
	for _, o := range c.orphans.open {
		if !now.Before(o.due) {
			if c.endOrphan(ctx, o) {
				continue
			}
			o.due = again
		}
		left = append(left, o)
	}
	c.orphans.open = left
	if !now.Before(c.orphans.due) {
		c.orphans.offsets = slices.DeleteFunc(c.orphans.offsets, func(id string) bool { return c.dropOffsets(ctx, id) })
		c.orphans.due = again
	}
	return c.orphans.next()
}

// endOrphan aborts one, and reports false if it is to be tried again.
func (c *Coordinator) endOrphan(ctx context.Context, o orphan) bool {
	_, err := c.Abort(ctx, o.tp, o.producer, o.since)
	about := []zap.Field{zap.Stringer("partition", o.tp), zap.Stringer("producer", o.producer), zap.Int64("offset", o.since)}
	switch {
	case err == nil:
		c.opts.Logger.Info("transaction aborted that no transactional id knows", about...)
	case errors.Is(err, log.ErrUnknownTopic), errors.Is(err, log.ErrUnknownPartition), errors.Is(err, log.ErrCorruptValue),
		errors.Is(err, log.ErrInvalidTxnState), errors.Is(err, log.ErrProducerFenced): // it is not there any more, or nobody reads it
	default:
		return c.giveUp(ctx, err)
	}
	return true
}

// dropOffsets drops the offsets of an id that is damaged, if it is so still, and reports false if it is to be tried
// again.
func (c *Coordinator) dropOffsets(ctx context.Context, id string) bool {
	c.mu.Lock()
	en := c.ids[id]
	if en == nil || en.damaged == nil {
		c.mu.Unlock()
		return true
	}
	d, groups := &draft{c: c, id: id, en: en, known: true, version: en.version}, en.groups
	c.mu.Unlock()
	tx := &writer.Tx{Essential: true, Check: d.check, Begun: func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		en.groups = nil
	}}
	err := c.groups.Settle(ctx, tx, id, groups, false)
	switch {
	case err == nil:
		c.opts.Logger.Info("offsets of a transaction are dropped, the state of its transactional id is damaged",
			zap.String("transactional id", id), zap.Strings("groups", groups))
	case errors.Is(err, errChanged): // a producer has begun with it
	default:
		return c.giveUp(ctx, err)
	}
	return true
}

// giveUp tells of an error, unless the coordinator closes or the store has failed, and reports false.
func (c *Coordinator) giveUp(ctx context.Context, err error) bool {
	if ctx.Err() == nil && !errors.Is(err, log.ErrFailed) {
		c.opts.Logger.Warn("a transaction that no transactional id knows is due, and it is tried again", zap.Error(err))
	}
	return false
}

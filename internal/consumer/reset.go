package consumer

import (
	"context"
	"errors"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/log"
)

// Reset is a move from an offset that is not there (any more) to one that is.
type Reset struct {
	TopicPartition log.TopicPartition
	From, To       int64 // positions
}

// Skipped returns how many offsets the consumer has missed: 0 after a move back.
func (r Reset) Skipped() int64 { return max(0, r.To-r.From) }

// ResetStats counts the resets of all consumers of a broker, and the offsets that they have missed.
type ResetStats struct{ Resets, Skipped atomic.Int64 }

// troubleLocked deals with a partition that cannot be read.
func (c *Consumer) troubleLocked(tr *track, err error) {
	switch {
	case errors.Is(err, log.ErrClosed):
		c.gone = log.ErrClosed
	case errors.Is(err, log.ErrUnknownTopic):
		c.dropLocked(tr, err)
	case errors.Is(err, log.ErrOffsetOutOfRange) && len(tr.chunks) > 0:
		tr.overtaken = true
	case errors.Is(err, log.ErrOffsetOutOfRange) && c.opts.OutOfRange == ResetEarliest:
		c.resetLocked(tr, tr.partition.LogStart())
	case errors.Is(err, log.ErrOffsetOutOfRange) && c.opts.OutOfRange == ResetLatest:
		c.resetLocked(tr, tr.edge())
	default:
		tr.stuck = true
		c.errs = append(c.errs, pollError{err, tr, tr.epoch})
	}
}

// resetLocked moves tr to an offset that is there, and tells everybody.
func (c *Consumer) resetLocked(tr *track, to int64) {
	r := Reset{TopicPartition: tr.tp, From: tr.position, To: to}
	tr.seek(to)
	c.did.Resets++
	c.did.Skipped += r.Skipped()
	c.b.Resets.Resets.Add(1)
	c.b.Resets.Skipped.Add(r.Skipped())
	c.b.Logger.Warn("a consumer stood at an offset that is not there and was moved",
		zap.String("group", c.opts.Group), zap.Stringer("partition", tr.tp),
		zap.Int64("from", r.From), zap.Int64("to", r.To), zap.Int64("skipped", r.Skipped()))
	if c.opts.OnReset != nil {
		c.resets = append(c.resets, r)
	}
}

// tellResets calls OnReset, once for each reset even if it panics.
func (c *Consumer) tellResets(ctx context.Context) {
	for {
		c.mu.Lock()
		if len(c.resets) == 0 || c.closing {
			c.mu.Unlock()
			return
		}
		r := c.resets[0]
		c.resets = c.resets[1:]
		c.mu.Unlock()
		c.opts.OnReset(ctx, r)
	}
}

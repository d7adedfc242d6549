package samsa

import (
	"context"
	"sync/atomic"

	"go.uber.org/zap"
)

// Reset is a consumer's move from an offset that is not there (any more) to one that is: see
// ConsumerOptions.OutOfRange.
type Reset struct {
	TopicPartition TopicPartition
	From, To       int64 // positions
}

// Skipped returns how many offsets the consumer has missed: 0 after a move back.
func (r Reset) Skipped() int64 { return max(0, r.To-r.From) }

// resetStats counts the resets of all consumers of a broker.
type resetStats struct{ resets, skipped atomic.Int64 }

// resetLocked moves tr to an offset that is there, and tells everybody.
func (c *Consumer) resetLocked(tr *track, to int64) {
	r := Reset{TopicPartition: tr.tp, From: tr.position, To: to}
	tr.seek(to)
	c.b.resets.resets.Add(1)
	c.b.resets.skipped.Add(r.Skipped())
	c.b.logger.Warn("a consumer stood at an offset that is not there and was moved",
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
		c.opts.OnReset(ctx, c, r)
	}
}

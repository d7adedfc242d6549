package consumer

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/log"
)

// Poll returns the next records.
func (c *Consumer) Poll(ctx context.Context) ([]log.Record, error) {
	return c.poll(ctx, c.opts.MaxPollRecords)
}

// PollRecords is Poll that returns at most most records.
func (c *Consumer) PollRecords(ctx context.Context, most int) ([]log.Record, error) {
	if err := positive("max", most); err != nil {
		return nil, err
	}
	return c.poll(ctx, most)
}

// positive refuses to poll for no records.
func positive(name string, n int) error {
	if n > 0 {
		return nil
	}
	return fmt.Errorf("poll: %w: %s is %d, want 1 or more", log.ErrInvalidOption, name, n)
}

func (c *Consumer) poll(ctx context.Context, most int) (records []log.Record, err error) {
	began := c.asked()
	err = c.await(ctx, func() (_ bool, err error) {
		records, err = c.takeLocked(most)
		return len(records) > 0, err
	}, nil)
	if err != nil {
		return nil, err
	}
	c.tellDelivered(ctx, began, records)
	return records, nil
}

// Collect is Poll that sleeps until n records were read ahead, or as much as there is room for, or until the time
// within has passed. What was read ahead is not taken before that: all that happens meanwhile happens as between
// two calls of Poll.
func (c *Consumer) Collect(ctx context.Context, n int, within time.Duration) (records []log.Record, err error) {
	if err := positive("n", n); err != nil {
		return nil, err
	}
	began := c.asked()
	var late atomic.Bool
	late.Store(within <= 0)
	defer time.AfterFunc(within, func() { late.Store(true); c.ready.Wake() }).Stop()
	err = c.await(ctx, func() (_ bool, err error) {
		over := late.Load()
		if over || c.enoughLocked(n) {
			records, err = c.takeLocked(n)
		}
		return over || len(records) > 0, err
	}, nil)
	if err != nil {
		return nil, err
	}
	c.tellDelivered(ctx, began, records)
	return records, nil
}

// enoughLocked reports whether to wait would bring no more of n records: they are there, or there is no room
// for more, or an error is next, which is told before the others.
func (c *Consumer) enoughLocked(n int) bool {
	next := c.filled.first
	return c.ahead >= n || c.fetched >= c.opts.MaxPollBytes || next != nil && next.track.chunks[0].err != nil
}

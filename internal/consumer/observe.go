package consumer

import (
	"context"
	"time"

	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/log"
)

// asked returns when the program has asked for records, if hooks are to hear of it.
func (c *Consumer) asked() time.Time {
	if !c.b.Hooks.Delivers() {
		return time.Time{}
	}
	return time.Now()
}

// tellDelivered tells hooks of records that a Poll is about to return.
func (c *Consumer) tellDelivered(ctx context.Context, began time.Time, records []log.Record) {
	if c.b.Hooks.Delivers() && len(records) > 0 {
		c.delivered(ctx, &hook.DeliverEvent{Records: records, Began: began, Took: time.Since(began)})
	}
}

func (c *Consumer) delivered(ctx context.Context, d *hook.DeliverEvent) {
	d.Group, d.ClientID = c.opts.Group, c.opts.Member.ClientID
	c.b.Hooks.Delivered(ctx, d)
}

// commits returns when a commit begins, if hooks are to hear of it.
func (c *Consumer) commits() time.Time {
	if !c.b.Hooks.Commits() {
		return time.Time{}
	}
	return time.Now()
}

// tellCommitted tells hooks of a commit that has ended with err.
func (m *membership) tellCommitted(ctx context.Context, began time.Time, auto bool, offsets map[log.TopicPartition]group.Offset, err error) {
	hooks := m.c.b.Hooks
	if !hooks.Commits() {
		return
	}
	memory := hooks.Borrow()
	for tp, o := range offsets {
		memory.Offsets[tp] = o.Offset
	}
	hooks.Committed(ctx, &hook.CommitEvent{
		Group: m.c.opts.Group, ClientID: m.c.opts.Member.ClientID, Offsets: memory.Offsets, Auto: auto, Began: began, Took: time.Since(began), Err: err,
	})
	hooks.Return(memory)
}

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

// tellDelivered tells hooks of records that the program is about to have.
func (c *Consumer) tellDelivered(ctx context.Context, began time.Time, records []log.Record) {
	if c.b.Hooks.Delivers() && len(records) > 0 {
		c.b.Hooks.Delivered(ctx, hook.DeliverEvent{
			Group: c.opts.Group, ClientID: c.opts.Member.ClientID, Records: records, Began: began, Took: time.Since(began),
		})
	}
}

// tellCommitted tells hooks of a commit that has ended with err.
func (m *membership) tellCommitted(ctx context.Context, began time.Time, auto bool, offsets map[log.TopicPartition]group.Offset, err error) {
	if !m.c.b.Hooks.Commits() {
		return
	}
	at := make(map[log.TopicPartition]int64, len(offsets))
	for tp, o := range offsets {
		at[tp] = o.Offset
	}
	m.c.b.Hooks.Committed(ctx, hook.CommitEvent{
		Group: m.c.opts.Group, ClientID: m.c.opts.Member.ClientID, Offsets: at, Auto: auto, Began: began, Took: time.Since(began), Err: err,
	})
}

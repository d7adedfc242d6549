package queue

import (
	"context"
	"time"

	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/share"
)

// asked returns when the program has asked for records, if hooks are to hear of it.
func (q *Queue) asked() time.Time {
	if !q.b.Hooks.Delivers() {
		return time.Time{}
	}
	return time.Now()
}

// tellDelivered tells hooks of records that the program is about to have.
func (q *Queue) tellDelivered(ctx context.Context, began time.Time, ds []Delivery) {
	if !q.b.Hooks.Delivers() || len(ds) == 0 {
		return
	}
	memory := q.b.Hooks.Borrow()
	for i := range ds {
		memory.Records = append(memory.Records, ds[i].Given())
	}
	q.b.Hooks.Delivered(ctx, &hook.DeliverEvent{
		Group: q.opts.Group, ClientID: q.opts.ClientID, Queue: true, Records: memory.Records, Began: began, Took: time.Since(began),
	})
	q.b.Hooks.Return(memory)
}

// begins returns when an acknowledgement begins, if hooks are to hear of it.
func (q *Queue) begins() time.Time {
	if !q.b.Hooks.Commits() {
		return time.Time{}
	}
	return time.Now()
}

// acknowledge says what becomes of records, and waits for that.
func (q *Queue) acknowledge(ctx context.Context, k share.Key, synced bool, acks ...share.Ack) error {
	began := q.begins()
	err := q.member.Acknowledge(ctx, k, synced, acks...)
	q.tellSettled(ctx, began, k, err, acks...)
	return err
}

// tellSettled tells hooks of acknowledgements that have ended with err.
func (q *Queue) tellSettled(ctx context.Context, began time.Time, k share.Key, err error, acks ...share.Ack) {
	if !q.b.Hooks.Commits() {
		return
	}
	memory := q.b.Hooks.Borrow()
	for _, a := range acks {
		memory.Acks = append(memory.Acks, hook.AckedRange{TopicPartition: k.TopicPartition, First: a.First, Last: a.Last, Outcome: a.Types[0].String()})
	}
	q.b.Hooks.Committed(ctx, &hook.CommitEvent{
		Group: q.opts.Group, ClientID: q.opts.ClientID, Acks: memory.Acks, Began: began, Took: time.Since(began), Err: err,
	})
	q.b.Hooks.Return(memory)
}

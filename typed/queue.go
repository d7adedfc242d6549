package typed

import (
	"context"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa"
)

// Queue is a samsa.Queue of messages.
type Queue[K, V any] struct {
	*samsa.Queue
	codecs Codecs[K, V]
}

// Delivery is a samsa.Delivery of a message.
type Delivery[K, V any] struct {
	samsa.Delivery
	Key   K     // zero when the record has no key
	Value V     // zero when the record has no value
	Err   error // nil, or the *DecodeError of a record that is none of K and V
}

// NewQueue returns a queue: see samsa.Broker.NewQueue.
func NewQueue[K, V any](ctx context.Context, b *samsa.Broker, c Codecs[K, V], opts samsa.QueueOptions) (*Queue[K, V], error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("new queue: %w", err)
	}
	q, err := b.NewQueue(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &Queue[K, V]{q, c}, nil
}

func (q *Queue[K, V]) deliveryOf(d samsa.Delivery) Delivery[K, V] {
	m, err := q.codecs.Decode(d.Record)
	return Delivery[K, V]{Delivery: d, Key: m.Key, Value: m.Value, Err: err}
}

// Receive returns deliveries, at most max, as soon as there are any: see samsa.Queue.Receive, and Delivery.Err.
func (q *Queue[K, V]) Receive(ctx context.Context, max int) ([]Delivery[K, V], error) {
	got, err := q.Queue.Receive(ctx, max)
	if err != nil {
		return nil, err
	}
	ds := make([]Delivery[K, V], len(got))
	for i := range got {
		ds[i] = q.deliveryOf(got[i])
	}
	return ds, nil
}

// Deliveries returns an iterator over all deliveries to come: see samsa.Queue.Deliveries. One that cannot be
// decoded is yielded with its Err as the error; other errors come with a Delivery that is zero.
func (q *Queue[K, V]) Deliveries(ctx context.Context) iter.Seq2[Delivery[K, V], error] {
	return func(yield func(Delivery[K, V], error) bool) {
		for d, err := range q.Queue.Deliveries(ctx) {
			var own Delivery[K, V]
			if err == nil {
				own = q.deliveryOf(d)
				err = own.Err
			}
			if !yield(own, err) {
				return
			}
		}
	}
}

// Work calls fn for each delivery, n at once: see samsa.Queue.Work. err is d.Err: nil, or the *DecodeError of a record that is none of K and V. So fn
// says what becomes of it: an error, this one for instance, is a Retry, and nil an Ack; d.Reject makes it a dead letter.
func (q *Queue[K, V]) Work(ctx context.Context, n int, fn func(ctx context.Context, d Delivery[K, V], err error) error) error {
	if fn == nil {
		return q.Queue.Work(ctx, n, nil)
	}
	return q.Queue.Work(ctx, n, func(ctx context.Context, d samsa.Delivery) error {
		own := q.deliveryOf(d)
		return fn(ctx, own, own.Err)
	})
}

package typed

import (
	"context"
	"fmt"
	"iter"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
)

// Consumer is a samsa.Consumer of messages. Poll, PollRecords and Collect return records as they are: see
// Codecs.Decode.
type Consumer[K, V any] struct {
	*samsa.Consumer
	codecs Codecs[K, V]
}

// NewConsumer returns a consumer: see samsa.Broker.NewConsumer.
func NewConsumer[K, V any](ctx context.Context, b *samsa.Broker, c Codecs[K, V], opts samsa.ConsumerOptions) (*Consumer[K, V], error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("new consumer: %w", err)
	}
	inner, err := b.NewConsumer(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &Consumer[K, V]{inner, c}, nil
}

// Records returns an iterator over all messages to come: see samsa.Consumer.Records. One that cannot be decoded is yielded
// with a *DecodeError, and counts as any other: who goes on has processed it.
func (c *Consumer[K, V]) Records(ctx context.Context) iter.Seq2[Message[K, V], error] {
	return c.messages(ctx, false)
}

// RecordsUntil is Records that reads until now: see samsa.Consumer.RecordsUntil.
func (c *Consumer[K, V]) RecordsUntil(ctx context.Context) iter.Seq2[Message[K, V], error] {
	return c.messages(ctx, true)
}

func (c *Consumer[K, V]) messages(ctx context.Context, until bool) iter.Seq2[Message[K, V], error] {
	return func(yield func(Message[K, V], error) bool) {
		var m Message[K, V]
		inside.Each(ctx, c.Consumer, until, &m.Record, func(r *samsa.Record, err error) bool {
			if err != nil {
				return yield(Message[K, V]{}, err)
			}
			if r != &m.Record {
				m.Record = *r
			}
			err = c.codecs.decode(&m) // first: Go does not say when it copies m
			return yield(m, err)
		})
	}
}

// Work calls fn for each message, in n calls at once: see samsa.Consumer.Work. err is nil, or the *DecodeError of a record that is none of K
// and V. So fn says what becomes of it: with nil it is done, and any error, this one for instance, ends Work.
func (c *Consumer[K, V]) Work(ctx context.Context, n int, fn func(ctx context.Context, m Message[K, V], err error) error) error {
	if fn == nil {
		return c.Consumer.Work(ctx, n, nil)
	}
	return c.Consumer.Work(ctx, n, func(ctx context.Context, r samsa.Record) error {
		m, err := c.codecs.Decode(r)
		return fn(ctx, m, err)
	})
}

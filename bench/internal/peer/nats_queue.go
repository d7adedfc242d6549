package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func (l *natsLog) Queue(ctx context.Context) (Queue, error) {
	c, err := l.js.CreateOrUpdateConsumer(ctx, streamName(0), jetstream.ConsumerConfig{
		Durable: "workers", AckPolicy: jetstream.AckExplicitPolicy, AckWait: queueLock, MaxAckPending: -1,
	})
	if err != nil {
		return nil, err
	}
	return &natsWorkers{c}, nil
}

type natsWorkers struct{ consumer jetstream.Consumer }

// natsWait is how long a worker asks once. What ends its wait is ctx.
const natsWait = 100 * time.Millisecond

func (w *natsWorkers) Receive(ctx context.Context, limit int) (Received, error) {
	got := &natsReceived{}
	batch, err := w.consumer.FetchNoWait(limit)
	for {
		if err != nil {
			return nil, err
		}
		for m := range batch.Messages() {
			got.messages, got.values = append(got.messages, m), append(got.values, m.Data())
		}
		if err := batch.Error(); err != nil && !errors.Is(err, nats.ErrTimeout) {
			return nil, fmt.Errorf("fetch: %w", err)
		}
		if len(got.messages) > 0 || ctx.Err() != nil {
			return got, ctx.Err()
		}
		batch, err = w.consumer.Fetch(1, jetstream.FetchMaxWait(natsWait))
	}
}

func (w *natsWorkers) Close() error { return nil }

type natsReceived struct {
	messages []jetstream.Msg
	values   [][]byte
}

func (r *natsReceived) Values() [][]byte { return r.values }

func (r *natsReceived) Ack(ctx context.Context) error {
	last := len(r.messages) - 1
	for _, m := range r.messages[:last] {
		if err := m.Ack(); err != nil {
			return err
		}
	}
	return r.messages[last].DoubleAck(ctx)
}

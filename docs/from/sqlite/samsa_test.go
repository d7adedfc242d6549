package from

import (
	"context"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func samsaOpen(ctx context.Context, dir string) (*samsa.Broker, *samsa.Queue, error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return nil, nil, err
	}
	for _, topic := range []string{"mails", "mails.dead"} {
		if _, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Retention: samsa.Unlimited}); err != nil {
			return nil, nil, err
		}
	}
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, MaxDeliveries: 3, DeadLetter: "mails.dead"})
	return b, q, err
}

func samsaPut(ctx context.Context, b *samsa.Broker) error {
	_, err := b.Produce(ctx, samsa.Record{Topic: "mails", Value: []byte("to alice")})
	return err
}

func samsaTake(ctx context.Context, q *samsa.Queue, send func([]byte) error) error {
	ds, err := q.Receive(ctx, 1) // sleeps until there is one
	if err != nil {
		return err
	}
	if err := send(ds[0].Record.Value); err != nil {
		return ds[0].Retry() // it comes again as QueueOptions.Retry says
	}
	return ds[0].Ack()
}

func samsaWork(ctx context.Context, q *samsa.Queue, send func([]byte) error) error {
	return q.Work(ctx, 10, func(_ context.Context, d samsa.Delivery) error { return send(d.Record.Value) })
}

func samsaLater(ctx context.Context, b *samsa.Broker, after time.Duration) error {
	_, err := b.Produce(ctx, samsa.Record{Topic: "mails", Value: []byte("to alice"),
		Headers: []samsa.Header{samsa.NotBefore(time.Now().Add(after))}})
	return err
}

func samsaExtend(d samsa.Delivery) error {
	return d.Extend() // by QueueOptions.Lock, 30 s
}

func samsaOutbox(ctx context.Context, b *samsa.Broker) error {
	return b.Update(ctx, func(tx *samsa.Tx) error {
		if err := tx.Set([]byte("orders/7"), []byte("tea")); err != nil {
			return err
		}
		return tx.Produce(samsa.Record{Topic: "mails", Value: []byte("order 7")})
	})
}

func samsaWaiting(ctx context.Context, q *samsa.Queue) (int64, error) {
	stats, err := q.Stats(ctx)
	return stats.Lag, err
}

func samsaGivenUp(ctx context.Context, b *samsa.Broker) (values []string, err error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"mails.dead"}})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for r, err := range c.RecordsUntil(ctx) {
		if err != nil {
			return nil, err
		}
		values = append(values, string(r.Value))
	}
	return values, nil
}

func samsaTest(t *testing.T, mailer func(*samsa.Queue) error) {
	b := samsatest.New(t, samsatest.Topic("mails", 1))
	samsatest.Produce(t, b, "mails", "to alice")
	q, err := b.NewQueue(t.Context(), samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := mailer(q); err != nil {
		t.Fatal(err)
	}
	samsatest.WaitDone(t, b, "mailer", "mails", 1)
}

package from

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/typed"
)

// Order is what both sides send as JSON.
type Order struct{ Item string }

func samsaSend(ctx context.Context, b *samsa.Broker) error {
	_, err := b.Produce(ctx, samsa.Record{
		Topic: "orders", Value: []byte("tea"), Headers: []samsa.Header{{Key: "shop", Value: []byte("Prague")}},
	})
	return err
}

func samsaSubscribe(ctx context.Context, q *samsa.Queue, do func([]byte) error) error {
	for d, err := range q.Deliveries(ctx) {
		if err != nil {
			return err
		}
		if do(d.Record.Value) != nil {
			err = d.Release(0) // it comes again at once
		} else {
			err = d.Ack()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func samsaHandle(ctx context.Context, b *samsa.Broker, do func([]byte) error) error {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Work(ctx, 1, func(_ context.Context, r samsa.Record) error { return do(r.Value) })
}

func samsaThank(ctx context.Context, b *samsa.Broker, q *samsa.Queue) error {
	return q.Work(ctx, 1, func(ctx context.Context, d samsa.Delivery) error {
		return b.Update(ctx, func(tx *samsa.Tx) error {
			if err := tx.Produce(samsa.Record{Topic: "receipts", Value: append([]byte("thanks for "), d.Record.Value...)}); err != nil {
				return err
			}
			return tx.Ack(d)
		})
	})
}

func samsaRetry(ctx context.Context, b *samsa.Broker, do func([]byte) error) error {
	q, err := b.NewQueue(ctx, samsa.QueueOptions{
		Group: "billing", Topics: []string{"orders"},
		MaxDeliveries: 5, Retry: samsa.Retry{Min: 10 * time.Millisecond, Factor: 2, Max: time.Minute},
	})
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Work(ctx, 1, func(_ context.Context, d samsa.Delivery) error { return do(d.Record.Value) })
}

func samsaPoison(ctx context.Context, b *samsa.Broker, do func([]byte) error) error {
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "billing", Topics: []string{"orders"}, MaxDeliveries: 1, DeadLetter: "orders.dead"})
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Work(ctx, 1, func(_ context.Context, d samsa.Delivery) error { return do(d.Record.Value) })
}

func samsaOnce(ctx context.Context, b *samsa.Broker, q *samsa.Queue) error {
	return q.Work(ctx, 1, func(ctx context.Context, d samsa.Delivery) error {
		seen := append([]byte("thanked/"), d.Record.Headers[0].Value...) // its id
		return b.Update(ctx, func(tx *samsa.Tx) error {
			if _, err := tx.Get(seen); !errors.Is(err, samsa.ErrKeyNotFound) {
				return errors.Join(err, tx.Ack(d))
			}
			return errors.Join(tx.Set(seen, nil), tx.Produce(samsa.Record{Topic: "receipts", Value: []byte("thanks")}), tx.Ack(d))
		})
	})
}

func samsaTypes(ctx context.Context, b *samsa.Broker) (*typed.Producer[string, Order], *typed.Queue[string, Order], error) {
	codecs := typed.CodecsOf(typed.String(), typed.JSON[Order]())
	p, err := typed.NewProducer(ctx, b, codecs, samsa.ProducerOptions{})
	if err != nil {
		return nil, nil, err
	}
	q, err := typed.NewQueue(ctx, b, codecs, samsa.QueueOptions{Group: "billing", Topics: []string{"orders"}})
	return p, q, err
}

func samsaFanIn(ctx context.Context, b *samsa.Broker) error {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Group: "fan-in", Topics: []string{"orders", "returns"}, Member: samsa.MemberOptions{ManualCommit: true},
	})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		records, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		err = b.Update(ctx, func(tx *samsa.Tx) error {
			for _, r := range records {
				if err := tx.Produce(samsa.Record{Topic: "all", Key: r.Key, Value: r.Value, Headers: r.Headers}); err != nil {
					return err
				}
			}
			return tx.CommitRecords(c, records...)
		})
		if err != nil {
			return err
		}
	}
}

func samsaTest(t *testing.T, shop func(*samsa.Broker) error) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	samsatest.Appends(b, "orders").Next(1).Fail()
	if err := shop(b); !errors.Is(err, samsatest.ErrInjected) {
		t.Error(err)
	}
	if err := shop(b); err != nil {
		t.Error(err)
	}
	samsatest.Equal(t, b, "orders", []string{"tea"})
}

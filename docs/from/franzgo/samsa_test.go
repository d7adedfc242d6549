package from

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func samsaSend(ctx context.Context, b *samsa.Broker) (partition int32, offset int64, err error) {
	stored, err := b.Produce(ctx, samsa.Record{
		Topic: "orders", Key: []byte("7"), Value: []byte("tea"),
		Headers: []samsa.Header{{Key: "shop", Value: []byte("Prague")}},
	})
	if err != nil {
		return 0, 0, err
	}
	return stored[0].Partition, stored[0].Offset, nil
}

func samsaBackground(ctx context.Context, p *samsa.Producer, orders []string) error {
	var failed error
	for _, o := range orders {
		p.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte(o)}, func(_ samsa.Record, err error) {
			failed = errors.Join(failed, err) // promises are called one after the other
		})
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	return failed
}

func samsaGroup(ctx context.Context, b *samsa.Broker, do func(samsa.Record)) error {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}})
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		records, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		for _, r := range records {
			do(r)
		}
	}
}

func samsaCommit(ctx context.Context, c *samsa.Consumer, do func(samsa.Record) error) error {
	for { // ConsumerOptions.Member.ManualCommit is true
		records, err := c.PollRecords(ctx, 100)
		if err != nil {
			return err
		}
		for _, r := range records {
			if err := do(r); err != nil {
				return err
			}
			if err := c.CommitRecords(ctx, r); err != nil {
				return err
			}
		}
	}
}

func samsaSince(ctx context.Context, b *samsa.Broker, t time.Time) (first string, err error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.AtTime(t)})
	if err != nil {
		return "", err
	}
	defer c.Close()
	records, err := c.PollRecords(ctx, 1)
	if err != nil {
		return "", err
	}
	return string(records[0].Value), nil
}

// samsaOnce wants a consumer with Member.ManualCommit.
func samsaOnce(ctx context.Context, b *samsa.Broker, c *samsa.Consumer) error {
	orders, err := c.PollRecords(ctx, 100)
	if err != nil {
		return err
	}
	return b.Update(ctx, func(tx *samsa.Tx) error {
		for _, o := range orders {
			if err := tx.Produce(samsa.Record{Topic: "receipts", Key: o.Key, Value: []byte("thanks")}); err != nil {
				return err
			}
		}
		return tx.CommitRecords(c, orders...)
	})
}

func samsaQueue(ctx context.Context, b *samsa.Broker, do func(samsa.Record) error) error {
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "mailer", Topics: []string{"orders"}, Retry: samsa.Retry{Min: samsa.NoWait}})
	if err != nil {
		return err
	}
	defer q.Close()
	return q.Work(ctx, 10, func(_ context.Context, d samsa.Delivery) error { return do(d.Record) })
}

func samsaCreate(ctx context.Context, b *samsa.Broker) error {
	return b.Topics().Create(ctx, "clicks", samsa.TopicConfig{Partitions: 3, Retention: 24 * time.Hour})
}

func samsaLag(ctx context.Context, b *samsa.Broker) (lag int64, err error) {
	billing, err := b.Groups().Describe(ctx, "billing")
	for _, p := range billing.Partitions {
		lag += p.Lag
	}
	return lag, err
}

func samsaTest(t *testing.T, shop func(*samsa.Broker) error) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	samsatest.Appends(b, "orders").Next(1).FailWith(samsa.ErrInvalidRecord)
	if err := shop(b); !errors.Is(err, samsa.ErrInvalidRecord) {
		t.Error(err)
	}
	if err := shop(b); err != nil {
		t.Error(err)
	}
	samsatest.Equal(t, b, "orders", []string{"tea"})
}

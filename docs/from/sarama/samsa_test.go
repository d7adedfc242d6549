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

func samsaBackground(ctx context.Context, b *samsa.Broker, orders []string) error {
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
	if err != nil {
		return err
	}
	failed := make([]error, len(orders))
	for i, o := range orders {
		p.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte(o)}, func(_ samsa.Record, err error) { failed[i] = err })
	}
	err = p.Close() // stores what is left
	return errors.Join(append(failed, err)...)
}

func samsaChoose(ctx context.Context, b *samsa.Broker, partition int32) error {
	_, err := b.ProduceWith(ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()},
		samsa.Record{Topic: "orders", Partition: partition, Value: []byte("tea")})
	return err
}

func samsaFollow(ctx context.Context, b *samsa.Broker, do func(samsa.Record)) error {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	if err != nil {
		return err
	}
	defer c.Close()
	for r, err := range c.Records(ctx) {
		if err != nil {
			return err
		}
		do(r)
	}
	return nil
}

func samsaGroup(ctx context.Context, b *samsa.Broker, do func(samsa.Record) error) error {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}})
	if err != nil {
		return err
	}
	defer c.Close()
	for r, err := range c.Records(ctx) {
		if err != nil {
			return err
		}
		if err := do(r); err != nil {
			return err
		}
	}
	return nil
}

func samsaCommit(ctx context.Context, c *samsa.Consumer, do func(samsa.Record) error) error {
	for r, err := range c.Records(ctx) { // ConsumerOptions.Member.ManualCommit is true
		if err != nil {
			return err
		}
		if err := do(r); err != nil {
			return err
		}
		if err := c.CommitRecords(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

func samsaSince(ctx context.Context, b *samsa.Broker, t time.Time) (first string, err error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}, Start: samsa.AtTime(t)})
	if err != nil {
		return "", err
	}
	defer c.Close()
	rs, err := c.PollRecords(ctx, 1)
	if err != nil {
		return "", err
	}
	return string(rs[0].Value), nil
}

// samsaOnce wants a consumer with Member.ManualCommit.
func samsaOnce(ctx context.Context, b *samsa.Broker, c *samsa.Consumer, r samsa.Record) error {
	return b.Update(ctx, func(tx *samsa.Tx) error {
		receipt := samsa.Record{Topic: "receipts", Key: r.Key, Value: []byte("thanks")}
		if err := tx.Produce(receipt); err != nil {
			return err
		}
		return tx.CommitRecords(c, r)
	})
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
	samsatest.Appends(b, "orders").Next(1).Fail()
	if err := shop(b); !errors.Is(err, samsatest.ErrInjected) {
		t.Error(err)
	}
	if err := shop(b); err != nil {
		t.Error(err)
	}
	samsatest.Equal(t, b, "orders", []string{"tea"})
}

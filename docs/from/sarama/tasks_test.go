// Each task of the page is done by both sides on a broker of its own, and has to do the same.
package from

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/docs/from/internal/sides"
	"github.com/samsa-go/samsa/samsatest"
)

// both runs a task of each side on a new broker, and then looks at what it has done.
func both(t *testing.T, setup func(b *samsa.Broker), theirs func(addrs []string, c *sarama.Config) error, ours func(b *samsa.Broker) error, look func(t *testing.T, b *samsa.Broker)) {
	t.Helper()
	sides.Run(t, setup, "sarama", func(b *samsa.Broker) error {
		c := sarama.NewConfig()
		c.Metadata.Retry.Backoff = 10 * time.Millisecond
		c.Consumer.Group.Rebalance.Retry.Backoff = 10 * time.Millisecond
		c.Consumer.MaxWaitTime = 100 * time.Millisecond
		return theirs([]string{samsatest.Kafka(t, b)}, c)
	}, ours, look)
}

func TestSend(t *testing.T) {
	both(t, nil, func(addrs []string, c *sarama.Config) error {
		_, offset, err := saramaSend(addrs, c)
		if offset != 0 {
			t.Error("at offset", offset)
		}
		return err
	}, func(b *samsa.Broker) error {
		_, offset, err := samsaSend(t.Context(), b)
		if offset != 0 {
			t.Error("at offset", offset)
		}
		return err
	}, sides.Sent)
}

func TestBackground(t *testing.T) {
	orders := []string{"tea", "milk", "soap"}
	both(t, nil, func(addrs []string, c *sarama.Config) error {
		return saramaBackground(addrs, c, orders)
	}, func(b *samsa.Broker) error {
		return samsaBackground(t.Context(), b, orders)
	}, func(t *testing.T, b *samsa.Broker) { samsatest.SameRecords(t, b, "orders", orders) })
}

func TestChoose(t *testing.T) {
	both(t, nil, func(addrs []string, c *sarama.Config) error {
		return saramaChoose(addrs, c, 1)
	}, func(b *samsa.Broker) error {
		return samsaChoose(t.Context(), b, 1)
	}, func(t *testing.T, b *samsa.Broker) {
		if rs := samsatest.Drain(t, b, "orders"); len(rs) != 1 || rs[0].Partition != 1 {
			t.Errorf("stored %v", rs)
		}
	})
}

func TestFollow(t *testing.T) {
	check := func(err error, got []string) error {
		if len(got) != 2 || got[0] != "tea" || got[1] != "milk" || !errors.Is(err, context.Canceled) {
			t.Errorf("read %q, %v", got, err)
		}
		return nil
	}
	both(t, sides.Put(t, "tea", "milk"), func(addrs []string, c *sarama.Config) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var got []string
		err := saramaFollow(ctx, addrs, c, func(m *sarama.ConsumerMessage) {
			if got = append(got, string(m.Value)); len(got) == 2 {
				stop()
			}
		})
		return check(err, got)
	}, func(b *samsa.Broker) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var got []string
		err := samsaFollow(ctx, b, func(r samsa.Record) {
			if got = append(got, string(r.Value)); len(got) == 2 {
				stop()
			}
		})
		return check(err, got)
	}, nil)
}

func TestGroup(t *testing.T) {
	both(t, sides.Put(t, "tea", "milk"), func(addrs []string, c *sarama.Config) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		return sides.Unless(saramaGroup(ctx, addrs, c, func(m *sarama.ConsumerMessage) error {
			if string(m.Value) == "milk" {
				stop()
			}
			return nil
		}), context.Canceled)
	}, func(b *samsa.Broker) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		return sides.Unless(samsaGroup(ctx, b, func(r samsa.Record) error {
			if string(r.Value) == "milk" {
				stop()
			}
			return nil
		}), context.Canceled)
	}, sides.Committed(2))
}

func TestCommit(t *testing.T) {
	both(t, sides.Put(t, "tea", "milk"), func(addrs []string, c *sarama.Config) error {
		c.Consumer.Offsets.Initial, c.Consumer.Offsets.AutoCommit.Enable = sarama.OffsetOldest, false
		g, err := sarama.NewConsumerGroup(addrs, "billing", c)
		if err != nil {
			return err
		}
		defer g.Close()
		return g.Consume(t.Context(), []string{"orders"}, committing(func(m *sarama.ConsumerMessage) error {
			if string(m.Value) == "milk" {
				return sides.ErrStop
			}
			return nil
		}))
	}, sides.Member(t, func(_ *samsa.Broker, c *samsa.Consumer) error {
		return sides.Unless(samsaCommit(t.Context(), c, func(r samsa.Record) error {
			if string(r.Value) == "milk" {
				return sides.ErrStop
			}
			return nil
		}), sides.ErrStop)
	}), sides.Committed(1))
}

func TestSince(t *testing.T) {
	since := time.Now().Add(-90 * time.Minute)
	both(t, sides.Put(t, "tea", "milk", "soap"), func(addrs []string, c *sarama.Config) error {
		first, err := saramaSince(addrs, c, since)
		if first != "milk" {
			t.Errorf("read %q", first)
		}
		return err
	}, func(b *samsa.Broker) error {
		first, err := samsaSince(t.Context(), b, since)
		if first != "milk" {
			t.Errorf("read %q", first)
		}
		return err
	}, nil)
}

func TestOnce(t *testing.T) {
	both(t, sides.Put(t, "tea"), func(addrs []string, c *sarama.Config) error {
		c.Producer.Transaction.ID, c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = "billing-1", true, sarama.WaitForAll, 1
		c.Producer.Return.Successes = true
		p, err := sarama.NewSyncProducer(addrs, c)
		if err != nil {
			return err
		}
		defer p.Close()
		return saramaOnce(p, &sarama.ConsumerMessage{Topic: "orders", Key: []byte("7")})
	}, sides.Member(t, func(b *samsa.Broker, c *samsa.Consumer) error {
		rs, err := c.Poll(t.Context())
		if err != nil {
			return err
		}
		return samsaOnce(t.Context(), b, c, rs[0])
	}), func(t *testing.T, b *samsa.Broker) {
		samsatest.Equal(t, b, "receipts", []string{"7=thanks"})
		sides.Committed(1)(t, b)
	})
}

func TestCreate(t *testing.T) {
	both(t, nil, saramaCreate, func(b *samsa.Broker) error { return samsaCreate(t.Context(), b) }, sides.Created)
}

func TestLag(t *testing.T) {
	both(t, sides.Behind(t), func(addrs []string, c *sarama.Config) error {
		lag, err := saramaLag(addrs, c)
		if lag != 2 {
			t.Error("lag", lag)
		}
		return err
	}, func(b *samsa.Broker) error {
		lag, err := samsaLag(t.Context(), b)
		if lag != 2 {
			t.Error("lag", lag)
		}
		return err
	}, nil)
}

func TestTest(t *testing.T) {
	send := func(p sarama.SyncProducer) error {
		_, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: "orders", Value: sarama.StringEncoder("tea")})
		return err
	}
	saramaTest(t, func(p sarama.SyncProducer) error { return errors.Join(send(p), send(p)) })
	samsaTest(t, func(b *samsa.Broker) error {
		_, err := b.Produce(t.Context(), samsa.Record{Topic: "orders", Value: []byte("tea")})
		return err
	})
}

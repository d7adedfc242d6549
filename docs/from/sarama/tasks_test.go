// Each task of the page is done by both sides on a broker of its own, and has to do the same.
package from

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/IBM/sarama"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

var errStop = errors.New("that is enough")

// both runs a task of each side on a new broker, and then looks at what it has done.
func both(t *testing.T, setup func(b *samsa.Broker), theirs func(addrs []string, c *sarama.Config) error, ours func(b *samsa.Broker) error, look func(t *testing.T, b *samsa.Broker)) {
	t.Helper()
	for name, run := range map[string]func(b *samsa.Broker) error{
		"sarama": func(b *samsa.Broker) error {
			c := sarama.NewConfig()
			c.Metadata.Retry.Backoff = 10 * time.Millisecond
			c.Consumer.Group.Rebalance.Retry.Backoff = 10 * time.Millisecond
			c.Consumer.MaxWaitTime = 100 * time.Millisecond
			return theirs([]string{samsatest.Kafka(t, b)}, c)
		},
		"samsa": ours,
	} {
		t.Run(name, func(t *testing.T) {
			b := samsatest.New(t, samsatest.Topic("orders", 2), samsatest.Topic("receipts", 1), samsatest.AllowOpenClients())
			if setup != nil {
				setup(b)
			}
			if err := run(b); err != nil {
				t.Fatal(err)
			}
			if look != nil {
				look(t, b)
			}
		})
	}
}

// put stores orders in partition 0, an hour apart; the last one now.
func put(t *testing.T, values ...string) func(b *samsa.Broker) {
	return func(b *samsa.Broker) {
		for i, v := range values {
			at := time.Now().Add(time.Duration(i+1-len(values)) * time.Hour)
			r := samsa.Record{Topic: "orders", Key: []byte("7"), Value: []byte(v), Timestamp: at}
			if _, err := b.ProduceWith(t.Context(), samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, r); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// committed looks how far the group is in partition 0.
func committed(want int64) func(t *testing.T, b *samsa.Broker) {
	return func(t *testing.T, b *samsa.Broker) {
		t.Helper()
		got, err := b.Groups().Committed(t.Context(), "billing")
		if at := got[samsa.TopicPartition{Topic: "orders"}].Offset; err != nil || at != want {
			t.Errorf("committed %v, %v, want %d", got, err, want)
		}
	}
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
	}, func(t *testing.T, b *samsa.Broker) {
		r := samsatest.Drain(t, b, "orders")[0]
		if string(r.Key) != "7" || string(r.Value) != "tea" || r.Headers[0].Key != "shop" || string(r.Headers[0].Value) != "Prague" {
			t.Errorf("stored %v", r)
		}
	})
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
	both(t, put(t, "tea", "milk"), func(addrs []string, c *sarama.Config) error {
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
	both(t, put(t, "tea", "milk"), func(addrs []string, c *sarama.Config) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		err := saramaGroup(ctx, addrs, c, func(m *sarama.ConsumerMessage) error {
			if string(m.Value) == "milk" {
				stop()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}, func(b *samsa.Broker) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		err := samsaGroup(ctx, b, func(r samsa.Record) error {
			if string(r.Value) == "milk" {
				stop()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	}, committed(2))
}

func TestCommit(t *testing.T) {
	both(t, put(t, "tea", "milk"), func(addrs []string, c *sarama.Config) error {
		c.Consumer.Offsets.Initial, c.Consumer.Offsets.AutoCommit.Enable = sarama.OffsetOldest, false
		g, err := sarama.NewConsumerGroup(addrs, "billing", c)
		if err != nil {
			return err
		}
		defer g.Close()
		return g.Consume(t.Context(), []string{"orders"}, committing(func(m *sarama.ConsumerMessage) error {
			if string(m.Value) == "milk" {
				return errStop
			}
			return nil
		}))
	}, func(b *samsa.Broker) error {
		c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}, Member: samsa.MemberOptions{ManualCommit: true}})
		if err != nil {
			return err
		}
		defer c.Close()
		err = samsaCommit(t.Context(), c, func(r samsa.Record) error {
			if string(r.Value) == "milk" {
				return errStop
			}
			return nil
		})
		if !errors.Is(err, errStop) {
			return err
		}
		return nil
	}, committed(1))
}

func TestSince(t *testing.T) {
	since := time.Now().Add(-90 * time.Minute)
	both(t, put(t, "tea", "milk", "soap"), func(addrs []string, c *sarama.Config) error {
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
	both(t, put(t, "tea"), func(addrs []string, c *sarama.Config) error {
		c.Producer.Transaction.ID, c.Producer.Idempotent, c.Producer.RequiredAcks, c.Net.MaxOpenRequests = "billing-1", true, sarama.WaitForAll, 1
		c.Producer.Return.Successes = true
		p, err := sarama.NewSyncProducer(addrs, c)
		if err != nil {
			return err
		}
		defer p.Close()
		return saramaOnce(p, &sarama.ConsumerMessage{Topic: "orders", Key: []byte("7")})
	}, func(b *samsa.Broker) error {
		c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}, Member: samsa.MemberOptions{ManualCommit: true}})
		if err != nil {
			return err
		}
		defer c.Close()
		rs, err := c.Poll(t.Context())
		if err != nil {
			return err
		}
		return samsaOnce(t.Context(), b, c, rs[0])
	}, func(t *testing.T, b *samsa.Broker) {
		samsatest.Equal(t, b, "receipts", []string{"7=thanks"})
		committed(1)(t, b)
	})
}

func TestCreate(t *testing.T) {
	both(t, nil, saramaCreate, func(b *samsa.Broker) error { return samsaCreate(t.Context(), b) }, func(t *testing.T, b *samsa.Broker) {
		info, err := b.Topics().Describe(t.Context(), "clicks")
		if err != nil || info.Config.Partitions != 3 || info.Config.Retention != 24*time.Hour {
			t.Errorf("created %+v, %v", info, err)
		}
	})
}

func TestLag(t *testing.T) {
	setup := func(b *samsa.Broker) {
		put(t, "tea", "milk", "soap")(b)
		if err := b.Groups().SetOffsets(t.Context(), "billing", map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "orders"}: {Offset: 1}}); err != nil {
			t.Fatal(err)
		}
	}
	both(t, setup, func(addrs []string, c *sarama.Config) error {
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

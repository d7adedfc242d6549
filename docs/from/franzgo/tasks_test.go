// Each task of the page is done by both sides on a broker of its own, and has to do the same.
package from

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

var errStop = errors.New("that is enough")

// both runs a task of each side on a new broker, and then looks at what it has done.
func both(t *testing.T, setup func(b *samsa.Broker), theirs func(seed string) error, ours func(b *samsa.Broker) error, look func(t *testing.T, b *samsa.Broker)) {
	t.Helper()
	for name, run := range map[string]func(b *samsa.Broker) error{
		"franz-go": func(b *samsa.Broker) error { return theirs(samsatest.Kafka(t, b)) },
		"samsa":    ours,
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

// with calls f with a client, which it closes.
func with(f func(cl *kgo.Client) error, opts ...kgo.Opt) func(seed string) error {
	return func(seed string) error {
		cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(seed))...)
		if err != nil {
			return err
		}
		defer cl.Close()
		return f(cl)
	}
}

// member calls f with a member of the group billing that commits by hand.
func member(t *testing.T, f func(b *samsa.Broker, c *samsa.Consumer) error) func(b *samsa.Broker) error {
	return func(b *samsa.Broker) error {
		c, err := b.NewConsumer(t.Context(), samsa.ConsumerOptions{Group: "billing", Topics: []string{"orders"}, Member: samsa.MemberOptions{ManualCommit: true}})
		if err != nil {
			return err
		}
		return errors.Join(f(b, c), c.Close())
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

// unless returns err if it is not the one that was expected.
func unless(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return errors.Join(errors.New("it has ended otherwise"), err)
}

func TestSend(t *testing.T) {
	both(t, nil, with(func(cl *kgo.Client) error {
		_, offset, err := franzSend(t.Context(), cl)
		if offset != 0 {
			t.Error("at offset", offset)
		}
		return err
	}), func(b *samsa.Broker) error {
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
	both(t, nil, with(func(cl *kgo.Client) error {
		return franzBackground(t.Context(), cl, orders)
	}), func(b *samsa.Broker) error {
		p, err := b.NewProducer(t.Context(), samsa.ProducerOptions{})
		if err != nil {
			return err
		}
		return errors.Join(samsaBackground(t.Context(), p, orders), p.Close())
	}, func(t *testing.T, b *samsa.Broker) { samsatest.SameRecords(t, b, "orders", orders) })
}

func TestGroup(t *testing.T) {
	both(t, put(t, "tea", "milk"), func(seed string) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		return unless(franzGroup(ctx, seed, func(r *kgo.Record) {
			if string(r.Value) == "milk" {
				stop()
			}
		}), context.Canceled)
	}, func(b *samsa.Broker) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		return unless(samsaGroup(ctx, b, func(r samsa.Record) {
			if string(r.Value) == "milk" {
				stop()
			}
		}), context.Canceled)
	}, committed(2))
}

func TestCommit(t *testing.T) {
	both(t, put(t, "tea", "milk"), with(func(cl *kgo.Client) error {
		return unless(franzCommit(t.Context(), cl, func(r *kgo.Record) error {
			if string(r.Value) == "milk" {
				return errStop
			}
			return nil
		}), errStop)
	}, kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit()), member(t, func(_ *samsa.Broker, c *samsa.Consumer) error {
		return unless(samsaCommit(t.Context(), c, func(r samsa.Record) error {
			if string(r.Value) == "milk" {
				return errStop
			}
			return nil
		}), errStop)
	}), committed(1))
}

func TestSince(t *testing.T) {
	since := time.Now().Add(-90 * time.Minute)
	both(t, put(t, "tea", "milk", "soap"), func(seed string) error {
		first, err := franzSince(t.Context(), seed, since)
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
	both(t, put(t, "tea", "milk"), func(seed string) error {
		s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(seed), kgo.TransactionalID("billing-1"), kgo.ConsumerGroup("billing"),
			kgo.ConsumeTopics("orders"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		if err != nil {
			return err
		}
		defer s.Close()
		return franzOnce(t.Context(), s)
	}, member(t, func(b *samsa.Broker, c *samsa.Consumer) error {
		return samsaOnce(t.Context(), b, c)
	}), func(t *testing.T, b *samsa.Broker) {
		got := samsatest.Drain(t, b, "receipts")
		if len(got) == 0 || samsatest.Text(got[0]) != "7=thanks" {
			t.Errorf("receipts %v", samsatest.Texts(got))
		}
		committed(int64(len(got)))(t, b)
	})
}

func TestQueue(t *testing.T) {
	setup := func(b *samsa.Broker) {
		put(t, "tea", "milk")(b)
		if err := b.Groups().SetConfigs(t.Context(), "mailer", map[string]string{"share.auto.offset.reset": "earliest"}); err != nil {
			t.Fatal(err)
		}
	}
	both(t, setup, func(seed string) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		n := 0 // tea fails once
		err := franzQueue(ctx, seed, func(r *kgo.Record) error {
			if n++; n == 3 {
				stop()
			}
			if string(r.Value) == "tea" && r.DeliveryCount() == 1 {
				return errors.New("busy")
			}
			return nil
		})
		return unless(err, context.Canceled)
	}, func(b *samsa.Broker) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		var n, teas atomic.Int64
		err := samsaQueue(ctx, b, func(r samsa.Record) error {
			if n.Add(1) == 3 {
				stop()
			}
			if string(r.Value) == "tea" && teas.Add(1) == 1 {
				return errors.New("busy")
			}
			return nil
		})
		return unless(err, context.Canceled)
	}, func(t *testing.T, b *samsa.Broker) { samsatest.WaitDone(t, b, "mailer", "orders", 2) })
}

func TestCreate(t *testing.T) {
	both(t, nil, with(func(cl *kgo.Client) error { return franzCreate(t.Context(), cl) }), func(b *samsa.Broker) error {
		return samsaCreate(t.Context(), b)
	}, func(t *testing.T, b *samsa.Broker) {
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
	both(t, setup, with(func(cl *kgo.Client) error {
		lag, err := franzLag(t.Context(), cl)
		if lag != 2 {
			t.Error("lag", lag)
		}
		return err
	}), func(b *samsa.Broker) error {
		lag, err := samsaLag(t.Context(), b)
		if lag != 2 {
			t.Error("lag", lag)
		}
		return err
	}, nil)
}

func TestTest(t *testing.T) {
	franzTest(t, func(cl *kgo.Client) error {
		return cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("tea")}).FirstErr()
	})
	samsaTest(t, func(b *samsa.Broker) error {
		_, err := b.Produce(t.Context(), samsa.Record{Topic: "orders", Value: []byte("tea")})
		return err
	})
}

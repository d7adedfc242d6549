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
	"github.com/samsa-go/samsa/docs/from/internal/sides"
	"github.com/samsa-go/samsa/samsatest"
)

// both runs a task of each side on a new broker, and then looks at what it has done.
func both(t *testing.T, setup func(b *samsa.Broker), theirs func(seed string) error, ours func(b *samsa.Broker) error, look func(t *testing.T, b *samsa.Broker)) {
	t.Helper()
	sides.Run(t, setup, "franz-go", func(b *samsa.Broker) error { return theirs(samsatest.Kafka(t, b)) }, ours, look)
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
	}, sides.Sent)
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
	both(t, sides.Put(t, "tea", "milk"), func(seed string) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		return sides.Unless(franzGroup(ctx, seed, func(r *kgo.Record) {
			if string(r.Value) == "milk" {
				stop()
			}
		}), context.Canceled)
	}, func(b *samsa.Broker) error {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		return sides.Unless(samsaGroup(ctx, b, func(r samsa.Record) {
			if string(r.Value) == "milk" {
				stop()
			}
		}), context.Canceled)
	}, sides.Committed(2))
}

func TestCommit(t *testing.T) {
	both(t, sides.Put(t, "tea", "milk"), with(func(cl *kgo.Client) error {
		return sides.Unless(franzCommit(t.Context(), cl, func(r *kgo.Record) error {
			if string(r.Value) == "milk" {
				return sides.ErrStop
			}
			return nil
		}), sides.ErrStop)
	}, kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.DisableAutoCommit()), sides.Member(t, func(_ *samsa.Broker, c *samsa.Consumer) error {
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
	both(t, sides.Put(t, "tea", "milk", "soap"), func(seed string) error {
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
	both(t, sides.Put(t, "tea", "milk"), func(seed string) error {
		s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(seed), kgo.TransactionalID("billing-1"), kgo.ConsumerGroup("billing"),
			kgo.ConsumeTopics("orders"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
		if err != nil {
			return err
		}
		defer s.Close()
		return franzOnce(t.Context(), s)
	}, sides.Member(t, func(b *samsa.Broker, c *samsa.Consumer) error {
		return samsaOnce(t.Context(), b, c)
	}), func(t *testing.T, b *samsa.Broker) {
		got := samsatest.Drain(t, b, "receipts")
		if len(got) == 0 || samsatest.Text(got[0]) != "7=thanks" {
			t.Errorf("receipts %v", samsatest.Texts(got))
		}
		sides.Committed(int64(len(got)))(t, b)
	})
}

func TestQueue(t *testing.T) {
	setup := func(b *samsa.Broker) {
		sides.Put(t, "tea", "milk")(b)
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
		return sides.Unless(err, context.Canceled)
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
		return sides.Unless(err, context.Canceled)
	}, func(t *testing.T, b *samsa.Broker) { samsatest.WaitDone(t, b, "mailer", "orders", 2) })
}

func TestCreate(t *testing.T) {
	both(t, nil, with(func(cl *kgo.Client) error { return franzCreate(t.Context(), cl) }), func(b *samsa.Broker) error {
		return samsaCreate(t.Context(), b)
	}, sides.Created)
}

func TestLag(t *testing.T) {
	both(t, sides.Behind(t), with(func(cl *kgo.Client) error {
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

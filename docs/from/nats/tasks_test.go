// Each task of the page is done by both sides, each on its own data, and has to do the same.
package from

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/samsa-go/samsa"
)

// both runs a task on a server of NATS, and then on a broker. Each has orders for prague, but for those that begin with "!", which are for brno.
func both(t *testing.T, orders []string, theirs func(t *testing.T, js jetstream.JetStream), ours func(t *testing.T, b *samsa.Broker)) {
	t.Helper()
	town := func(order string) string {
		if order[0] == '!' {
			return "brno"
		}
		return "prague"
	}
	t.Run("nats", func(t *testing.T) {
		s, js, err := natsOpen(t.Context(), t.TempDir())
		defer func() {
			if js != nil {
				js.Conn().Close()
			}
			s.Shutdown()
			s.WaitForShutdown()
		}()
		must(t, err)
		for _, o := range orders {
			_, err := js.Publish(t.Context(), "orders."+town(o), []byte(o))
			must(t, err)
		}
		theirs(t, js)
	})
	t.Run("samsa", func(t *testing.T) {
		b, err := samsaOpen(t.Context(), t.TempDir())
		must(t, err)
		defer b.Close()
		for i, o := range orders { // an hour apart, the last one now
			_, err := b.Produce(t.Context(), samsa.Record{
				Topic: "orders", Key: []byte(town(o)), Value: []byte(o), Timestamp: time.Now().Add(time.Duration(i+1-len(orders)) * time.Hour),
			})
			must(t, err)
		}
		ours(t, b)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

// stored returns how many messages the stream has.
func stored(t *testing.T, js jetstream.JetStream) uint64 {
	s, err := js.Stream(t.Context(), "ORDERS")
	must(t, err)
	return s.CachedInfo().State.Msgs
}

// end returns how many records the topic has.
func end(t *testing.T, b *samsa.Broker) int64 {
	info, err := b.Topics().Describe(t.Context(), "orders")
	must(t, err)
	return info.Partitions[0].HighWatermark
}

// mailer returns the consumer, once no more than so many messages of it are not done.
func mailer(t *testing.T, js jetstream.JetStream, left int64) {
	c, err := js.Consumer(t.Context(), "ORDERS", "mailer")
	must(t, err)
	for n := left + 1; n > left; { // the server hears of an ack when it has been sent
		n, err = natsWaiting(t.Context(), c)
		must(t, err)
	}
}

func TestSend(t *testing.T) {
	both(t, nil, func(t *testing.T, js jetstream.JetStream) {
		sequence, err := natsSend(t.Context(), js)
		must(t, err)
		equal(t, sequence, 1)
		equal(t, stored(t, js), 1)
	}, func(t *testing.T, b *samsa.Broker) {
		offset, err := samsaSend(t.Context(), b)
		must(t, err)
		equal(t, offset, 0)
		equal(t, end(t, b), 1)
	})
}

func TestOnce(t *testing.T) {
	ids := []string{"7", "8", "7"}
	both(t, nil, func(t *testing.T, js jetstream.JetStream) {
		for _, id := range ids {
			must(t, natsOnce(t.Context(), js, id))
		}
		equal(t, stored(t, js), 2)
	}, func(t *testing.T, b *samsa.Broker) {
		for _, id := range ids {
			must(t, samsaOnce(t.Context(), b, id))
		}
		equal(t, end(t, b), 2)
	})
}

func TestSince(t *testing.T) {
	both(t, []string{"tea", "milk", "soap"}, func(t *testing.T, js jetstream.JetStream) {
		s, err := js.Stream(t.Context(), "ORDERS")
		must(t, err)
		milk, err := s.GetMsg(t.Context(), 2)
		must(t, err)
		first, err := natsSince(t.Context(), js, milk.Time)
		must(t, err)
		equal(t, first, "milk")
	}, func(t *testing.T, b *samsa.Broker) {
		first, err := samsaSince(t.Context(), b, time.Now().Add(-90*time.Minute))
		must(t, err)
		equal(t, first, "milk")
	})
}

func TestSome(t *testing.T) {
	both(t, []string{"tea", "!beer", "milk"}, func(t *testing.T, js jetstream.JetStream) {
		var got []string
		must(t, natsSome(t.Context(), js, func(b []byte) { got = append(got, string(b)) }))
		if !slices.Equal(got, []string{"tea", "milk"}) {
			t.Error(got)
		}
	}, func(t *testing.T, b *samsa.Broker) {
		var got []string
		must(t, samsaSome(t.Context(), b, func(b []byte) { got = append(got, string(b)) }))
		if !slices.Equal(got, []string{"tea", "milk"}) {
			t.Error(got)
		}
	})
}

// busy returns what is done with each message: the first one fails, and the third one is the last.
func busy(stop func()) func([]byte) error {
	n := 0
	return func([]byte) error {
		switch n++; n {
		case 1:
			return errors.New("busy")
		case 3:
			stop()
		}
		return nil
	}
}

func TestWork(t *testing.T) {
	both(t, []string{"tea", "milk"}, func(t *testing.T, js jetstream.JetStream) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		if err := natsWork(ctx, js, busy(stop)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		mailer(t, js, 0)
	}, func(t *testing.T, b *samsa.Broker) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		if err := samsaWork(ctx, b, busy(stop)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		mailer, err := b.Groups().Describe(t.Context(), "mailer")
		must(t, err)
		equal(t, mailer.Partitions[0].Lag, 0)
	})
}

func TestDecide(t *testing.T) {
	both(t, []string{"to the closed shop", "to nobody", "to alice"}, func(t *testing.T, js jetstream.JetStream) {
		c, err := js.CreateConsumer(t.Context(), "ORDERS", jetstream.ConsumerConfig{Durable: "mailer"})
		must(t, err)
		waiting, err := natsWaiting(t.Context(), c)
		must(t, err)
		equal(t, waiting, 3)
		for range 3 {
			m, err := c.Next()
			must(t, err)
			must(t, natsDecide(m))
		}
		mailer(t, js, 1) // the shop is still closed
		waiting, err = natsWaiting(t.Context(), c)
		must(t, err)
		equal(t, waiting, 1)
	}, func(t *testing.T, b *samsa.Broker) {
		q, err := b.NewQueue(t.Context(), samsa.QueueOptions{Group: "mailer", Topics: []string{"orders"}})
		must(t, err)
		defer q.Close()
		waiting, err := samsaWaiting(t.Context(), q)
		must(t, err)
		equal(t, waiting, 3)
		for range 3 {
			ds, err := q.Receive(t.Context(), 1)
			must(t, err)
			must(t, samsaDecide(ds[0]))
		}
		waiting, err = samsaWaiting(t.Context(), q)
		must(t, err)
		equal(t, waiting, 1)
	})
}

// prices calls f with a bucket and with a table that have the price of tea.
func prices(t *testing.T, theirs func(kv jetstream.KeyValue), ours func(b *samsa.Broker, table *samsa.Table)) {
	both(t, nil, func(t *testing.T, js jetstream.JetStream) {
		kv, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "prices"})
		must(t, err)
		_, err = kv.Put(t.Context(), "tea", []byte("10"))
		must(t, err)
		theirs(kv)
	}, func(t *testing.T, b *samsa.Broker) {
		must(t, b.Topics().Create(t.Context(), "prices", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))
		_, err := b.Produce(t.Context(), samsa.Record{Topic: "prices", Key: []byte("tea"), Value: []byte("10")})
		must(t, err)
		table, err := b.NewTable(t.Context(), samsa.TableOptions{Topic: "prices"})
		must(t, err)
		defer table.Close()
		ours(b, table)
	})
}

func TestSet(t *testing.T) {
	to12 := func(string) string { return "12" }
	prices(t, func(kv jetstream.KeyValue) {
		err := natsSet(t.Context(), kv, func(string) string {
			must(t, natsSet(t.Context(), kv, to12)) // somebody else is faster
			return "11"
		})
		if !errors.Is(err, jetstream.ErrKeyExists) {
			t.Error(err)
		}
		tea, err := kv.Get(t.Context(), "tea")
		must(t, err)
		equal(t, string(tea.Value()), "12")
	}, func(b *samsa.Broker, table *samsa.Table) {
		err := samsaSet(t.Context(), b, table, func(string) string {
			must(t, samsaSet(t.Context(), b, table, to12))
			return "11"
		})
		if !errors.Is(err, samsa.ErrConflict) {
			t.Error(err)
		}
		must(t, table.WaitFor(t.Context()))
		tea, err := table.Get([]byte("tea"))
		must(t, err)
		equal(t, string(tea.Value), "12")
	})
}

func TestWatch(t *testing.T) {
	// changes returns what is done with each change: the first one is of what was there.
	changes := func(t *testing.T, dearer func(), stop func()) func(key, value string) {
		want := "10"
		return func(key, value string) {
			equal(t, key+"="+value, "tea="+want)
			if want == "12" {
				stop()
				return
			}
			want = "12"
			dearer()
		}
	}
	to12 := func(string) string { return "12" }
	prices(t, func(kv jetstream.KeyValue) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		err := natsWatch(ctx, kv, changes(t, func() { must(t, natsSet(t.Context(), kv, to12)) }, stop))
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}, func(b *samsa.Broker, table *samsa.Table) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		err := samsaWatch(ctx, table, changes(t, func() { must(t, samsaSet(t.Context(), b, table, to12)) }, stop))
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

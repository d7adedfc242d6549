// Each task of the page is done by Watermill on the adapter, and by Samsa, each on a broker of its own, and has to do the same.
package from

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/samsa-go/samsa"
	adapter "github.com/samsa-go/samsa/adapters/watermill"
	"github.com/samsa-go/samsa/docs/from/internal/sides"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/typed"
)

// task is what both sides are given, and what they have to do.
type task struct {
	orders []string // that are there
	// theirs adds to r, which is run then, or returns what is run in its place.
	theirs func(r *message.Router, sub message.Subscriber, pub message.Publisher) (run func(context.Context) error, err error)
	ours   func(ctx context.Context, b *samsa.Broker) error
	until  func(t *testing.T, b *samsa.Broker) // returns when it is done, or fails the test
}

func (k task) run(t *testing.T) {
	t.Helper()
	setup := func(b *samsa.Broker) { samsatest.Produce(t, b, "orders", k.orders...) }
	sides.Run(t, setup, "watermill", func(b *samsa.Broker) error {
		pub, err := adapter.NewPublisher(b, adapter.PublisherOptions{})
		if err != nil {
			return err
		}
		defer pub.Close()
		sub, err := adapter.NewSubscriber(b, adapter.SubscriberOptions{Group: "billing"})
		if err != nil {
			return err
		}
		defer sub.Close()
		r, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
		if err != nil {
			return err
		}
		run, err := k.theirs(r, sub, pub)
		if err != nil {
			return err
		}
		if run == nil {
			run = r.Run
		}
		return while(t, run, func() { k.until(t, b) })
	}, func(b *samsa.Broker) error {
		return while(t, func(ctx context.Context) error { return k.ours(ctx, b) }, func() { k.until(t, b) })
	}, nil, "orders.dead", "returns", "all")
}

// while runs run until until returns, and returns its error, unless it is that of the end.
func while(t *testing.T, run func(ctx context.Context) error, until func()) error {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	until()
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// queue calls f with the queue of billing.
func queue(f func(ctx context.Context, b *samsa.Broker, q *samsa.Queue) error) func(ctx context.Context, b *samsa.Broker) error {
	return func(ctx context.Context, b *samsa.Broker) error {
		q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "billing", Topics: []string{"orders"}})
		if err != nil {
			return err
		}
		defer q.Close()
		return f(ctx, b, q)
	}
}

// failing returns what fails so many times before it succeeds, and a look at how often it was called until it did. Each side has its own.
func failing(times int64) (do func([]byte) error, until func(t *testing.T, b *samsa.Broker)) {
	var n atomic.Int64
	done := make(chan struct{}, 1)
	return func([]byte) error {
			if n.Add(1) <= times {
				return errors.New("busy")
			}
			done <- struct{}{}
			return nil
		}, func(t *testing.T, _ *samsa.Broker) {
			<-done
			if got := n.Swap(0); got != times+1 {
				t.Errorf("called %d times, want %d", got, times+1)
			}
		}
}

func has(topic string, want ...string) func(t *testing.T, b *samsa.Broker) {
	return func(t *testing.T, b *samsa.Broker) {
		samsatest.WaitRecords(t, b, topic, len(want))
		samsatest.SameRecords(t, b, topic, want)
	}
}

func TestSend(t *testing.T) {
	task{
		theirs: func(_ *message.Router, _ message.Subscriber, pub message.Publisher) (func(context.Context) error, error) {
			return func(context.Context) error { return millSend(pub) }, nil
		},
		ours: samsaSend,
		until: func(t *testing.T, b *samsa.Broker) {
			samsatest.WaitRecords(t, b, "orders", 1)
			sides.Sent(t, b)
		},
	}.run(t)
}

func TestSubscribe(t *testing.T) {
	do, until := failing(1)
	task{
		orders: []string{"tea"},
		theirs: func(_ *message.Router, sub message.Subscriber, _ message.Publisher) (func(context.Context) error, error) {
			return func(ctx context.Context) error { return millSubscribe(ctx, sub, do) }, nil
		},
		ours:  queue(func(ctx context.Context, _ *samsa.Broker, q *samsa.Queue) error { return samsaSubscribe(ctx, q, do) }),
		until: until,
	}.run(t)
}

func TestHandle(t *testing.T) {
	do, until := failing(0)
	task{
		orders: []string{"tea"},
		theirs: func(r *message.Router, sub message.Subscriber, _ message.Publisher) (func(context.Context) error, error) {
			millHandle(r, sub, do)
			return nil, nil
		},
		ours:  func(ctx context.Context, b *samsa.Broker) error { return samsaHandle(ctx, b, do) },
		until: until,
	}.run(t)
}

func TestThank(t *testing.T) {
	task{
		orders: []string{"tea", "milk"},
		theirs: func(r *message.Router, sub message.Subscriber, pub message.Publisher) (func(context.Context) error, error) {
			millThank(r, sub, pub)
			return nil, nil
		},
		ours:  queue(samsaThank),
		until: has("receipts", "thanks for tea", "thanks for milk"),
	}.run(t)
}

func TestRetry(t *testing.T) {
	do, until := failing(2)
	task{
		orders: []string{"tea"},
		theirs: func(r *message.Router, sub message.Subscriber, _ message.Publisher) (func(context.Context) error, error) {
			millRetry(r, sub, do)
			return nil, nil
		},
		ours:  func(ctx context.Context, b *samsa.Broker) error { return samsaRetry(ctx, b, do) },
		until: until,
	}.run(t)
}

func TestPoison(t *testing.T) {
	do := func(order []byte) error {
		if string(order) == "poison" {
			return errors.New("we do not sell that")
		}
		return nil
	}
	task{
		orders: []string{"tea", "poison", "milk"},
		theirs: func(r *message.Router, sub message.Subscriber, pub message.Publisher) (func(context.Context) error, error) {
			return nil, millPoison(r, sub, pub, do)
		},
		ours:  func(ctx context.Context, b *samsa.Broker) error { return samsaPoison(ctx, b, do) },
		until: has("orders.dead", "poison"),
	}.run(t)
}

func TestOnce(t *testing.T) {
	order := func(id string) samsa.Record {
		return samsa.Record{Topic: "orders", Value: []byte("tea"), Headers: []samsa.Header{{Key: "id", Value: []byte(id)}}}
	}
	task{
		theirs: func(r *message.Router, sub message.Subscriber, pub message.Publisher) (func(context.Context) error, error) {
			return nil, millOnce(r, sub, pub)
		},
		ours: queue(samsaOnce),
		until: func(t *testing.T, b *samsa.Broker) {
			if _, err := b.Produce(t.Context(), order("7"), order("7"), order("8")); err != nil {
				t.Fatal(err)
			}
			has("receipts", "thanks", "thanks")(t, b)
		},
	}.run(t)
}

func TestTypes(t *testing.T) {
	got := make(chan Order, 1)
	do := func(o Order) error { got <- o; return nil }
	task{
		theirs: func(r *message.Router, sub message.Subscriber, pub message.Publisher) (func(context.Context) error, error) {
			bus, err := millTypes(r, sub, pub, do)
			if err != nil {
				return nil, err
			}
			return nil, bus.Publish(t.Context(), &Order{"tea"})
		},
		ours: func(ctx context.Context, b *samsa.Broker) error {
			p, q, err := samsaTypes(ctx, b)
			if err != nil {
				return err
			}
			defer q.Close()
			_, err = p.ProduceSync(ctx, typed.MessageOf("orders", "7", Order{"tea"}))
			if err := errors.Join(err, p.Close()); err != nil {
				return err
			}
			return q.Work(ctx, 1, func(_ context.Context, d typed.Delivery[string, Order], err error) error {
				if err != nil {
					return err
				}
				return do(d.Value)
			})
		},
		until: func(t *testing.T, _ *samsa.Broker) {
			if o := <-got; o.Item != "tea" {
				t.Error(o)
			}
		},
	}.run(t)
}

func TestFanIn(t *testing.T) {
	task{
		orders: []string{"tea"},
		theirs: func(_ *message.Router, sub message.Subscriber, pub message.Publisher) (func(context.Context) error, error) {
			return func(ctx context.Context) error { return millFanIn(ctx, sub, pub) }, nil
		},
		ours: samsaFanIn,
		until: func(t *testing.T, b *samsa.Broker) {
			samsatest.Produce(t, b, "returns", "milk")
			has("all", "tea", "milk")(t, b)
		},
	}.run(t)
}

func TestTest(t *testing.T) {
	millTest(t, millSend)
	samsaTest(t, func(b *samsa.Broker) error { return samsaSend(t.Context(), b) })
}

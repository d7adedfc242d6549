package gocloud

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/driver"
	"gocloud.dev/pubsub/drivertest"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("go.opencensus.io/stats/view.(*worker).start"))
}

// harness has the suite's topics and subscriptions be those of a broker.
type harness struct {
	b     *samsa.Broker
	names atomic.Int32
}

func newHarness(_ context.Context, t *testing.T) (drivertest.Harness, error) {
	return &harness{b: samsatest.New(t)}, nil
}

func (h *harness) name() string { return fmt.Sprint("n", h.names.Add(1)) }

func (h *harness) CreateTopic(ctx context.Context, _ string) (driver.Topic, func(), error) {
	name := h.name()
	err := h.b.Topics().Create(ctx, name, samsa.TopicConfig{Partitions: 3})
	return newTopic(h.b, name, nil), func() {}, err
}

func (h *harness) MakeNonexistentTopic(context.Context) (driver.Topic, error) {
	return newTopic(h.b, "missing", nil), nil
}

func (h *harness) CreateSubscription(ctx context.Context, t driver.Topic, _ string) (driver.Subscription, func(), error) {
	return h.subscription(ctx, t.(*topic).name)
}

func (h *harness) MakeNonexistentSubscription(ctx context.Context) (driver.Subscription, func(), error) {
	return h.subscription(ctx, "missing")
}

func (h *harness) subscription(ctx context.Context, of string) (driver.Subscription, func(), error) {
	s, err := newSubscription(ctx, h.b, samsa.QueueOptions{Group: h.name(), Topics: []string{of}, Retry: samsa.Retry{Min: 10 * time.Millisecond}})
	return s, func() { _ = s.Close() }, err
}

func (h *harness) Close()                              {}
func (h *harness) MaxBatchSizes() (int, int)           { return 0, 0 }
func (h *harness) SupportsMultipleSubscriptions() bool { return true }

// The Go CDK's own suite for every driver, whole.
func TestConformance(t *testing.T) {
	drivertest.RunConformanceTests(t, newHarness, []drivertest.AsTest{asTest{}})
}

// asTest is the suite's for the types of the driver.
type asTest struct{}

func (asTest) Name() string { return "samsa" }

func (asTest) TopicCheck(t *pubsub.Topic) error {
	var b *samsa.Broker
	return found(t.As(&b) && b != nil)
}

func (asTest) SubscriptionCheck(s *pubsub.Subscription) error {
	var q *samsa.Queue
	return found(s.As(&q) && q != nil)
}

func (asTest) TopicErrorCheck(t *pubsub.Topic, err error) error {
	var e error
	return found(t.ErrorAs(err, &e) && errors.Is(e, samsa.ErrUnknownTopic) && errors.Is(err, samsa.ErrUnknownTopic))
}

func (asTest) SubscriptionErrorCheck(s *pubsub.Subscription, err error) error {
	var e error
	return found(s.ErrorAs(err, &e) && errors.Is(e, samsa.ErrUnknownTopic) && errors.Is(err, samsa.ErrUnknownTopic))
}

func (asTest) MessageCheck(m *pubsub.Message) error {
	var r *samsa.Record
	var d samsa.Delivery
	return found(m.As(&r) && string(r.Key) == "k" && m.As(&d) && d.Deliveries == 1 && d.Record.Offset == r.Offset)
}

func (asTest) BeforeSend(as func(any) bool) error {
	var r *samsa.Record
	ok := as(&r)
	if ok {
		r.Key = []byte("k")
	}
	return found(ok)
}

func (asTest) AfterSend(as func(any) bool) error {
	var r *samsa.Record
	return found(as(&r) && string(r.Key) == "k" && !r.Timestamp.IsZero())
}

func found(ok bool) error {
	if !ok {
		return errors.New("As has not what was expected")
	}
	return nil
}

// The Go CDK's own benchmarks. An operation is 10 000 messages.
func BenchmarkPubSub(b *testing.B) {
	broker := samsatest.New(b, samsatest.Topic("t", 3))
	ctx := context.Background()
	sub, err := OpenSubscription(ctx, broker, samsa.QueueOptions{Group: "g", Topics: []string{"t"}})
	if err != nil {
		b.Fatal(err)
	}
	topic := OpenTopic(broker, "t", nil)
	drivertest.RunBenchmarks(b, topic, sub)
	if err := errors.Join(topic.Shutdown(ctx), sub.Shutdown(ctx)); err != nil {
		b.Error(err)
	}
}

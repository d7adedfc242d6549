package watermill_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	wm "github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/watermill"
	"github.com/samsa-go/samsa/samsatest"
)

// The suite's subscriber of many hands a message on though nobody reads any more: one that comes twice, as its partition
// was given to another member meanwhile, keeps a goroutine of the suite for ever.
func TestMain(m *testing.M) {
	const many = "github.com/ThreeDotsLabs/watermill/internal/subscriber.(*multiplier).Subscribe."
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(many+"func2"), goleak.IgnoreAnyFunction(many+"func3"))
}

var ctx = context.Background()

var features = tests.Features{ConsumerGroups: true, GuaranteedOrder: true, Persistent: true}

var options = samsa.Options{InMemory: true, AutoCreateTopics: true, TopicDefaults: samsa.TopicConfig{Partitions: 3}}

func broker(t *testing.T) *samsa.Broker {
	t.Helper()
	return samsatest.New(t, samsatest.Options(options))
}

// byPayload has messages with the same payload keep their order, which is how the suite tells messages that have to.
func byPayload(_ string, m *message.Message) []byte { return m.Payload }

func pubSub(t *testing.T, b *samsa.Broker, opts watermill.SubscriberOptions) (message.Publisher, message.Subscriber) {
	t.Helper()
	pub, err := watermill.NewPublisher(b, watermill.PublisherOptions{Key: byPayload})
	wantErr(t, err, nil)
	opts.Failed = func(topic string, err error) { t.Errorf("%s: %v", topic, err) }
	sub, err := watermill.NewSubscriber(b, opts)
	wantErr(t, err, nil)
	return pub, sub
}

// Watermill's own suite for every Pub/Sub, whole.
func TestPubSub(t *testing.T) {
	ways(t, tests.TestPubSub)
}

// The suite ten times at once.
func TestPubSubStressTest(t *testing.T) {
	if testing.Short() {
		t.Skip("a while of load, without -short")
	}
	ways(t, tests.TestPubSubStressTest)
}

// ways runs the suite with and without transactions.
func ways(t *testing.T, suite func(*testing.T, tests.Features, tests.PubSubConstructor, tests.ConsumerGroupPubSubConstructor)) {
	for name, transactional := range map[string]bool{"acks": false, "transactions": true} {
		t.Run(name, func(t *testing.T) {
			b, err := samsa.Open("", options) // the suite leaves some subscribers open
			wantErr(t, err, nil)
			t.Cleanup(func() { wantErr(t, b.Close(), nil) })
			ofGroup := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
				return pubSub(t, b, watermill.SubscriberOptions{Group: group, Transactional: transactional})
			}
			suite(t, features, func(t *testing.T) (message.Publisher, message.Subscriber) { return ofGroup(t, "g") }, ofGroup)
		})
	}
}

func TestWithoutAGroupEachGetsAll(t *testing.T) {
	b := broker(t)
	pub, sub := pubSub(t, b, watermill.SubscriberOptions{})
	wantErr(t, pub.Publish("t", message.NewMessage("1", []byte("a"))), nil)
	for range 2 {
		messages, err := sub.Subscribe(ctx, "t")
		wantErr(t, err, nil)
		m := <-messages
		if m.UUID != "1" || string(m.Payload) != "a" {
			t.Errorf("%+v", m)
		}
		m.Ack()
	}
	wantErr(t, errors.Join(sub.Close(), pub.Close()), nil)
}

// A message is a record that others can read, and has the place it came from.
func TestRecordOfAMessage(t *testing.T) {
	b := broker(t)
	pub, sub := pubSub(t, b, watermill.SubscriberOptions{Group: "g"})
	m := message.NewMessage("1", nil)
	m.Metadata = message.Metadata{"b": "2", "a": "1"}
	wantErr(t, pub.Publish("t", m), nil)
	r := samsatest.Drain(t, b, "t")[0]
	var headers []string
	for _, h := range r.Headers {
		headers = append(headers, h.Key+"="+string(h.Value))
	}
	if got := strings.Join(headers, " "); got != watermill.UUIDHeader+"=1 a=1 b=2" || r.Value == nil || len(r.Value) > 0 {
		t.Errorf("%s, value %v", got, r.Value)
	}
	messages, err := sub.Subscribe(ctx, "t")
	wantErr(t, err, nil)
	m = <-messages
	if of, ok := watermill.Record(m); !ok || of.Topic != "t" || of.Partition != r.Partition || of.Offset != 0 {
		t.Errorf("%+v, %v", of, ok)
	}
	if _, ok := watermill.Record(message.NewMessage("2", nil)); ok {
		t.Error("a message of somebody else has a record")
	}
	m.Ack()
	m = message.NewMessage("3", nil)
	m.Metadata.Set(watermill.UUIDHeader, "4")
	wantErr(t, pub.Publish("t", m), samsa.ErrInvalid)
	wantErr(t, errors.Join(sub.Close(), pub.Close()), nil)
}

func TestMistakes(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	_, err := watermill.NewSubscriber(b, watermill.SubscriberOptions{Transactional: true})
	wantErr(t, err, samsa.ErrInvalidOption)
	_, err = watermill.NewPublisher(b, watermill.PublisherOptions{Producer: samsa.ProducerOptions{Linger: -1}})
	wantErr(t, err, samsa.ErrInvalidOption)
	pub, sub := pubSub(t, b, watermill.SubscriberOptions{Group: "g"})
	_, err = sub.Subscribe(ctx, "missing")
	wantErr(t, err, samsa.ErrUnknownTopic)
	wantErr(t, pub.Publish("missing", message.NewMessage("1", nil)), samsa.ErrUnknownTopic)
	wantErr(t, sub.(message.SubscribeInitializer).SubscribeInitialize("not/a topic"), samsa.ErrInvalidTopic)
	wantErr(t, watermill.Tx(message.NewMessage("1", nil), func(*samsa.Tx) error { return nil }), samsa.ErrInvalid)
	over, end := context.WithCancel(ctx)
	end()
	wantErr(t, pub.Publish("t", message.NewMessage("1", nil), message.NewMessageWithContext(over, "2", nil)), context.Canceled)
	samsatest.Equal(t, b, "t", nil)
	_, err = watermill.Transactional(message.PassthroughHandler)(message.NewMessage("1", nil))
	wantErr(t, err, samsa.ErrInvalid)
	wantErr(t, errors.Join(sub.Close(), sub.Close(), pub.Close(), pub.Close()), nil)
	_, err = sub.Subscribe(ctx, "t")
	wantErr(t, err, samsa.ErrClosed)
	wantErr(t, pub.Publish("t", message.NewMessage("1", nil)), samsa.ErrClosed)
}

// A message whose context ends while it is stored: whether it is, is not known.
func TestContextEndsWhileItIsStored(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	pub, sub := pubSub(t, b, watermill.SubscriberOptions{})
	held := samsatest.Appends(b, "t").Hold()
	short, end := context.WithCancel(ctx)
	m := message.NewMessageWithContext(short, "1", nil)
	told := make(chan error)
	go func() { told <- pub.Publish("t", m, message.NewMessage("2", nil)) }()
	held.Wait(t)
	end()
	wantErr(t, <-told, samsa.ErrOutcomeUnknown, context.Canceled)
	held.Remove()
	wantErr(t, errors.Join(sub.Close(), pub.Close()), nil)
}

// A handler that fails half way has published nothing, and what it has published is there once, with its ack, whatever fails
// between: exactly once, through a router.
func TestRouterExactlyOnce(t *testing.T) {
	const n = 20
	b := broker(t)
	pub, sub := pubSub(t, b, watermill.SubscriberOptions{Group: "g", Transactional: true})
	for i := range n {
		wantErr(t, pub.Publish("in", message.NewMessage(fmt.Sprint(i), []byte{byte(i)})), nil)
	}
	router, err := message.NewRouter(message.RouterConfig{}, wm.NopLogger{})
	wantErr(t, err, nil)
	router.AddMiddleware(watermill.Transactional)
	tries := make(map[string]int)
	done := make(chan struct{})
	router.AddHandler("double", "in", sub, "out", pub, func(m *message.Message) ([]*message.Message, error) {
		tries[m.UUID]++
		count := func(tx *samsa.Tx) error { return tx.Set([]byte("done/"+m.UUID), []byte{byte(tries[m.UUID])}) }
		if err := watermill.Tx(m, count); err != nil {
			return nil, err
		}
		if tries[m.UUID] == 1 {
			return []*message.Message{message.NewMessage("not this one", nil)}, errors.New("not yet")
		}
		if len(tries) == n {
			select {
			case <-done:
			default:
				close(done)
			}
		}
		return []*message.Message{message.NewMessage("of "+m.UUID, m.Payload), message.NewMessage("again", m.Payload)}, nil
	})
	ended := make(chan error)
	go func() { ended <- router.Run(ctx) }()
	<-done
	samsatest.WaitRecords(t, b, "out", 2*n)
	wantErr(t, router.Close(), nil)
	wantErr(t, <-ended, nil)
	got := make(map[string]int)
	for _, r := range samsatest.Drain(t, b, "out") {
		got[string(r.Headers[0].Value)]++
	}
	for i := range n {
		if id := fmt.Sprint("of ", i); got[id] != 1 {
			t.Errorf("%s is there %d times", id, got[id])
		}
	}
	if len(got) != n+1 || got["again"] != n {
		t.Errorf("out has %v", got)
	}
	wantErr(t, pub.Close(), nil)
}

// Update fails: the message comes again, and nothing of it is stored meanwhile.
func TestUpdateFails(t *testing.T) {
	b := broker(t)
	pub, err := watermill.NewPublisher(b, watermill.PublisherOptions{})
	wantErr(t, err, nil)
	failed := make(chan error, 1)
	sub, err := watermill.NewSubscriber(b, watermill.SubscriberOptions{Group: "g", Transactional: true,
		Failed: func(_ string, err error) { failed <- err }})
	wantErr(t, err, nil)
	wantErr(t, pub.Publish("in", message.NewMessage("1", nil), message.NewMessage("2", nil)), nil)
	messages, err := sub.Subscribe(ctx, "in")
	wantErr(t, err, nil)
	wantErr(t, sub.SubscribeInitialize("out"), nil)
	fault := samsatest.Appends(b, "out").Next(1).Fail()
	publish := func(m *message.Message) error {
		out, err := watermill.Transactional(message.PassthroughHandler)(m)
		return errors.Join(err, pub.Publish("out", out...))
	}
	seen := make(map[string]int)
	for len(seen) < 2 || fault.Hits() == 0 {
		m := <-messages
		seen[m.UUID]++
		wantErr(t, publish(m), nil)
		m.Ack()
	}
	wantErr(t, <-failed, samsa.ErrUnavailable)
	samsatest.WaitRecords(t, b, "out", 2)
	wantErr(t, errors.Join(sub.Close(), pub.Close()), nil)
	if got := samsatest.Drain(t, b, "out"); len(got) != 2 {
		t.Errorf("%d records in out, seen %v", len(got), seen)
	}
}

// What is published at another broker is not of the transaction, and nothing of it gets into this one.
func TestPublisherOfAnotherBroker(t *testing.T) {
	b, other := broker(t), broker(t)
	pub, sub := pubSub(t, b, watermill.SubscriberOptions{Group: "g", Transactional: true})
	away, err := watermill.NewPublisher(other, watermill.PublisherOptions{})
	wantErr(t, err, nil)
	wantErr(t, pub.Publish("in", message.NewMessage("1", nil)), nil)
	messages, err := sub.Subscribe(ctx, "in")
	wantErr(t, err, nil)
	m := <-messages
	wantErr(t, away.Publish("out", m), samsa.ErrInvalid)
	m.Ack()
	wantErr(t, errors.Join(sub.Close(), pub.Close(), away.Close()), nil)
}

// Once its message is acked a transaction takes no more, whether or not that was noticed.
func TestTransactionIsOver(t *testing.T) {
	b := broker(t)
	pub, sub := pubSub(t, b, watermill.SubscriberOptions{Group: "g", Transactional: true})
	wantErr(t, pub.Publish("in", message.NewMessage("1", nil), message.NewMessage("2", nil)), nil)
	messages, err := sub.Subscribe(ctx, "in")
	wantErr(t, err, nil)
	first := <-messages
	first.Ack()
	wantErr(t, watermill.Tx(first, func(*samsa.Tx) error { return nil }), samsa.ErrInvalid)
	<-first.Context().Done()
	second := <-messages
	wantErr(t, pub.Publish("out", first), samsa.ErrInvalid)
	wantErr(t, watermill.Tx(first, func(*samsa.Tx) error { return nil }), samsa.ErrInvalid)
	second.Nack()
	wantErr(t, watermill.Tx(second, func(*samsa.Tx) error { return nil }), samsa.ErrInvalid)
	wantErr(t, errors.Join(sub.Close(), pub.Close()), nil)
}

// A message that is nacked for ever, or that nobody takes, does not keep the group from giving partitions to others.
func TestMembersComeBesideAMessageThatIsNotAcked(t *testing.T) {
	for _, how := range []struct{ transactional, taken bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		t.Run(fmt.Sprintf("%+v", how), func(t *testing.T) {
			b := broker(t)
			opts := watermill.SubscriberOptions{Group: "g", Transactional: how.transactional}
			opts.Consumer.Member.Assignors = []samsa.Assignor{samsa.RangeAssignor()} // which has all partitions be given up
			pub, sub := pubSub(t, b, opts)
			for i := range 30 { // in all partitions
				wantErr(t, pub.Publish("t", message.NewMessage(fmt.Sprint(i), []byte{byte(i)})), nil)
			}
			one, err := sub.Subscribe(ctx, "t")
			wantErr(t, err, nil)
			(<-one).Nack()
			if how.taken {
				go func() {
					for m := range one {
						m.Nack()
					}
				}()
			}
			two, err := sub.Subscribe(ctx, "t")
			wantErr(t, err, nil)
			(<-two).Nack()
			wantErr(t, errors.Join(sub.Close(), pub.Close()), nil)
		})
	}
}

// A topic is deleted and made again: a subscription goes on with the new one.
func TestTopicIsMadeAgain(t *testing.T) {
	for _, group := range []string{"", "g"} {
		b := samsatest.New(t, samsatest.Topic("t", 2))
		pub, err := watermill.NewPublisher(b, watermill.PublisherOptions{})
		wantErr(t, err, nil)
		sub, err := watermill.NewSubscriber(b, watermill.SubscriberOptions{Group: group, Failed: func(_ string, err error) {
			wantErr(t, err, samsa.ErrUnknownTopic)
		}})
		wantErr(t, err, nil)
		messages, err := sub.Subscribe(ctx, "t")
		wantErr(t, err, nil)
		wantErr(t, b.Topics().Delete(ctx, "t"), nil)
		wantErr(t, b.Topics().Create(ctx, "t", samsa.TopicConfig{}), nil)
		wantErr(t, pub.Publish("t", message.NewMessage("1", nil)), nil)
		(<-messages).Ack()
		wantErr(t, errors.Join(sub.Close(), pub.Close()), nil)
	}
}

func Example() {
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true})
	must(err)
	pub, err := watermill.NewPublisher(b, watermill.PublisherOptions{})
	must(err)
	sub, err := watermill.NewSubscriber(b, watermill.SubscriberOptions{Group: "greeter", Transactional: true})
	must(err)
	router, err := message.NewRouter(message.RouterConfig{}, wm.NopLogger{})
	must(err)
	router.AddMiddleware(watermill.Transactional) // the greeting and the ack are stored together
	router.AddHandler("greet", "guests", sub, "greetings", pub, func(m *message.Message) ([]*message.Message, error) {
		return []*message.Message{message.NewMessage(wm.NewUUID(), []byte("hello "+string(m.Payload)))}, nil
	})
	go func() { must(router.Run(context.Background())) }()
	<-router.Running()
	must(pub.Publish("guests", message.NewMessage(wm.NewUUID(), []byte("Ann"))))

	c, err := b.NewConsumer(context.Background(), samsa.ConsumerOptions{Topics: []string{"greetings"}})
	must(err)
	records, err := c.Poll(context.Background())
	must(err)
	fmt.Printf("%s\n", records[0].Value)
	must(errors.Join(router.Close(), pub.Close(), c.Close(), b.Close()))
	// Output: hello Ann
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func wantErr(t testing.TB, err error, want ...error) {
	t.Helper()
	for _, w := range want {
		if w == nil && err != nil || w != nil && !errors.Is(err, w) {
			t.Errorf("the error is %v, want %v", err, w)
		}
	}
}

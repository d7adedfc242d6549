package gocloud_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/gocloud"
	"github.com/samsa-go/samsa/samsatest"
)

var ctx = context.Background()

func mux(b *samsa.Broker) *pubsub.URLMux {
	m, o := new(pubsub.URLMux), &gocloud.URLOpener{Broker: b}
	m.RegisterTopic(gocloud.Scheme, o)
	m.RegisterSubscription(gocloud.Scheme, o)
	return m
}

func TestURLs(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 3), samsatest.Topic("dead", 1))
	m := mux(b)
	topic, err := m.OpenTopic(ctx, "samsa://t?key_name=user")
	wantErr(t, err, nil)
	sub, err := m.OpenSubscription(ctx, "samsa://g?topic=t&offset=oldest&lock=1m&dead_letter=dead")
	wantErr(t, err, nil)
	wantErr(t, topic.Send(ctx, &pubsub.Message{Metadata: map[string]string{"user": "Ann", "a": "b"}}), nil)
	got, err := sub.Receive(ctx)
	wantErr(t, err, nil)
	var r *samsa.Record
	if !got.As(&r) || string(r.Key) != "Ann" || r.Value == nil || len(got.Metadata) != 1 || got.Metadata["a"] != "b" {
		t.Errorf("%+v of %+v", got, r)
	}
	got.Ack()
	wantErr(t, errors.Join(topic.Shutdown(ctx), sub.Shutdown(ctx)), nil)
	for _, wrong := range []string{"g?topic=t&offset=1", "g?topic=t&lock=x", "g?topic=t&x=y", "g", "?topic=t"} {
		_, err := m.OpenSubscription(ctx, "samsa://"+wrong)
		wantErr(t, err, samsa.ErrInvalidOption)
	}
	_, err = m.OpenTopic(ctx, "samsa://t?x=y")
	wantErr(t, err, samsa.ErrInvalidOption)
}

// A message that was acked in a transaction is done with it, and its Ack afterwards, together with that of others, does no harm.
func TestAckInATransaction(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	topic := gocloud.OpenTopic(b, "t", nil)
	sub, err := gocloud.OpenSubscription(ctx, b, samsa.QueueOptions{Group: "g", Topics: []string{"t"}})
	wantErr(t, err, nil)
	wantErr(t, topic.Send(ctx, &pubsub.Message{Body: []byte("1")}), nil)
	wantErr(t, topic.Send(ctx, &pubsub.Message{Body: []byte("2")}), nil)
	first, err := sub.Receive(ctx)
	wantErr(t, err, nil)
	second, err := sub.Receive(ctx)
	wantErr(t, err, nil)
	var d samsa.Delivery
	if !first.As(&d) {
		t.Fatal("a message has no delivery")
	}
	wantErr(t, b.Update(ctx, func(tx *samsa.Tx) error { return tx.Ack(d) }), nil)
	first.Ack()
	second.Ack()
	samsatest.WaitDone(t, b, "g", "t", 2)
	wantErr(t, errors.Join(topic.Shutdown(ctx), sub.Shutdown(ctx)), nil)
}

// Errors have the codes of the Go CDK.
func TestErrors(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	topic := gocloud.OpenTopic(b, "t", nil)
	fault := samsatest.Appends(b, "t").Next(1).Fail()
	wantErr(t, topic.Send(ctx, &pubsub.Message{}), nil) // it is sent again
	if fault.Hits() != 1 {
		t.Errorf("%d appends failed, want 1", fault.Hits())
	}
	invalid := gocloud.OpenTopic(b, "not/a topic", nil)
	err := invalid.Send(ctx, &pubsub.Message{})
	if code := gcerrors.Code(err); code != gcerrors.InvalidArgument && code != gcerrors.NotFound {
		t.Errorf("%v has the code %v", err, code)
	}
	if err := topic.Send(ctx, &pubsub.Message{Body: make([]byte, 2<<20)}); gcerrors.Code(err) != gcerrors.InvalidArgument {
		t.Errorf("%v has the code %v", err, gcerrors.Code(err))
	}
	_, err = gocloud.OpenSubscription(ctx, b, samsa.QueueOptions{})
	wantErr(t, err, samsa.ErrInvalidOption)
	late, err := gocloud.OpenSubscription(ctx, b, samsa.QueueOptions{Group: "g", Topics: []string{"later"}})
	wantErr(t, err, nil)
	wantErr(t, b.Topics().Create(ctx, "later", samsa.TopicConfig{}), nil)
	later := gocloud.OpenTopic(b, "later", nil)
	wantErr(t, later.Send(ctx, &pubsub.Message{}), nil)
	m, err := late.Receive(ctx)
	wantErr(t, err, nil)
	m.Nack()
	wantErr(t, errors.Join(topic.Shutdown(ctx), invalid.Shutdown(ctx), later.Shutdown(ctx), late.Shutdown(ctx)), nil)
}

func Example() {
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true})
	must(err)
	o := &gocloud.URLOpener{Broker: b}
	urls := pubsub.DefaultURLMux()
	urls.RegisterTopic(gocloud.Scheme, o)
	urls.RegisterSubscription(gocloud.Scheme, o)

	topic, err := pubsub.OpenTopic(ctx, "samsa://orders?key_name=user")
	must(err)
	must(topic.Send(ctx, &pubsub.Message{Body: []byte("a book"), Metadata: map[string]string{"user": "Ann"}}))
	sub, err := pubsub.OpenSubscription(ctx, "samsa://billing?topic=orders")
	must(err)
	m, err := sub.Receive(ctx)
	must(err)
	fmt.Printf("%s\n", m.Body)
	m.Ack()
	must(errors.Join(topic.Shutdown(ctx), sub.Shutdown(ctx), b.Close()))
	// Output: a book
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

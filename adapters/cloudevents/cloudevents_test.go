package cloudevents_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"testing"

	"github.com/cloudevents/sdk-go/v2/binding"
	bindingtest "github.com/cloudevents/sdk-go/v2/binding/test"
	"github.com/cloudevents/sdk-go/v2/client"
	clienttest "github.com/cloudevents/sdk-go/v2/client/test"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	protocoltest "github.com/cloudevents/sdk-go/v2/protocol/test"
	"github.com/cloudevents/sdk-go/v2/test"
	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/cloudevents"
	"github.com/samsa-go/samsa/samsatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var ctx = context.Background()

var (
	_ protocol.SendCloser           = (*cloudevents.Sender)(nil)
	_ protocol.ReceiveCloser        = (*cloudevents.Receiver)(nil)
	_ binding.MessageMetadataReader = (*cloudevents.Message)(nil)
)

// pair is a sender, and a receiver of what it sends.
func pair(t testing.TB, b *samsa.Broker) (*cloudevents.Sender, *cloudevents.Receiver) {
	t.Helper()
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
	wantErr(t, err, nil)
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "g", Topics: []string{"t"}, Retry: samsa.Retry{Min: samsa.NoWait}})
	wantErr(t, err, nil)
	s, r := cloudevents.NewSender(p, "t"), cloudevents.NewReceiver(q)
	t.Cleanup(func() { wantErr(t, errors.Join(s.Close(ctx), r.Close(ctx)), nil) })
	return s, r
}

// The SDK's own suite for protocols, with all events in all versions, in all encodings that a message may have, and in both modes.
func TestSendReceive(t *testing.T) {
	messages := map[string]func(event.Event) binding.Message{
		"event":      func(e event.Event) binding.Message { return binding.ToMessage(&e) },
		"binary":     bindingtest.MustCreateMockBinaryMessage,
		"structured": func(e event.Event) binding.Message { return bindingtest.MustCreateMockStructuredMessage(t, e) },
	}
	modes := map[string]func(context.Context) context.Context{
		"as it is": func(ctx context.Context) context.Context { return ctx },
		"binary":   binding.WithForceBinary, "structured": binding.WithForceStructured,
	}
	for from, message := range messages {
		for to, mode := range modes {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel() // the suite sleeps
				s, r := pair(t, samsatest.New(t, samsatest.Topic("t", 3)))
				test.EachEvent(t, test.AllVersions(test.Events()), func(t *testing.T, in event.Event) {
					in = test.ConvertEventExtensionsToString(t, in)
					protocoltest.SendReceive(t, mode(ctx), message(in), s, r, func(out binding.Message) {
						want := binding.EncodingBinary
						if to == "structured" || to == "as it is" && from == "structured" {
							want = binding.EncodingStructured
						}
						if got := out.ReadEncoding(); got != want {
							t.Errorf("the mode is %v, want %v", got, want)
						}
						test.AssertEventEquals(t, in, test.ConvertEventExtensionsToString(t, test.MustToEvent(t, ctx, out)))
					})
				})
			})
		}
	}
}

// both is a protocol that sends and receives, as the suite for clients asks.
type both struct {
	protocol.Sender
	protocol.Receiver
}

// The SDK's own suite for clients.
func TestClients(t *testing.T) {
	for i, in := range test.Events() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel() // the suite sleeps
			in := test.ConvertEventExtensionsToString(t, in)
			s, r := pair(t, samsatest.New(t, samsatest.Topic("t", 3)))
			clienttest.SendReceive(t, func() any { return both{s, r} }, in, func(out event.Event) {
				test.AssertEventEquals(t, in, out)
			})
		})
	}
}

func BenchmarkSendReceive(b *testing.B) {
	s, r := pair(b, samsatest.New(b, samsatest.Topic("t", 3)))
	protocoltest.BenchmarkSendReceive(b, s, r)
}

// Records are what the Kafka protocol binding says.
func TestRecords(t *testing.T) {
	e := event.New()
	e.SetID("1")
	e.SetSource("/shop")
	e.SetType("paid")
	e.SetExtension("partitionkey", "Ann")
	wantErr(t, e.SetData("text/plain", []byte("7")), nil)
	r, err := cloudevents.NewRecord(ctx, binding.ToMessage(&e))
	wantErr(t, err, nil)
	want := samsa.Record{Key: []byte("Ann"), Value: []byte("7"), Headers: headers("ce_id", "1", "ce_partitionkey", "Ann", "ce_source", "/shop",
		"ce_specversion", "1.0", "ce_type", "paid", "content-type", "text/plain")}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("binary: %+v", r)
	}
	r, err = cloudevents.NewRecord(binding.WithForceStructured(ctx), binding.ToMessage(&e))
	wantErr(t, err, nil)
	if string(r.Key) != "Ann" || !reflect.DeepEqual(r.Headers, headers("content-type", "application/cloudevents+json")) {
		t.Errorf("structured: %+v", r)
	}
	e = test.MinEvent()
	if r, err = cloudevents.NewRecord(ctx, binding.ToMessage(&e)); err != nil || r.Key != nil || r.Value != nil {
		t.Errorf("without data and key: %+v, %v", r, err)
	}
}

// Records that are written by others: as the binding says, with other letters, or no events at all.
func TestRecordsOfOthers(t *testing.T) {
	event := headers("ce_id", "1", "CE_Source", "/s", "ce_specversion", "1.0", "ce_type", "t", "Content-Type", "text/plain", "other", "x")
	for name, of := range map[string]struct {
		r    samsa.Record
		want binding.Encoding
	}{
		"binary":     {samsa.Record{Value: []byte("x"), Headers: event}, binding.EncodingBinary},
		"structured": {samsa.Record{Value: []byte("{}"), Headers: headers("content-type", "application/cloudevents+json; charset=UTF-8")}, binding.EncodingStructured},
		"batch":      {samsa.Record{Headers: headers("content-type", "application/cloudevents-batch+json")}, binding.EncodingUnknown},
		"no format":  {samsa.Record{Headers: headers("content-type", "application/cloudevents+x", "ce_specversion", "1.0")}, binding.EncodingUnknown},
		"no version": {samsa.Record{Headers: headers("ce_specversion", "7")}, binding.EncodingUnknown},
		"no event":   {samsa.Record{Value: []byte("x")}, binding.EncodingUnknown},
	} {
		m := cloudevents.NewMessage(samsa.Delivery{Record: of.r})
		if got := m.ReadEncoding(); got != of.want {
			t.Errorf("%s: the mode is %v", name, got)
		}
		if _, err := cloudevents.NewRecord(ctx, m); (err != nil) != (of.want != binding.EncodingBinary) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := cloudevents.NewMessage(samsa.Delivery{Record: samsa.Record{Value: []byte("x"), Headers: event}})
	e := test.MustToEvent(t, ctx, m)
	if e.Source() != "/s" || e.DataContentType() != "text/plain" || string(e.Data()) != "x" || len(e.Extensions()) != 0 {
		t.Errorf("%v", e)
	}
}

// An event that was not processed comes again, and one that cannot be becomes a dead letter: both are not lost.
func TestFinish(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	s, r := pair(t, b)
	e := test.FullEvent()
	wantErr(t, s.Send(ctx, binding.ToMessage(&e)), nil)
	for i, result := range []error{errors.New("not yet"), protocol.ResultNACK, protocol.ResultACK} {
		m, err := r.Receive(ctx)
		wantErr(t, err, nil)
		if got := m.(*cloudevents.Message).Delivery.Deliveries; got != i+1 {
			t.Errorf("delivery %d, want %d", got, i+1)
		}
		wantErr(t, m.Finish(result), nil)
	}
	samsatest.WaitDone(t, b, "g", "t", 1)
}

func TestErrors(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	s, r := pair(t, b)
	e := test.FullEvent()
	samsatest.Appends(b, "t").Next(1).Fail()
	var told error
	err := s.Send(ctx, binding.WithFinish(binding.ToMessage(&e), func(err error) { told = err }))
	wantErr(t, err, samsa.ErrUnavailable)
	wantErr(t, told, samsa.ErrUnavailable)
	if !protocol.IsUndelivered(err) {
		t.Errorf("the SDK has %v be delivered", err)
	}
	short, end := context.WithCancel(ctx)
	end()
	_, err = r.Receive(short)
	wantErr(t, err, io.EOF)
	wantErr(t, errors.Join(s.Close(ctx), r.Close(ctx)), nil)
	_, err = r.Receive(ctx)
	wantErr(t, err, io.EOF)
	wantErr(t, s.Send(ctx, binding.ToMessage(&e)), samsa.ErrClosed)
}

func Example() {
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true})
	must(err)
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
	must(err)
	sender := cloudevents.NewSender(p, "orders")
	out, err := client.New(sender, client.WithTimeNow(), client.WithUUIDs())
	must(err)
	e := event.New()
	e.SetType("shop.ordered")
	e.SetSource("/shop")
	e.SetExtension("partitionkey", "Ann") // her orders are in one partition
	must(e.SetData(event.ApplicationJSON, map[string]string{"item": "a book"}))
	must(out.Send(ctx, e))

	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "billing", Topics: []string{"orders"}})
	must(err)
	receiver := cloudevents.NewReceiver(q)
	in, err := client.New(receiver)
	must(err)
	ctx, done := context.WithCancel(ctx)
	must(in.StartReceiver(ctx, func(e event.Event) error { // nil acknowledges, after an error it comes again
		fmt.Printf("%s: %s\n", e.Type(), e.Data())
		done()
		return nil
	}))
	must(errors.Join(receiver.Close(context.Background()), sender.Close(context.Background()), b.Close()))
	// Output: shop.ordered: {"item":"a book"}
}

func headers(all ...string) (hs []samsa.Header) {
	for i := 0; i < len(all); i += 2 {
		hs = append(hs, samsa.Header{Key: all[i], Value: []byte(all[i+1])})
	}
	return hs
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

package samsaotel_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/samsa-go/samsa"
	samsaotel "github.com/samsa-go/samsa/otel"
)

// kit is a broker whose spans and metrics end in memory.
type kit struct {
	*samsa.Broker
	t       *testing.T
	tel     *samsaotel.Telemetry
	spans   *tracetest.InMemoryExporter
	metrics *metric.ManualReader
	tracer  trace.Tracer // of the program
}

func start(t *testing.T) *kit {
	t.Helper()
	k := &kit{t: t, spans: tracetest.NewInMemoryExporter(), metrics: metric.NewManualReader()}
	traces := sdk.NewTracerProvider(sdk.WithSyncer(k.spans))
	var err error
	k.tel, err = samsaotel.New(samsaotel.Options{
		TracerProvider: traces, MeterProvider: metric.NewMeterProvider(metric.WithReader(k.metrics)), Propagator: propagation.TraceContext{},
	})
	if err == nil {
		k.Broker, err = samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true, Hooks: []samsa.Hook{k.tel.Hook()}})
	}
	if err != nil {
		t.Fatal(err)
	}
	k.tracer = traces.Tracer("program")
	t.Cleanup(func() { _ = k.Close() })
	return k
}

// span returns the one span of that name.
func (k *kit) span(name string) tracetest.SpanStub {
	k.t.Helper()
	var found []tracetest.SpanStub
	var names []string
	for _, s := range k.spans.GetSpans() {
		names = append(names, s.Name)
		if s.Name == name {
			found = append(found, s)
		}
	}
	if len(found) != 1 {
		k.t.Fatalf("%d spans %q among %q", len(found), name, names)
	}
	return found[0]
}

// want compares kind, parent and attributes of a span, in the order of their names.
func (k *kit) want(s tracetest.SpanStub, kind trace.SpanKind, parent trace.SpanContext, attrs string) {
	k.t.Helper()
	if s.SpanKind != kind || s.Parent.SpanID() != parent.SpanID() {
		k.t.Errorf("%s is %v of %v, want %v of %v", s.Name, s.SpanKind, s.Parent.SpanID(), kind, parent.SpanID())
	}
	if got := text(s.Attributes); got != attrs {
		k.t.Errorf("%s has\n%s\nwant\n%s", s.Name, got, attrs)
	}
	if s.EndTime.Before(s.StartTime) {
		k.t.Errorf("%s ends before it begins", s.Name)
	}
}

func text(attrs []attribute.KeyValue) string {
	all := make([]string, len(attrs))
	for i, a := range attrs {
		all[i] = strings.TrimPrefix(string(a.Key), "messaging.") + "=" + a.Value.String()
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// With Carry, whatever is produced within a span carries that, and what carries one already keeps it.
func TestCarry(t *testing.T) {
	traces := sdk.NewTracerProvider()
	tel, err := samsaotel.New(samsaotel.Options{TracerProvider: traces, Propagator: propagation.TraceContext{}})
	if err != nil {
		t.Fatal(err)
	}
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true, Hooks: []samsa.Hook{tel.Carry(), tel.Hook()}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	ctx, span := traces.Tracer("program").Start(t.Context(), "work")
	defer span.End()
	other, otherSpan := traces.Tracer("program").Start(t.Context(), "other work")
	defer otherSpan.End()
	record := samsa.Record{Topic: "orders", Headers: []samsa.Header{{Key: "own"}}}
	own := record
	tel.Inject(other, &own)
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Produce(ctx, record, own)
	_, errSync := p.ProduceSync(ctx, record)
	p.Produce(ctx, record, nil)
	errUpdate := b.Update(ctx, func(tx *samsa.Tx) error { return errors.Join(p.Flush(ctx), tx.Produce(record)) })
	_, errWithout := b.Produce(t.Context(), record)
	if err := errors.Join(err, errSync, errUpdate, errWithout); err != nil || len(got[0].Headers) != 1 {
		t.Fatal(got, err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	var carried []trace.SpanID
	for r, err := range c.RecordsUntil(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		carried = append(carried, trace.SpanContextFromContext(tel.Extract(t.Context(), r)).SpanID())
	}
	a, o := span.SpanContext().SpanID(), otherSpan.SpanContext().SpanID()
	if want := []trace.SpanID{a, o, a, a, a, {}}; !slices.Equal(carried, want) {
		t.Errorf("carried %v, want %v", carried, want)
	}
}

// An order comes by HTTP, becomes a record, and is worked on by a consumer: that is one trace.
func TestTraceFromHTTPToConsumer(t *testing.T) {
	k := start(t)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, span := k.tracer.Start(r.Context(), "POST /orders", trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		body, err := io.ReadAll(r.Body)
		if err == nil {
			_, err = k.tel.Produce(ctx, k.Broker, samsa.Record{Topic: "orders", Value: body})
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer shop.Close()
	resp, err := http.Post(shop.URL, "text/plain", strings.NewReader("tea"))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()

	c, err := k.NewConsumer(t.Context(), samsa.ConsumerOptions{Group: "mailer", ClientID: "m1", Topics: []string{"orders"}, Start: samsa.Earliest()})
	if err != nil {
		t.Fatal(err)
	}
	records, err := c.Poll(context.Background())
	if err != nil || len(records) != 1 {
		t.Fatal(records, err)
	}
	err = k.tel.Process(context.Background(), "mailer", records[0], func(ctx context.Context) error {
		_, inner := k.tracer.Start(ctx, "send mail")
		inner.End()
		return nil
	})
	if err == nil {
		err = c.Commit(context.Background())
	}
	if err != nil {
		t.Fatal(err)
	}

	server, send, process := k.span("POST /orders"), k.span("send orders"), k.span("process orders")
	k.want(send, trace.SpanKindProducer, server.SpanContext,
		"batch.message_count=1 destination.name=orders destination.partition.id=0 kafka.offset=0 operation.name=send operation.type=send system=kafka")
	k.want(process, trace.SpanKindConsumer, send.SpanContext,
		"consumer.group.name=mailer destination.name=orders destination.partition.id=0 kafka.offset=0 operation.name=process operation.type=process system=kafka")
	poll := k.span("poll orders")
	k.want(poll, trace.SpanKindClient, trace.SpanContext{},
		"batch.message_count=1 client.id=m1 consumer.group.name=mailer destination.name=orders destination.partition.id=0 kafka.offset=0 operation.name=poll operation.type=receive system=kafka")
	k.want(k.span("commit orders"), trace.SpanKindClient, trace.SpanContext{},
		"client.id=m1 consumer.group.name=mailer destination.name=orders operation.name=commit operation.type=settle system=kafka")
	for _, s := range []tracetest.SpanStub{poll, process} {
		if len(s.Links) != 1 || s.Links[0].SpanContext.SpanID() != send.SpanContext.SpanID() {
			t.Errorf("%s links to %v", s.Name, s.Links)
		}
	}
	if mail := k.span("send mail"); mail.SpanContext.TraceID() != server.SpanContext.TraceID() {
		t.Error("the trace ends before the mail")
	}
}

// A batch of a Producer has records of several traces, and links to each.
func TestBatchesLinkToTheirRecords(t *testing.T) {
	k := start(t)
	p, err := k.NewProducer(t.Context(), samsa.ProducerOptions{ClientID: "shop", Linger: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		ctx, span := k.tracer.Start(context.Background(), fmt.Sprint("request ", i))
		k.tel.Send(ctx, p, samsa.Record{Topic: "orders", Value: []byte("tea")}, nil)
		span.End()
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	send := k.span("send orders")
	k.want(send, trace.SpanKindClient, trace.SpanContext{},
		"batch.message_count=2 client.id=shop destination.name=orders destination.partition.id=0 kafka.offset=0 operation.name=send operation.type=send system=kafka")
	var creates []trace.SpanID
	for _, s := range k.spans.GetSpans() {
		if s.Name == "create orders" {
			creates = append(creates, s.SpanContext.SpanID())
		}
	}
	if len(send.Links) != 2 || len(creates) != 2 || send.Links[0].SpanContext.SpanID() != creates[0] || send.Links[1].SpanContext.SpanID() != creates[1] {
		t.Errorf("links %v, spans %v", send.Links, creates)
	}
	c, err := k.NewConsumer(t.Context(), samsa.ConsumerOptions{Topics: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Poll(context.Background()); err != nil {
		t.Fatal(err)
	}
	if poll := k.span("poll orders"); len(poll.Links) != 2 || poll.Links[1].SpanContext.SpanID() != creates[1] {
		t.Errorf("poll links to %v", poll.Links)
	}
}

// A loop is given records one by one, and makes spans of what was there, which link to each.
func TestLoopsLinkToTheirRecords(t *testing.T) {
	k := start(t)
	for range 2 {
		if _, err := k.tel.Produce(t.Context(), k.Broker, samsa.Record{Topic: "orders", Value: []byte("tea")}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := k.NewConsumer(t.Context(), samsa.ConsumerOptions{Topics: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.RecordsUntil(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
	}
	links := make(map[trace.SpanID]bool)
	for _, s := range k.spans.GetSpans() {
		if s.Name == "poll orders" {
			for _, l := range s.Links {
				links[l.SpanContext.SpanID()] = true
			}
		}
	}
	for _, s := range k.spans.GetSpans() {
		if s.Name == "send orders" && !links[s.SpanContext.SpanID()] {
			t.Errorf("no link to %v", s.SpanContext.SpanID())
		}
	}
	if len(links) != 2 {
		t.Errorf("%d links", len(links))
	}
}

// What a program did not ask to be carried is not, but it is seen; what fails says so.
func TestCallsAndFailures(t *testing.T) {
	k := start(t)
	ctx, span := k.tracer.Start(context.Background(), "job")
	if _, err := k.Produce(ctx, samsa.Record{Topic: "plain"}); err != nil {
		t.Fatal(err)
	}
	_, err := k.tel.Produce(ctx, k.Broker, samsa.Record{Topic: "a/b"})
	if !errors.Is(err, samsa.ErrInvalidTopic) {
		t.Fatal(err)
	}
	span.End()
	if s := k.span("send plain"); s.SpanKind != trace.SpanKindClient || s.Parent.SpanID() != span.SpanContext().SpanID() || s.Status.Code != codes.Unset {
		t.Errorf("%+v", s)
	}
	if s := k.span("send a/b"); s.Status.Code != codes.Error || !strings.Contains(text(s.Attributes), "error.type=ErrInvalidTopic") {
		t.Errorf("%v, %s", s.Status, text(s.Attributes))
	}
	boom := errors.New("boom")
	if err := k.tel.Process(context.Background(), "", samsa.Record{Topic: "plain"}, func(context.Context) error { return boom }); !errors.Is(err, boom) {
		t.Errorf("Process returns %v", err)
	}
	if s := k.span("process plain"); s.Status.Description != "boom" || !strings.Contains(text(s.Attributes), "error.type=_OTHER") ||
		!strings.Contains(text(s.Attributes), "kafka.message.tombstone=true") || len(s.Links) != 0 {
		t.Errorf("%v, %s, %v", s.Status, text(s.Attributes), s.Links)
	}
}

func TestQueues(t *testing.T) {
	k := start(t)
	if _, err := k.tel.Produce(t.Context(), k.Broker, samsa.Record{Topic: "jobs", Value: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	q, err := k.NewQueue(t.Context(), samsa.QueueOptions{Group: "workers", Topics: []string{"jobs"}})
	if err != nil {
		t.Fatal(err)
	}
	ds, err := q.Receive(context.Background(), 1)
	if err != nil || ds[0].Ack() != nil {
		t.Fatal(err)
	}
	if s := k.span("receive jobs"); len(s.Links) != 1 {
		t.Errorf("links %v", s.Links)
	}
	k.want(k.span("accept jobs"), trace.SpanKindClient, trace.SpanContext{},
		"consumer.group.name=workers destination.name=jobs operation.name=accept operation.type=settle system=kafka")
}

// A record that is given to Inject keeps the headers that others see, and carries one span.
func TestInject(t *testing.T) {
	k := start(t)
	shared := make([]samsa.Header, 1, 8)
	shared[0] = samsa.Header{Key: "a", Value: []byte("1")}
	r := samsa.Record{Headers: shared}
	first, span := k.tracer.Start(context.Background(), "first")
	span.End()
	k.tel.Inject(first, &r)
	second, span := k.tracer.Start(context.Background(), "second")
	span.End()
	k.tel.Inject(second, &r)
	if len(r.Headers) != 2 || r.Headers[0].Key != "a" || r.Headers[1].Key != "traceparent" || len(shared[:2][1].Key) != 0 {
		t.Errorf("headers %v, shared %v", r.Headers, shared[:2])
	}
	got := trace.SpanContextFromContext(k.tel.Extract(context.Background(), r))
	if want := trace.SpanContextFromContext(second); got.SpanID() != want.SpanID() || got.TraceID() != want.TraceID() || !got.IsRemote() {
		t.Errorf("extracted %v, want %v", got, want)
	}
}

func TestMetrics(t *testing.T) {
	k := start(t)
	if _, err := k.Produce(t.Context(), samsa.Record{Topic: "orders"}, samsa.Record{Topic: "orders"}); err != nil {
		t.Fatal(err)
	}
	c, err := k.NewConsumer(t.Context(), samsa.ConsumerOptions{Topics: []string{"orders"}})
	if err == nil {
		_, err = c.Poll(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	var all metricdata.ResourceMetrics
	if err := k.metrics.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch d := m.Data.(type) {
		case metricdata.Sum[int64]:
			got[m.Name] = fmt.Sprint(d.DataPoints[0].Value, " ", text(d.DataPoints[0].Attributes.ToSlice()))
		case metricdata.Histogram[float64]:
			got[m.Name] = fmt.Sprint(len(d.DataPoints), " ", m.Unit)
		}
	}
	want := map[string]string{
		"messaging.client.operation.duration": "2 s",
		"messaging.client.sent.messages":      "2 destination.name=orders operation.name=send operation.type=send system=kafka",
		"messaging.client.consumed.messages":  "2 destination.name=orders operation.name=poll operation.type=receive system=kafka",
	}
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s is %q, want %q", name, got[name], text)
		}
	}
}

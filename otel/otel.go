// Package samsaotel makes spans and metrics of OpenTelemetry of what a broker of package samsa does, by the semantic
// conventions for messaging (version 1.43, Kafka's).
//
//	tel, err := samsaotel.New(samsaotel.Options{})
//	b, err := samsa.Open("data", samsa.Options{Hooks: []samsa.Hook{tel.Hook()}})
//
// The hook alone tells how long calls took, and which records they were about. That a trace goes on from who produces a
// record to who consumes it needs the record to carry it, in its headers (traceparent), as with any Kafka client:
//
//   - Carry is another hook, an interceptor, which has all records carry the span of the context that they are produced with. It makes none.
//   - Produce, in the place of Broker.Produce, makes the span "send" and has the records carry it.
//   - Send, in the place of Producer.Produce, makes a span "create" of the record, and has the record carry it; the span
//     "send" of the batch, which the hook makes, links to it.
//   - Inject has a record carry the span that a context has.
//
// And by who consumes: Process makes a span "process" of a record, whose parent is the span that the record carries. Extract
// returns a context with that span. Records of other Kafka clients that are instrumented carry theirs the same way.
package samsaotel

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// Options says where spans and metrics go. What is nil is the global one of package otel.
type Options struct {
	TracerProvider trace.TracerProvider
	MeterProvider  metric.MeterProvider
	Propagator     propagation.TextMapPropagator
}

// Telemetry makes spans and metrics. Its methods may be called by anybody at any time.
type Telemetry struct {
	tracer     trace.Tracer
	propagator propagation.TextMapPropagator

	operations metric.Float64Histogram // messaging.client.operation.duration
	processes  metric.Float64Histogram // messaging.process.duration
	requests   metric.Float64Histogram // samsa.kafka.request.duration
	sent       metric.Int64Counter     // messaging.client.sent.messages
	consumed   metric.Int64Counter     // messaging.client.consumed.messages
}

const scope = "github.com/samsa-go/samsa/otel"

// seconds are the bounds that the conventions advise.
var seconds = metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)

// New returns a Telemetry. An error is one of the meter provider, about an instrument.
func New(opts Options) (*Telemetry, error) {
	if opts.TracerProvider == nil {
		opts.TracerProvider = otel.GetTracerProvider()
	}
	if opts.MeterProvider == nil {
		opts.MeterProvider = otel.GetMeterProvider()
	}
	if opts.Propagator == nil {
		opts.Propagator = otel.GetTextMapPropagator()
	}
	t := &Telemetry{
		tracer:     opts.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		propagator: opts.Propagator,
	}
	meter := opts.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))
	var errs [5]error
	t.operations, errs[0] = meter.Float64Histogram("messaging.client.operation.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Duration of messaging operation initiated by a producer or consumer client."))
	t.processes, errs[1] = meter.Float64Histogram("messaging.process.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Duration of processing operation."))
	t.requests, errs[2] = meter.Float64Histogram("samsa.kafka.request.duration", metric.WithUnit("s"), seconds,
		metric.WithDescription("Duration of a request of a Kafka client, until its answer was written."))
	t.sent, errs[3] = meter.Int64Counter("messaging.client.sent.messages", metric.WithUnit("{message}"),
		metric.WithDescription("Number of messages producer attempted to send to the broker."))
	t.consumed, errs[4] = meter.Int64Counter("messaging.client.consumed.messages", metric.WithUnit("{message}"),
		metric.WithDescription("Number of messages that were delivered to the application."))
	for _, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("samsaotel: %w", err)
		}
	}
	return t, nil
}

// Produce is b.Produce within a span, which the records carry.
func (t *Telemetry) Produce(ctx context.Context, b *samsa.Broker, records ...samsa.Record) ([]samsa.Record, error) {
	attrs := append(operation(operationSend, "send"), semconv.MessagingBatchMessageCount(len(records)))
	topic := topicOf(len(records), func(i int) string { return records[i].Topic })
	ctx, span := t.tracer.Start(ctx, spanName("send", topic), trace.WithSpanKind(trace.SpanKindProducer),
		trace.WithAttributes(append(attrs, destination(topic)...)...))
	defer span.End()
	carrying := make([]samsa.Record, len(records))
	for i := range records {
		carrying[i] = records[i]
		t.Inject(ctx, &carrying[i])
	}
	stored, err := b.Produce(context.WithValue(ctx, spanned{}, true), carrying...)
	fail(span, err)
	if len(stored) == 1 {
		span.SetAttributes(place(stored[0].Partition, stored[0].Offset)...)
	}
	return stored, err
}

// spanned is the key of contexts of calls that have their span.
type spanned struct{}

// Send is p.Produce of a record that carries a span of its own.
func (t *Telemetry) Send(ctx context.Context, p *samsa.Producer, r samsa.Record, promise samsa.Promise) {
	attrs := append(operation("create", "create"), destination(r.Topic)...)
	ctx, span := t.tracer.Start(ctx, spanName("create", r.Topic), trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attrs...))
	defer span.End()
	t.Inject(ctx, &r)
	p.Produce(ctx, r, promise)
}

// Process calls fn for a record that the program has been given, within a span, and returns its error. The span's parent
// is the one that ctx has, or else the one that the record carries; to the latter it links in either case. group is that
// of the consumer, "" without one.
func (t *Telemetry) Process(ctx context.Context, group string, r samsa.Record, fn func(ctx context.Context) error) error {
	attrs := append(operation("process", "process"), destination(r.Topic)...)
	attrs = append(attrs, place(r.Partition, r.Offset)...)
	if r.Value == nil {
		attrs = append(attrs, semconv.MessagingKafkaMessageTombstone(true))
	}
	attrs = append(attrs, consumer(group, "")...)
	opts := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attrs...)}
	from := t.Extract(ctx, r)
	if carried := trace.SpanContextFromContext(from); carries(ctx, carried) {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: carried}))
		if !trace.SpanContextFromContext(ctx).IsValid() {
			ctx = from
		}
	}
	ctx, span := t.tracer.Start(ctx, spanName("process", r.Topic), opts...)
	defer span.End()
	began := time.Now()
	err := fn(ctx)
	fail(span, err)
	t.processes.Record(ctx, time.Since(began).Seconds(), measured("process", "process", r.Topic, group, err))
	return err
}

// Inject has r carry the span of ctx, in headers of its own: those that it shares with others stay as they are.
func (t *Telemetry) Inject(ctx context.Context, r *samsa.Record) {
	h := headers{r}
	t.propagator.Inject(ctx, h)
}

// Extract returns ctx with the span that r carries, as a remote one, or ctx without one.
func (t *Telemetry) Extract(ctx context.Context, r samsa.Record) context.Context {
	return t.propagator.Extract(ctx, headers{&r})
}

// headers are those of a record as a propagator sees them.
type headers struct{ r *samsa.Record }

// Get returns the value of the last header of that key.
func (h headers) Get(key string) string {
	for i := len(h.r.Headers) - 1; i >= 0; i-- {
		if h.r.Headers[i].Key == key {
			return string(h.r.Headers[i].Value)
		}
	}
	return ""
}

// Set puts a header in the place of all of that key.
func (h headers) Set(key, value string) {
	kept := make([]samsa.Header, 0, len(h.r.Headers)+1)
	for _, one := range h.r.Headers {
		if one.Key != key {
			kept = append(kept, one)
		}
	}
	h.r.Headers = append(kept, samsa.Header{Key: key, Value: []byte(value)})
}

// Keys returns all keys.
func (h headers) Keys() []string {
	keys := make([]string, len(h.r.Headers))
	for i := range h.r.Headers {
		keys[i] = h.r.Headers[i].Key
	}
	return keys
}

// carries reports whether a record carries a span, and not only what ctx has.
func carries(ctx context.Context, carried trace.SpanContext) bool {
	return carried.IsValid() && !carried.Equal(trace.SpanContextFromContext(ctx))
}

const operationSend = "send"

// operation are the attributes that every span and metric has: what is done by its name, and by its type.
func operation(kind, name string) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingOperationName(name), semconv.MessagingOperationTypeKey.String(kind),
	}
}

func destination(topic string) []attribute.KeyValue {
	if topic == "" {
		return nil
	}
	return []attribute.KeyValue{semconv.MessagingDestinationName(topic)}
}

func place(partition int32, offset int64) []attribute.KeyValue {
	attrs := []attribute.KeyValue{semconv.MessagingDestinationPartitionID(fmt.Sprint(partition))}
	if offset >= 0 {
		attrs = append(attrs, semconv.MessagingKafkaOffset(int(offset)))
	}
	return attrs
}

func consumer(group, client string) (attrs []attribute.KeyValue) {
	if group != "" {
		attrs = append(attrs, semconv.MessagingConsumerGroupName(group))
	}
	if client != "" {
		attrs = append(attrs, semconv.MessagingClientID(client))
	}
	return attrs
}

// measured are the attributes of a metric: those that have few values.
func measured(kind, name, topic, group string, err error) metric.MeasurementOption {
	attrs := append(operation(kind, name), destination(topic)...)
	attrs = append(attrs, consumer(group, "")...)
	if err != nil {
		attrs = append(attrs, errorType(err))
	}
	return metric.WithAttributes(attrs...)
}

func errorType(err error) attribute.KeyValue {
	if name := log.Name(err); name != "" {
		return semconv.ErrorTypeKey.String(name)
	}
	return semconv.ErrorTypeOther
}

// fail notes an error, if there is one.
func fail(span trace.Span, err error) {
	if err != nil {
		span.SetAttributes(errorType(err))
		span.SetStatus(codes.Error, err.Error())
	}
}

// topicOf returns the one topic of n things, "" if there are several.
func topicOf(n int, of func(i int) string) string {
	for i := 1; i < n; i++ {
		if of(i) != of(0) {
			return ""
		}
	}
	if n == 0 {
		return ""
	}
	return of(0)
}

func spanName(operation, topic string) string {
	if topic == "" {
		return operation
	}
	return operation + " " + topic
}

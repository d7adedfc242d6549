package samsaotel

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/samsa-go/samsa"
)

// Hook returns what observes a broker. It makes
//
//   - a span "send" of each call of Produce and Update that has stored records, but for those of Telemetry.Produce, and of each
//     batch of a Producer, which links to the contexts of its records;
//   - a span "poll", or "receive" of a Queue, of each delivery, which links to the spans that its records carry;
//   - a span "commit", or "accept", "release" and so on of a Queue, but for commits that consumers make by themselves;
//   - the metrics messaging.client.operation.duration, messaging.client.sent.messages and messaging.client.consumed.messages;
//   - the metric samsa.kafka.request.duration of requests of Kafka clients, of which there are no spans: their protocol
//     carries no trace.
//
// A span's parent is that of the call's context.
func (t *Telemetry) Hook() samsa.Hook {
	return samsa.Hook{Name: "otel", Produce: t.produced, Deliver: t.delivered, Commit: t.committed, Request: t.requested}
}

// Carry returns a hook that has what is produced carry the span of the call's context: Produce, Producer.Produce, Update, and what stands on them. So
// a trace goes on without another call in their place. A record that carries a span already, by Inject, Produce or Send, keeps it. The
// program gets back its records without.
func (t *Telemetry) Carry() samsa.Hook {
	return samsa.Hook{Name: "otel-carry", BeforeProduce: func(ctx context.Context, records []samsa.Record) (int, error) {
		if trace.SpanContextFromContext(ctx).IsValid() {
			for i := range records {
				if !trace.SpanContextFromContext(t.Extract(context.Background(), records[i])).IsValid() {
					t.Inject(ctx, &records[i])
				}
			}
		}
		return len(records), nil
	}}
}

// maxLinks is how many links a span takes by default.
const maxLinks = 128

func (t *Telemetry) produced(ctx context.Context, e samsa.ProduceEvent) {
	topic := topicOf(len(e.Batches), func(i int) string { return e.Batches[i].Topic })
	records := 0
	for _, b := range e.Batches {
		records += b.Records
	}
	t.operations.Record(ctx, e.Took.Seconds(), measured(operationSend, "send", topic, "", e.Err))
	t.sent.Add(ctx, int64(records), measured(operationSend, "send", topic, "", e.Err))
	if ctx.Value(spanned{}) != nil {
		return
	}
	attrs := append(operation(operationSend, "send"), semconv.MessagingBatchMessageCount(records))
	attrs = append(attrs, destination(topic)...)
	attrs = append(attrs, consumer("", e.ClientID)...)
	if len(e.Batches) == 1 {
		attrs = append(attrs, place(e.Batches[0].Partition, e.Batches[0].Offset)...)
	}
	var links []trace.Link
	for _, c := range e.Contexts {
		if from := trace.SpanContextFromContext(c); from.IsValid() {
			links = append(links, trace.Link{SpanContext: from})
		}
	}
	if len(e.Contexts) > 1 {
		ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{}) // it is nobody's alone
	}
	t.span(ctx, spanName("send", topic), e.Began, e.Took, e.Err, attrs, links)
}

func (t *Telemetry) delivered(ctx context.Context, e samsa.DeliverEvent) {
	name := "poll"
	if e.Queue {
		name = "receive"
	}
	topic := topicOf(len(e.Records), func(i int) string { return e.Records[i].Topic })
	t.operations.Record(ctx, e.Took.Seconds(), measured("receive", name, topic, e.Group, nil))
	t.consumed.Add(ctx, int64(len(e.Records)), measured("receive", name, topic, e.Group, nil))
	attrs := append(operation("receive", name), semconv.MessagingBatchMessageCount(len(e.Records)))
	attrs = append(attrs, destination(topic)...)
	attrs = append(attrs, consumer(e.Group, e.ClientID)...)
	if len(e.Records) == 1 {
		attrs = append(attrs, place(e.Records[0].Partition, e.Records[0].Offset)...)
	}
	var links []trace.Link
	for i := range e.Records {
		carried := trace.SpanContextFromContext(t.Extract(context.Background(), e.Records[i]))
		if carried.IsValid() && len(links) < maxLinks {
			links = append(links, trace.Link{SpanContext: carried})
		}
	}
	t.span(ctx, spanName(name, topic), e.Began, e.Took, nil, attrs, links)
}

func (t *Telemetry) committed(ctx context.Context, e samsa.CommitEvent) {
	name, topic := "commit", ""
	if len(e.Acks) > 0 {
		name = e.Acks[0].Outcome
		topic = topicOf(len(e.Acks), func(i int) string { return e.Acks[i].Topic })
	} else {
		first := true
		for tp := range e.Offsets {
			if first {
				topic, first = tp.Topic, false
			} else if tp.Topic != topic {
				topic = ""
				break
			}
		}
	}
	t.operations.Record(ctx, e.Took.Seconds(), measured("settle", name, topic, e.Group, e.Err))
	if e.Auto {
		return
	}
	attrs := append(operation("settle", name), destination(topic)...)
	attrs = append(attrs, consumer(e.Group, e.ClientID)...)
	t.span(ctx, spanName(name, topic), e.Began, e.Took, e.Err, attrs, nil)
}

func (t *Telemetry) requested(ctx context.Context, e samsa.RequestEvent) {
	attrs := []attribute.KeyValue{attribute.String("samsa.kafka.request", e.Name), attribute.Int("samsa.kafka.version", int(e.Version))}
	if e.Code != 0 {
		attrs = append(attrs, semconv.ErrorTypeKey.String(strconv.Itoa(int(e.Code))))
	}
	t.requests.Record(ctx, e.Took.Seconds(), metric.WithAttributes(attrs...))
}

// span makes a span of what is over.
func (t *Telemetry) span(ctx context.Context, name string, began time.Time, took time.Duration, err error, attrs []attribute.KeyValue, links []trace.Link) {
	_, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(began),
		trace.WithAttributes(attrs...), trace.WithLinks(links...))
	fail(span, err)
	span.End(trace.WithTimestamp(began.Add(took)))
}

package cloudevents

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/binding/format"
	"github.com/cloudevents/sdk-go/v2/binding/spec"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	"github.com/cloudevents/sdk-go/v2/types"

	"github.com/samsa-go/samsa"
)

// Names of the Kafka protocol binding 1.0.2.
const (
	prefix       = "ce_"
	contentType  = "content-type"
	partitionKey = "partitionkey"
)

var specs = spec.WithPrefix(prefix)

// Sender is a protocol.SendCloser: what is sent becomes records of a topic.
type Sender struct {
	p     *samsa.Producer
	topic string
}

// NewSender returns a sender that stores events in topic by p, which it has from now on.
func NewSender(p *samsa.Producer, topic string) *Sender { return &Sender{p, topic} }

// Send stores an event and returns when it is stored, or the error of samsa.Producer.ProduceSync. The mode is what ctx asks for by
// binding.WithForceStructured or WithForceBinary, else that of m, and binary for an event of this process. It finishes m with
// what it returns.
func (s *Sender) Send(ctx context.Context, m binding.Message, transformers ...binding.Transformer) (err error) {
	defer func() { err = errors.Join(err, m.Finish(err)) }()
	r, err := NewRecord(ctx, m, transformers...)
	if err == nil {
		r.Topic = s.topic
		_, err = s.p.ProduceSync(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("cloudevents: send: %w", err)
	}
	return nil
}

// Close closes the producer, and stores what is on its way while ctx lasts.
func (s *Sender) Close(ctx context.Context) error { return s.p.Shutdown(ctx) }

// NewRecord returns the record of an event, without a topic, as Send stores it: for samsa.Tx.Produce. The bytes are the
// caller's. It does not finish m.
func NewRecord(ctx context.Context, m binding.Message, transformers ...binding.Transformer) (samsa.Record, error) {
	w := &writer{headers: make(map[string]string)}
	if _, err := binding.Write(ctx, m, w, w, transformers...); err != nil {
		return samsa.Record{}, err
	}
	key, err := w.key()
	if err != nil {
		return samsa.Record{}, err
	}
	r := samsa.Record{Key: key, Value: w.value}
	for _, name := range slices.Sorted(maps.Keys(w.headers)) {
		r.Headers = append(r.Headers, samsa.Header{Key: name, Value: []byte(w.headers[name])})
	}
	return r, nil
}

// writer collects what a record of an event has.
type writer struct {
	value   []byte // nil without data
	headers map[string]string
	format  format.Format // of one in structured mode
}

// key returns the key of the record: the extension partitionkey, or nil without one. In structured mode it is in the event.
func (w *writer) key() ([]byte, error) {
	if w.format == nil {
		if s := w.headers[prefix+partitionKey]; s != "" {
			return []byte(s), nil
		}
		return nil, nil
	}
	var e event.Event
	if err := w.format.Unmarshal(w.value, &e); err != nil {
		return nil, fmt.Errorf("structured event: %w", err)
	}
	value := e.Extensions()[partitionKey]
	if types.IsZero(value) {
		return nil, nil
	}
	s, err := types.Format(value)
	return []byte(s), err
}

func (w *writer) SetStructuredEvent(_ context.Context, f format.Format, event io.Reader) (err error) {
	w.format, w.headers[contentType] = f, f.MediaType()
	w.value, err = io.ReadAll(event)
	return err
}

func (w *writer) Start(context.Context) error { return nil }
func (w *writer) End(context.Context) error   { return nil }

func (w *writer) SetData(data io.Reader) (err error) {
	w.value, err = io.ReadAll(data)
	return err
}

func (w *writer) SetAttribute(a spec.Attribute, value any) error {
	if a.Kind() == spec.DataContentType {
		return w.set(contentType, value)
	}
	return w.set(prefix+a.Name(), value)
}

func (w *writer) SetExtension(name string, value any) error { return w.set(prefix+name, value) }

// set has a header be value as text, or not there when that is nil.
func (w *writer) set(header string, value any) error {
	if value == nil {
		delete(w.headers, header)
		return nil
	}
	s, err := types.Format(value)
	if err != nil {
		return fmt.Errorf("%s: %w", header, err)
	}
	w.headers[header] = s
	return nil
}

// Receiver is a protocol.ReceiveCloser: it receives what a queue delivers.
type Receiver struct{ q *samsa.Queue }

// NewReceiver returns a receiver of q, which it has from now on.
func NewReceiver(q *samsa.Queue) *Receiver { return &Receiver{q} }

// Receive returns the next event, a *Message, or io.EOF when ctx ends or the receiver is closed. Other errors are those of
// samsa.Queue.Receive, after which the next call goes on. It may be called by many goroutines.
func (r *Receiver) Receive(ctx context.Context) (binding.Message, error) {
	for {
		got, err := r.q.Receive(ctx, 1)
		switch {
		case ctx.Err() != nil && err != nil, errors.Is(err, samsa.ErrClosed):
			return nil, io.EOF
		case err != nil:
			return nil, fmt.Errorf("cloudevents: receive: %w", err)
		case len(got) > 0:
			return NewMessage(got[0]), nil
		}
	}
}

// Close closes the queue. What was received and not finished comes again.
func (r *Receiver) Close(ctx context.Context) error { return r.q.Shutdown(ctx) }

// Message is a binding.Message of a record. It may be read more than once.
type Message struct {
	// Delivery is where it comes from. Whoever has called samsa.Tx.Ack with it need not call Finish.
	Delivery samsa.Delivery

	headers map[string]string // keys in lower case; of those that are there twice the last one
	format  format.Format     // of one in structured mode, or nil
	version spec.Version      // of one in binary mode, or nil
}

// NewMessage returns the message of a delivery.
func NewMessage(d samsa.Delivery) *Message {
	m := &Message{Delivery: d, headers: make(map[string]string, len(d.Record.Headers))}
	for _, h := range d.Record.Headers {
		m.headers[strings.ToLower(h.Key)] = string(h.Value)
	}
	if media := m.headers[contentType]; format.IsFormat(media) {
		if f := format.Lookup(media); f != format.JSONBatch { // the binding has no batches
			m.format = f
		}
	} else {
		m.version = specs.Version(m.headers[specs.PrefixedSpecVersionName()])
	}
	return m
}

// ReadEncoding returns the mode of the message, or binding.EncodingUnknown for a record that is no event.
func (m *Message) ReadEncoding() binding.Encoding {
	switch {
	case m.format != nil:
		return binding.EncodingStructured
	case m.version != nil:
		return binding.EncodingBinary
	}
	return binding.EncodingUnknown
}

// ReadStructured hands a message in structured mode to w; others are binding.ErrNotStructured.
func (m *Message) ReadStructured(ctx context.Context, w binding.StructuredWriter) error {
	if m.format == nil {
		return binding.ErrNotStructured
	}
	return w.SetStructuredEvent(ctx, m.format, bytes.NewReader(m.Delivery.Record.Value))
}

// ReadBinary hands a message in binary mode to w; others are binding.ErrNotBinary.
func (m *Message) ReadBinary(_ context.Context, w binding.BinaryWriter) error {
	if m.version == nil {
		return binding.ErrNotBinary
	}
	for name, value := range m.headers {
		var err error
		if name == contentType {
			err = w.SetAttribute(m.version.AttributeFromKind(spec.DataContentType), value)
		} else if short, ok := strings.CutPrefix(name, prefix); ok {
			if a := m.version.Attribute(name); a != nil {
				err = w.SetAttribute(a, value)
			} else {
				err = w.SetExtension(short, value)
			}
		}
		if err != nil {
			return fmt.Errorf("cloudevents: header %s: %w", name, err)
		}
	}
	if value := m.Delivery.Record.Value; value != nil {
		return w.SetData(bytes.NewReader(value))
	}
	return nil
}

// GetAttribute returns an attribute of a message in binary mode, and its value as text, or nil when it has none.
func (m *Message) GetAttribute(k spec.Kind) (spec.Attribute, any) {
	if m.version == nil {
		return nil, nil
	}
	a := m.version.AttributeFromKind(k)
	if a == nil {
		return nil, nil
	}
	name := a.PrefixedName()
	if k == spec.DataContentType {
		name = contentType
	}
	return a, m.value(name)
}

// GetExtension returns the value of an extension of a message in binary mode as text, or nil.
func (m *Message) GetExtension(name string) any { return m.value(prefix + name) }

func (m *Message) value(header string) any {
	if s, ok := m.headers[header]; ok {
		return s
	}
	return nil
}

// Finish acknowledges the record when err is nil or a protocol.ResultACK, and else gives it back, to come again as
// samsa.QueueOptions.Retry says. The error is that of samsa.Delivery.Ack or Retry. It is called once.
func (m *Message) Finish(err error) error {
	if protocol.IsACK(err) {
		return m.Delivery.Ack()
	}
	return m.Delivery.Retry()
}

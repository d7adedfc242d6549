package typed

import (
	"context"
	"fmt"
	"sync"

	"github.com/samsa-go/samsa"
)

// Producer is a samsa.Producer of messages.
type Producer[K, V any] struct {
	*samsa.Producer
	codecs Codecs[K, V]
}

// NewProducer returns a producer: see samsa.Broker.NewProducer.
func NewProducer[K, V any](ctx context.Context, b *samsa.Broker, c Codecs[K, V], opts samsa.ProducerOptions) (*Producer[K, V], error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("new producer: %w", err)
	}
	p, err := b.NewProducer(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &Producer[K, V]{p, c}, nil
}

// Produce hands over a message and calls promise, which may be nil, when its fate is known: see samsa.Producer.Produce. The
// message that the promise gets is m, with partition, offset and timestamp, and without the bytes of its record.
// What cannot be encoded is ErrInvalid.
func (p *Producer[K, V]) Produce(ctx context.Context, m Message[K, V], promise func(m Message[K, V], err error)) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	err := p.codecs.encode(*buf, &m)
	if n := len(m.Record.Key) + len(m.Record.Value); n > cap(*buf) && n <= keptBytes {
		*buf = make([]byte, 0, 2*n) // for the next one
	}
	key, value := m.Key, m.Value
	switch {
	case promise == nil:
		if err == nil {
			p.Producer.Produce(ctx, m.Record, nil)
		}
	case err != nil:
		m.Record.Key, m.Record.Value = nil, nil
		promise(m, fmt.Errorf("produce: %w", err))
	default:
		p.Producer.Produce(ctx, m.Record, func(r samsa.Record, err error) {
			r.Key, r.Value = nil, nil // their bytes are another message's by now
			promise(Message[K, V]{key, value, r}, err)
		})
	}
}

// keptBytes is how large a message may be for whose like a buffer is kept.
const keptBytes = 64 << 10

var buffers = sync.Pool{New: func() any {
	buf := make([]byte, 0, 512)
	return &buf
}}

// ProduceSync hands over messages and waits for their fates: see samsa.Producer.ProduceSync. When one cannot be encoded, which
// is ErrInvalid, none is handed over.
func (p *Producer[K, V]) ProduceSync(ctx context.Context, ms ...Message[K, V]) ([]Message[K, V], error) {
	records := make([]samsa.Record, len(ms))
	for i := range ms {
		var err error
		if records[i], err = p.codecs.Encode(ms[i]); err != nil {
			return nil, fmt.Errorf("produce: message %d: %w", i, err)
		}
	}
	records, err := p.Producer.ProduceSync(ctx, records...)
	out := make([]Message[K, V], len(ms))
	for i := range out {
		out[i] = Message[K, V]{ms[i].Key, ms[i].Value, records[i]}
	}
	return out, err
}

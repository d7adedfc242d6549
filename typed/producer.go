package typed

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/samsa-go/samsa"
)

// Producer is a samsa.Producer of messages.
type Producer[K, V any] struct {
	*samsa.Producer
	codecs Codecs[K, V]

	// Memory for reuse.
	scratches sync.Pool // of *scratch, for calls of Produce
	promises  sync.Pool // of *promises of which none is taken
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
	return &Producer[K, V]{Producer: p, codecs: c}, nil
}

// Produce hands over a message and calls promise, which may be nil, when its fate is known: see samsa.Producer.Produce. The
// message that the promise gets is m, with partition, offset and timestamp, and without the bytes of its record.
// What cannot be encoded is ErrInvalid.
func (p *Producer[K, V]) Produce(ctx context.Context, m Message[K, V], promise func(m Message[K, V], err error)) {
	s, _ := p.scratches.Get().(*scratch[K, V])
	if s == nil {
		s = &scratch[K, V]{buf: make([]byte, 0, 512)}
	}
	err := p.codecs.encode(s.buf, &m)
	s.fit(len(m.Record.Key) + len(m.Record.Value))
	switch {
	case promise == nil:
		if err == nil {
			p.Producer.Produce(ctx, m.Record, nil)
		}
	case err != nil:
		m.Record.Key, m.Record.Value = nil, nil
		promise(m, fmt.Errorf("produce: %w", err))
	default:
		p.Producer.Produce(ctx, m.Record, p.promised(s, &m, promise))
	}
	p.scratches.Put(s) // of a call that panics it is left to the collector
}

// scratch is what a call of Produce has for itself.
type scratch[K, V any] struct {
	buf  []byte
	next *promises[K, V] // has room, or nil
}

// fit makes room for the next one after a message of n bytes.
func (s *scratch[K, V]) fit(n int) {
	if n > cap(s.buf) && n <= keptBytes {
		s.buf = make([]byte, 0, 2*n)
	}
}

// keptBytes is how large a message may be for whose like a buffer is kept.
const keptBytes = 64 << 10

// promises are those of several messages, so that a message does not need memory of its own. Once all of them have been taken and are called, they are
// there for others.
type promises[K, V any] struct {
	all   [32]promised[K, V]
	taken int          // by the one who has the scratch
	left  atomic.Int32 // not called yet
}

// promised is a message whose fate somebody wants to know, without its record.
type promised[K, V any] struct {
	key     K
	value   V
	promise func(m Message[K, V], err error)
	tell    samsa.Promise // tells promise; made once
}

// promised returns the promise of the record of m.
func (p *Producer[K, V]) promised(s *scratch[K, V], m *Message[K, V], promise func(m Message[K, V], err error)) samsa.Promise {
	if s.next == nil {
		if s.next, _ = p.promises.Get().(*promises[K, V]); s.next == nil {
			s.next = p.newPromises()
		}
	}
	own := &s.next.all[s.next.taken]
	own.key, own.value, own.promise = m.Key, m.Value, promise
	if s.next.taken++; s.next.taken == len(s.next.all) {
		s.next = nil
	}
	return own.tell
}

func (p *Producer[K, V]) newPromises() *promises[K, V] {
	ps := new(promises[K, V])
	ps.left.Store(int32(len(ps.all)))
	for i := range ps.all {
		own := &ps.all[i]
		own.tell = func(r samsa.Record, err error) {
			r.Key, r.Value = nil, nil // their bytes are another message's by now
			m, promise := Message[K, V]{own.key, own.value, r}, own.promise
			*own = promised[K, V]{tell: own.tell}
			if ps.left.Add(-1) == 0 {
				ps.taken = 0
				ps.left.Store(int32(len(ps.all)))
				p.promises.Put(ps)
			}
			promise(m, err)
		}
	}
	return ps
}

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

// Package registry is a schema registry on a broker: the REST interface of Confluent's, as an http.Handler, with the schemas in a topic of
// the broker, _schemas, in Confluent's own records. So a topic that a mirror has brought over from Kafka works here, and the other way round.
//
//	r, err := registry.New(ctx, b, registry.Options{})
//	http.ListenAndServe("localhost:8081", r)
//
// Schemas are Avro, Protobuf or JSON Schema. What it does not do, and what it does not compare, is refused with 422: see docs/adapters.md.
// Everybody who reaches the handler may do all: put it behind one that asks.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/samsa-go/samsa"
)

// Options says where schemas are. The zero value is right for most.
type Options struct {
	// Topic has the schemas; "" is _schemas. It is made unless it is there. It must have one partition, and be compacted and nothing else.
	Topic string
	// Failed is called with a record of the topic that makes no sense, and is passed over, with samsa.ErrInvalid, and with the error that has ended reading: the registry
	// answers all with 500 then. nil drops it. It must not call the Registry.
	Failed func(err error)
}

// Registry is a schema registry. It is an http.Handler, for many goroutines. A topic must have one at a time that is written to: two give the
// same id to different schemas. A registry that only reads follows what is written to the topic by others.
type Registry struct {
	b       *samsa.Broker
	opts    Options
	handler http.Handler
	c       *samsa.Consumer

	ctx   context.Context // ends with Close
	close context.CancelFunc
	open  sync.WaitGroup // follow, and requests that write

	turn sync.Mutex // held by who writes, until what it has written is in state

	mu      sync.Mutex // guards all below; never held while waiting
	state   *state
	next    int64         // the offset that state is as of
	changed chan struct{} // closed when next or failed changes
	failed  error         // ends all
	closed  bool
}

// New returns a registry that has read the topic. Close it before b.
func New(ctx context.Context, b *samsa.Broker, opts Options) (*Registry, error) {
	if opts.Topic == "" {
		opts.Topic = "_schemas"
	}
	if err := prepare(ctx, b, opts.Topic); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Partitions: map[string][]int32{opts.Topic: {0}}})
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r := &Registry{b: b, opts: opts, c: c, state: newState(), changed: make(chan struct{})}
	for record, err := range c.RecordsUntil(ctx) {
		if err != nil {
			return nil, fmt.Errorf("registry: %w", errors.Join(err, c.Close()))
		}
		r.apply(record)
	}
	r.ctx, r.close = context.WithCancel(context.Background())
	r.handler = r.routes()
	r.open.Go(r.follow)
	return r, nil
}

// prepare makes the topic, or looks whether it will do.
func prepare(ctx context.Context, b *samsa.Broker, topic string) error {
	_, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Partitions: 1, CleanupPolicy: samsa.CleanupCompact})
	if err != nil {
		return err
	}
	info, err := b.Topics().Describe(ctx, topic)
	if err != nil {
		return err
	}
	if len(info.Partitions) != 1 {
		return fmt.Errorf("%w: topic %s has %d partitions, and must have one", samsa.ErrInvalid, topic, len(info.Partitions))
	}
	return nil
}

// Close ends reading, and waits for requests that write. Others get 500 from then on. It may be called more than once.
func (r *Registry) Close() error {
	r.mu.Lock()
	r.closed = true
	r.fail(fmt.Errorf("the registry: %w", samsa.ErrClosed))
	r.mu.Unlock()
	r.close()
	r.open.Wait()
	return r.c.Close()
}

// ServeHTTP is http.Handler's.
func (r *Registry) ServeHTTP(w http.ResponseWriter, q *http.Request) { r.handler.ServeHTTP(w, q) }

// follow reads what is written, until the registry is closed.
func (r *Registry) follow() {
	for record, err := range r.c.Records(r.ctx) {
		if r.ctx.Err() != nil {
			return
		}
		if err != nil {
			r.mu.Lock()
			r.fail(err)
			r.mu.Unlock()
			r.tell(err)
			return
		}
		r.apply(record)
	}
}

func (r *Registry) tell(err error) {
	if r.opts.Failed != nil {
		r.opts.Failed(fmt.Errorf("registry: %w", err))
	}
}

// apply has the state be as behind a record.
func (r *Registry) apply(record samsa.Record) {
	r.mu.Lock()
	err := r.state.apply(record)
	r.next = record.Offset + 1
	r.wake()
	r.mu.Unlock()
	if err != nil {
		r.tell(fmt.Errorf("%w: offset %d: %w", samsa.ErrInvalid, record.Offset, err))
	}
}

// wake tells those who wait. mu is held.
func (r *Registry) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// fail ends all, by the first error. mu is held.
func (r *Registry) fail(err error) {
	if r.failed == nil {
		r.failed = err
		r.wake()
	}
}

// read answers by the state.
func (r *Registry) read(answer func(s *state) (any, error)) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return nil, r.failed
	}
	is, err := answer(r.state)
	if err != nil {
		return nil, err
	}
	if text, ok := is.(plain); ok {
		return []byte(text), nil
	}
	return encode(is), nil
}

// plain is an answer that is no JSON of ours.
type plain string

// change answers by the state, and writes what decide says. When it returns without an error that is stored, and in the state.
func (r *Registry) change(decide func(s *state) ([]samsa.Record, any, error)) ([]byte, error) {
	r.mu.Lock()
	if r.closed {
		defer r.mu.Unlock()
		return nil, r.failed
	}
	r.open.Add(1)
	r.mu.Unlock()
	defer r.open.Done()
	r.turn.Lock()
	defer r.turn.Unlock()
	var records []samsa.Record
	body, err := r.read(func(s *state) (answer any, err error) {
		records, answer, err = decide(s)
		return answer, err
	})
	if err != nil || len(records) == 0 {
		return body, err
	}
	for i := range records {
		records[i].Topic = r.opts.Topic
	}
	stored, err := r.b.Produce(r.ctx, records...)
	if errors.Is(err, samsa.ErrOutcomeUnknown) { // what is written next might be beside it
		r.mu.Lock()
		r.fail(err)
		r.mu.Unlock()
	}
	if err != nil {
		return nil, err
	}
	return body, r.wait(stored[len(stored)-1].Offset)
}

// wait returns when the record at an offset is in the state.
func (r *Registry) wait(offset int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.next <= offset {
		if r.failed != nil {
			return r.failed
		}
		changed := r.changed
		r.mu.Unlock()
		<-changed
		r.mu.Lock()
	}
	return nil
}

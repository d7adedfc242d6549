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
	// Group is what registries of Confluent's on the broker have as schema.registry.group.id; "" is schema-registry. While it has members, what writes is answered with
	// an error, 50003: these do not look for what others write.
	Group string
	// Failed is called with a record of the topic that makes no sense, and is passed over, with samsa.ErrInvalid, and with the error that has ended reading: the registry
	// answers all with 500 then. nil drops it. It must not call the Registry.
	Failed func(err error)
}

// Registry is a schema registry. It is an http.Handler, for many goroutines. A topic may have several, in a process and in others, on a cluster too: each
// follows what the others write, a moment behind, and what a request writes is decided by all that is in the topic. So they give no id twice. Beside a registry of
// Confluent's it only reads: see Options.Group.
type Registry struct {
	b       *samsa.Broker
	opts    Options
	handler http.Handler
	c       *samsa.Consumer

	ctx   context.Context // ends with Close
	close context.CancelFunc
	open  sync.WaitGroup // follow, and requests that write

	turn  sync.Mutex      // held by who writes, until what it has written is in state; guards these, which are nil until something is written
	ahead *samsa.Consumer // reads to the end
	table *samsa.Table    // of the topic, where that is in this process
	far   *fenced         // where it is not

	mu     sync.Mutex // guards all below; never held while waiting
	state  *state
	next   int64 // the offset that state is as of
	failed error // ends all
	closed bool
}

// New returns a registry that has read the topic. Close it before b.
func New(ctx context.Context, b *samsa.Broker, opts Options) (*Registry, error) {
	if opts.Topic == "" {
		opts.Topic = "_schemas"
	}
	if opts.Group == "" {
		opts.Group = "schema-registry"
	}
	if err := prepare(ctx, b, opts.Topic); err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Partitions: map[string][]int32{opts.Topic: {0}}})
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r := &Registry{b: b, opts: opts, c: c, state: newState()}
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
	return errors.Join(r.c.Close(), r.closeWriter())
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

// apply has the state be as behind a record, unless it is. Both who follow and who read to the end have each in its turn.
func (r *Registry) apply(record samsa.Record) {
	r.mu.Lock()
	var err error
	if record.Offset >= r.next {
		err = r.state.apply(record)
		r.next = record.Offset + 1
	}
	r.mu.Unlock()
	if err != nil {
		r.tell(fmt.Errorf("%w: offset %d: %w", samsa.ErrInvalid, record.Offset, err))
	}
}

// fail ends all, by the first error. mu is held.
func (r *Registry) fail(err error) {
	if r.failed == nil {
		r.failed = err
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

// change answers by the state as of the end of the topic, and writes what decide says. When it returns without an error that is stored, and in the state.
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
	var body []byte
	wrote := false
	err := r.write(func() (records []samsa.Record, err error) {
		body, err = r.read(func(s *state) (answer any, err error) {
			records, answer, err = decide(s)
			return answer, err
		})
		wrote = len(records) > 0
		return records, err
	})
	if err == nil && wrote {
		err = r.toEnd()
	}
	if err != nil {
		return nil, err
	}
	return body, nil
}

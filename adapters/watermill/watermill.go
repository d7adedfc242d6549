// Package watermill is a publisher and a subscriber of Watermill (github.com/ThreeDotsLabs/watermill) on topics of a
// broker, without a server.
//
//	pub, err := watermill.NewPublisher(b, watermill.PublisherOptions{})
//	sub, err := watermill.NewSubscriber(b, watermill.SubscriberOptions{Group: "billing"})
//
// A message is a record: the payload its value, the metadata its headers, the UUID the header UUIDHeader. Those that
// Watermill's own Kafka publisher writes are read, and reads them, as the headers are the same.
package watermill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/samsa-go/samsa"
)

// UUIDHeader is the key of the header that has the UUID of a message: that of watermill-kafka.
const UUIDHeader = "_watermill_message_uuid"

// PublisherOptions says how messages become records. The zero value is right for most.
type PublisherOptions struct {
	// Key returns the key of a message's record: messages with the same key keep their order, in a partition. nil gives
	// none. A nil key is none.
	Key func(topic string, m *message.Message) []byte
	// Producer is how they are stored.
	Producer samsa.ProducerOptions
}

// Publisher is a message.Publisher.
type Publisher struct {
	b    *samsa.Broker
	p    *samsa.Producer
	opts PublisherOptions
}

// NewPublisher returns a publisher. Close it before b.
func NewPublisher(b *samsa.Broker, opts PublisherOptions) (*Publisher, error) {
	p, err := b.NewProducer(context.Background(), opts.Producer)
	if err != nil {
		return nil, fmt.Errorf("watermill: %w", err)
	}
	return &Publisher{b, p, opts}, nil
}

// Publish stores messages and returns when they are: all of them, unless it returns an error, when some may be. It waits while the contexts of
// all messages last, and is samsa.ErrOutcomeUnknown when one of them ends; when one had ended before, nothing is stored. Those whose context is of a transaction (see Transactional) are stored with it.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var records []samsa.Record
	for _, m := range messages {
		r, err := p.record(topic, m)
		if err != nil {
			return fmt.Errorf("watermill: publish %s: %w", m.UUID, err)
		}
		if tx, ok := m.Context().Value(txKey{}).(*transaction); ok {
			if err := tx.produce(p.b, r); err != nil {
				return fmt.Errorf("watermill: publish %s: %w", m.UUID, err)
			}
			continue
		}
		if err := m.Context().Err(); err != nil {
			return fmt.Errorf("watermill: publish %s: %w", m.UUID, err)
		}
		stop := context.AfterFunc(m.Context(), func() { cancel(context.Cause(m.Context())) })
		defer stop()
		records = append(records, r)
	}
	if len(records) == 0 {
		return nil
	}
	if _, err := p.p.ProduceSync(ctx, records...); err != nil {
		return fmt.Errorf("watermill: publish: %w", err)
	}
	return nil
}

// record returns the record of m.
func (p *Publisher) record(topic string, m *message.Message) (samsa.Record, error) {
	r := samsa.Record{Topic: topic, Value: m.Payload, Headers: make([]samsa.Header, 0, len(m.Metadata)+1)}
	if r.Value == nil {
		r.Value = []byte{} // an empty message is no tombstone
	}
	if p.opts.Key != nil {
		r.Key = p.opts.Key(topic, m)
	}
	r.Headers = append(r.Headers, samsa.Header{Key: UUIDHeader, Value: []byte(m.UUID)})
	for key, value := range m.Metadata {
		if key == UUIDHeader {
			return r, fmt.Errorf("%w: metadata %q is the UUID's", samsa.ErrInvalid, key)
		}
		r.Headers = append(r.Headers, samsa.Header{Key: key, Value: []byte(value)})
	}
	slices.SortFunc(r.Headers[1:], func(a, b samsa.Header) int { return strings.Compare(a.Key, b.Key) })
	return r, nil
}

// Close stores what is on its way. It may be called more than once.
func (p *Publisher) Close() error { return p.p.Close() }

// SubscriberOptions says who reads.
type SubscriberOptions struct {
	// Group is the group whose members the subscriptions are: each message is for one of them, and is gone when it is acked.
	// Without one each subscription gets all messages.
	Group string
	// Consumer is how topics are read. Topics, Group and Member.ManualCommit are set.
	Consumer samsa.ConsumerOptions
	// Transactional has the ack of a message be stored in one samsa.Broker.Update with what is published on its way: by a
	// message whose context is that of the message, as the middleware Transactional has it be, and by Tx. It needs a Group.
	Transactional bool
	// Failed is called with an error of reading that is not the end: a damaged batch, a topic that was
	// deleted, an Update that has failed, after which the message comes again. nil drops it. It must not close the Subscriber, which waits for it.
	Failed func(topic string, err error)
}

// Subscriber is a message.Subscriber and a message.SubscribeInitializer.
type Subscriber struct {
	b    *samsa.Broker
	opts SubscriberOptions

	ctx    context.Context // ends with Close
	close  context.CancelFunc
	mu     sync.Mutex // held while a subscription is added, so that Close waits for it; guards closed
	closed bool
	open   sync.WaitGroup
}

// NewSubscriber returns a subscriber. Close it before b.
func NewSubscriber(b *samsa.Broker, opts SubscriberOptions) (*Subscriber, error) {
	if opts.Transactional && opts.Group == "" {
		return nil, fmt.Errorf("watermill: %w: Transactional needs a Group", samsa.ErrInvalidOption)
	}
	s := &Subscriber{b: b, opts: opts}
	s.ctx, s.close = context.WithCancel(context.Background())
	return s, nil
}

// SubscribeInitialize makes the topic, with the defaults of the broker, unless it is there.
func (s *Subscriber) SubscribeInitialize(topic string) error {
	err := s.b.Topics().Create(s.ctx, topic, samsa.TopicConfig{})
	if errors.Is(err, samsa.ErrTopicExists) {
		return nil
	}
	return err
}

// Subscribe returns a channel of the messages of a topic, until ctx ends or the subscriber is closed. The next message comes when the one
// before was acked. One that was nacked comes again, at once, here or at the member of the group that has got its partition. So the order of a partition holds. Several
// subscriptions of the group work at once, each on partitions of its own.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	s.mu.Lock()
	defer s.mu.Unlock()
	opts := s.opts.Consumer
	opts.Topics, opts.Group = []string{topic}, s.opts.Group
	opts.Member.ManualCommit = s.opts.Transactional
	var c *samsa.Consumer
	var err error
	if s.closed {
		err = fmt.Errorf("the subscriber: %w", samsa.ErrClosed)
	} else {
		c, err = s.b.NewConsumer(ctx, opts)
	}
	if err != nil {
		stop()
		cancel()
		return nil, fmt.Errorf("watermill: subscribe to %s: %w", topic, err)
	}
	sub := &subscription{s: s, c: c, opts: opts, topic: topic, out: make(chan *message.Message)}
	s.open.Go(func() {
		defer cancel()
		defer stop()
		sub.run(ctx)
	})
	return sub.out, nil
}

// Close ends all subscriptions and closes their channels. What was not acked comes again. It may be called more than
// once.
func (s *Subscriber) Close() error {
	s.close()
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.open.Wait()
	return nil
}

func (s *Subscriber) failed(topic string, err error) {
	if s.opts.Failed != nil {
		s.opts.Failed(topic, err)
	}
}

// subscription is a channel of messages, and where they come from.
type subscription struct {
	s     *Subscriber
	c     *samsa.Consumer
	opts  samsa.ConsumerOptions // of c
	topic string
	out   chan *message.Message
}

// pause is how long reading waits after an error, which may come again, and how long a message is handed out that is nacked again
// and again, or that nobody takes, before the group may give its partition to another member.
const pause = 100 * time.Millisecond

// errPaused ends a call of Work for that, which begins again with the same message where the partition is still the subscription's.
var errPaused = errors.New("the message was not acked")

// run hands out messages until ctx ends.
func (s *subscription) run(ctx context.Context) {
	defer close(s.out)
	for ctx.Err() == nil {
		err := s.read(ctx)
		if ctx.Err() != nil || errors.Is(err, samsa.ErrClosed) {
			break
		}
		if errors.Is(err, errPaused) {
			continue
		}
		s.s.failed(s.topic, err)
		if s.s.opts.Group == "" && errors.Is(err, samsa.ErrUnknownTopic) {
			s.renew(ctx)
		}
		select { // what was not processed comes again
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
	if err := s.c.Close(); err != nil {
		s.s.failed(s.topic, err)
	}
}

// read hands out messages until ctx ends, or an Update or reading fails.
func (s *subscription) read(ctx context.Context) error {
	if s.s.opts.Group != "" {
		return s.c.Work(ctx, 1, func(ctx context.Context, r samsa.Record) error {
			if s.s.opts.Transactional {
				return s.commit(ctx, r)
			}
			return s.handOut(ctx, r)
		})
	}
	for r, err := range s.c.Records(ctx) {
		for again := err == nil; again; again = errors.Is(err, errPaused) {
			err = s.handOut(ctx, r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// renew has a subscription without a group go on with the topic that has the name now, if there is one.
func (s *subscription) renew(ctx context.Context) {
	c, err := s.s.b.NewConsumer(ctx, s.opts)
	if err != nil {
		return
	}
	if err := s.c.Close(); err != nil {
		s.s.failed(s.topic, err)
	}
	s.c = c
}

// handOut gives r to who reads the channel, as often as it is nacked, and returns when it was acked, or the error of ctx, or errPaused.
func (s *subscription) handOut(ctx context.Context, r samsa.Record) error {
	began := time.Now()
	for {
		acked, err := s.once(ctx, r)
		switch {
		case acked || err != nil:
			return err
		case time.Since(began) >= pause:
			return errPaused
		}
	}
}

// once gives r to who reads the channel, and tells whether it was acked. The context of the message ends with that.
func (s *subscription) once(ctx context.Context, r samsa.Record) (bool, error) {
	ctx, done := context.WithCancel(context.WithValue(ctx, recordKey{}, r))
	defer done()
	m := messageOf(r)
	m.SetContext(ctx)
	if t, ok := ctx.Value(txKey{}).(*transaction); ok {
		t.m = m
	}
	select {
	case s.out <- m:
	case <-time.After(pause):
		return false, errPaused
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case <-m.Acked():
		return true, nil
	case <-m.Nacked():
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// commit hands r out in a transaction, and commits that when r was acked. After a nack there is a new one.
func (s *subscription) commit(ctx context.Context, r samsa.Record) error {
	began := time.Now()
	for {
		err := s.s.b.Update(ctx, func(tx *samsa.Tx) error {
			own := &transaction{b: s.s.b, tx: tx}
			acked, err := s.once(context.WithValue(ctx, txKey{}, own), r)
			own.end()
			if err == nil && !acked {
				err = errNacked
			}
			if err != nil {
				return err
			}
			return tx.CommitRecords(s.c, r)
		})
		switch {
		case !errors.Is(err, errNacked):
			return err
		case time.Since(began) >= pause:
			return errPaused
		}
	}
}

var errNacked = errors.New("the message was nacked")

// messageOf returns the message that r is. Of headers that are there twice the last one counts.
func messageOf(r samsa.Record) *message.Message {
	m := message.NewMessage("", r.Value)
	for _, h := range r.Headers {
		if h.Key == UUIDHeader {
			m.UUID = string(h.Value)
		} else {
			m.Metadata.Set(h.Key, string(h.Value))
		}
	}
	return m
}

type recordKey struct{}

// Record returns the record of a message that a Subscriber of this package has handed out: with topic, partition,
// offset, key and time.
func Record(m *message.Message) (r samsa.Record, ok bool) {
	r, ok = m.Context().Value(recordKey{}).(samsa.Record)
	return r, ok
}

type txKey struct{}

// transaction is that of a message, for many goroutines, until the message is acked.
type transaction struct {
	b  *samsa.Broker
	mu sync.Mutex
	tx *samsa.Tx        // nil afterwards
	m  *message.Message // set before it is handed out
}

var errOver = fmt.Errorf("%w: the message is acked or nacked, its transaction over", samsa.ErrInvalid)

func (t *transaction) do(fn func(tx *samsa.Tx) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.m.Acked():
		return errOver
	case <-t.m.Nacked():
		return errOver
	default:
	}
	if t.tx == nil { // the subscription has ended
		return errOver
	}
	return fn(t.tx)
}

func (t *transaction) produce(b *samsa.Broker, r samsa.Record) error {
	if b != t.b {
		return fmt.Errorf("%w: the transaction is of another broker", samsa.ErrInvalid)
	}
	return t.do(func(tx *samsa.Tx) error { return tx.Produce(r) })
}

func (t *transaction) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tx = nil
}

// Tx calls fn with the transaction in which a message of a Subscriber with Transactional will be acked: what fn writes is
// stored with the ack, or not at all. Before the message is acked or nacked; else it is ErrInvalid, as it is for another
// message. fn must not publish with the transaction, nor call Tx for it: both wait for fn.
func Tx(m *message.Message, fn func(tx *samsa.Tx) error) error {
	t, ok := m.Context().Value(txKey{}).(*transaction)
	if !ok {
		return fmt.Errorf("watermill: %w: the message is of no transaction", samsa.ErrInvalid)
	}
	return t.do(fn)
}

// Transactional is a middleware for a router whose handlers subscribe to a Subscriber with Transactional: what a handler
// returns is published, by a Publisher of this package and the same broker, in the transaction of the message that it was given.
func Transactional(h message.HandlerFunc) message.HandlerFunc {
	return func(m *message.Message) ([]*message.Message, error) {
		t, ok := m.Context().Value(txKey{}).(*transaction)
		if !ok {
			return nil, fmt.Errorf("watermill: %w: the message is of no transaction", samsa.ErrInvalid)
		}
		produced, err := h(m)
		for _, p := range produced {
			p.SetContext(context.WithValue(p.Context(), txKey{}, t))
		}
		return produced, err
	}
}

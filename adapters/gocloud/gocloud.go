package gocloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"gocloud.dev/gcerrors"
	"gocloud.dev/pubsub"
	"gocloud.dev/pubsub/driver"

	"github.com/samsa-go/samsa"
)

// TopicOptions says how messages become records. nil is right for most.
type TopicOptions struct {
	// KeyName is the metadata that is the key of the record, instead of a header: messages with the same one are in one
	// partition. "" is none, and so are messages without it.
	KeyName string
}

// OpenTopic returns the topic of that name. A topic that is not there is gcerrors.NotFound when something is sent.
//
// Message.BeforeSend may change a *samsa.Record, by the function that it gets and a **samsa.Record: its key, its time, its headers. To AfterSend that is the
// record as it was stored. Topic.As has the *samsa.Broker.
func OpenTopic(b *samsa.Broker, name string, opts *TopicOptions) *pubsub.Topic {
	return pubsub.NewTopic(newTopic(b, name, opts), nil)
}

// OpenSubscription returns a subscription that receives from a queue with these options, which is opened with it, and
// closed by Shutdown. Errors are those of samsa.Broker.NewQueue, but for samsa.ErrUnknownTopic: that is gcerrors.NotFound when something
// is received.
//
// A Nack is samsa.Delivery.Retry: the message comes again as samsa.QueueOptions.Retry says, and after too many times becomes a dead letter. An
// Ack after the lock has ended does nothing; the message comes again. Message.As has the *samsa.Record, and the samsa.Delivery, which Tx.Ack
// takes. Subscription.As has the *samsa.Queue.
func OpenSubscription(ctx context.Context, b *samsa.Broker, opts samsa.QueueOptions) (*pubsub.Subscription, error) {
	s, err := newSubscription(ctx, b, opts)
	if err != nil {
		return nil, err
	}
	return pubsub.NewSubscription(s, nil, nil), nil
}

type topic struct {
	b    *samsa.Broker
	name string
	opts TopicOptions
}

func newTopic(b *samsa.Broker, name string, opts *TopicOptions) *topic {
	if opts == nil {
		opts = new(TopicOptions)
	}
	return &topic{b, name, *opts}
}

// SendBatch stores ms in one commit: all or none.
func (t *topic) SendBatch(ctx context.Context, ms []*driver.Message) error {
	records := make([]samsa.Record, len(ms))
	for i, m := range ms {
		records[i] = t.record(m)
		if m.BeforeSend != nil {
			if err := m.BeforeSend(asRecord(&records[i])); err != nil {
				return err
			}
		}
	}
	stored, err := t.b.Produce(ctx, records...)
	if err != nil {
		return err
	}
	for i, m := range ms {
		if m.AfterSend != nil {
			if err := m.AfterSend(asRecord(&stored[i])); err != nil {
				return err
			}
		}
	}
	return nil
}

// record returns the record of m.
func (t *topic) record(m *driver.Message) samsa.Record {
	r := samsa.Record{Topic: t.name, Value: m.Body}
	if r.Value == nil {
		r.Value = []byte{} // an empty message is no tombstone
	}
	for _, name := range slices.Sorted(maps.Keys(m.Metadata)) {
		value := []byte(m.Metadata[name])
		if name == t.opts.KeyName && name != "" {
			r.Key = value
		} else {
			r.Headers = append(r.Headers, samsa.Header{Key: name, Value: value})
		}
	}
	return r
}

func asRecord(r *samsa.Record) func(any) bool {
	return func(i any) bool { return set(i, r) }
}

// set stores v in i when that is a *T, and tells whether it is.
func set[T any](i any, v T) bool {
	p, ok := i.(*T)
	if ok {
		*p = v
	}
	return ok
}

func (t *topic) IsRetryable(err error) bool             { return samsa.Retriable(err) }
func (t *topic) As(i any) bool                          { return set(i, t.b) }
func (t *topic) ErrorAs(err error, i any) bool          { return set(i, err) }
func (t *topic) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }
func (t *topic) Close() error                           { return nil }

// subscription is a queue, from when its topic is there on.
type subscription struct {
	b    *samsa.Broker
	opts samsa.QueueOptions

	mu     sync.Mutex // held while the queue is opened
	q      *samsa.Queue
	closed bool
}

func newSubscription(ctx context.Context, b *samsa.Broker, opts samsa.QueueOptions) (*subscription, error) {
	s := &subscription{b: b, opts: opts}
	if _, err := s.queue(ctx); err != nil && !errors.Is(err, samsa.ErrUnknownTopic) {
		return nil, fmt.Errorf("gocloud: %w", err)
	}
	return s, nil
}

func (s *subscription) queue(ctx context.Context) (*samsa.Queue, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, samsa.ErrClosed
	}
	if s.q == nil {
		q, err := s.b.NewQueue(ctx, s.opts)
		if err != nil {
			return nil, err
		}
		s.q = q
	}
	return s.q, nil
}

// wait is how long ReceiveBatch waits for a message: about a second at most, as the driver's interface asks.
const wait = time.Second

func (s *subscription) ReceiveBatch(ctx context.Context, most int) ([]*driver.Message, error) {
	q, err := s.queue(ctx)
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	got, err := q.Receive(within, most)
	if err != nil && ctx.Err() == nil && within.Err() != nil && errors.Is(err, context.DeadlineExceeded) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	ms := make([]*driver.Message, len(got))
	for i, d := range got {
		ms[i] = s.message(d)
	}
	return ms, nil
}

// message returns the message that d is. Of headers that are there twice the last one counts.
func (s *subscription) message(d samsa.Delivery) *driver.Message {
	r := &d.Record
	m := &driver.Message{
		LoggableID: fmt.Sprintf("%s/%d/%d", r.Topic, r.Partition, r.Offset), Body: r.Value, AckID: d,
		AsFunc: func(i any) bool { return set(i, r) || set(i, d) },
	}
	if len(r.Headers) > 0 {
		m.Metadata = make(map[string]string, len(r.Headers))
	}
	for _, h := range r.Headers {
		m.Metadata[h.Key] = string(h.Value)
	}
	return m
}

// SendAcks acknowledges those that were not acked, nacked, or given to somebody else meanwhile.
func (s *subscription) SendAcks(ctx context.Context, ids []driver.AckID) error {
	q, err := s.queue(ctx)
	if err != nil {
		return err
	}
	ds := make([]samsa.Delivery, len(ids))
	for i, id := range ids {
		ds[i] = id.(samsa.Delivery)
	}
	err = q.Ack(ctx, ds...)
	if !errors.Is(err, samsa.ErrInvalidRecordState) {
		return err
	}
	return each(ctx, ids, samsa.Delivery.Ack) // those of a partition are acknowledged together or not at all
}

func (s *subscription) CanNack() bool { return true }

func (s *subscription) SendNacks(ctx context.Context, ids []driver.AckID) error {
	return each(ctx, ids, samsa.Delivery.Retry)
}

// each has all deliveries be settled that still may be.
func each(ctx context.Context, ids []driver.AckID, settle func(samsa.Delivery) error) error {
	for _, id := range ids {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := settle(id.(samsa.Delivery)); err != nil && !errors.Is(err, samsa.ErrInvalidRecordState) {
			return err
		}
	}
	return nil
}

// IsRetryable tells that receiving goes on behind a damaged batch, too.
func (s *subscription) IsRetryable(err error) bool {
	return samsa.Retriable(err) || errors.Is(err, samsa.ErrCorruptRecord)
}

func (s *subscription) As(i any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.q != nil && set(i, s.q)
}

func (s *subscription) ErrorAs(err error, i any) bool          { return set(i, err) }
func (s *subscription) ErrorCode(err error) gcerrors.ErrorCode { return errorCode(err) }

func (s *subscription) Close() error {
	s.mu.Lock()
	q := s.q
	s.closed = true
	s.mu.Unlock()
	if q == nil {
		return nil
	}
	return q.Close()
}

// errorCode returns what the Go CDK calls an error.
func errorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, context.Canceled):
		return gcerrors.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return gcerrors.DeadlineExceeded
	case errors.Is(err, samsa.ErrUnknownTopic):
		return gcerrors.NotFound
	case errors.Is(err, samsa.ErrInvalid), errors.Is(err, samsa.ErrTooLarge), errors.Is(err, samsa.ErrRecordTooLarge):
		return gcerrors.InvalidArgument
	case errors.Is(err, samsa.ErrDiskFull):
		return gcerrors.ResourceExhausted
	case errors.Is(err, samsa.ErrClosed), errors.Is(err, samsa.ErrGroupKind):
		return gcerrors.FailedPrecondition
	}
	return gcerrors.Unknown
}

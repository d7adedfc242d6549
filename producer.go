package samsa

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/partition"
	"github.com/samsa-go/samsa/topic"
)

// Promise is called once a record's fate is known: with its partition, offset and
// timestamp filled in, or with an error. The promises of one producer are called one
// after the other, those of one partition in the order of Produce. A promise must not
// wait for the producer itself (Flush, Close, or a full buffer).
type Promise func(r Record, err error)

// Producer collects records into batches and stores them in the background. Its methods
// may be called by anybody at any time; records of one goroutine keep their order
// within a partition.
type Producer struct {
	b    *Broker
	opts ProducerOptions
	name *partition.Producer // who it is, if it has an ID
	wg   sync.WaitGroup

	mu       sync.Mutex // guards what follows and the lanes
	topics   map[*topic.Topic]*producerTopic
	last     *producerTopic // of the last record: often that of the next
	record   Record         // that is being added
	wall     time.Time      // a recent time; zero after a batch was completed
	buffered int            // bytes of records whose promises were not called
	room     chan struct{}  // closed when buffered has shrunk; nil while nobody waits
	open     map[*batch]struct{}
	ready    []*lane       // with a batch to be sent
	work     chan struct{} // capacity 1 per worker: ready has grown, or closing
	closing  bool

	// Memory for reuse; of this producer alone, for what another left might be much
	// larger than what is needed, and is not counted in buffered.
	batches, builders sync.Pool

	finished finishedQueue
	closed   chan struct{} // closed when Close is done
}

// producerTopic is a topic as a producer knows it, until the topic is deleted.
type producerTopic struct {
	p       *Producer
	topic   *topic.Topic
	lanes   []*lane // one per partition
	chooser partition.TopicPartitioner
}

// NewProducer returns a producer. Close it, or the broker, to send what it holds.
func (b *Broker) NewProducer(opts ProducerOptions) (*Producer, error) {
	var w wrong
	opts.check(&w, "ProducerOptions")
	if err := w.err(); err != nil {
		return nil, fmt.Errorf("new producer: %w", err)
	}
	p := &Producer{
		b:      b,
		opts:   opts.withDefaults(),
		topics: make(map[*topic.Topic]*producerTopic),
		open:   make(map[*batch]struct{}),
		work:   make(chan struct{}, workers),
		closed: make(chan struct{}),
	}
	p.finished.init()
	if err := p.identify(); err != nil {
		return nil, fmt.Errorf("new producer: %w", err)
	}
	if err := b.register(p); err != nil {
		p.resign()
		return nil, fmt.Errorf("new producer: %w", err)
	}
	for range workers {
		p.wg.Go(p.send)
	}
	p.wg.Go(p.finish)
	return p, nil
}

// Produce hands over a record and calls promise, which may be nil, when its fate is
// known: see Promise. It blocks while the buffer is full, until ctx ends. The bytes of r
// may be reused when Produce returns; the record given to the promise refers to them.
//
// With AckNone, and for what Replay finds stored already, the promise is called at once, with
// offset -1, which stands for unknown.
//
// A record that cannot be taken gets its error from the promise too, at once: an
// unknown topic, a record that is too large, a context that has ended, a closed producer.
func (p *Producer) Produce(ctx context.Context, r Record, promise Promise) {
	heard := promise
	if p.opts.Acks == AckNone {
		heard = nil // the record's fate does not matter once it is buffered
	}
	err := p.produce(ctx, r, heard)
	stored := errors.Is(err, errStored)
	switch {
	case promise == nil:
	case err != nil && !stored:
		promise(r, fmt.Errorf("produce: %w", err))
	case p.opts.Acks == AckNone || stored:
		r.Offset = -1
		promise(r, nil)
	}
}

// errStored says that a record was stored by an earlier producer of the same ID.
var errStored = errors.New("stored already")

func (p *Producer) produce(ctx context.Context, r Record, promise Promise) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	t := p.last
	if t == nil || t.topic.Name() != r.Topic || t.topic.Err() != nil {
		p.mu.Unlock()
		known, err := p.b.topic(ctx, r.Topic) // may create it
		if err != nil {
			return err
		}
		p.mu.Lock()
		t = p.topicLocked(known)
	}
	p.record = r // where partitioners see it without an allocation for each
	err := p.addLocked(ctx, t, promise)
	p.mu.Unlock()
	return err
}

// nowLocked returns the time in ms since the epoch. It asks the wall clock once a batch,
// and for the time since then the monotonic one, which takes half as long.
func (p *Producer) nowLocked() int64 {
	if p.wall.IsZero() {
		p.wall = time.Now()
	}
	return p.wall.Add(time.Since(p.wall)).UnixMilli()
}

// topicLocked returns what p knows of a topic.
func (p *Producer) topicLocked(known *topic.Topic) *producerTopic {
	t := p.topics[known]
	if t == nil {
		t = &producerTopic{p: p, topic: known, chooser: p.opts.Partitioner.ForTopic(known.Name())}
		if p.closing || !known.Hold(t) {
			return t // for a record that will fail
		}
		p.topics[known] = t
	}
	p.last = t
	return t
}

// Forget is called when the topic is gone. Records that the producer has of it fail by and by.
func (t *producerTopic) Forget(*topic.Topic) {
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	delete(t.p.topics, t.topic)
	if t.p.last == t {
		t.p.last = nil
	}
}

// forget lets go of all topics.
func (p *Producer) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.topics {
		t.topic.Release(t)
	}
	clear(p.topics)
	p.last = nil
}

// addLocked puts p.record into the batch of its partition. It may give up p.mu for a while.
func (p *Producer) addLocked(ctx context.Context, t *producerTopic, promise Promise) error {
	r := &p.record
	if ps := t.topic.Partitions(); len(ps) != len(t.lanes) {
		t.grow(p, ps)
	}
	i, err := partition.Choose(t.chooser, r, len(t.lanes))
	if err != nil {
		return err
	}
	l := t.lanes[i]
	if err := checkRecord(l.partition, r); err != nil {
		return err
	}
	if p.opts.Replay {
		if err := l.replayLocked(r); err != nil {
			return err
		}
	}
	ms, err := millis(l.partition, r, p.nowLocked())
	if err != nil {
		return err
	}
	size := sizeBound(r)
	for p.buffered > 0 && p.buffered+size > p.opts.BufferedBytes && !p.closing {
		waiting := *r
		if err := p.waitLocked(ctx); err != nil {
			return err
		}
		*r = waiting // others came in between
	}
	if p.closing {
		return ErrClosed
	}
	l.addLocked(r, ms, size, promise)
	return nil
}

func (t *producerTopic) grow(p *Producer, ps []*partition.Partition) {
	for i := len(t.lanes); i < len(ps); i++ {
		l := &lane{p: p, t: t, partition: ps[i]}
		if p.opts.Replay {
			l.replay = ps[i].Log().StoredOf(p.name.ID)
		}
		t.lanes = append(t.lanes, l)
	}
}

// waitLocked gives up p.mu until the buffer has shrunk or ctx ends.
func (p *Producer) waitLocked(ctx context.Context) error {
	if p.room == nil {
		p.room = make(chan struct{})
	}
	for b := range p.open { // what lingers is what fills the buffer
		b.hurryLocked()
	}
	room := p.room
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-room:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ProduceSync hands over records and waits for all their fates. It returns them with
// partition, offset and timestamp, and the first error. Unlike Broker.Produce some may
// be stored when others fail.
func (p *Producer) ProduceSync(ctx context.Context, records ...Record) ([]Record, error) {
	out := make([]Record, len(records))
	var firstErr error
	var left atomic.Int64
	left.Store(int64(len(records)))
	done := make(chan struct{})
	var mu sync.Mutex // promises of records that are refused run in this goroutine
	for i, r := range records {
		p.Produce(ctx, r, func(r Record, err error) {
			mu.Lock()
			out[i] = r
			if firstErr == nil {
				firstErr = err
			}
			mu.Unlock()
			if left.Add(-1) == 0 {
				close(done)
			}
		})
	}
	if len(records) > 0 {
		<-done
	}
	return out, firstErr
}

// Flush returns when the fate of every record that was produced before the call is
// known and its promise has returned, or when ctx ends. It cuts lingering short.
func (p *Producer) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	p.mu.Lock()
	waits := make([]chan struct{}, 0, len(p.open))
	for b := range p.open {
		if b.done == nil {
			b.done = make(chan struct{})
		}
		waits = append(waits, b.done)
		b.hurryLocked()
	}
	p.mu.Unlock()
	for _, done := range waits {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("flush: %w", ctx.Err())
		}
	}
	return nil
}

// Buffered returns the bytes of the records whose fate is not known yet.
func (p *Producer) Buffered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buffered
}

// Close sends what is buffered, waits for the promises and ends the producer. Produce
// gets ErrClosed from now on. Close may be called more than once; it returns nil.
func (p *Producer) Close() error {
	p.shut()
	p.b.unregister(p)
	return nil
}

func (p *Producer) shut() {
	p.mu.Lock()
	first := !p.closing
	p.closing = true
	p.roomLocked() // those who wait for room see that it is over
	p.mu.Unlock()
	if !first {
		<-p.closed
		return
	}
	_ = p.Flush(context.Background()) // its context does not end
	close(p.work)
	p.finished.close()
	p.wg.Wait()
	p.forget()
	p.resign()
	close(p.closed)
}

// roomLocked wakes those who wait for room.
func (p *Producer) roomLocked() {
	if p.room != nil {
		close(p.room)
		p.room = nil
	}
}

package write

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/zap"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

// producer is engine.Producer: franz-go makes and sends the batches, here is what it holds, and who is told of it.
type producer struct {
	w      *Writes
	opts   engine.ProducerOptions
	cl     *sender
	client callback.Client
	by     choosers
	leave  func() // the tally
	wg     sync.WaitGroup

	caller  atomic.Uint64 // the goroutine that calls promises
	wake    *engine.Waiter
	crowded atomic.Bool // somebody waits for room

	mu       sync.Mutex    // guards what follows
	buffered int           // bytes of records whose promises were not called
	room     chan struct{} // closed when there may be room; nil while nobody waits
	sending  bool          // since there is no room
	again    bool          // what came meanwhile is to be sent too
	pending  int           // records whose promises were not called
	idle     chan struct{} // closed when pending is 0; nil while nobody waits
	finished []fate
	topic    known // that was asked for last
	closing  bool
	over     bool // no promise comes any more
	closed   chan struct{}
	did      batcher.Stats

	// Of the goroutine that calls promises:
	hand []fate // that were taken
	at   int    // the next of them
	done sum    // of those whose promises were called
}

// known is a topic, who chooses its partitions, what it does not take, and how many of its partitions franz-go knows at least.
type known struct {
	topic   engine.Topic
	chooser *chooser
	rules   *rules
	ready   int
}

// known returns what is known of a topic.
func (p *producer) known(ctx context.Context, name string) (known, error) {
	p.mu.Lock()
	last := p.topic
	p.mu.Unlock()
	if last.topic != nil && last.topic.Name() == name && p.w.topics.Same(last.topic) {
		return last, nil
	}
	if _, err := p.w.topics.Count(ctx, name); err != nil {
		return known{}, err
	}
	t, err := p.w.topics.Get(name)
	if err != nil {
		return known{}, err
	}
	k := known{topic: t, chooser: p.by.of(name), rules: p.w.rulesOf(t)}
	p.mu.Lock()
	p.topic = k
	p.mu.Unlock()
	return k, nil
}

// fate is a record whose promise is to be called.
type fate struct {
	k       *kgo.Record
	bytes   int
	promise func(log.Record, error)
	err     error
}

// record returns the record as it is now.
func (f *fate) record() log.Record {
	k := f.k
	r := log.Record{Topic: k.Topic, Partition: k.Partition, Timestamp: k.Timestamp, Key: k.Key, Value: k.Value}
	if f.err == nil {
		r.Offset = k.Offset
	}
	for _, h := range k.Headers {
		r.Headers = append(r.Headers, log.Header(h))
	}
	return r
}

// promisedBytes is what a promise takes of BufferedBytes.
const promisedBytes = 96

func newProducer(w *Writes, opts engine.ProducerOptions) (*producer, error) {
	p := &producer{w: w, opts: opts, by: choosersOf(opts.Partitioner), wake: engine.NewWaiter(), closed: make(chan struct{})}
	more := append(produceOptions(opts.Compression), kgo.RecordPartitioner(chosen{&p.by}), kgo.ProducerLinger(opts.Linger),
		kgo.ProducerBatchMaxBytes(int32(max(opts.BatchBytes, 1<<20))), kgo.MaxBufferedRecords(math.MaxInt32))
	if opts.ClientID != "" {
		more = append(more, kgo.ClientID(opts.ClientID))
	}
	var err error
	if p.cl, err = w.newSender(more...); err != nil {
		return nil, err
	}
	p.client = callback.Client{Name: callback.Name("a producer", opts.ClientID), Shut: p.shut, CallsOn: p.callsOn}
	p.leave = w.opts.Host.Produced.Enter(opts.ClientID, p.stats)
	if err := w.opts.Host.Clients.Add(&p.client); err != nil {
		p.leave()
		p.cl.Close()
		return nil, err
	}
	p.wg.Go(p.finish)
	return p, nil
}

// chosen is a partitioner of franz-go for records whose partition was chosen. It tells the chooser when a batch is complete.
type chosen struct{ by *choosers }

func (c chosen) ForTopic(topic string) kgo.TopicPartitioner { return chosenOf{c.by.of(topic)} }

type chosenOf struct{ c *chooser }

func (chosenOf) RequiresConsistency(*kgo.Record) bool { return true }
func (chosenOf) Partition(r *kgo.Record, _ int) int   { return int(r.Partition) }
func (o chosenOf) OnNewBatch()                        { o.c.complete() }

// Produce implements engine.Producer.
func (p *producer) Produce(ctx context.Context, r log.Record, promise func(log.Record, error)) {
	heard := promise
	if p.opts.Acks == log.AckNone {
		heard = nil
	}
	err := p.produce(ctx, r, heard)
	switch {
	case promise == nil:
	case err != nil:
		promise(r, fmt.Errorf("produce: %w", err))
	case p.opts.Acks == log.AckNone:
		r.Offset = -1
		promise(r, nil)
	}
}

func (p *producer) produce(ctx context.Context, r log.Record, promise func(log.Record, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t, err := p.known(ctx, r.Topic)
	if err != nil {
		return err
	}
	at, err := t.chooser.choose(&r, int(t.topic.Partitions()))
	if err != nil {
		return err
	}
	r.Partition = int32(at)
	if err := t.rules.allow(ctx, p.w, &r); err != nil {
		return err
	}
	if at >= t.ready {
		if err := p.ready(ctx, t, at); err != nil {
			return err
		}
	}
	held := size(&r) + 16
	if promise != nil {
		held += promisedBytes
	}
	if err := p.hold(ctx, held); err != nil {
		return err
	}
	k := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}
	for _, h := range r.Headers {
		k.Headers = append(k.Headers, kgo.RecordHeader(h))
	}
	// The context of the call bounds the call, not the record.
	p.cl.Produce(context.Background(), k, func(k *kgo.Record, err error) { p.finishLater(fate{k, held, promise, err}) })
	if p.crowded.Load() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.room != nil {
			p.sendLocked()
		}
	}
	return nil
}

// ready returns when franz-go can be given a record for a partition.
func (p *producer) ready(ctx context.Context, t known, partition int) error {
	is, err := p.cl.ready(ctx, t.topic, int32(partition))
	if err != nil || !is {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.topic.topic == t.topic {
		p.topic.ready = max(p.topic.ready, partition+1)
	}
	return nil
}

// hold takes bytes of the buffer.
func (p *producer) hold(ctx context.Context, bytes int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.buffered > 0 && p.buffered+bytes > p.opts.BufferedBytes && !p.closing {
		if p.callsOn(callback.Goroutine()) {
			return fmt.Errorf("%w: a promise, and the buffer is full", log.ErrInCallback)
		}
		if p.room == nil {
			p.room = make(chan struct{})
			p.crowded.Store(true)
		}
		room := p.room
		p.sendLocked()
		p.mu.Unlock()
		var err error
		select {
		case <-room:
		case <-ctx.Done():
			err = ctx.Err()
		}
		p.mu.Lock()
		if err != nil {
			return err
		}
	}
	if p.closing {
		return log.ErrClosed
	}
	p.buffered += bytes
	p.pending++
	return nil
}

// roomLocked wakes who waits for room.
func (p *producer) roomLocked() {
	if p.room != nil {
		close(p.room)
		p.room = nil
		p.crowded.Store(false)
	}
}

// sendLocked has what waits for more go now: there is no room for that.
func (p *producer) sendLocked() {
	if p.again = p.sending; p.sending {
		return
	}
	p.sending = true
	p.wg.Go(func() {
		for more := true; more; {
			_ = p.cl.Flush(context.Background()) // its context does not end
			p.mu.Lock()
			more, p.again = p.again, false
			p.sending = more
			p.mu.Unlock()
		}
	})
}

// finishLater hands a record to the goroutine that calls promises.
func (p *producer) finishLater(f fate) {
	outdated := errors.Is(f.err, kerr.UnknownTopicID)
	if outdated {
		p.cl.outdated(f.k.Topic)
	}
	p.mu.Lock()
	if outdated {
		p.topic = known{}
	}
	p.finished = append(p.finished, f)
	p.mu.Unlock()
	p.wake.Wake()
}

// finish is the goroutine that calls promises. One may end it with runtime.Goexit; then another goes on behind that promise.
func (p *producer) finish() {
	ended := false
	defer func() {
		if !ended {
			p.wg.Go(p.finish)
		}
	}()
	p.caller.Store(callback.Goroutine())
	for more := true; more; more = p.take() {
		for p.at < len(p.hand) { // also what a goroutine has left that was ended
			f := &p.hand[p.at]
			p.at++
			p.done.add(f)
			p.keep(f)
		}
	}
	p.caller.Store(0)
	ended = true
}

// take gives back what those in hand have held, and takes those that are finished since, as soon as there are any. It returns false
// when there will be none any more.
func (p *producer) take() bool {
	for {
		p.mu.Lock()
		p.releaseLocked()
		got, over := p.finished, p.over
		p.finished, p.at = p.hand[:0], 0
		p.hand = got
		p.mu.Unlock()
		if len(got) > 0 || over {
			return len(got) > 0
		}
		<-p.wake.C()
	}
}

// sum is what some records were.
type sum struct{ records, failed, bytes int }

func (s *sum) add(f *fate) {
	s.records++
	s.bytes += f.bytes
	if f.err != nil {
		s.failed++
	}
}

// releaseLocked gives back what records have held whose promises were called.
func (p *producer) releaseLocked() {
	d := p.done
	p.done = sum{}
	clear(p.hand)
	if d.records == 0 {
		return
	}
	p.buffered -= d.bytes
	p.pending -= d.records
	p.did.Failed += int64(d.failed)
	p.did.Records += int64(d.records - d.failed)
	p.roomLocked()
	if p.idle != nil && p.pending == 0 {
		close(p.idle)
		p.idle = nil
	}
}

// keep calls the promise of a record.
func (p *producer) keep(f *fate) {
	err := f.err
	if err != nil {
		err = fmt.Errorf("produce: %w", failed(log.TopicPartition{Topic: f.k.Topic, Partition: f.k.Partition}, err))
		if p.opts.Acks == log.AckNone {
			p.w.opts.Host.Logger.Warn("a record was lost that nobody waits for", zap.Error(err))
		}
	}
	if f.promise != nil {
		f.promise(f.record(), err)
	}
}

// ProduceSync implements engine.Producer.
func (p *producer) ProduceSync(ctx context.Context, records []log.Record) error {
	if len(records) == 0 {
		return nil
	}
	if p.callsOn(callback.Goroutine()) {
		return fmt.Errorf("produce: %w: a promise", log.ErrInCallback)
	}
	var mu sync.Mutex // guards what follows, and the records
	left, over := len(records), false
	var first error
	done := make(chan struct{})
	for i, r := range records {
		p.Produce(ctx, r, func(r log.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			if over {
				return
			}
			records[i] = r
			if first == nil {
				first = err
			}
			if left--; left == 0 {
				close(done)
			}
		})
	}
	select {
	case <-done:
		return first
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	over = true
	if left == 0 {
		return first
	}
	if first == nil {
		first = fmt.Errorf("produce: %w", ctx.Err())
	}
	return family.Of(log.ErrOutcomeUnknown, fmt.Errorf("%w: of %d records it is not known whether they are stored", first, left))
}

// Flush implements engine.Producer.
func (p *producer) Flush(ctx context.Context) error {
	if p.callsOn(callback.Goroutine()) {
		return fmt.Errorf("flush: %w: a promise", log.ErrInCallback)
	}
	return p.flush(ctx)
}

func (p *producer) flush(ctx context.Context) error {
	err := ctx.Err()
	if err == nil {
		err = p.cl.Flush(ctx)
	}
	if err != nil {
		return fmt.Errorf("flush: %w", link.Explain("records", err))
	}
	p.mu.Lock()
	if p.pending == 0 {
		p.mu.Unlock()
		return nil
	}
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	p.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("flush: %w", ctx.Err())
	}
}

// Buffered implements engine.Producer.
func (p *producer) Buffered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buffered
}

// Stored implements engine.Producer.
func (p *producer) Stored(context.Context, log.TopicPartition) (int64, error) {
	return 0, fmt.Errorf("stored: %w: ProducerOptions.ID is required", log.ErrInvalidOption)
}

// Close implements engine.Producer.
func (p *producer) Close() error { return p.client.Close() }

// Shutdown implements engine.Producer.
func (p *producer) Shutdown(ctx context.Context) error { return p.client.Shutdown(ctx) }

func (p *producer) callsOn(goroutine uint64) bool {
	return goroutine != 0 && p.caller.Load() == goroutine
}

// shut begins the end: see callback.Client.
func (p *producer) shut(context.Context) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return func() { <-p.closed }
	}
	p.closing = true
	p.roomLocked()
	return p.end
}

// end sends what the producer holds, however long that takes, and ends it.
func (p *producer) end() {
	_ = p.flush(context.Background()) // its context does not end
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.wake.Wake()
	p.wg.Wait()
	p.cl.Close()
	p.leave()
	p.w.opts.Host.Clients.Remove(&p.client)
	close(p.closed)
}

func (p *producer) stats() batcher.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.did
	s.Open, s.Buffered = 1, int64(p.buffered)
	return s
}

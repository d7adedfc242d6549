package batcher

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/measure"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition"
)

// Promise is called once a record's fate is known: see samsa.Promise.
type Promise = func(r log.Record, err error)

// Producer collects records into batches and stores them in the background. Its methods may be
// called by anybody at any time.
type Producer struct {
	b      Broker
	client callback.Client
	opts   engine.ProducerOptions
	name   *writer.Identity // who it is, if it has an ID
	wg     sync.WaitGroup

	topics   // whose mu guards what follows and the lanes too
	clock    BurstClock
	outcomes Outcomes[*pending]
	ready    []*lane       // with a batch to be sent
	work     chan struct{} // capacity 1 per worker: ready has grown, or closing

	// Memory for reuse; of this producer alone, for what another left might be much
	// larger than what is needed, and is not counted in buffered.
	batches sync.Pool

	did   Stats         // counts only; guarded by mu
	times measure.Times // Stats.Times
	leave func()        // the tally

	closed chan struct{} // closed when end is done
}

// NewProducer returns a producer, which ends with the broker and not with ctx.
func (b *Batcher) NewProducer(ctx context.Context, opts engine.ProducerOptions) (engine.Producer, error) {
	opts = opts.WithDefaults()
	p := &Producer{
		b:      b.broker,
		opts:   opts,
		topics: newTopics(opts.Partitioner),
		work:   make(chan struct{}, workers),
		closed: make(chan struct{}),
	}
	p.client = callback.Client{Name: callback.Name("a producer", opts.ClientID), Shut: p.shut, CallsOn: p.outcomes.CallsOn}
	if opts.ClientID != "" {
		p.b.Logger = p.b.Logger.With(zap.String("client", opts.ClientID))
	}
	p.outcomes.Init(&p.mu, &p.wg)
	if err := p.identify(ctx); err != nil {
		return nil, err
	}
	p.leave = p.b.Tally.Enter(opts.ClientID, p.stats)
	if err := p.b.Clients.Add(&p.client); err != nil {
		p.leave()
		p.resign()
		return nil, err
	}
	for range workers {
		p.wg.Go(p.send)
	}
	p.outcomes.Begin()
	return p, nil
}

// Produce is samsa.Producer.Produce.
func (p *Producer) Produce(ctx context.Context, r log.Record, promise Promise) {
	heard := promise
	if p.opts.Acks == log.AckNone {
		heard = nil // the record's fate does not matter once it is buffered
	}
	err := p.produce(ctx, r, heard)
	stored := errors.Is(err, errStored)
	switch {
	case promise == nil:
	case err != nil && !stored:
		promise(r, fmt.Errorf("produce: %w", err))
	case p.opts.Acks == log.AckNone || stored:
		r.Offset = -1
		promise(r, nil)
	}
}

// errStored says that a record was stored by an earlier producer of the same ID.
var errStored = errors.New("stored already")

func (p *Producer) produce(ctx context.Context, r log.Record, promise Promise) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p.mu.Lock()
	t := p.last
	if t == nil || t.topic.Name() != r.Topic || t.topic.Err() != nil {
		p.mu.Unlock()
		known, err := p.b.Topic(ctx, r.Topic) // may create it
		if err != nil {
			return err
		}
		t = p.know(known)
		p.mu.Lock()
	}
	at := -1 // to be chosen
	if !t.chooser.Known() {
		p.mu.Unlock()
		var err error
		if at, err = t.chooser.Choose(&r, len(t.topic.Partitions())); err != nil {
			return err
		}
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	return p.addLocked(ctx, t, &r, at, promise)
}

// addLocked puts r into the batch of its partition, or if that is -1 of one that is still to be
// chosen. It may give up p.mu for a while.
func (p *Producer) addLocked(ctx context.Context, t *knownTopic, r *log.Record, at int, promise Promise) (err error) {
	if ps := t.topic.Partitions(); len(ps) != len(t.lanes) {
		p.growLocked(t, ps)
	}
	if at < 0 {
		if at, err = t.chooser.Ask(r, len(t.lanes)); err != nil {
			return err
		}
	}
	l := t.lanes[at]
	size, err := recordSize(l.partition, r)
	if err != nil {
		return err
	}
	if p.opts.Replay {
		if err := l.replayLocked(r); err != nil {
			return err
		}
	}
	ms, err := millis(l.partition, r, p.clock.AskLocked(&p.mu))
	if err != nil {
		return err
	}
	held := size
	if promise != nil {
		held += promisedBytes
	}
	if err := p.outcomes.RoomLocked(ctx, held, p.opts.BufferedBytes); err != nil {
		return err
	}
	l.addLocked(ctx, r, ms, size, held, promise)
	return nil
}

func (p *Producer) growLocked(t *knownTopic, ps []*partition.Partition) {
	for i := len(t.lanes); i < len(ps); i++ {
		l := &lane{p: p, topic: t, partition: ps[i]}
		if p.opts.Replay {
			l.replay = ps[i].Log().StoredOf(p.name.ID)
		}
		t.lanes = append(t.lanes, l)
	}
}

// ProduceSync is samsa.Producer.ProduceSync, which fills in the records.
func (p *Producer) ProduceSync(ctx context.Context, records []log.Record) error {
	if len(records) > 0 && p.outcomes.CallsOn(callback.Goroutine()) {
		return fmt.Errorf("produce: %w: a promise", log.ErrInCallback)
	}
	return ProduceSync(ctx, records, p.Produce)
}

// Flush is samsa.Producer.Flush.
func (p *Producer) Flush(ctx context.Context) error {
	if p.outcomes.CallsOn(callback.Goroutine()) {
		return fmt.Errorf("flush: %w: a promise", log.ErrInCallback)
	}
	return p.outcomes.Flush(ctx)
}

// Buffered is samsa.Producer.Buffered.
func (p *Producer) Buffered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outcomes.BufferedLocked()
}

// Close is samsa.Producer.Close.
func (p *Producer) Close() error { return p.client.Close() }

// Shutdown is samsa.Producer.Shutdown.
func (p *Producer) Shutdown(ctx context.Context) error { return p.client.Shutdown(ctx) }

// shut begins the end of the producer: see callback.Client.
func (p *Producer) shut(context.Context) (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return func() { <-p.closed }
	}
	p.closing = true
	p.outcomes.OverLocked()
	return p.end
}

// end sends what the producer holds, however long that takes, and ends it.
func (p *Producer) end() {
	_ = p.outcomes.Flush(context.Background()) // its context does not end
	close(p.work)
	p.outcomes.Close()
	p.wg.Wait()
	p.forget()
	p.resign()
	p.leave()
	p.b.Clients.Remove(&p.client)
	close(p.closed)
}

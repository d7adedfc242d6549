package write

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/internal/batcher"
	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/measure"
	"github.com/samsa-go/samsa/log"
)

// producer is engine.Producer: lines of batches, one for each partition. What is sent when is in dispatch.go, and how in idempotent.go, or for a
// producer with an ID in named.go.
type producer struct {
	w      *Writes
	opts   engine.ProducerOptions
	codec  log.Codec
	cl     *kgo.Client // nil for one with an ID, which uses that of its session
	client callback.Client
	by     choosers
	calls  bool           // it is that of Broker.Produce: nobody else knows it, and errors come as they are
	named  *named         // nil without an ID
	leave  func()         // the tally
	wg     sync.WaitGroup // all that runs
	sends  sync.WaitGroup // what talks to the cluster
	who    identity

	last atomic.Pointer[known] // that was asked for last

	mu       sync.Mutex // guards what follows, and the lines
	clock    batcher.BurstClock
	topics   map[string]*known
	leaders  map[int32]*leader
	outcomes batcher.Outcomes[*pending]
	closing  bool
	cut      bool // nothing is sent any more
	closed   chan struct{}
	did      batcher.Stats
	times    measure.Times

	batches sync.Pool
}

// known is a topic, who chooses its partitions, what it does not take, and the lines to its partitions.
type known struct {
	topic   engine.Topic
	chooser *batcher.Chooser
	rules   *rules
	lines   []*line // guarded by the producer's mutex
}

// newProducerLocked returns a producer that does nothing so far.
func (w *Writes) newProducerLocked(opts engine.ProducerOptions) (*producer, error) {
	if err := w.closedLocked(); err != nil {
		return nil, err
	}
	if opts.ID != "" && opts.ID == w.opts.ID {
		return nil, fmt.Errorf("%w: ProducerOptions.ID is %q, the transactional id of the broker's own transactions", log.ErrInvalidOption, opts.ID)
	}
	p := &producer{
		w: w, opts: opts, codec: log.ProducerCodec(opts.Compression), by: choosersOf(opts.Partitioner), leave: func() {},
		topics: make(map[string]*known), leaders: make(map[int32]*leader), closed: make(chan struct{}),
	}
	p.outcomes.Init(&p.mu, &p.wg)
	var more []kgo.Opt
	if opts.ClientID != "" {
		more = append(more, kgo.ClientID(opts.ClientID))
	}
	if opts.ID != "" {
		p.named = newNamed(p, more)
	} else {
		cl, err := w.link.New(more...)
		if err != nil {
			return nil, err
		}
		p.cl = cl
	}
	w.producers[p] = struct{}{}
	return p, nil
}

// begin begins the producer, which one with an ID has to claim.
func (p *producer) begin(ctx context.Context) error {
	if p.named != nil {
		if err := p.named.claim(ctx); err != nil {
			return err
		}
	}
	p.client = callback.Client{Name: callback.Name("a producer", p.opts.ClientID), Shut: p.shut, CallsOn: p.outcomes.CallsOn}
	p.leave = p.w.opts.Host.Produced.Enter(p.opts.ClientID, p.stats)
	if err := p.w.opts.Host.Clients.Add(&p.client); err != nil {
		return err
	}
	p.outcomes.Begin()
	return nil
}

// drop lets go of what the producer has, once nothing of it runs.
func (p *producer) drop() {
	if p.cl != nil {
		p.cl.Close()
	}
	if p.named != nil {
		p.named.session.close()
	}
	p.leave()
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	delete(p.w.producers, p)
}

// Produce implements engine.Producer.
func (p *producer) Produce(ctx context.Context, r log.Record, promise func(log.Record, error)) {
	heard := promise
	if p.opts.Acks == log.AckNone {
		heard = nil // the record's fate does not matter once it is buffered
	}
	err := p.take(ctx, &r, promised{promise: heard})
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

// take chooses the partition of r, and puts it into the line to that.
func (p *producer) take(ctx context.Context, r *log.Record, pr promised) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	t, err := p.know(ctx, r.Topic)
	if err != nil {
		return err
	}
	at, n := 0, int(t.topic.Partitions())
	if !t.chooser.Known() {
		if at, err = t.chooser.Choose(r, n); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.chooser.Known() {
		if at, err = t.chooser.Ask(r, n); err != nil {
			return err
		}
	}
	r.Partition = int32(at)
	check := ofSize | ofTime
	if p.opts.Replay {
		if err := p.replayedLocked(ctx, t, r); err != nil {
			return err
		}
		check = ofTime
	}
	if err := p.allowLocked(ctx, t, r, check); err != nil {
		return err
	}
	return p.addLocked(ctx, t, r, pr)
}

// allowLocked refuses a record that the topic does not take. It gives up p.mu while the cluster is asked.
func (p *producer) allowLocked(ctx context.Context, t *known, r *log.Record, c checks) error {
	if t.rules.allows(r, c) {
		return nil
	}
	p.mu.Unlock()
	defer p.mu.Lock()
	return t.rules.allow(ctx, p.w, r, c)
}

// know returns what is known of a topic.
func (p *producer) know(ctx context.Context, name string) (*known, error) {
	if last := p.last.Load(); last != nil && last.topic.Name() == name && p.w.topics.Same(last.topic) {
		return last, nil
	}
	if _, err := p.w.topics.Count(ctx, name); err != nil {
		return nil, err
	}
	t, err := p.w.topics.Get(name)
	if err == nil && p.named != nil {
		err = p.named.learn(ctx, t)
	}
	if err != nil {
		return nil, err
	}
	chooser := p.by.of(name)
	p.mu.Lock()
	defer p.mu.Unlock()
	k := p.topics[name]
	if k == nil || k.topic != t {
		k = &known{topic: t, chooser: chooser, rules: p.w.rulesOf(t)}
		p.topics[name] = k
	}
	p.last.Store(k)
	return k, nil
}

// addLocked puts r, whose partition was chosen, into its line. It may give up p.mu for a while.
func (p *producer) addLocked(ctx context.Context, t *known, r *log.Record, pr promised) error {
	held := log.RecordBound(r)
	if pr.promise != nil {
		held += promisedBytes
	}
	if err := p.outcomes.RoomLocked(ctx, held, p.opts.BufferedBytes); err != nil {
		return err
	}
	p.lineLocked(t, int(r.Partition)).addLocked(ctx, r, held, pr)
	return nil
}

// lineLocked returns the line to a partition.
func (p *producer) lineLocked(t *known, at int) *line {
	for i := len(t.lines); i <= at; i++ {
		l := &line{p: p, of: t, tp: log.TopicPartition{Topic: t.topic.Name(), Partition: int32(i)}}
		if p.opts.Replay {
			l.replay = p.named.storedOf(t.topic, l.tp)
		}
		t.lines = append(t.lines, l)
	}
	return t.lines[at]
}

// ProduceSync implements engine.Producer.
func (p *producer) ProduceSync(ctx context.Context, records []log.Record) error {
	if len(records) > 0 && p.outcomes.CallsOn(callback.Goroutine()) {
		return fmt.Errorf("produce: %w: a promise", log.ErrInCallback)
	}
	return batcher.ProduceSync(ctx, records, p.Produce)
}

// Flush implements engine.Producer.
func (p *producer) Flush(ctx context.Context) error {
	if p.outcomes.CallsOn(callback.Goroutine()) {
		return fmt.Errorf("flush: %w: a promise", log.ErrInCallback)
	}
	return p.outcomes.Flush(ctx)
}

// Buffered implements engine.Producer.
func (p *producer) Buffered() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.outcomes.BufferedLocked()
}

// Close implements engine.Producer.
func (p *producer) Close() error { return p.client.Close() }

// Shutdown implements engine.Producer.
func (p *producer) Shutdown(ctx context.Context) error { return p.client.Shutdown(ctx) }

// shut begins the end: see callback.Client.
func (p *producer) shut(context.Context) (end func()) {
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
func (p *producer) end() {
	_ = p.outcomes.Flush(context.Background()) // its context does not end
	p.outcomes.Close()
	p.wg.Wait()
	p.drop()
	p.w.opts.Host.Clients.Remove(&p.client)
	close(p.closed)
}

// cutOff ends what is not stored: what writes was closed. It returns when nothing is sent any more.
func (p *producer) cutOff() {
	p.mu.Lock()
	p.closing, p.cut = true, true
	p.outcomes.OverLocked()
	for _, t := range p.topics {
		for _, l := range t.lines {
			l.failLocked(log.ErrClosed)
		}
	}
	p.mu.Unlock()
	p.sends.Wait()
	if p.calls {
		p.outcomes.Close()
		p.wg.Wait()
		p.drop()
	}
}

func (p *producer) stats() batcher.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.did
	s.Open, s.Buffered, s.Times = 1, int64(p.outcomes.BufferedLocked()), p.times.Histogram()
	return s
}

// countLocked counts a batch whose outcome is known.
func (p *producer) countLocked(b *pending) {
	if b.err != nil {
		p.did.Failed += int64(b.records)
		p.w.counts.failed.Add(1)
		return
	}
	if b.records == 0 {
		return // all were withdrawn
	}
	p.did.Records += int64(b.records)
	p.did.Batches++
	p.times.Observe(time.Since(b.began))
	p.w.counts.stored(&b.batch)
}

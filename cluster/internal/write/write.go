// Package write is what a cluster has to be written: records, in calls, by producers and in transactions, as
// internal/engine has them. All of it is Kafka's own requests, which franz-go carries: batches are encoded once, and the answers say all.
package write

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/cluster/internal/keys"
	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/hook"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/internal/option"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
)

// Options say how is written.
type Options struct {
	// ID is the transactional id. A new one of the same ID fences this one.
	ID string
	// Produce are the options of calls that do not say otherwise.
	Produce engine.ProduceOptions
	// Offsets are those of groups.
	Offsets engine.Offsets
	// Keys are those of the application; nil for none.
	Keys *keys.Keys
	// Timeout is after what the cluster aborts a transaction, and before what it is given up here; 0 is a minute.
	Timeout time.Duration
	// Where says for people which cluster it is.
	Where string
	Host  inside.Host
}

// Writes is engine.Producing and engine.Transactor.
type Writes struct {
	link   *link.Link
	topics *read.Topics
	opts   Options
	life   context.Context // ends with Close
	end    context.CancelFunc
	lane   lane
	calls  choosers // of calls that do not say otherwise
	counts counts
	strays strays

	mu        sync.Mutex // guards what follows
	appenders map[log.Compression]*producer
	producers map[*producer]struct{} // with those
	rules     map[string]*rules
	closed    bool
}

// counts are what was stored, and what was not.
type counts struct{ records, batches, bytes, commits, failed atomic.Int64 }

// stored counts a batch.
func (c *counts) stored(b *batch) {
	c.records.Add(int64(b.records))
	c.batches.Add(1)
	c.bytes.Add(int64(len(b.content)))
}

// Stored tells what was written: see engine.Parts.
func (w *Writes) Stored() engine.Stored {
	c := &w.counts
	return engine.Stored{Records: c.records.Load(), Batches: c.batches.Load(), Bytes: c.bytes.Load(), Commits: c.commits.Load(), Failed: c.failed.Load()}
}

// New returns what writes to the cluster of l. Nothing is asked of that before there is something to write.
func New(l *link.Link, topics *read.Topics, opts Options) *Writes {
	if opts.Produce.Partitioner == nil {
		opts.Produce.Partitioner = choose.Hash()
	}
	opts.Timeout = cmp.Or(opts.Timeout, time.Minute)
	w := &Writes{
		link: l, topics: topics, opts: opts, calls: choosersOf(opts.Produce.Partitioner),
		appenders: make(map[log.Compression]*producer), producers: make(map[*producer]struct{}), rules: make(map[string]*rules),
	}
	w.life, w.end = context.WithCancel(context.Background())
	w.lane.init(w)
	if opts.Keys != nil {
		opts.Keys.SettleBy(w.lane.settle)
	}
	return w
}

// Claim fences who has the transactional id, before anything is written.
func (w *Writes) Claim(ctx context.Context) error { return w.lane.session.begin(ctx) }

// Close ends what runs. What waits gets ErrClosed; of what was under way the outcome is not known.
func (w *Writes) Close() {
	w.mu.Lock()
	w.closed = true
	all := slices.Collect(maps.Keys(w.producers))
	w.mu.Unlock()
	w.end()
	w.lane.close()
	for _, p := range all {
		p.cutOff()
	}
}

// complete checks options of a call, and fills in what they leave to the broker.
func (w *Writes) complete(o engine.ProduceOptions) (engine.ProduceOptions, error) {
	if o != (engine.ProduceOptions{}) {
		var wrong option.Mistakes
		o.Check(&wrong, "ProduceOptions")
		if err := wrong.Err(); err != nil {
			return o, err
		}
	}
	return o.Over(w.opts.Produce), nil
}

// Produce implements engine.Producing. One record is an idempotent append; several are a transaction, also in one partition: nobody
// sees a part of them.
func (w *Writes) Produce(ctx context.Context, opts engine.ProduceOptions, records []log.Record) error {
	began := time.Now()
	j := w.newJob()
	if err := j.add(ctx, opts, records); err != nil {
		return err
	}
	j.keep(0) // it may be under way when ctx has ended
	var err error
	if len(records) == 1 {
		err = w.append(ctx, opts, j.records)
	} else {
		err = w.lane.commit(ctx, j)
	}
	w.tell(ctx, began, j, err)
	if err != nil {
		return err
	}
	for i := range records {
		r := &j.records[i]
		records[i].Partition, records[i].Offset, records[i].Timestamp = r.Partition, r.Offset, r.Timestamp
	}
	return nil
}

// tell tells hooks of a job.
func (w *Writes) tell(ctx context.Context, began time.Time, j *job, err error) {
	if !w.opts.Host.Hooks.Produces() || len(j.records) == 0 {
		return
	}
	e := hook.ProduceEvent{Began: began, Took: time.Since(began), Err: err}
	at := make(map[log.TopicPartition]int)
	for i := range j.records {
		r := &j.records[i]
		tp := log.TopicPartition{Topic: r.Topic, Partition: r.Partition}
		k, ok := at[tp]
		if !ok {
			k = len(e.Batches)
			at[tp] = k
			one := hook.ProducedBatch{TopicPartition: tp, Offset: -1}
			if err == nil {
				one.Offset = r.Offset
			}
			e.Batches = append(e.Batches, one)
		}
		e.Batches[k].Records++
		e.Batches[k].Bytes += size(r)
	}
	w.opts.Host.Hooks.Produced(ctx, &e)
}

// append stores one record in the partition that was chosen.
func (w *Writes) append(ctx context.Context, opts engine.ProduceOptions, one []log.Record) error {
	p, err := w.appender(opts.Over(w.opts.Produce).Compression)
	if err == nil {
		err = w.strays.await(ctx, p, one)
	}
	if err != nil {
		return err
	}
	return p.call(ctx, &one[0])
}

// appender returns the producer of single records with such a compression.
func (w *Writes) appender(c log.Compression) (*producer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.appenders[c]
	if p != nil || w.closed {
		return p, w.closedLocked()
	}
	p, err := w.newProducerLocked(engine.ProducerOptions{Compression: c, Partitioner: choose.Manual()}.WithDefaults())
	if err == nil {
		w.appenders[c] = p
		p.calls = true
		p.outcomes.Begin()
	}
	return p, err
}

func (w *Writes) closedLocked() error {
	if w.closed {
		return log.ErrClosed
	}
	return nil
}

// NewProducer implements engine.Producing.
func (w *Writes) NewProducer(ctx context.Context, opts engine.ProducerOptions) (engine.Producer, error) {
	w.mu.Lock()
	p, err := w.newProducerLocked(opts.WithDefaults())
	w.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := p.begin(ctx); err != nil {
		p.drop()
		return nil, err
	}
	return p, nil
}

var errTooLarge = fmt.Errorf("%w: more than 32 MiB", log.ErrTxTooLarge)

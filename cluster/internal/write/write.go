// Package write is what a cluster has to be written: records, in calls, by producers and in transactions, as
// internal/engine has them. Transactions are made of Kafka's own requests, and so are batches: what is to be sent is encoded
// once. Producers are franz-go's.
package write

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/family"
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
	// Where says for people which cluster it is.
	Where string
	Host  inside.Host
}

// Writes is engine.Producing and engine.Transactor.
type Writes struct {
	link   *link.Link
	topics *read.Topics
	opts   Options
	lane   lane
	calls  choosers // of calls that do not say otherwise

	mu     sync.Mutex // guards what follows
	single *sender
	rules  map[string]*rules
	closed bool
}

// New returns what writes to the cluster of l. Nothing is asked of that before there is something to write.
func New(l *link.Link, topics *read.Topics, opts Options) *Writes {
	if opts.Produce.Partitioner == nil {
		opts.Produce.Partitioner = choose.Hash()
	}
	w := &Writes{link: l, topics: topics, opts: opts, calls: choosersOf(opts.Produce.Partitioner), rules: make(map[string]*rules)}
	w.lane.init(w)
	return w
}

// Close ends what runs. What waits gets ErrClosed; of what was under way the outcome is not known.
func (w *Writes) Close() {
	w.lane.close()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	if w.single != nil {
		w.single.Close()
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
	if len(records) == 1 && w.appends(ctx, &j.records[0]) {
		err = w.append(ctx, j)
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

// appends reports whether a record can be left to franz-go, which does not tell the time that a broker has given it, and takes none that is
// larger than its batches.
func (w *Writes) appends(ctx context.Context, r *log.Record) bool {
	if size(r) > mostBatch {
		return false
	}
	t, err := w.topics.Get(r.Topic)
	if err != nil {
		return true
	}
	rules := w.rulesOf(t).get(ctx, w, rulesAge)
	return rules == nil || !rules.LogAppendTime
}

// append stores the one record of a job. One that franz-go had for another topic of that name is not stored, and goes to the one that is there now.
func (w *Writes) append(ctx context.Context, j *job) error {
	for {
		err := w.appendOnce(ctx, j)
		if !isCode(err, kerr.UnknownTopicID) {
			return err
		}
		if err := w.topics.Await(ctx, j.records[0].Topic, 1); err != nil {
			return err
		}
	}
}

func (w *Writes) appendOnce(ctx context.Context, j *job) error {
	cl, err := w.appender()
	if err != nil {
		return err
	}
	r := &j.records[0]
	t, err := w.topics.Get(r.Topic)
	if err == nil {
		_, err = cl.ready(ctx, t, r.Partition)
	}
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	k := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}
	for _, h := range r.Headers {
		k.Headers = append(k.Headers, kgo.RecordHeader(h))
	}
	cl.Produce(ctx, k, func(k *kgo.Record, err error) {
		if err == nil {
			r.Offset, r.Timestamp = k.Offset, k.Timestamp
		} else if errors.Is(err, kerr.UnknownTopicID) {
			cl.outdated(k.Topic)
		}
		done <- err
	})
	tp := log.TopicPartition{Topic: r.Topic, Partition: r.Partition}
	select {
	case err := <-done:
		return failed(tp, err)
	case <-ctx.Done():
		j.records = nil // the promise may write to the old ones
		return family.Of(log.ErrOutcomeUnknown, fmt.Errorf("%s: %w", tp, ctx.Err()))
	}
}

// failed returns the error of a record that was given to franz-go, which tries again what may have been stored: only the cluster itself
// can say that it was not.
func failed(tp log.TopicPartition, err error) error {
	if err == nil {
		return nil
	}
	explained := link.Explain(tp.String(), err)
	if errors.Is(err, kerr.RequestTimedOut) || errors.Is(err, kerr.NotEnoughReplicasAfterAppend) {
		return family.Of(log.ErrOutcomeUnknown, explained)
	}
	return link.Unknown(explained)
}

// appender returns the client for single records.
func (w *Writes) appender() (*sender, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, log.ErrClosed
	}
	if w.single == nil {
		cl, err := w.newSender(append(produceOptions(w.opts.Produce.Compression), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))...)
		if err != nil {
			return nil, err
		}
		w.single = cl
	}
	return w.single, nil
}

// produceOptions are those of all clients that produce.
func produceOptions(c log.Compression) []kgo.Opt {
	codec := kgo.SnappyCompression()
	switch log.ProducerCodec(c) {
	case log.CodecNone:
		codec = kgo.NoCompression()
	case log.CodecGzip:
		codec = kgo.GzipCompression()
	case log.CodecLz4:
		codec = kgo.Lz4Compression()
	case log.CodecZstd:
		codec = kgo.ZstdCompression()
	}
	return []kgo.Opt{kgo.ProducerBatchCompression(codec, kgo.NoCompression()), kgo.MetadataMinAge(100 * time.Millisecond)}
}

// NewProducer implements engine.Producing.
func (w *Writes) NewProducer(_ context.Context, opts engine.ProducerOptions) (engine.Producer, error) {
	if opts.ID != "" {
		return nil, engine.Absent{Where: w.opts.Where}.Unsupported("ProducerOptions.ID")
	}
	return newProducer(w, opts.WithDefaults())
}

var errTooLarge = fmt.Errorf("%w: more than 32 MiB", log.ErrTxTooLarge)

package write

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa/cluster/internal/keys"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/partition/choose"
)

// maxJob bounds the keys, values and headers of a job, as that of a transaction of a broker of this process is.
const maxJob = 32 << 20

// job is what a call or an Update stores together.
type job struct {
	w       *Writes
	records []log.Record   // with their partitions; their bytes are the job's, once it is kept
	codecs  []log.Codec    // of the records
	bytes   int            // of them
	most    map[string]int // bytes of a batch, by topic
	offsets []groupOffsets
	entry   *keys.Entry // of the application's keys, whose records are among records; nil without any

	done     chan struct{} // closed with err
	err      error
	ending   bool // it may be stored from now on; the lane's mutex guards it
	withdrew bool // nobody waits any more, and it was not ending
}

func (w *Writes) newJob() *job {
	return &job{w: w, most: make(map[string]int), done: make(chan struct{})}
}

// add adds records, whose bytes must not change until the job is done or keep is called. It chooses their partitions.
func (j *job) add(ctx context.Context, opts engine.ProduceOptions, records []log.Record) error {
	own := opts.Partitioner
	opts, err := j.w.complete(opts)
	if err != nil {
		return err
	}
	cs := &j.w.calls
	if own != nil {
		begun := choosersOf(own)
		cs = &begun
	}
	now := time.UnixMilli(time.Now().UnixMilli())
	codec := log.ProducerCodec(opts.Compression)
	touched := make(map[*chooser]bool)
	for i := range records {
		r := records[i]
		n, err := j.w.topics.Count(ctx, r.Topic)
		if err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
		if j.most[r.Topic] == 0 {
			if j.most[r.Topic], err = j.w.mostOf(ctx, r.Topic); err != nil {
				return fmt.Errorf("record %d: %w", i, err)
			}
		}
		c := cs.of(r.Topic)
		touched[c] = true
		at, err := c.choose(&r, int(n))
		if err != nil {
			return fmt.Errorf("record %d: %w", i, err)
		}
		r.Partition = int32(at)
		if r.Timestamp.IsZero() {
			r.Timestamp = now
		}
		j.bytes += size(&r)
		j.records, j.codecs = append(j.records, r), append(j.codecs, codec)
	}
	for c := range touched {
		c.complete()
	}
	if j.bytes > maxJob {
		return errTooLarge
	}
	return nil
}

// keep has the bytes of the records from the n-th on be the job's own.
func (j *job) keep(n int) { keep(j.records[n:]) }

// keep gives records bytes of their own, and returns them.
func keep(records []log.Record) []log.Record {
	for i := range records {
		r := &records[i]
		r.Key, r.Value, r.Headers = slices.Clone(r.Key), slices.Clone(r.Value), slices.Clone(r.Headers)
		for h := range r.Headers {
			r.Headers[h].Value = slices.Clone(r.Headers[h].Value)
		}
	}
	return records
}

func size(r *log.Record) int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// choosers are the partitioners of topics.
type choosers struct {
	by choose.Partitioner

	mu    *sync.Mutex // guards what follows
	known map[string]*chooser
}

// chooser is a partitioner of one topic, which is asked by one at a time.
type chooser struct {
	completed atomic.Int32 // batches of which tp is to be told before the next record

	mu     sync.Mutex
	tp     choose.TopicPartitioner
	record log.Record // that tp looks at: here it costs no allocation
}

func choosersOf(p choose.Partitioner) choosers {
	return choosers{by: p, mu: new(sync.Mutex), known: make(map[string]*chooser)}
}

func (cs *choosers) of(topic string) *chooser {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.known[topic]
	if c == nil {
		c = &chooser{tp: cs.by.ForTopic(topic)}
		cs.known[topic] = c
	}
	return c
}

func (c *chooser) choose(r *log.Record, n int) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.completed.Load() > 0 {
		c.completed.Add(-1)
		c.tp.OnNewBatch()
	}
	c.record = *r
	return choose.Partition(c.tp, &c.record, n)
}

// complete has tp told, when it is called next, that a batch is complete.
func (c *chooser) complete() { c.completed.Add(1) }

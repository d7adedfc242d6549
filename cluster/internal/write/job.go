package write

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/samsa-go/samsa/cluster/internal/keys"
	"github.com/samsa-go/samsa/internal/batcher"
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
	cs := j.w.calls
	if own != nil {
		cs = choosersOf(own)
	}
	now := time.UnixMilli(time.Now().UnixMilli())
	codec := log.ProducerCodec(opts.Compression)
	touched := make(map[*batcher.Chooser]bool)
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
		at, err := c.Choose(&r, int(n))
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
		c.BatchComplete()
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
	by    choose.Partitioner
	known *sync.Map // a *batcher.Chooser of each topic
}

func choosersOf(p choose.Partitioner) choosers { return choosers{p, new(sync.Map)} }

// of returns the chooser of a topic. It may call the program's code, so nothing is to be locked.
func (cs choosers) of(topic string) *batcher.Chooser {
	c, ok := cs.known.Load(topic)
	if !ok {
		c, _ = cs.known.LoadOrStore(topic, batcher.NewChooser(cs.by, topic))
	}
	return c.(*batcher.Chooser)
}

package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/samsa-go/samsa/bench/internal/peer"
)

// appendBatches is the workload Batch.
func appendBatches(r *run) error {
	r.out.Latencies = NewHistogram()
	r.begin()
	n, err := r.fill(r.out.Latencies, r.more)
	r.end(n)
	return err
}

// fill appends batches to the partitions in turn as long as more says, and returns how many
// records it has appended when all are acknowledged.
func (r *run) fill(latencies *hdrhistogram.Histogram, more func(n int) bool) (int, error) {
	p := pipe{log: r.log, latencies: latencies}
	if l, ok := r.log.(peer.Pipeliner); ok {
		p.pipeliner = l
	}
	n := 0
	for i := 0; more(n); i++ {
		size := max(1, min(r.c.Batch, r.limits.Records-n))
		if !p.submit(r.ctx, i%r.c.Partitions, r.batch(p.buffer(), i, size)) {
			break
		}
		n += size
	}
	r.out.Appended += int64(n) * int64(r.c.Size)
	return n, p.flush(r.ctx)
}

// pipe hands batches to a log, and waits for none where the log can do that.
type pipe struct {
	log       peer.Log
	pipeliner peer.Pipeliner // nil when it cannot
	free      chan [][]byte  // buffers of batches that are done

	mu        sync.Mutex // guards what follows
	latencies *hdrhistogram.Histogram
	failed    error
}

// freeBuffers is how many buffers are kept for reuse.
const freeBuffers = 64

// buffer returns memory for a batch.
func (p *pipe) buffer() [][]byte {
	if p.free == nil {
		p.free = make(chan [][]byte, freeBuffers)
	}
	select {
	case b := <-p.free:
		return b
	default:
		return nil
	}
}

// submit hands over a batch and reports whether nothing has failed so far.
func (p *pipe) submit(ctx context.Context, partition int, batch [][]byte) bool {
	began := time.Now()
	if p.pipeliner == nil {
		p.done(batch, began, p.log.Append(ctx, partition, batch))
	} else {
		p.pipeliner.Submit(ctx, partition, batch, func(err error) { p.done(batch, began, err) })
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed == nil
}

func (p *pipe) done(batch [][]byte, began time.Time, err error) {
	took := time.Since(began)
	p.mu.Lock()
	if err != nil && p.failed == nil {
		p.failed = fmt.Errorf("append: %w", err)
	}
	if p.latencies != nil && err == nil {
		p.failed = errors.Join(p.failed, p.latencies.RecordValue(int64(took)))
	}
	p.mu.Unlock()
	select {
	case p.free <- batch:
	default:
	}
}

// flush waits for what is under way and returns what has failed.
func (p *pipe) flush(ctx context.Context) error {
	var err error
	if p.pipeliner != nil {
		err = p.pipeliner.Flush(ctx)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return errors.Join(err, p.failed)
}

// appendSingle is the workload Single.
func appendSingle(r *run) error {
	histograms := make([]*hdrhistogram.Histogram, r.c.Goroutines)
	errs := make([]error, r.c.Goroutines)
	for g := range histograms {
		histograms[g] = NewHistogram()
	}
	var total atomic.Int64
	var wg sync.WaitGroup
	r.begin()
	for g := range r.c.Goroutines {
		wg.Go(func() {
			n, err := r.appendAlone(g, histograms[g])
			total.Add(int64(n))
			errs[g] = err
		})
	}
	wg.Wait()
	r.end(int(total.Load()))
	r.out.Appended = r.out.Bytes
	r.out.Latencies = NewHistogram()
	for _, h := range histograms {
		r.out.Latencies.Merge(h)
	}
	return errors.Join(errs...)
}

// appendAlone is goroutine g of appendSingle. It returns how many records it has appended.
func (r *run) appendAlone(g int, latencies *hdrhistogram.Histogram) (n int, err error) {
	batch := make([][]byte, 1)
	began := time.Now()
	for i := g; r.more(i); i += r.c.Goroutines {
		batch[0] = r.values[i%len(r.values)]
		if err := r.log.Append(r.ctx, i%r.c.Partitions, batch); err != nil {
			return n, fmt.Errorf("append: %w", err)
		}
		now := time.Now()
		if err := latencies.RecordValue(int64(now.Sub(began))); err != nil {
			return n, err
		}
		began = now
		n++
	}
	return n, nil
}

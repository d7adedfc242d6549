package workload

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/samsa-go/samsa/bench/internal/peer"
)

// produceToConsume is the workload Latency. Record n is due n/rate after the beginning, and
// what counts is the time from then until a reader has it. So the loop is open: a peer that
// stalls is not asked less, and all records that were due meanwhile are late.
func produceToConsume(r *run) error {
	total := min(r.limits.Records, max(1, int(r.limits.Time.Seconds()*float64(r.c.Rate))))
	every := time.Second / time.Duration(r.c.Rate)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	reader, err := r.warmUp(ctx)
	if err != nil {
		return err
	}
	r.out.Latencies = NewHistogram()
	r.begin()
	var wg sync.WaitGroup
	var produced error
	wg.Go(func() {
		if produced = r.produceAtRate(ctx, total, every); produced != nil {
			cancel() // the reader would wait for ever
		}
	})
	if err = r.receive(ctx, reader, total, every); err != nil {
		cancel()
	}
	wg.Wait()
	r.end(total)
	r.out.Appended = r.out.Bytes
	if err := reader.Close(); err != nil {
		return err
	}
	if produced != nil && !errors.Is(produced, context.Canceled) {
		return produced
	}
	return err
}

// warmUp lets some records go through, so that connections stand, and returns the reader
// behind them.
func (r *run) warmUp(ctx context.Context) (peer.Reader, error) {
	reader, err := r.log.Read(ctx, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	const records = 10
	for i := range records {
		if err := r.log.Append(ctx, 0, r.batch(nil, i, 1)); err != nil {
			return nil, errors.Join(fmt.Errorf("append: %w", err), reader.Close())
		}
	}
	for seen := 0; seen < records; {
		n, err := reader.Next(ctx, func([]byte) {})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("read: %w", err), reader.Close())
		}
		seen += n
	}
	return reader, nil
}

// produceAtRate appends a record whenever one is due, or as soon as it can when it is late.
func (r *run) produceAtRate(ctx context.Context, total int, every time.Duration) error {
	sleep, wake := newSleeper()
	defer wake()
	batch := make([][]byte, 1)
	for n := range total {
		sleep(time.Until(r.began.Add(time.Duration(n) * every)))
		batch[0] = r.values[n%len(r.values)]
		if err := r.log.Append(ctx, 0, batch); err != nil {
			return fmt.Errorf("append: %w", err)
		}
	}
	return nil
}

// receive reads the records and notes how late each is.
func (r *run) receive(ctx context.Context, reader peer.Reader, total int, every time.Duration) error {
	var t touched
	for t.records < total {
		before := t.records
		n, err := reader.Next(ctx, t.visit)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		now := time.Since(r.began)
		for i := range n {
			late := max(1, now-time.Duration(before+i)*every)
			if err := r.out.Latencies.RecordValue(int64(late)); err != nil {
				return err
			}
		}
	}
	return r.check(t, total)
}

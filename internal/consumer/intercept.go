package consumer

import (
	"context"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa/internal/callback"
	"github.com/samsa-go/samsa/log"
)

// intercept has interceptors change what was read, batch by batch, up to the first record that one of them refuses. It returns what is
// to be read next.
func (f *fetcher) intercept(j job, next int64) (_ int64, refused bool) {
	read := f.chunks
	f.chunks = nil
	for i := range read {
		ch := &read[i]
		if ch.err != nil || ch.left == 0 {
			f.chunks = append(f.chunks, *ch)
			continue
		}
		records, behind, damage := ch.records(j)
		given, err := f.call(records)
		f.chunks = append(f.chunks, chunk{given: given, left: len(given), end: ch.end, bytes: 1})
		last := &f.chunks[len(f.chunks)-1]
		for i := range given {
			last.bytes += recordBytes(&given[i])
		}
		switch {
		case err != nil:
			last.end = records[len(given)].Offset
			f.chunks = append(f.chunks, chunk{err: err, again: true, left: 1, end: last.end + 1, bytes: 1})
			return last.end + 1, true
		case damage != nil:
			last.end = behind
			f.chunks = append(f.chunks, chunk{err: damage, left: 1, end: ch.end, bytes: 1})
		}
	}
	return next, false
}

// records reads the records of a chunk, up to where it is damaged, and returns the offset behind them.
func (ch *chunk) records(j job) (all []log.Record, behind int64, damage error) {
	all, behind = make([]log.Record, 0, ch.left), j.from
	for {
		r := log.Record{Topic: j.track.tp.Topic, Partition: j.track.tp.Partition}
		more, err := ch.reader.Next(&r)
		switch {
		case err != nil:
			return all, behind, fmt.Errorf("%s: offset %d: %w", j.track.tp, behind, err)
		case !more:
			return all, behind, nil
		case r.Offset >= j.from:
			all = append(all, r)
			behind = r.Offset + 1
		}
	}
}

// call calls interceptors.
func (f *fetcher) call(records []log.Record) ([]log.Record, error) {
	c := f.c
	c.interceptors.Store(callback.Goroutine())
	defer c.interceptors.Store(0)
	return c.b.Hooks.BeforeDeliver(c.ctx, records)
}

// interceptsOn reports whether an interceptor is being called on that goroutine.
func (c *Consumer) interceptsOn(goroutine uint64) bool {
	return goroutine != 0 && c.interceptors.Load() == goroutine
}

var (
	errIntercepts = fmt.Errorf("%w: BeforeDeliver, of what the consumer reads", log.ErrInCallback)
	errNotBack    = errors.New("BeforeDeliver of a hook did not return")
)

// left has another goroutine go on when an interceptor has ended the one of f (runtime.Goexit), as FailNow of a test does.
func (f *fetcher) left() {
	c := f.c
	c.mu.Lock()
	if tr := f.job.track; tr.epoch == f.job.epoch && !c.closing {
		c.troubleLocked(tr, fmt.Errorf("%s: offset %d: %w", tr.tp, f.job.from, errNotBack))
		c.ready.Wake()
	}
	c.mu.Unlock()
	c.wg.Go(c.fetch)
}

// opened is what the program is given of records, which it has asked for with ctx: see hook.Hooks.BeforeDeliverEach.
func (b *Broker) opened(ctx context.Context, records []log.Record) ([]log.Record, map[int]error) {
	if !b.Hooks.ChangesDelivered(ctx) {
		return records, nil
	}
	return b.Hooks.BeforeDeliverEach(ctx, records)
}

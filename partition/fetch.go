package partition

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa/internal/probe"
	"github.com/samsa-go/samsa/log"
)

// Fetch is Read on behalf of a consumer with that client id, or log.Log.ReadCommitted if iso says so: a fault
// may make it wait, until ctx ends, or fail.
func (p *Partition) Fetch(ctx context.Context, client string, iso log.Isolation, from int64, buf []byte, fn func(log.StoredBatch) bool) ([]byte, error) {
	err := p.fetch(ctx, client, from, fn, func(fn func(log.StoredBatch) bool) (err error) {
		buf, err = p.read(iso, from, buf, fn)
		return err
	})
	return buf, err
}

// FetchInto is log.Log.ReadInto or ReadCommittedInto on behalf of a consumer, like Fetch, refused with the reason
// once the partition has ended.
func (p *Partition) FetchInto(ctx context.Context, client string, iso log.Isolation, from int64, place func(length int) ([]byte, bool), fn func(log.StoredBatch) bool) error {
	return p.fetch(ctx, client, from, fn, func(fn func(log.StoredBatch) bool) error {
		if err := p.Err(); err != nil {
			return err
		}
		if iso == log.ReadCommitted {
			return p.log.ReadCommittedInto(from, place, fn)
		}
		return p.log.ReadInto(from, place, fn)
	})
}

// FetchBefore is log.Log.ReadBefore on behalf of a consumer, like Fetch, refused with the reason once the partition
// has ended.
func (p *Partition) FetchBefore(ctx context.Context, client string, iso log.Isolation, before int64, buf []byte) (sb log.StoredBatch, base int64, err error) {
	got := func(read log.StoredBatch) bool { sb = read; return false }
	err = p.fetch(ctx, client, before-1, got, func(got func(log.StoredBatch) bool) (err error) {
		if err = p.Err(); err != nil {
			return err
		}
		var read log.StoredBatch
		if read, base, err = p.log.ReadBefore(iso, before, buf); err == nil {
			got(read)
		}
		return err
	})
	return sb, base, err
}

// fetch has read call fn, unless a fault is in the way, and tells the probe.
func (p *Partition) fetch(ctx context.Context, client string, from int64, fn func(log.StoredBatch) bool, read func(func(log.StoredBatch) bool) error) error {
	points := p.probes.Load()
	if points == nil || points.Get() == nil {
		return read(fn)
	}
	tp := p.TopicPartition()
	f := probe.Fetched{TopicPartition: tp, Client: client, From: from, To: from}
	f.Err = points.Meet(ctx, probe.Work{Op: probe.Fetch, Partitions: []log.TopicPartition{tp}, Client: client})
	if f.Err != nil {
		f.Err = fmt.Errorf("%s: %w", tp, f.Err)
	} else {
		f.Err = read(func(sb log.StoredBatch) bool {
			f.To = sb.LastOffset + 1
			return fn(sb)
		})
	}
	if f.To > f.From || f.Err != nil {
		points.Get().Fetched(f)
	}
	return f.Err
}

// SetProbes connects p to the points of its broker.
func (p *Partition) SetProbes(points *probe.Points) { p.probes.Store(points) }

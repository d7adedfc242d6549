package peer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/tidwall/wal"
)

func tidwallWAL() *Peer {
	return &Peer{
		Name:   "tidwall-wal",
		Title:  "tidwall/wal",
		About:  "One log for each partition, WriteBatch with NoSync. Synced: without NoSync. It gives no numbers itself, so appends to a log take turns.",
		Module: "github.com/tidwall/wal",
		Open:   openWALs,
	}
}

type walLog struct {
	logs []*walPartition
	bell bell
}

type walPartition struct {
	mu    sync.Mutex // held while the log grows
	log   *wal.Log
	next  uint64 // index of the next entry; the first is 1
	batch wal.Batch
}

func openWALs(_ context.Context, dir string, o Options) (Log, error) {
	l := &walLog{}
	for i := range o.Partitions {
		w, err := wal.Open(filepath.Join(dir, fmt.Sprintf("partition-%d", i)), &wal.Options{NoSync: !o.Synced, NoCopy: true})
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.logs = append(l.logs, &walPartition{log: w})
		last, err := w.LastIndex()
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		l.logs[i].next = last + 1
	}
	return l, nil
}

func (l *walLog) Append(_ context.Context, partition int, batch [][]byte) error {
	if err := l.logs[partition].append(batch); err != nil {
		return err
	}
	l.bell.ring()
	return nil
}

func (p *walPartition) append(batch [][]byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batch.Clear()
	for i, value := range batch {
		p.batch.Write(p.next+uint64(i), value)
	}
	if err := p.log.WriteBatch(&p.batch); err != nil {
		return err
	}
	p.next += uint64(len(batch))
	return nil
}

func (l *walLog) Sync(context.Context) error {
	var errs []error
	for _, p := range l.logs {
		errs = append(errs, p.log.Sync())
	}
	return errors.Join(errs...)
}

func (l *walLog) Read(_ context.Context, partition int, from int64) (Reader, error) {
	return &walReader{l: l, p: l.logs[partition], next: uint64(from) + 1}, nil
}

// Trim removes whole segments, as many as lie before the entry.
func (l *walLog) Trim(_ context.Context, partition int, before int64) error {
	return l.logs[partition].log.TruncateFront(uint64(before) + 1)
}

func (l *walLog) Close() error {
	var errs []error
	for _, p := range l.logs {
		errs = append(errs, p.log.Close())
	}
	return errors.Join(errs...)
}

type walReader struct {
	l    *walLog
	p    *walPartition
	next uint64
}

func (r *walReader) Next(ctx context.Context, visit func([]byte)) (int, error) {
	return r.l.bell.await(ctx, func() (int, error) { return r.take(visit) })
}

func (r *walReader) take(visit func([]byte)) (n int, err error) {
	last, err := r.p.log.LastIndex()
	if err != nil {
		return 0, err
	}
	for ; n < readRecords && r.next <= last; n++ {
		value, err := r.p.log.Read(r.next)
		if err != nil {
			return n, fmt.Errorf("entry %d: %w", r.next, err)
		}
		visit(value)
		r.next++
	}
	return n, nil
}

func (r *walReader) Close() error { return nil }

package workload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/samsa-go/samsa/bench/internal/peer"
)

// written fills the log within the limits, in as few partitions as there are, and reopens it.
func (r *run) written() (int, error) {
	r.begin()
	n, err := r.fill(nil, r.more)
	if err != nil {
		return 0, fmt.Errorf("fill: %w", err)
	}
	return n, r.reopen()
}

// partOf returns how many of n records the fill has put into partition p.
func (r *run) partOf(p, n int) int {
	rounds, rest := n/(r.c.Batch*r.c.Partitions), n%(r.c.Batch*r.c.Partitions)
	return rounds*r.c.Batch + min(r.c.Batch, max(0, rest-p*r.c.Batch))
}

// consumeCold is the workload Cold.
func consumeCold(r *run) error {
	n, err := r.written()
	if err != nil {
		return err
	}
	r.begin()
	seen := make([]touched, r.c.Partitions)
	err = r.eachPartition(func(ctx context.Context, p int) error {
		return r.consume(ctx, p, r.partOf(p, n), &seen[p])
	})
	r.end(n)
	if err != nil {
		return err
	}
	return r.check(sum(seen), n)
}

func sum(seen []touched) (all touched) {
	for _, t := range seen {
		all.records += t.records
		all.bytes += t.bytes
		all.sum += t.sum
	}
	return all
}

// eachPartition runs f for every partition at the same time, and ends them all when one fails.
func (r *run) eachPartition(f func(ctx context.Context, p int) error) error {
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	errs := make([]error, r.c.Partitions)
	var wg sync.WaitGroup
	for p := range r.c.Partitions {
		wg.Go(func() {
			if errs[p] = f(ctx, p); errs[p] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// consume reads n records of a partition from its start.
func (r *run) consume(ctx context.Context, partition, n int, t *touched) error {
	reader, err := r.log.Read(ctx, partition, 0)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	for t.records < n && err == nil {
		if _, err = reader.Next(ctx, t.visit); err != nil {
			err = fmt.Errorf("read: %w", err)
		}
	}
	return errors.Join(err, reader.Close())
}

// consumeTail is the workload Tail.
func consumeTail(r *run) error {
	seen := make([]touched, r.c.Partitions)
	ctx, cancel := context.WithCancel(r.ctx)
	defer cancel()
	var n int
	var filled error
	var wg sync.WaitGroup
	r.begin()
	wg.Go(func() {
		if n, filled = r.fillToEnd(); filled != nil {
			cancel() // readers would wait for ever
		}
	})
	err := r.eachPartition(func(_ context.Context, p int) error { return r.follow(ctx, p, &seen[p]) })
	if err != nil {
		cancel()
	}
	wg.Wait()
	r.end(n)
	if err := cmp.Or(filled, err); err != nil {
		return err
	}
	return r.check(sum(seen), n)
}

// fillToEnd appends batches, and then to each partition an empty record: its end.
func (r *run) fillToEnd() (int, error) {
	n, err := r.fill(nil, r.more)
	for p := 0; p < r.c.Partitions && err == nil; p++ {
		err = r.log.Append(r.ctx, p, [][]byte{{}})
	}
	return n, err
}

// follow reads what comes to a partition until its end.
func (r *run) follow(ctx context.Context, partition int, t *touched) error {
	reader, err := r.log.Read(ctx, partition, 0)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	ended := false
	for !ended && err == nil {
		_, err = reader.Next(ctx, func(value []byte) {
			if len(value) == 0 {
				ended = true
				return
			}
			t.visit(value)
		})
	}
	if err != nil {
		err = fmt.Errorf("read: %w", err)
	}
	return errors.Join(err, reader.Close())
}

// consumeGroup is the workload Group.
func consumeGroup(r *run) error {
	if _, ok := r.log.(peer.Grouper); !ok {
		return cannot("has no groups: there is no place for their offsets")
	}
	n, err := r.written()
	if err != nil {
		return err
	}
	r.begin()
	reader, err := r.log.(peer.Grouper).Group(r.ctx, "bench")
	if err != nil {
		return fmt.Errorf("join the group: %w", err)
	}
	var t touched
	joined := 0 // records that came with the first answer
	for committed := 0; t.records < n && err == nil; {
		if _, err = reader.Next(r.ctx, t.visit); err != nil {
			err = fmt.Errorf("read: %w", err)
			break
		}
		if joined == 0 && t.records < n { // how long a group takes to form is another matter
			joined = t.records
			r.begin()
		}
		if t.records-committed >= r.c.Batch || t.records >= n {
			committed = t.records
			if err = reader.Commit(r.ctx); err != nil {
				err = fmt.Errorf("commit: %w", err)
			}
		}
	}
	r.end(n - joined)
	if err := errors.Join(err, reader.Close()); err != nil {
		return err
	}
	return r.check(t, n)
}

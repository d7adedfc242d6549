package peer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Conform checks that a peer does what Log promises, in directories below dir: that it reads
// back what it acknowledged, in order, from any record on, after Close and Open too; that
// it keeps no reference to bytes it was given; that overlapping appends are all there; that
// a reader which waits is woken; that a group goes on where it committed; and that trimmed
// records do not hide later ones; and that workers of a queue get each record once, and again what they have not
// acknowledged; and that what is written in transactions is there when they are committed.
func Conform(ctx context.Context, p *Peer, dir string, o Options) error {
	for _, check := range []struct {
		name string
		run  func(context.Context, *trial) error
	}{
		{"append and read", appendAndRead},
		{"submit", submitAndRead},
		{"overlap", overlap},
		{"wait", wake},
		{"group", resumeGroup},
		{"trim", trim},
		{"queue", workers},
		{"transactions", transactions},
	} {
		if o.Synced && (check.name == "group" || check.name == "queue") {
			continue // thousands of fsyncs, for what is the same without
		}
		if p.QueueOnly && check.name != "queue" {
			continue
		}
		t := &trial{peer: p, dir: filepath.Join(dir, check.name), opts: o}
		t.opts.Queue, t.opts.Transactions = check.name == "queue", check.name == "transactions"
		if err := os.Mkdir(t.dir, 0o700); err != nil {
			return err
		}
		if err := t.run(ctx, check.run); err != nil {
			return fmt.Errorf("%s: %w", check.name, err)
		}
	}
	return nil
}

// trial is one check of a peer.
type trial struct {
	peer *Peer
	dir  string
	opts Options
	log  Log
}

func (t *trial) run(ctx context.Context, check func(context.Context, *trial) error) error {
	if err := t.open(ctx); err != nil {
		return err
	}
	err := check(ctx, t)
	return errors.Join(err, t.log.Close())
}

func (t *trial) open(ctx context.Context) (err error) {
	t.log, err = t.peer.Open(ctx, t.dir, t.opts)
	return err
}

// reopen closes and opens the log, if it can outlive that.
func (t *trial) reopen(ctx context.Context) error {
	if t.peer.Volatile {
		return nil
	}
	if err := t.log.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if err := t.open(ctx); err != nil {
		return fmt.Errorf("reopen: %w", err)
	}
	return nil
}

// mark is the value of record n of a partition: all differ, in length too, and some are empty.
func mark(partition, n int) []byte {
	if n%50 == 7 {
		return []byte{}
	}
	return bytes.Repeat(fmt.Appendf(nil, "%d/%d ", partition, n), 1+n%7)
}

func marks(partition, from, to int) [][]byte {
	batch := make([][]byte, 0, to-from)
	for n := from; n < to; n++ {
		batch = append(batch, mark(partition, n))
	}
	return batch
}

// expect reads the records from to to-1 and compares them.
func (t *trial) expect(ctx context.Context, partition, from, to int) error {
	r, err := t.log.Read(ctx, partition, int64(from))
	if err != nil {
		return fmt.Errorf("read from %d: %w", from, err)
	}
	return errors.Join(compare(ctx, r, partition, from, to), r.Close())
}

func compare(ctx context.Context, r Reader, partition, from, to int) error {
	at := from
	var wrong error
	for at < to && wrong == nil {
		before := at
		n, err := r.Next(ctx, func(value []byte) {
			if want := mark(partition, at); at < to && !bytes.Equal(value, want) && wrong == nil {
				wrong = fmt.Errorf("partition %d, record %d is %.40q, want %.40q", partition, at, value, want)
			}
			at++
		})
		switch {
		case err != nil:
			return fmt.Errorf("partition %d, record %d: %w", partition, at, err)
		case n != at-before || n == 0:
			return fmt.Errorf("partition %d, record %d: Next says %d records, there were %d", partition, before, n, at-before)
		}
	}
	return wrong
}

// appendAndRead lets batches of many sizes go to all partitions in turn.
func appendAndRead(ctx context.Context, t *trial) error {
	sizes := []int{1, 2, 3, 100, 1, 500, 1, 1000}
	total := 0
	for _, size := range sizes {
		for p := range t.opts.Partitions {
			batch := marks(p, total, total+size)
			if err := t.log.Append(ctx, p, batch); err != nil {
				return fmt.Errorf("append: %w", err)
			}
			for _, value := range batch {
				clear(value) // they are the caller's again
			}
		}
		total += size
	}
	if err := t.log.Sync(ctx); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("sync: %w", err)
	}
	for range 2 {
		for p := range t.opts.Partitions {
			for _, from := range []int{0, 1, 106, total - 1} {
				if err := t.expect(ctx, p, from, total); err != nil {
					return err
				}
			}
		}
		if err := t.reopen(ctx); err != nil {
			return err
		}
	}
	for p := range t.opts.Partitions { // the log goes on where it ended
		if err := t.log.Append(ctx, p, marks(p, total, total+10)); err != nil {
			return fmt.Errorf("append: %w", err)
		}
		if err := t.expect(ctx, p, total-5, total+10); err != nil {
			return err
		}
	}
	return nil
}

func submitAndRead(ctx context.Context, t *trial) error {
	l, ok := t.log.(Pipeliner)
	if !ok {
		return nil
	}
	const batches, size = 100, 10
	var mu sync.Mutex
	var failed error
	calls := 0
	for i := range batches {
		l.Submit(ctx, 0, marks(0, i*size, (i+1)*size), func(err error) {
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			calls++
		})
	}
	if err := l.Flush(ctx); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if failed != nil || calls != batches {
		return fmt.Errorf("%d of %d batches were done when Flush returned: %w", calls, batches, failed)
	}
	return t.expect(ctx, 0, 0, batches*size)
}

// overlap appends from several goroutines at once. The order between them is open, that of
// each one is not.
func overlap(ctx context.Context, t *trial) error {
	const writers, each = 8, 50
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				if err := t.log.Append(ctx, 0, [][]byte{{byte(w), byte(n)}}); err != nil {
					errs[w] = fmt.Errorf("append: %w", err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	r, err := t.log.Read(ctx, 0, 0)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	var next [writers]byte
	for seen := 0; seen < writers*each && err == nil; {
		var n int
		n, err = r.Next(ctx, func(value []byte) {
			if len(value) != 2 || value[0] >= writers || value[1] != next[value[0]] {
				errs[0] = fmt.Errorf("read % x, next of the writers are %v", value, next)
				return
			}
			next[value[0]]++
		})
		seen += n
	}
	return errors.Join(err, errs[0], r.Close())
}

// wake lets a reader wait for records that are appended later.
func wake(ctx context.Context, t *trial) error {
	r, err := t.log.Read(ctx, 0, 0)
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	const total = 20
	read := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { read <- compare(ctx, r, 0, 0, total) })
	for n := range total {
		if err = t.log.Append(ctx, 0, marks(0, n, n+1)); err != nil {
			break
		}
	}
	if err == nil {
		err = <-read
	}
	// A reader at the end waits until ctx ends.
	short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	if err == nil {
		if n, late := r.Next(short, func([]byte) {}); late == nil {
			err = fmt.Errorf("at the end of the log Next returns %d records", n)
		}
	}
	err = errors.Join(err, r.Close())
	if err == nil {
		wg.Wait()
	}
	return err
}

// resumeGroup commits half of what there is, reads more, and comes back.
func resumeGroup(ctx context.Context, t *trial) error {
	if _, ok := t.log.(Grouper); !ok {
		return nil
	}
	const total = 10_000
	for n := 0; n < total; n += 100 {
		if err := t.log.Append(ctx, 0, marks(0, n, n+100)); err != nil {
			return fmt.Errorf("append: %w", err)
		}
	}
	r, err := t.log.(Grouper).Group(ctx, "conform")
	if err != nil {
		return err
	}
	committed := 0
	for committed < total/2 && err == nil {
		var n int
		n, err = r.Next(ctx, func([]byte) {})
		committed += n
	}
	err = errors.Join(err, r.Commit(ctx))
	if err == nil && committed < total {
		_, err = r.Next(ctx, func([]byte) {}) // is not committed
	}
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if err := t.reopen(ctx); err != nil {
		return err
	}
	r, err = t.log.(Grouper).Group(ctx, "conform")
	if err != nil {
		return err
	}
	return errors.Join(compare(ctx, r, 0, committed, total), r.Close())
}

func trim(ctx context.Context, t *trial) error {
	l, ok := t.log.(Trimmer)
	if !ok {
		return nil
	}
	if err := l.Append(ctx, 0, marks(0, 0, 1000)); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	if err := l.Trim(ctx, 0, 600); err != nil {
		return fmt.Errorf("trim: %w", err)
	}
	if err := l.Append(ctx, 0, marks(0, 1000, 1010)); err != nil {
		return fmt.Errorf("append: %w", err)
	}
	return t.expect(ctx, 0, 600, 1010)
}

// transactions appends in two transactions, of which a reader sees each when it is committed.
func transactions(ctx context.Context, t *trial) error {
	l, ok := t.log.(Transactor)
	if !ok {
		return nil
	}
	for _, end := range []int{100, 200} {
		if err := l.Begin(); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
		failed := make(chan error, 1)
		l.Submit(ctx, 0, marks(0, end-100, end), func(err error) { failed <- err })
		if err := errors.Join(l.Flush(ctx), <-failed); err != nil {
			return fmt.Errorf("submit: %w", err)
		}
		r, err := l.Read(ctx, 0, int64(end-100))
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		n, early := r.Next(short, func([]byte) {})
		cancel()
		if early == nil {
			return fmt.Errorf("read %d records of a transaction that is open", n)
		}
		if err := errors.Join(r.Close(), l.Commit(ctx)); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
		if r, err = l.Read(ctx, 0, 0); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		if err := errors.Join(compare(ctx, r, 0, 0, end), r.Close()); err != nil {
			return err
		}
	}
	return nil
}

// workers work a queue off, each record once, and some of it after the log was opened again.
func workers(ctx context.Context, t *trial) error {
	if _, ok := t.log.(Queuer); !ok {
		return nil
	}
	const total = 1000
	for n := 0; n < total; n += 100 {
		if err := t.log.Append(ctx, 0, marks(0, n, n+100)); err != nil {
			return fmt.Errorf("append: %w", err)
		}
	}
	var mu sync.Mutex
	done := make(map[string]int)
	if err := t.work(ctx, total/2, false, &mu, done); err != nil {
		return err
	}
	if err := t.reopen(ctx); err != nil {
		return err
	}
	if err := t.work(ctx, total, true, &mu, done); err != nil {
		return err
	}
	want := make(map[string]int)
	for _, m := range marks(0, 0, total) {
		want[string(m)]++
	}
	for m, n := range want {
		if done[m] != n {
			return fmt.Errorf("record %.40q was acknowledged %d times, %d were written", m, done[m], n)
		}
	}
	return nil
}

// work has four workers acknowledge records until at least so many are done; with last those are all.
func (t *trial) work(ctx context.Context, until int, last bool, mu *sync.Mutex, done map[string]int) error {
	q, err := t.log.(Queuer).Queue(ctx)
	if err != nil {
		return err
	}
	enough, end := context.WithCancel(ctx)
	defer end()
	receiving := ctx // who is received and not acknowledged would come again late
	if last {
		receiving = enough
	}
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for w := range errs {
		wg.Go(func() {
			defer end()
			for enough.Err() == nil && errs[w] == nil {
				errs[w] = workOnce(ctx, receiving, q, func(values [][]byte) {
					mu.Lock()
					defer mu.Unlock()
					for _, v := range values {
						done[string(v)]++
					}
					all := 0
					for _, n := range done {
						all += n
					}
					if all >= until {
						end()
					}
				})
			}
			if enough.Err() != nil && errors.Is(errs[w], context.Canceled) {
				errs[w] = nil
			}
		})
	}
	wg.Wait()
	return errors.Join(append(errs, q.Close())...)
}

func workOnce(ctx, receiving context.Context, q Queue, acked func([][]byte)) error {
	const most = 7
	got, err := q.Receive(receiving, most)
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	values := got.Values()
	if n := len(values); n == 0 || n > most {
		return fmt.Errorf("received %d records", n)
	}
	for i := range values {
		values[i] = bytes.Clone(values[i])
	}
	if err := got.Ack(ctx); err != nil {
		return fmt.Errorf("acknowledge: %w", err)
	}
	acked(values)
	return nil
}

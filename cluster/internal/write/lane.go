package write

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/samsa-go/samsa/cluster/internal/keys"
	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

// lane is the way of jobs to the cluster: one transaction after the other, each of all jobs that wait.
type lane struct {
	w       *Writes
	session session
	wg      sync.WaitGroup

	mu      sync.Mutex // guards what follows
	waiting []*job
	running bool
	closed  bool
}

// maxFolded bounds the bytes of the jobs of one transaction, beyond the first.
const maxFolded = 4 << 20

func (l *lane) init(w *Writes) {
	l.w = w
	l.session.init(w, w.opts.ID, w.life)
}

// close ends the lane, once the life of what writes has ended.
func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.wg.Wait()
	l.session.close()
}

// commit stores a job, and waits until ctx ends. Until the end of its transaction is asked for nothing of it is stored: then it is ctx's error alone.
func (l *lane) commit(ctx context.Context, j *job) error {
	if err := l.w.strays.await(ctx, nil, j.records); err != nil {
		j.entry.Leave()
		return err
	}
	l.mu.Lock()
	if l.closed {
		l.endLocked(log.ErrClosed, j)
		l.mu.Unlock()
		return log.ErrClosed
	}
	l.waiting = append(l.waiting, j)
	if !l.running {
		l.running = true
		l.wg.Go(l.run)
	}
	l.mu.Unlock()
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-j.done:
		return j.err
	default:
	}
	if !j.ending {
		j.withdrew = true
		return ctx.Err()
	}
	return family.Of(log.ErrOutcomeUnknown, fmt.Errorf("the end of the transaction was asked for: %w", ctx.Err()))
}

// run commits what waits, until nothing does.
func (l *lane) run() {
	for jobs := l.take(); len(jobs) > 0; jobs = l.take() {
		err := l.store(jobs)
		if err == nil || len(jobs) == 1 || errors.Is(err, log.ErrOutcomeUnknown) || l.w.life.Err() != nil {
			l.end(err, jobs...)
			continue
		}
		for _, j := range jobs { // one of them is to blame, or has withdrawn
			l.end(l.store([]*job{j}), j)
		}
	}
}

var errWithdrawn = errors.New("nobody waits any more")

// store stores jobs in one transaction, unless somebody withdraws one before its end.
func (l *lane) store(jobs []*job) error {
	all, err := batches(jobs)
	if err != nil {
		return err
	}
	var offsets []groupOffsets
	var entries []*keys.Entry
	for _, j := range jobs {
		offsets = append(offsets, j.offsets...)
		if err := j.entry.Err(); err != nil {
			return err
		}
		if j.entry != nil && len(j.entry.Writes) > 0 {
			entries = append(entries, j.entry)
		}
	}
	if len(all)+len(offsets) == 0 {
		return l.session.start()
	}
	err = l.session.commit(all, offsets, func() error { return l.ending(jobs) })
	if errors.Is(err, log.ErrOutcomeUnknown) && len(entries) > 0 {
		l.w.opts.Keys.Lost()
	}
	if err != nil {
		return err
	}
	l.apply(entries, all)
	l.w.counts.commits.Add(1)
	for _, b := range all {
		b.fill()
		l.w.counts.stored(b)
	}
	return nil
}

// apply stores keys that are in their topic now.
func (l *lane) apply(entries []*keys.Entry, all []*batch) {
	if len(entries) == 0 {
		return
	}
	first, n := int64(-1), 0
	for _, b := range all {
		if b.tp.Topic != l.w.opts.Keys.Topic() {
			continue
		}
		if n == 0 {
			first = b.base
		}
		if b.base != first+int64(n) { // somebody else has come between
			first = -1
		}
		n += b.records
	}
	l.w.opts.Keys.Apply(entries, first, n)
}

// settle ends the transaction that an earlier attempt may have left open.
func (l *lane) settle(ctx context.Context) error { return l.commit(ctx, l.w.newJob()) }

// ending notes that jobs are about to be stored.
func (l *lane) ending(jobs []*job) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, j := range jobs {
		if j.withdrew {
			return errWithdrawn
		}
	}
	for _, j := range jobs {
		j.ending = true
	}
	return nil
}

func (l *lane) end(err error, jobs ...*job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endLocked(err, jobs...)
}

func (l *lane) endLocked(err error, jobs ...*job) {
	for _, j := range jobs {
		j.err = err
		j.entry.Leave()
		if err != nil {
			l.w.counts.failed.Add(1)
		}
		close(j.done)
	}
}

// take returns the jobs of the next transaction, none when nothing waits.
func (l *lane) take() (jobs []*job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	bytes := 0
	for len(l.waiting) > 0 {
		j := l.waiting[0]
		if len(jobs) > 0 && bytes+j.bytes > maxFolded {
			break
		}
		l.waiting = l.waiting[1:]
		if j.withdrew {
			j.entry.Leave()
			continue
		}
		if l.closed {
			l.endLocked(log.ErrClosed, j)
			continue
		}
		bytes += j.bytes
		jobs = append(jobs, j)
	}
	l.running = len(jobs) > 0
	return jobs
}

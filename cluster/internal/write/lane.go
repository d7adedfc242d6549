package write

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/samsa-go/samsa/internal/family"
	"github.com/samsa-go/samsa/log"
)

// lane is the way of jobs to the cluster: one transaction after the other, each of all jobs that wait.
type lane struct {
	w       *Writes
	session session
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
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
	l.session.init(w)
	l.ctx, l.cancel = context.WithCancel(context.Background())
}

func (l *lane) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.cancel()
	l.wg.Wait()
	l.session.close()
}

// commit stores a job, and waits until ctx ends. It has gone no way before it is begun.
func (l *lane) commit(ctx context.Context, j *job) error {
	l.mu.Lock()
	if l.closed {
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
	if !j.taken {
		j.withdrew = true
		return ctx.Err()
	}
	return family.Of(log.ErrOutcomeUnknown, fmt.Errorf("the transaction has begun: %w", ctx.Err()))
}

// run commits what waits, until nothing does.
func (l *lane) run() {
	for jobs := l.take(); len(jobs) > 0; jobs = l.take() {
		err := l.session.commit(l.ctx, jobs)
		if err == nil || len(jobs) == 1 || errors.Is(err, log.ErrOutcomeUnknown) || l.ctx.Err() != nil {
			end(err, jobs...)
			continue
		}
		for _, j := range jobs { // one of them is to blame
			end(l.session.commit(l.ctx, []*job{j}), j)
		}
	}
}

func end(err error, jobs ...*job) {
	for _, j := range jobs {
		j.err = err
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
			continue
		}
		if l.closed {
			end(log.ErrClosed, j)
			continue
		}
		j.taken = true
		bytes += j.bytes
		jobs = append(jobs, j)
	}
	l.running = len(jobs) > 0
	return jobs
}

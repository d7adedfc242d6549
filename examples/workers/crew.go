package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/samsa-go/samsa"
)

// crew is the workers, those too that were killed. All but fail is for one goroutine.
type crew struct {
	b       *samsa.Broker
	c       config
	fail    context.CancelCauseFunc // a worker cannot go on
	workers []*worker
	hired   int
}

// worker processes the records of the partitions that the group gives it.
type worker struct {
	name     string
	consumer *samsa.Consumer
	done     atomic.Int64 // records
	killed   bool
	kill     context.CancelFunc // stops polling, and nothing else
	wg       sync.WaitGroup
}

// add hires a worker.
func (cr *crew) add() error {
	w := &worker{name: fmt.Sprintf("worker %d", cr.hired+1)}
	c, err := cr.b.NewConsumer(context.Background(), samsa.ConsumerOptions{
		Group: group, Topics: []string{topic}, ClientID: w.name,
		Member: samsa.MemberOptions{
			AutoCommitInterval: redraw,
			MaxPollInterval:    cr.c.patience,
			HeartbeatInterval:  max(time.Millisecond, cr.c.patience/10), // a silent worker is noticed as often
			SessionTimeout:     10 * cr.c.patience,
		},
	})
	if err != nil {
		return err
	}
	w.consumer = c
	cr.hired++
	cr.workers = append(cr.workers, w)
	ctx, cancel := context.WithCancel(context.Background())
	w.kill = cancel
	w.wg.Go(func() {
		if err := w.work(ctx, cr.c); err != nil {
			cr.fail(fmt.Errorf("%s: %w", w.name, err))
		}
	})
	return nil
}

// work processes records until ctx ends or the consumer is closed. What is done is committed meanwhile.
func (w *worker) work(ctx context.Context, c config) error {
	err := w.consumer.Work(ctx, c.calls, func(ctx context.Context, _ samsa.Record) error {
		if !pause(ctx, c.process) {
			return ctx.Err() // others do it again
		}
		w.done.Add(1)
		return nil
	})
	if ctx.Err() != nil || errors.Is(err, samsa.ErrClosed) {
		return nil
	}
	return err
}

// pause returns false when ctx ends before d is over.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// obey does what a line of input says.
func (cr *crew) obey(key string) (quit bool, err error) {
	switch {
	case key == "":
		return false, nil
	case key == "q":
		return true, nil
	case key == "+":
		return false, cr.add()
	case key == "-":
		return false, cr.remove()
	case strings.HasPrefix(key, "k"):
		return false, cr.killWorker(strings.TrimSpace(key[1:]))
	}
	return false, fmt.Errorf("%q is no key; there are +, -, k N and q", key)
}

// remove closes the last worker in good order: its partitions move at once.
func (cr *crew) remove() error {
	if len(cr.workers) == 0 {
		return errors.New("there are no workers")
	}
	last := cr.workers[len(cr.workers)-1]
	cr.workers = cr.workers[:len(cr.workers)-1]
	return last.close()
}

// killWorker stops a worker without telling the group.
func (cr *crew) killWorker(number string) error {
	n, err := strconv.Atoi(number)
	name := fmt.Sprintf("worker %d", n)
	for _, w := range cr.workers {
		if err == nil && w.name == name {
			w.killed = true
			w.kill()
			return nil
		}
	}
	return fmt.Errorf("there is no worker %q", number)
}

func (w *worker) close() error {
	w.kill()
	w.wg.Wait()
	return w.consumer.Close()
}

// close ends all workers.
func (cr *crew) close() error {
	var errs []error
	for _, w := range cr.workers {
		errs = append(errs, w.close())
	}
	cr.workers = nil
	return errors.Join(errs...)
}

// keys reads lines in a goroutine of its own: a read of a terminal does not end with ctx,
// and may outlive the program's last moments.
func keys(ctx context.Context, in io.Reader) <-chan string {
	out := make(chan string)
	go func() {
		defer close(out)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			select {
			case out <- strings.TrimSpace(lines.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

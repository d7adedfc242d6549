// Queue sends mails. Workers share one queue of them; the mail server they send to is flaky, so a mail may take some
// attempts, each later than the one before. A mail that nobody can deliver ends among the dead letters, with the reason.
// Greetings are produced now and sent later. A screen shows how far things are.
//
//	go run ./examples/queue -workers 8 -rate 50 -flaky 0.3
//
// With -data the mails are on disk: Ctrl-C, or kill -9, and run it again. No mail is lost.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	mails = "mails"
	dead  = "mails.dead"
	group = "mailer"

	redraw = 500 * time.Millisecond
)

// config is what the flags say.
type config struct {
	workers  int
	data     string        // "" keeps everything in memory
	rate     int           // mails a second
	total    int           // after which no more come; 0 for no end
	flaky    float64       // how likely it is that the server fails
	send     time.Duration // that a mail takes
	terminal bool          // out is one: draw in place
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c config
	flag.IntVar(&c.workers, "workers", 8, "mails that are sent at a time")
	flag.StringVar(&c.data, "data", "", "directory of the mails; none keeps them in memory")
	flag.IntVar(&c.rate, "rate", 50, "mails that are produced in a second")
	flag.IntVar(&c.total, "mails", 0, "mails after which the program ends; 0 is no end")
	flag.Float64Var(&c.flaky, "flaky", 0.3, "how likely the mail server fails, from 0 to 1")
	flag.DurationVar(&c.send, "send", 20*time.Millisecond, "time that the mail server takes")
	flag.Parse()
	if info, err := os.Stdout.Stat(); err == nil {
		c.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

// run sends mails until ctx ends, or all are done.
func run(ctx context.Context, c config, out io.Writer) (err error) {
	if c.workers < 1 || c.rate < 1 || c.total < 0 || c.flaky < 0 || c.flaky > 1 {
		return errors.New("-workers and -rate are to be more than 0, -mails not less, -flaky from 0 to 1")
	}
	b, err := samsa.Open(c.data, samsa.Options{InMemory: c.data == ""})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, topic := range []string{mails, dead} {
		if _, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Partitions: 4}); err != nil {
			return err
		}
	}
	q, err := b.NewQueue(ctx, samsa.QueueOptions{
		Group:         group,
		Topics:        []string{mails},
		MaxDeliveries: 4,
		Retry:         samsa.Retry{Min: 200 * time.Millisecond, Max: 5 * time.Second},
		DeadLetter:    dead,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, q.Close()) }()
	return mailRoom(ctx, b, q, c, out)
}

// mailRoom is all that goes on at the same time.
func mailRoom(ctx context.Context, b *samsa.Broker, q *samsa.Queue, c config, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	server := &server{flaky: c.flaky, takes: c.send}
	letters := &letters{b: b}
	var wg sync.WaitGroup
	also := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				cancel(err)
			}
		})
	}
	fed := make(chan struct{})
	also(func() error {
		defer close(fed)
		return feed(ctx, b, c)
	})
	also(func() error { return letters.read(ctx) })
	also(func() error {
		return q.Work(ctx, c.workers, func(ctx context.Context, d samsa.Delivery) error {
			err := server.send(ctx, d.Record)
			if errors.Is(err, errNoSuchHost) {
				return d.Reject(err.Error()) // it would fail for ever
			}
			return err // nil acknowledges the record, an error has it come again
		})
	})
	also(func() error {
		err := watch(ctx, &screen{q: q, server: server, letters: letters, out: out, terminal: c.terminal}, fed)
		if err == nil {
			cancel(nil)
		}
		return err
	})
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// watch draws the screen until ctx ends, or all that was fed is done.
func watch(ctx context.Context, s *screen, fed <-chan struct{}) error {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		stats, err := s.q.Stats(ctx)
		if err != nil {
			return err
		}
		if err := s.draw(stats); err != nil {
			return err
		}
		select {
		case <-fed:
			if stats.Lag == 0 && s.letters.count() == int(stats.DeadLetters) {
				return nil
			}
		default:
		}
	}
}

// Workers shares the records of a topic among a group of workers. Workers come and go from
// the keyboard, and a table shows who owns which partitions and how far behind they are.
//
//	go run ./examples/workers -n 3 -partitions 8 -rate 200 -process 5ms
//
// It does so in memory, with -on ./data in a directory, and with -on 'kafka://host:9092,host:9092/' on a Kafka cluster, where
// workers of other processes may join.
//
// Keys, each with Enter: + adds a worker, - closes the last one, "k 2" kills worker 2 (it
// stops polling and tells nobody: after a few seconds the group gives its partitions to
// the others), q or Ctrl-C ends the program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
)

const (
	topic = "jobs"
	group = "crew"

	redraw = 500 * time.Millisecond
)

// config is what the flags say.
type config struct {
	workers, partitions int
	on                  string        // where the topic is: see open
	rate                int           // records a second
	process             time.Duration // that a record takes
	calls               int           // records that a worker does at once
	patience            time.Duration // with a worker that does not poll
	terminal            bool          // out is one: draw in place
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c config
	flag.IntVar(&c.workers, "n", 3, "workers to begin with")
	flag.IntVar(&c.partitions, "partitions", 8, "partitions of the topic, when it is created")
	flag.StringVar(&c.on, "on", "memory", "where the topic is: memory, a directory, or kafka://host:port,host:port/")
	flag.IntVar(&c.rate, "rate", 200, "records that are produced in a second")
	flag.DurationVar(&c.process, "process", 5*time.Millisecond, "time that a worker takes for a record")
	flag.IntVar(&c.calls, "calls", 1, "records that a worker does at once")
	flag.DurationVar(&c.patience, "patience", 3*time.Second, "time after which a worker that does not poll is out")
	flag.Parse()
	if info, err := os.Stdout.Stat(); err == nil {
		c.terminal = info.Mode()&os.ModeCharDevice != 0
	}
	if err := run(ctx, c, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "workers:", err)
		os.Exit(1)
	}
}

// run lets the workers work until ctx ends or a key says so.
func run(ctx context.Context, c config, in io.Reader, out io.Writer) (err error) {
	if c.workers < 0 || c.partitions < 1 || c.rate < 1 || c.process < 0 || c.patience <= 0 || c.calls < 1 {
		return errors.New("-partitions, -rate, -patience and -calls are to be more than 0, -n and -process not less")
	}
	b, err := open(ctx, c.on)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if _, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Partitions: c.partitions}); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	crew := &crew{b: b, c: c, fail: cancel}
	for range c.workers {
		if err := crew.add(); err != nil {
			return errors.Join(err, crew.close())
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := feed(ctx, b, c.rate); err != nil {
			cancel(err)
		}
	})
	err = command(ctx, crew, in, &screen{b: b, crew: crew, out: out, terminal: c.terminal})
	cancel(nil)
	wg.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(err, cause)
	}
	return errors.Join(err, crew.close())
}

// open opens the broker that is there. All that comes behind is the same everywhere.
func open(ctx context.Context, on string) (*samsa.Broker, error) {
	switch {
	case on == "memory":
		return samsa.Open("", samsa.Options{InMemory: true})
	case strings.HasPrefix(on, "kafka://"):
		return cluster.OpenURL(ctx, on)
	}
	return samsa.Open(on, samsa.Options{})
}

// command obeys the keys and draws the screen until ctx ends or q comes.
func command(ctx context.Context, crew *crew, in io.Reader, s *screen) error {
	tick := time.NewTicker(redraw)
	defer tick.Stop()
	keys := keys(ctx, in)
	for {
		select {
		case <-ctx.Done():
			return nil
		case key, ok := <-keys:
			if !ok {
				keys = nil // no more keys, but Ctrl-C
				continue
			}
			quit, err := crew.obey(key)
			if err != nil {
				fmt.Fprintln(s.out, err)
			}
			if quit {
				return nil
			}
		case <-tick.C:
			if err := s.draw(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
}

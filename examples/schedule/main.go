// Schedule is cron whose firings are records. Each time of a schedule fires once, however often the program is killed and
// started: the record and how far the schedule has come are stored in one transaction. Times that pass while the program is not there
// fire when it is back.
//
//	go run ./examples/schedule '* * * * *' '*/5 9-17 * * 1-5'
//
// Two of it may work on one schedule: they read the same key, and one of them wins.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/samsa-go/samsa"
)

const topic = "firings"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	data := flag.String("data", filepath.Join(os.TempDir(), "samsa-schedule"), "directory of the schedules")
	flag.Parse()
	if err := run(ctx, *data, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "schedule:", err)
		os.Exit(1)
	}
}

// run has the schedules of these lines fire until ctx ends, and prints what fires.
func run(ctx context.Context, dir string, lines []string, out io.Writer) (err error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := create(ctx, b); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, line := range lines {
		times, err := parse(line)
		if err != nil {
			cancel(nil)
			return err
		}
		wg.Go(func() { cancel(follow(ctx, b, line, times)) })
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{topic}, Group: "printer"})
	if err != nil {
		cancel(nil)
		return err
	}
	defer c.Close()
	for r, err := range c.Records(ctx) {
		if err != nil {
			cancel(err)
			break
		}
		fmt.Fprintf(out, "%s fires for %s\n", r.Key, r.Timestamp.UTC().Format(time.DateTime))
	}
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// create makes the topic. A firing has the time that it is for, which may be long ago: it stays all the same.
func create(ctx context.Context, b *samsa.Broker) error {
	_, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Retention: samsa.Unlimited})
	return err
}

// follow fires a schedule until ctx ends. One that is new begins with the next time from now on.
func follow(ctx context.Context, b *samsa.Broker, name string, times cron) error {
	for {
		last, err := fire(ctx, b, name, times)
		if err != nil {
			return err
		}
		select {
		case <-time.After(time.Until(times.next(last))): // at once if that is over
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fire stores the next firing of a schedule if its time has come, and returns the last time that has fired.
func fire(ctx context.Context, b *samsa.Broker, name string, times cron) (last time.Time, err error) {
	key := []byte("schedule/" + name)
	err = b.Update(ctx, func(tx *samsa.Tx) error {
		now := time.Now()
		text, err := tx.Get(key)
		switch {
		case errors.Is(err, samsa.ErrKeyNotFound):
			last = now
			return tx.Set(key, []byte(now.Format(time.RFC3339Nano)))
		case err != nil:
			return err
		}
		if last, err = time.Parse(time.RFC3339Nano, string(text)); err != nil {
			return err
		}
		due := times.next(last)
		if due.After(now) {
			return nil // another one has fired it, or the clock was set back
		}
		last = due
		if err := tx.Set(key, []byte(due.Format(time.RFC3339Nano))); err != nil {
			return err
		}
		return tx.Produce(samsa.Record{Topic: topic, Key: []byte(name), Timestamp: due})
	})
	return last, err
}

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
)

// counter counts all records of the topic by key.
type counter struct {
	b *samsa.Broker

	mu      sync.Mutex // guards what follows
	counts  map[string]int
	total   int
	changed chan struct{} // closed and replaced when total grows
}

func newCounter(b *samsa.Broker) *counter {
	return &counter{b: b, counts: make(map[string]int), changed: make(chan struct{})}
}

// run counts until ctx ends.
func (c *counter) run(ctx context.Context) error {
	consumer, err := c.b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{topic}, Start: samsa.Earliest()})
	if err != nil {
		return err
	}
	defer consumer.Close()
	for {
		records, err := consumer.Poll(ctx)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
		c.mu.Lock()
		for _, rec := range records {
			c.counts[string(rec.Key)]++
		}
		c.total += len(records)
		close(c.changed)
		c.changed = make(chan struct{})
		c.mu.Unlock()
	}
}

// catchUp waits until everything stored so far is counted.
func (c *counter) catchUp(ctx context.Context) error {
	ends, err := c.b.ListOffsets(ctx, topic, samsa.Latest())
	if err != nil {
		return err
	}
	var stored int64
	for _, end := range ends {
		stored += end.Offset
	}
	for {
		c.mu.Lock()
		counted, changed := c.total, c.changed
		c.mu.Unlock()
		if int64(counted) >= stored {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// print writes the n most frequent keys.
func (c *counter) print(out io.Writer, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := slices.SortedFunc(maps.Keys(c.counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.counts[b], c.counts[a]), cmp.Compare(a, b))
	})
	fmt.Fprintf(out, "\n%d lines, %d keys\n", c.total, len(keys))
	for _, key := range keys[:min(n, len(keys))] {
		fmt.Fprintf(out, "%8d  %s\n", c.counts[key], key)
	}
}

// counted returns how many records were counted.
func (c *counter) counted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}

// showRate reads the topic's new records and prints a line per interval until ctx ends.
func showRate(ctx context.Context, b *samsa.Broker, counts *counter, out io.Writer, interval time.Duration) {
	consumer, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{topic}, Start: samsa.Latest()})
	if err != nil {
		fmt.Fprintln(out, "rate:", err)
		return
	}
	defer consumer.Close()
	for n, since := 0, time.Now(); ; {
		step, cancel := context.WithTimeout(ctx, interval-time.Since(since))
		records, err := consumer.Poll(step)
		cancel()
		n += len(records)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, context.DeadlineExceeded):
			fmt.Fprintf(out, "\r%d lines, %.0f/s, lag %d   ", counts.counted(), float64(n)/time.Since(since).Seconds(), lag(consumer))
			n, since = 0, time.Now()
		case err != nil:
			fmt.Fprintln(out, "rate:", err)
			return
		}
	}
}

func lag(consumer *samsa.Consumer) (sum int64) {
	for _, tp := range consumer.Assigned() {
		if n, err := consumer.Lag(tp); err == nil {
			sum += n
		}
	}
	return sum
}

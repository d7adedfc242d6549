// Transform writes a receipt for each order, exactly once, with the transactions of franz-go, as they are written for a Kafka
// cluster: nothing of Samsa is imported in transform.go. A consumer of the Go API reads the receipts. Look at the tests: they
// show what package samsatest does to a program with transactions.
//
//	go run .
//	go test .
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "transform:", err)
		os.Exit(1)
	}
}

// run orders three things, and ends when there is a receipt for each.
func run(ctx context.Context, out io.Writer) (err error) {
	b, err := samsa.Open("", samsa.Options{
		InMemory: true,
		// Else a group of Kafka clients waits 3 s for more of them.
		Groups: samsa.GroupOptions{InitialRebalanceDelay: -1},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }() // which ends the server too
	for _, topic := range []string{orders, receipts} {
		if err := b.Topics().Create(ctx, topic, samsa.TopicConfig{}); err != nil {
			return err
		}
	}
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	if err != nil {
		return err
	}
	for _, order := range []string{"tea", "milk", "water"} {
		if _, err := b.Produce(ctx, samsa.Record{Topic: orders, Value: []byte(order)}); err != nil {
			return err
		}
	}
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- transform(working, kgo.SeedBrokers(srv.Addr().String())) }()
	defer func() { stop(); err = errors.Join(err, <-ended) }()
	return show(ctx, b, 3, out)
}

// show prints so many receipts, as soon as they are committed.
func show(ctx context.Context, b *samsa.Broker, n int, out io.Writer) (err error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{receipts}}) // samsa.ReadUncommitted is an option
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for r, err := range c.Records(ctx) {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "offset %d: %s\n", r.Offset, r.Value)
		if n--; n == 0 {
			break
		}
	}
	return nil
}

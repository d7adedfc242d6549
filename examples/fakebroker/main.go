// Command fakebroker is a small service that bills orders. Look at its tests: they show how to
// test such a service with package samsatest, for its happy path and for days that are not.
//
//	go run ./examples/fakebroker
//	go test ./examples/fakebroker
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/samsa-go/samsa"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run bills two orders.
func run(ctx context.Context, w io.Writer) error {
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true})
	if err != nil {
		return err
	}
	defer b.Close()
	s, err := newService(ctx, b, "the only one", func(order samsa.Record) (string, error) {
		return fmt.Sprintf("%s, paid", order.Value), nil
	})
	if err != nil {
		return err
	}
	_, err = b.Produce(ctx,
		samsa.Record{Topic: orders, Key: []byte("7"), Value: []byte("one tea")},
		samsa.Record{Topic: orders, Key: []byte("8"), Value: []byte("two coffees")},
	)
	if err != nil {
		return err
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{receipts}})
	if err != nil {
		return err
	}
	defer c.Close()
	working, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.run(working) }()
	for seen := 0; seen < 2; {
		records, err := c.Poll(ctx)
		if err != nil {
			stop()
			return err
		}
		for _, r := range records {
			fmt.Fprintf(w, "receipt %s: %s\n", r.Key, r.Value)
		}
		seen += len(records)
	}
	stop()
	return <-ended
}

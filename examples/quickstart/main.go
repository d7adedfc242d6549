// Quickstart produces three records and consumes them again.
package main

import (
	"context"
	"fmt"
	"log"

	"github.com/samsa-go/samsa"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	// samsa.Open("data", samsa.Options{...}) keeps the records on disk.
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true})
	if err != nil {
		return err
	}
	defer b.Close()
	for _, name := range []string{"Gregor", "Grete", "Herr Samsa"} {
		if _, err := b.Produce(ctx, samsa.Record{Topic: "family", Value: []byte("Hello, " + name)}); err != nil {
			return err
		}
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"family"}})
	if err != nil {
		return err
	}
	recs, err := c.Poll(ctx)
	for _, rec := range recs {
		fmt.Printf("%s/%d offset %d: %s\n", rec.Topic, rec.Partition, rec.Offset, rec.Value)
	}
	return err
}

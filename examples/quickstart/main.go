// Quickstart produces three records to a topic and consumes them again.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/samsa-go/samsa"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "samsa")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) // your data would stay
	b, err := samsa.Open(dir, samsa.Options{AutoCreateTopics: true})
	if err != nil {
		return err
	}
	defer b.Close()

	for _, name := range []string{"Gregor", "Grete", "Herr Samsa"} {
		_, err := b.Produce(ctx, samsa.Record{Topic: "family", Value: []byte("Hello, " + name)})
		if err != nil {
			return err
		}
	}
	c, err := b.NewConsumer(samsa.ConsumerOptions{Topics: []string{"family"}})
	if err != nil {
		return err
	}
	for rec, err := range c.Records(ctx) {
		if err != nil {
			return err
		}
		fmt.Printf("%s/%d offset %d: %s\n", rec.Topic, rec.Partition, rec.Offset, rec.Value)
		if rec.Offset == 2 {
			break
		}
	}
	return nil
}

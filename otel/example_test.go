package samsaotel_test

import (
	"context"
	"fmt"

	"github.com/samsa-go/samsa"
	samsaotel "github.com/samsa-go/samsa/otel"
)

// A program whose providers are the global ones of OpenTelemetry.
func Example() {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	tel, err := samsaotel.New(samsaotel.Options{})
	must(err)
	b, err := samsa.Open("", samsa.Options{InMemory: true, AutoCreateTopics: true, Hooks: []samsa.Hook{tel.Hook()}})
	must(err)
	defer b.Close()

	ctx := context.Background() // of an HTTP request, say
	_, err = tel.Produce(ctx, b, samsa.Record{Topic: "orders", Value: []byte("tea")})
	must(err)

	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	records, err := c.Poll(ctx)
	must(err)
	for _, r := range records {
		must(tel.Process(ctx, "", r, func(_ context.Context) error {
			fmt.Printf("%s\n", r.Value)
			return nil
		}))
	}
	// Output: tea
}

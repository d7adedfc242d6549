package avro_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/adapters/registry"
	"github.com/samsa-go/samsa/typed"
	"github.com/samsa-go/samsa/typed/avro"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func Example() {
	ctx := context.Background()
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	must(err)
	defer b.Close()
	must(b.Topics().Create(ctx, "orders", samsa.TopicConfig{}))
	r, err := registry.New(ctx, b, registry.Options{}) // or one that is anywhere
	must(err)
	defer r.Close()
	s := httptest.NewServer(r)
	defer s.Close()
	client, err := sr.NewClient(sr.URLs(s.URL))
	must(err)

	const schema = `{"type":"record","name":"Order","fields":[{"name":"item","type":"string"},{"name":"cents","type":"long"}]}`
	values, err := avro.Registered[Order](ctx, client, "orders-value", schema)
	must(err)
	orders := typed.CodecsOf(typed.String(), values)
	p, err := typed.NewProducer(ctx, b, orders, samsa.ProducerOptions{})
	must(err)
	_, err = p.ProduceSync(ctx, typed.MessageOf("orders", "7", Order{"tea", 250}))
	must(err)
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("seven cups")})
	must(err)

	c, err := typed.NewConsumer(ctx, b, orders, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	for m, err := range c.RecordsUntil(ctx) {
		var wrong *typed.DecodeError
		switch {
		case errors.Is(err, avro.ErrRegistry):
			return // and read it again later
		case errors.As(err, &wrong):
			fmt.Printf("put aside: %s\n", wrong.Record.Value)
			continue
		}
		must(err)
		fmt.Printf("%x\n", m.Record.Value)
		fmt.Println(m.Key, m.Value.Item, m.Value.Cents)
	}
	// Output:
	// 000000000106746561f403
	// 7 tea 250
	// put aside: seven cups
}

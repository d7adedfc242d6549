package typed_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/typed"
)

// Order is what the value of a record of topic orders is.
type Order struct {
	Item  string `json:"item"`
	Cents int64  `json:"cents"`
}

func Example() {
	ctx := context.Background()
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	must(err)
	defer b.Close()
	must(b.Topics().Create(ctx, "orders", samsa.TopicConfig{}))

	orders := typed.CodecsOf(typed.String(), typed.JSON[Order]())
	p, err := typed.NewProducer(ctx, b, orders, samsa.ProducerOptions{})
	must(err)
	_, err = p.ProduceSync(ctx, typed.MessageOf("orders", "7", Order{"tea", 250}), typed.MessageOf("orders", "8", Order{"milk", 90}))
	must(err)
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("seven cups")}) // by somebody without types
	must(err)

	c, err := typed.NewConsumer(ctx, b, orders, samsa.ConsumerOptions{Topics: []string{"orders"}})
	must(err)
	for m, err := range c.RecordsUntil(ctx) {
		var wrong *typed.DecodeError
		if errors.As(err, &wrong) {
			fmt.Printf("put aside: %s\n", wrong.Record.Value)
			continue
		}
		must(err)
		fmt.Println(m.Key, m.Value.Item, m.Value.Cents)
	}
	// Output:
	// 7 tea 250
	// 8 milk 90
	// put aside: seven cups
}

func ExampleQueue_Work() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	must(err)
	defer b.Close()
	must(b.Topics().Create(ctx, "orders", samsa.TopicConfig{}))
	must(b.Topics().Create(ctx, "orders_dead", samsa.TopicConfig{}))
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("seven cups")}, samsa.Record{Topic: "orders", Value: []byte(`{"item":"tea","cents":250}`)})
	must(err)

	orders := typed.CodecsOf(typed.String(), typed.JSON[Order]())
	q, err := typed.NewQueue(ctx, b, orders, samsa.QueueOptions{Group: "pack", Topics: []string{"orders"}, DeadLetter: "orders_dead"})
	must(err)
	defer q.Close()
	err = q.Work(ctx, 1, func(_ context.Context, d typed.Delivery[string, Order], wrong error) error {
		if wrong != nil { // a *typed.DecodeError
			fmt.Printf("put aside: %s\n", d.Record.Value)
			return d.Reject(wrong.Error())
		}
		fmt.Println("pack", d.Value.Item)
		stop()
		return nil
	})
	fmt.Println(err)
	// Output:
	// put aside: seven cups
	// pack tea
	// context canceled
}

func ExampleNewTable() {
	ctx := context.Background()
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	must(err)
	defer b.Close()
	must(b.Topics().Create(ctx, "stock", samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}))

	stock, err := typed.NewTable(ctx, b, typed.CodecsOf(typed.String(), typed.Int64()), samsa.TableOptions{Topic: "stock"})
	must(err)
	defer stock.Close()
	must(b.Update(ctx, func(tx *samsa.Tx) error {
		rows, err := stock.Tx(tx)
		if err != nil {
			return err
		}
		return rows.Put("tea", 7, samsa.NoRow)
	}))
	must(b.Update(ctx, func(tx *samsa.Tx) error {
		rows, err := stock.Tx(tx)
		if err != nil {
			return err
		}
		tea, err := rows.Get("tea")
		if err != nil {
			return err
		}
		return rows.Put("tea", tea.Value-2, tea.Record.Offset)
	}))
	must(stock.WaitFor(ctx))
	tea, err := stock.Get("tea")
	must(err)
	fmt.Println(tea.Key, tea.Value)
	// Output: tea 5
}

// Event is what a topic of several types holds.
type Event interface{ Account() string }

// Opened and Paid are events.
type (
	Opened struct{ ID, Owner string }
	Paid   struct {
		ID    string
		Cents int64
	}
)

func (e Opened) Account() string { return e.ID }
func (e Paid) Account() string   { return e.ID }

func ExampleUnion() {
	events, err := typed.Union("event-type",
		typed.As[Event]("opened", typed.JSON[Opened]()),
		typed.As[Event]("paid", typed.JSON[Paid]()),
	)
	must(err)
	codecs := typed.CodecsOf(typed.String(), events)
	for _, e := range []Event{Opened{"7", "Ann"}, Paid{"7", 250}} {
		r, err := codecs.Encode(typed.MessageOf("accounts", e.Account(), e))
		must(err)
		fmt.Printf("%s: %s\n", r.Headers[0].Value, r.Value)
		m, err := codecs.Decode(r)
		must(err)
		fmt.Printf("%+v\n", m.Value)
	}
	// Output:
	// opened: {"ID":"7","Owner":"Ann"}
	// {ID:7 Owner:Ann}
	// paid: {"ID":"7","Cents":250}
	// {ID:7 Cents:250}
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

package samsa_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/samsa-go/samsa"
)

func ExampleQueue_Work() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Create(ctx, "mails", samsa.TopicConfig{}))
	must(b.Topics().Create(ctx, "mails.dead", samsa.TopicConfig{}))
	q, err := b.NewQueue(ctx, samsa.QueueOptions{
		Group:      "mailer",
		Topics:     []string{"mails"},
		Retry:      samsa.Retry{Min: 10 * time.Millisecond},
		DeadLetter: "mails.dead",
	})
	must(err)
	defer q.Close()
	for _, to := range []string{"alice", "nobody", "bob"} {
		_, err := b.Produce(ctx, samsa.Record{Topic: "mails", Value: []byte(to)})
		must(err)
	}
	ctx, done := context.WithCancel(ctx)
	sent := make(chan string)
	go func() {
		err := q.Work(ctx, 16, func(ctx context.Context, d samsa.Delivery) error {
			switch to := string(d.Record.Value); {
			case to == "nobody":
				sent <- "nobody, never"
				return d.Reject("no such mailbox") // it would fail for ever
			case to == "bob" && d.Deliveries == 1:
				return errors.New("busy") // it comes again
			default:
				sent <- fmt.Sprintf("%s, attempt %d", to, d.Deliveries)
				return nil // it is done
			}
		})
		if !errors.Is(err, context.Canceled) {
			panic(err)
		}
		close(sent)
	}()
	for range 3 {
		fmt.Println(<-sent)
	}
	done()
	<-sent
	stats, err := q.Stats(context.Background())
	must(err)
	fmt.Println(stats.DeadLetters, "dead letter")
	// Unordered output:
	// alice, attempt 1
	// nobody, never
	// bob, attempt 2
	// 1 dead letter
}

func ExampleTx_Ack() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "shop", Topics: []string{"orders"}})
	must(err)
	defer q.Close()
	_, err = b.Produce(ctx, samsa.Record{Topic: "orders", Key: []byte("alice"), Value: []byte("3 books")})
	must(err)
	ds, err := q.Receive(ctx, 10)
	must(err)
	// What is known of alice, the receipt, and the acknowledgement: all or nothing.
	must(b.Topics().Create(ctx, "receipts", samsa.TopicConfig{}))
	must(b.Update(ctx, func(tx *samsa.Tx) error {
		for _, d := range ds {
			if err := tx.Set(append([]byte("last/"), d.Record.Key...), d.Record.Value); err != nil {
				return err
			}
			if err := tx.Produce(samsa.Record{Topic: "receipts", Key: d.Record.Key}); err != nil {
				return err
			}
		}
		return tx.Ack(ds...)
	}))
	stats, err := q.Stats(ctx)
	must(err)
	fmt.Println("acknowledged", stats.Acknowledged, "of", stats.Deliveries, "left", stats.Lag)
	// Output: acknowledged 1 of 1 left 0
}

func ExampleNotBefore() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Create(ctx, "reminders", samsa.TopicConfig{}))
	q, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "clock", Topics: []string{"reminders"}})
	must(err)
	defer q.Close()
	soon := time.Now().Add(50 * time.Millisecond)
	_, err = b.Produce(ctx,
		samsa.Record{Topic: "reminders", Value: []byte("later"), Headers: []samsa.Header{samsa.NotBefore(soon)}},
		samsa.Record{Topic: "reminders", Value: []byte("now")})
	must(err)
	left := 2
	for d, err := range q.Deliveries(ctx) {
		must(err)
		must(d.Ack())
		fmt.Printf("%s, too early: %t\n", d.Record.Value, string(d.Record.Value) == "later" && time.Now().Before(soon.Truncate(time.Millisecond)))
		if left--; left == 0 {
			break
		}
	}
	// Unordered output:
	// now, too early: false
	// later, too early: false
}

// Dead letters go back to where they came from, each once: that, and that it is no dead letter any more, is one commit.
func Example_deadLetters() {
	b := memory()
	defer b.Close()
	ctx := context.Background()
	must(b.Topics().Create(ctx, "mails", samsa.TopicConfig{}))
	must(b.Topics().Create(ctx, "mails.dead", samsa.TopicConfig{}))
	mails, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, DeadLetter: "mails.dead"})
	must(err)
	defer mails.Close()
	_, err = b.Produce(ctx, samsa.Record{Topic: "mails", Value: []byte("to alice")})
	must(err)
	ds, err := mails.Receive(ctx, 1)
	must(err)
	must(ds[0].Reject("no such host"))

	dead, err := b.NewQueue(ctx, samsa.QueueOptions{Group: "redrive", Topics: []string{"mails.dead"}})
	must(err)
	defer dead.Close()
	ds, err = dead.Receive(ctx, 1)
	must(err)
	for _, d := range ds {
		back := samsa.Record{Key: d.Record.Key, Value: d.Record.Value}
		for _, h := range d.Record.Headers {
			switch h.Key {
			case samsa.DeadLetterTopic:
				back.Topic = string(h.Value)
			case samsa.DeadLetterMessage:
				fmt.Printf("%s: %s\n", d.Record.Value, h.Value)
			}
		}
		must(b.Update(ctx, func(tx *samsa.Tx) error {
			if err := tx.Produce(back); err != nil {
				return err
			}
			return tx.Ack(d)
		}))
	}
	ds, err = mails.Receive(ctx, 1)
	must(err)
	fmt.Printf("%s, delivery %d\n", ds[0].Record.Value, ds[0].Deliveries)
	// Output:
	// to alice: no such host
	// to alice, delivery 1
}

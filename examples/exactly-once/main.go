// Exactly-once is a bank. It reads transfers from a topic, moves the money between balances, and
// writes a receipt for each transfer to another topic: receipt and offset in one transaction. The
// balances are what the receipts make them. Kill it as often as you like; run it again, and it goes
// on. No transfer is lost or made twice, in a directory, in memory, or on a Kafka cluster:
//
//	go run ./examples/exactly-once -on ./data -transfers 100000     # Ctrl-C, kill -9, again
//	go run ./examples/exactly-once -on memory
//	go run ./examples/exactly-once -on 'kafka://host:9092,host:9092/?name=bank'
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster"
)

func main() {
	on := flag.String("on", filepath.Join(os.TempDir(), "samsa-bank"), "where the bank is: a directory, memory, or kafka://host:port,host:port/?name=bank")
	transfers := flag.Int("transfers", 10_000, "how many transfers are ordered in all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *on, *transfers, os.Stdout); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "exactly-once:", err)
		os.Exit(1)
	}
}

const (
	orders   = "transfers"
	receipts = "receipts"
	tellers  = "tellers"     // the group
	office   = "head office" // who orders

	accounts = 10
	opening  = 1000 // each account's first balance
)

// transfer is the value of a record in both topics.
type transfer struct {
	ID, From, To, Amount int
	Refused              bool `json:",omitempty"` // in a receipt: the balance was too low
}

func run(ctx context.Context, on string, transfers int, out io.Writer) (err error) {
	b, err := open(ctx, on)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	for _, topic := range []string{orders, receipts} {
		if _, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Partitions: 1, Retention: samsa.Unlimited}); err != nil {
			return err
		}
	}
	if err := order(ctx, b, transfers); err != nil {
		return err
	}
	books, err := work(ctx, b, transfers)
	if err != nil {
		return err
	}
	books.report(out)
	return nil
}

// open opens the broker that is there. All that comes behind is the same everywhere.
func open(ctx context.Context, on string) (*samsa.Broker, error) {
	switch {
	case on == "memory":
		return samsa.Open("", samsa.Options{InMemory: true})
	case strings.HasPrefix(on, "kafka://"):
		return cluster.OpenURL(ctx, on)
	}
	return samsa.Open(on, samsa.Options{})
}

// order orders transfers until there are so many. How many there are is known of the producer by
// its ID: so an orderer that was killed orders none twice either.
func order(ctx context.Context, b *samsa.Broker, total int) (err error) {
	p, err := b.NewProducer(ctx, samsa.ProducerOptions{ID: office})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	n, err := p.Stored(ctx, samsa.TopicPartition{Topic: orders})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for n := int(n); n < total; n++ {
		value, err := json.Marshal(transfer{ID: n, From: n % accounts, To: (n*7 + 3) % accounts, Amount: n*31%199 + 1})
		if err != nil {
			return err
		}
		p.Produce(ctx, samsa.Record{Topic: orders, Value: value}, func(_ samsa.Record, err error) {
			if err != nil {
				cancel(err)
			}
		})
		if err := context.Cause(ctx); err != nil {
			return err
		}
	}
	if err := p.Flush(ctx); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// work carries out what was ordered, and returns the books when all of it is.
func work(ctx context.Context, b *samsa.Broker, total int) (books ledger, err error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Group: tellers, Topics: []string{orders}, MaxPollRecords: 100,
		Member: samsa.MemberOptions{ManualCommit: true},
	})
	if err != nil {
		return books, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if books, err = read(ctx, b); err != nil {
		return books, err
	}
	for books.Next < total {
		in, err := c.Poll(ctx)
		if err != nil {
			return books, err
		}
		for next := first(in); books.Next < next; { // another one was here, whose last receipts are on their way
			if books, err = read(ctx, b); err != nil {
				return books, err
			}
		}
		var after ledger
		err = b.Update(ctx, func(tx *samsa.Tx) error { // which may be called again
			after = books
			for _, r := range in {
				if err := after.carryOut(tx, r); err != nil {
					return err
				}
			}
			return tx.CommitRecords(c, in...)
		})
		if err != nil {
			return books, err
		}
		books = after
	}
	return books, nil
}

// first returns the number of the transfer that is the first of these, 0 if it has none.
func first(in []samsa.Record) int {
	var t transfer
	if len(in) == 0 || json.Unmarshal(in[0].Value, &t) != nil {
		return 0
	}
	return t.ID
}

// ledger is what the receipts make of the accounts.
type ledger struct {
	Balances [accounts]int
	Next     int // transfer, behind the last that has a receipt
}

// read makes the books from the receipts that are there.
func read(ctx context.Context, b *samsa.Broker) (l ledger, err error) {
	for i := range l.Balances {
		l.Balances[i] = opening
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{receipts}})
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for r, err := range c.RecordsUntil(ctx) {
		if err != nil {
			return l, err
		}
		var t transfer
		if err := json.Unmarshal(r.Value, &t); err != nil {
			return l, err
		}
		l.enter(t)
	}
	return l, nil
}

// carryOut moves the money of one order and writes its receipt.
func (l *ledger) carryOut(tx *samsa.Tx, r samsa.Record) error {
	var t transfer
	if err := json.Unmarshal(r.Value, &t); err != nil {
		return err
	}
	t.Refused = l.Balances[t.From] < t.Amount
	receipt, err := json.Marshal(t)
	if err != nil {
		return err
	}
	l.enter(t)
	return tx.Produce(samsa.Record{Topic: receipts, Value: receipt})
}

// enter enters a receipt.
func (l *ledger) enter(t transfer) {
	l.Next = t.ID + 1
	if !t.Refused {
		l.Balances[t.From] -= t.Amount
		l.Balances[t.To] += t.Amount
	}
}

// report prints the balances, which add up to what they were in the beginning.
func (l *ledger) report(out io.Writer) {
	sum := 0
	for i, balance := range l.Balances {
		fmt.Fprintf(out, "account %d: %d\n", i, balance)
		sum += balance
	}
	fmt.Fprintf(out, "%d in all, %d receipts\n", sum, l.Next)
}

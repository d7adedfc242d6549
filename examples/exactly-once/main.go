// Exactly-once is a bank. It reads transfers from a topic, moves the money between balances
// that it keeps beside its topics, and writes a receipt for each transfer to another topic:
// offset, balances and receipt in one transaction. Kill it as often as you like; run it
// again, and it goes on. No transfer is lost or made twice.
//
//	go run ./examples/exactly-once -transfers 100000     # Ctrl-C, kill -9, again
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
	"strconv"

	"github.com/samsa-go/samsa"
)

func main() {
	data := flag.String("data", filepath.Join(os.TempDir(), "samsa-bank"), "directory of the bank")
	transfers := flag.Int("transfers", 10_000, "how many transfers are ordered in all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *data, *transfers, os.Stdout); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "exactly-once:", err)
		os.Exit(1)
	}
}

const (
	orders   = "transfers"
	receipts = "receipts"
	tellers  = "tellers" // the group

	accounts = 10
	opening  = 1000 // each account's first balance
)

// transfer is the value of a record in both topics.
type transfer struct {
	ID, From, To, Amount int
	Refused              bool `json:",omitempty"` // in a receipt: the balance was too low
}

func run(ctx context.Context, dir string, transfers int, out io.Writer) (err error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := open(ctx, b); err != nil {
		return err
	}
	if err := order(ctx, b, transfers); err != nil {
		return err
	}
	if err := work(ctx, b); err != nil {
		return err
	}
	return report(ctx, b, out)
}

// open creates the topics, and the accounts with their money, unless they are there.
func open(ctx context.Context, b *samsa.Broker) error {
	for _, topic := range []string{orders, receipts} {
		if _, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Retention: samsa.Unlimited}); err != nil {
			return err
		}
	}
	return b.Update(ctx, func(tx *samsa.Tx) error {
		for i := range accounts {
			if _, err := tx.Get(account(i)); err == nil {
				return nil // all were opened together
			}
			if err := tx.Set(account(i), strconv.AppendInt(nil, opening, 10)); err != nil {
				return err
			}
		}
		return nil
	})
}

func account(i int) []byte { return fmt.Appendf(nil, "balance/%d", i) }

// order orders transfers until there are so many. How many there are is a key of its own,
// written with the orders: so a killed orderer orders none twice either.
func order(ctx context.Context, b *samsa.Broker, total int) error {
	for more := true; more; {
		err := b.Update(ctx, func(tx *samsa.Tx) error {
			n, err := number(tx, []byte("ordered"))
			if err != nil {
				return err
			}
			end := min(total, n+500)
			for ; n < end; n++ {
				value, err := json.Marshal(transfer{ID: n, From: n % accounts, To: (n*7 + 3) % accounts, Amount: n*31%199 + 1})
				if err != nil {
					return err
				}
				if err := tx.Produce(samsa.Record{Topic: orders, Value: value}); err != nil {
					return err
				}
			}
			more = n < total
			return tx.Set([]byte("ordered"), strconv.AppendInt(nil, int64(n), 10))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// number returns the number under key, 0 if there is none.
func number(tx *samsa.Tx, key []byte) (int, error) {
	value, err := tx.Get(key)
	if errors.Is(err, samsa.ErrKeyNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(value))
}

// work carries out what was ordered.
func work(ctx context.Context, b *samsa.Broker) (err error) {
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{
		Group: tellers, Topics: []string{orders}, MaxPollRecords: 100,
		Member: samsa.MemberOptions{ManualCommit: true},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	for {
		done, err := finished(ctx, b)
		if done || err != nil {
			return err
		}
		in, err := c.Poll(ctx)
		if err != nil {
			return err
		}
		err = b.Update(ctx, func(tx *samsa.Tx) error {
			for _, r := range in {
				if err := carryOut(tx, r); err != nil {
					return err
				}
			}
			return tx.CommitRecords(c, in...)
		})
		if err != nil {
			return err
		}
	}
}

// carryOut moves the money of one order and writes its receipt.
func carryOut(tx *samsa.Tx, r samsa.Record) error {
	var t transfer
	if err := json.Unmarshal(r.Value, &t); err != nil {
		return err
	}
	balance, err := number(tx, account(t.From))
	if err != nil {
		return err
	}
	if t.Refused = balance < t.Amount; !t.Refused {
		if err := add(tx, t.From, -t.Amount); err != nil {
			return err
		}
		if err := add(tx, t.To, t.Amount); err != nil {
			return err
		}
	}
	receipt, err := json.Marshal(t)
	if err != nil {
		return err
	}
	return tx.Produce(samsa.Record{Topic: receipts, Value: receipt})
}

func add(tx *samsa.Tx, to, amount int) error {
	balance, err := number(tx, account(to))
	if err != nil {
		return err
	}
	return tx.Set(account(to), strconv.AppendInt(nil, int64(balance+amount), 10))
}

// finished reports whether the group is at the end of the orders.
func finished(ctx context.Context, b *samsa.Broker) (bool, error) {
	ends, err := b.ListOffsets(ctx, orders, samsa.Latest())
	if err != nil {
		return false, err
	}
	done := false
	err = b.View(ctx, func(tx *samsa.ReadTx) error {
		committed, err := tx.Committed(tellers)
		done = committed[samsa.TopicPartition{Topic: orders}].Offset == ends[0].Offset
		return err
	})
	return done, err
}

// report prints the balances, which add up to what they were in the beginning.
func report(ctx context.Context, b *samsa.Broker, out io.Writer) error {
	ends, err := b.ListOffsets(ctx, receipts, samsa.Latest())
	if err != nil {
		return err
	}
	return b.View(ctx, func(tx *samsa.ReadTx) error {
		sum := 0
		for kv, err := range tx.Scan([]byte("balance/")) {
			if err != nil {
				return err
			}
			balance, err := strconv.Atoi(string(kv.Value))
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "%s %d\n", kv.Key, balance)
			sum += balance
		}
		fmt.Fprintf(out, "%d in all, %d receipts\n", sum, ends[0].Offset)
		return nil
	})
}

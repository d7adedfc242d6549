// Events is a bank whose truth is what has happened: deposits and withdrawals are events in a topic, and balances are what these
// make (event sourcing). A snapshot of the balances, with the offset that it is of, spares the next start to read all events.
//
//	go run ./examples/events deposit alice 10
//	go run ./examples/events withdraw alice 3
//	go run ./examples/events balances
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/samsa-go/samsa"
)

const topic = "events"

func main() {
	data := flag.String("data", filepath.Join(os.TempDir(), "samsa-events"), "directory of the bank")
	every := flag.Int64("every", 1000, "events from one snapshot to the next")
	flag.Parse()
	if err := run(context.Background(), *data, *every, flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "events:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string, every int64, args []string, out io.Writer) (err error) {
	b, err := samsa.Open(dir, samsa.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := create(ctx, b); err != nil {
		return err
	}
	k, err := openBank(ctx, b, every)
	if err != nil {
		return err
	}
	if len(args) == 1 && args[0] == "balances" {
		balances := k.balances()
		for _, account := range slices.Sorted(maps.Keys(balances)) {
			fmt.Fprintf(out, "%s has %d\n", account, balances[account])
		}
		fmt.Fprintf(out, "from a snapshot of %d events and %d behind it\n", k.snapshot, k.replayed)
		return nil
	}
	if len(args) == 3 {
		amount, err := strconv.ParseInt(args[2], 10, 64)
		switch {
		case err != nil:
			return err
		case args[0] == "deposit":
			return k.deposit(ctx, args[1], amount)
		case args[0] == "withdraw":
			return k.withdraw(ctx, args[1], amount)
		}
	}
	return errors.New("usage: events [-data dir] [-every n] deposit ACCOUNT AMOUNT | withdraw ACCOUNT AMOUNT | balances")
}

// create makes the topic: of one partition, in the order of which everything has happened, and for ever.
func create(ctx context.Context, b *samsa.Broker) error {
	_, err := b.Topics().Ensure(ctx, topic, samsa.TopicConfig{Retention: samsa.Unlimited})
	return err
}

// Requests asks and answers over topics: clients put requests into one, servers share them, and each client has a partition of
// another one for its replies. A header says which reply is to which request. A request is carried out once, also when its server
// is killed: it is in one transaction with its reply.
//
//	go run ./examples/requests add=3 add=4 add=x
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/samsa-go/samsa"
)

const (
	requests = "requests"
	replies  = "replies"
	group    = "servers"
)

func main() {
	flag.Parse()
	if err := run(context.Background(), flag.Args(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "requests:", err)
		os.Exit(1)
	}
}

// run has two servers in this process answer requests of the form NAME=NUMBER.
func run(ctx context.Context, asked []string, out io.Writer) (err error) {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := create(ctx, b); err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	for range 2 {
		wg.Go(func() {
			if err := serve(serving, b, add); err != nil && serving.Err() == nil {
				fmt.Fprintln(os.Stderr, "server:", err)
			}
		})
	}
	cl, err := newClient(ctx, b, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cl.close()) }()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, text := range asked {
		name, number, _ := strings.Cut(text, "=")
		reply, err := cl.ask(ctx, name, number)
		if err != nil {
			reply = "refused: " + err.Error()
		}
		fmt.Fprintf(out, "%s: %s\n", text, reply)
	}
	return ctx.Err()
}

// create makes the topics. Requests are shared by partitions, and those of a key are done in their order.
func create(ctx context.Context, b *samsa.Broker) error {
	if _, err := b.Topics().Ensure(ctx, requests, samsa.TopicConfig{Partitions: 4}); err != nil {
		return err
	}
	_, err := b.Topics().Ensure(ctx, replies, samsa.TopicConfig{Partitions: 8, Retention: time.Hour})
	return err
}

// add adds a number to the sum of a name, which it returns.
func add(tx *samsa.Tx, r samsa.Record) (string, error) {
	n, err := strconv.Atoi(string(r.Value))
	if err != nil {
		return "", refusal(fmt.Sprintf("%q is no number", r.Value))
	}
	key := append([]byte("sum/"), r.Key...)
	switch text, err := tx.Get(key); {
	case err == nil:
		sum, err := strconv.Atoi(string(text))
		if err != nil {
			return "", err
		}
		n += sum
	case !errors.Is(err, samsa.ErrKeyNotFound):
		return "", err
	}
	text := strconv.Itoa(n)
	return text, tx.Set(key, []byte(text))
}

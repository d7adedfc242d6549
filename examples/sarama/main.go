// Sarama is a producer and a consumer as they are written for a Kafka cluster: only the
// address tells that the broker is Samsa, and nothing of it is imported in programs.go.
//
//	go run .                                  # a broker inside the program
//	go run . -brokers 127.0.0.1:9092          # samsa serve, or a Kafka cluster
//
// It sends one record to the topic web_log and prints it as the consumer gets it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

const topic = "web_log"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	brokers := flag.String("brokers", "", "addresses of brokers, separated by commas; none for one inside this program")
	flag.Parse()
	if err := run(ctx, *brokers, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sarama:", err)
		os.Exit(1)
	}
}

// run follows the topic, sends a record to it, and ends when that has come back.
func run(ctx context.Context, brokers string, out io.Writer) (err error) {
	if brokers == "" {
		b, addr, err := serve(ctx)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Close()) }()
		brokers = addr
	}
	addrs := strings.Split(brokers, ",")
	c, err := follow(addrs, topic)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	partition, offset, err := produce(addrs, topic, "this is a test log")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "sent to partition %d at offset %d\n", partition, offset)
	for {
		select {
		case m := <-c.messages:
			fmt.Fprintf(out, "partition %d, offset %d: %s\n", m.Partition, m.Offset, m.Value)
			if m.Partition == partition && m.Offset == offset {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// serve opens a broker in memory, which has the topic, and returns the address at which
// Kafka clients find it.
func serve(ctx context.Context) (*samsa.Broker, string, error) {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		return nil, "", err
	}
	err = b.Topics().Create(ctx, topic, samsa.TopicConfig{Partitions: 3})
	if err != nil {
		return nil, "", errors.Join(err, b.Close())
	}
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	if err != nil {
		return nil, "", errors.Join(err, b.Close())
	}
	return b, srv.Addr().String(), nil
}

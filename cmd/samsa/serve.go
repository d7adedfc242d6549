package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// serve opens the broker, creates the topics and serves until ctx ends; then it closes all.
func serve(ctx context.Context, f flags, stdout, stderr io.Writer) (err error) {
	f.broker.Logger = newLogger(stderr, f.logLevel)
	b, err := samsa.Open(f.data, f.broker)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }() // closes the listener too
	if err := createTopics(ctx, b, f.topics); err != nil {
		return err
	}
	srv, err := kafka.Listen(b, f.listen, f.kafka)
	if err != nil {
		return err
	}
	if err := announce(ctx, b, srv, f, stdout); err != nil {
		return err
	}
	<-ctx.Done()
	fmt.Fprintln(stdout, "samsa ends")
	return nil
}

// createTopics creates those that are missing; the others stay as they are.
func createTopics(ctx context.Context, b *samsa.Broker, topics []topicFlag) error {
	for _, t := range topics {
		_, err := b.Topics().Ensure(ctx, t.name, samsa.TopicConfig{Partitions: t.partitions})
		if err != nil && !errors.Is(err, samsa.ErrTopicExists) {
			return fmt.Errorf("--topic %s: %w", t.name, err)
		}
	}
	return nil
}

// maxAnnounced bounds the topics that announce names.
const maxAnnounced = 50

// announce tells where and what is served.
func announce(ctx context.Context, b *samsa.Broker, srv *kafka.Server, f flags, out io.Writer) error {
	where := "in memory"
	if !f.broker.InMemory {
		dir, err := filepath.Abs(f.data)
		if err != nil {
			return fmt.Errorf("--data: %w", err)
		}
		where = "in " + dir
	}
	fmt.Fprintf(out, "samsa serves Kafka clients at %s, node %d, data %s\n", srv.Addr(), f.kafka.NodeID, where)
	if f.kafka.Advertise != "" {
		fmt.Fprintf(out, "clients are told to connect to %s\n", f.kafka.Advertise)
	}
	names, err := b.Topics().List(ctx)
	if err != nil {
		return err
	}
	var described []string
	for _, name := range names[:min(len(names), maxAnnounced)] {
		info, err := b.Topics().Describe(ctx, name)
		if err != nil {
			return err
		}
		described = append(described, fmt.Sprintf("%s:%d", name, len(info.Partitions)))
	}
	if len(names) > maxAnnounced {
		described = append(described, fmt.Sprintf("and %d more", len(names)-maxAnnounced))
	}
	if len(names) == 0 {
		described = []string{"none yet"}
	}
	fmt.Fprintf(out, "topics: %s\n", strings.Join(described, " "))
	fmt.Fprintln(out, "Ctrl-C ends it")
	return nil
}

// newLogger logs what an operator should know, from level on, a line each.
func newLogger(w io.Writer, level zapcore.Level) *zap.Logger {
	config := zap.NewDevelopmentEncoderConfig()
	config.CallerKey = zapcore.OmitKey
	return zap.New(zapcore.NewCore(zapcore.NewConsoleEncoder(config), zapcore.Lock(zapcore.AddSync(w)), level))
}

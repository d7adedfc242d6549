package from

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/modules/kafka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// There is no Docker where the tests run: this side is compiled.
var _ = []any{
	containerStart, containerOptions, containerTopic, containerFill, containerLook, containerCases, containerRefuse, containerDie, containerWait, containerRetention,
}

func containerStart(t *testing.T) (seeds []string) {
	c, err := kafka.Run(t.Context(), "confluentinc/confluent-local:7.5.0")
	testcontainers.CleanupContainer(t, c)
	if err != nil {
		t.Fatal(err)
	}
	seeds, err = c.Brokers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return seeds
}

func containerOptions(ctx context.Context) (*kafka.KafkaContainer, error) {
	return kafka.Run(ctx, "confluentinc/confluent-local:7.5.0",
		testcontainers.WithEnv(map[string]string{"KAFKA_GROUP_MAX_SIZE": "2"}))
}

func containerTopic(ctx context.Context, c *kafka.KafkaContainer) error {
	code, _, err := c.Exec(ctx, []string{"kafka-topics", "--bootstrap-server", "localhost:9092", "--create", "--topic", "orders", "--partitions", "3"})
	if err == nil && code != 0 {
		err = fmt.Errorf("kafka-topics: exit code %d", code)
	}
	return err
}

func containerFill(ctx context.Context, cl *kgo.Client) error {
	return cl.ProduceSync(ctx,
		&kgo.Record{Topic: "orders", Key: []byte("7"), Value: []byte("tea")},
		&kgo.Record{Topic: "orders", Key: []byte("8"), Value: []byte("milk")}).FirstErr()
}

func containerLook(t *testing.T, cl *kgo.Client) { // of a client that consumes receipts
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got []string
	for len(got) < 2 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		for r := range fetches.RecordsAll() {
			got = append(got, string(r.Key)+"="+string(r.Value))
		}
	}
	if got[0] != "7=thanks" || got[1] != "8=thanks" {
		t.Error(got)
	}
}

func containerCases(t *testing.T, orders []string, test func(t *testing.T, seeds []string)) {
	for _, o := range orders {
		t.Run(o, func(t *testing.T) { test(t, containerStart(t)) }) // a container for each
	}
}

func containerRefuse(ctx context.Context, adm *kadm.Client, cl *kgo.Client) error {
	_, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Name: "min.insync.replicas", Value: kadm.StringPtr("2")}}, "orders")
	if err != nil {
		return err
	}
	err = cl.ProduceSync(ctx, &kgo.Record{Topic: "orders", Value: []byte("tea")}).FirstErr() // waits for RecordDeliveryTimeout
	if !errors.Is(err, kerr.NotEnoughReplicas) {
		return fmt.Errorf("it was not refused: %w", err)
	}
	return nil
}

func containerDie(ctx context.Context, c *kafka.KafkaContainer) (seeds []string, err error) {
	now := time.Duration(0)
	if err := c.Stop(ctx, &now); err != nil {
		return nil, err
	}
	if err := c.Start(ctx); err != nil {
		return nil, err
	}
	return c.Brokers(ctx) // the port may be another one
}

func containerWait(ctx context.Context, adm *kadm.Client) error {
	for {
		offsets, err := adm.FetchOffsets(ctx, "billing")
		if err != nil {
			return err
		}
		if o, ok := offsets.Lookup("orders", 0); ok && o.At >= 2 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func containerRetention(ctx context.Context) (*kafka.KafkaContainer, error) {
	return kafka.Run(ctx, "confluentinc/confluent-local:7.5.0", testcontainers.WithEnv(map[string]string{
		"KAFKA_LOG_RETENTION_MS":                "1000", // and not a week
		"KAFKA_LOG_RETENTION_CHECK_INTERVAL_MS": "100",
		"KAFKA_LOG_ROLL_MS":                     "1000",
	}))
}

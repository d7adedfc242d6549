package clienttest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/samsatest"
)

// soon is how long a client of a test is to wait before it tries again, or for more to come.
const soon = 5 * time.Millisecond

// BenchmarkFirstRecord has a new client produce a record, a new group read it, and both closed, with
// the options that clients come with and with those that suit tests; with faults, an append, a fetch
// and a join fail first.
func BenchmarkFirstRecord(b *testing.B) {
	for _, c := range []struct {
		client string
		run    func(b *testing.B, addr, group string, fast bool)
	}{{"franz-go", franzFirst}, {"sarama", saramaFirst}, {"kafka-go", kafkaGoFirst}} {
		for _, fast := range []bool{false, true} {
			for _, faults := range []bool{false, true} {
				b.Run(fmt.Sprintf("client=%s/fast=%v/faults=%v", c.client, fast, faults), func(b *testing.B) {
					broker := samsatest.New(b, samsatest.Topic("orders", 1))
					addr := samsatest.Kafka(b, broker)
					for i := 0; b.Loop(); i++ {
						if faults {
							samsatest.Appends(broker, "orders").Next(1).FailWith(samsatest.Code(6)) // NOT_LEADER_OR_FOLLOWER
							samsatest.Fetches(broker, "orders").Next(1).FailWith(samsatest.Code(6))
							samsatest.Joins(broker, "").Next(1).Fail()
						}
						c.run(b, addr, fmt.Sprint("group ", i), fast)
					}
				})
			}
		}
	}
}

func franzFirst(b *testing.B, addr, group string, fast bool) {
	opts := []kgo.Opt{kgo.SeedBrokers(addr), kgo.ConsumerGroup(group), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}
	if fast {
		opts = append(opts, kgo.MetadataMinAge(2*soon), kgo.FetchMaxWait(4*soon),
			kgo.RetryBackoffFn(func(int) time.Duration { return soon }))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(context.Background(), &kgo.Record{Topic: "orders"}).FirstErr(); err != nil {
		b.Fatal(err)
	}
	for len(cl.PollFetches(context.Background()).Records()) == 0 {
	}
}

func saramaFirst(b *testing.B, addr, group string, fast bool) {
	c := sarama.NewConfig()
	c.Producer.Return.Successes, c.Consumer.Offsets.Initial = true, sarama.OffsetOldest
	if fast {
		c.Metadata.Retry.Backoff, c.Producer.Retry.Backoff, c.Consumer.Retry.Backoff = soon, soon, soon
		c.Consumer.Group.Rebalance.Retry.Backoff, c.Consumer.MaxWaitTime = soon, 4*soon
	}
	p, err := sarama.NewSyncProducer([]string{addr}, c)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: "orders"}); err != nil {
		b.Fatal(err)
	}
	g, err := sarama.NewConsumerGroup([]string{addr}, group, c)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = g.Close() }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := g.Consume(ctx, []string{"orders"}, saramaHandler(func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage) { cancel() })); err != nil {
		b.Fatal(err)
	}
}

func kafkaGoFirst(b *testing.B, addr, group string, fast bool) {
	w := &kafka.Writer{Addr: kafka.TCP(addr), Topic: "orders", RequiredAcks: kafka.RequireAll}
	c := kafka.ReaderConfig{Brokers: []string{addr}, GroupID: group, Topic: "orders", StartOffset: kafka.FirstOffset}
	if fast {
		w.BatchTimeout, w.WriteBackoffMin, w.WriteBackoffMax = soon, soon, soon
		c.MaxWait, c.JoinGroupBackoff, c.ReadBackoffMin, c.ReadBackoffMax = 4*soon, soon, soon, soon
	}
	defer func() { _ = w.Close() }()
	if err := w.WriteMessages(context.Background(), kafka.Message{}); err != nil {
		b.Fatal(err)
	}
	r := kafka.NewReader(c)
	defer func() { _ = r.Close() }()
	if _, err := r.ReadMessage(context.Background()); err != nil {
		b.Fatal(err)
	}
}

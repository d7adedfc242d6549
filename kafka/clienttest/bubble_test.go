package clienttest

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/IBM/sarama"
	"github.com/rcrowley/go-metrics"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	kafkadoor "github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

// aWeek has a bubble in which clients find a broker with a topic that keeps its records for three
// days.
func aWeek(t *testing.T, test func(t *testing.T, b *samsa.Broker, pipe *kafkadoor.Pipe)) {
	began := time.Now()
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.TopicWith("orders", samsa.TopicConfig{Partitions: 1, Retention: 3 * 24 * time.Hour}))
		test(t, b, samsatest.KafkaPipe(t, b))
	})
	t.Logf("took %v", time.Since(began))
}

const week = 7 * 24 * time.Hour

// A consumer of franz-go that nobody sends anything for a week is a member of its group all the
// while. What was produced before is gone when the next one begins.
func TestAWeekOfFranz(t *testing.T) {
	aWeek(t, func(t *testing.T, b *samsa.Broker, pipe *kafkadoor.Pipe) {
		franz := func(opts ...kgo.Opt) *kgo.Client {
			cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(pipe.Addr().String()), kgo.Dialer(pipe.DialContext))...)
			if err != nil {
				t.Fatal(err)
			}
			return cl
		}
		cl := franz(kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.SessionTimeout(30*time.Minute), kgo.HeartbeatInterval(5*time.Minute), kgo.FetchMaxWait(time.Hour), kgo.MetadataMaxAge(time.Hour))
		defer cl.Close()
		produce := func(value string) {
			t.Helper()
			if err := cl.ProduceSync(context.Background(), &kgo.Record{Topic: "orders", Value: []byte(value)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		poll := func(cl *kgo.Client, want string) {
			t.Helper()
			fetches := cl.PollFetches(context.Background())
			if err := fetches.Err(); err != nil {
				t.Fatal(err)
			}
			if r := fetches.Records(); len(r) != 1 || string(r[0].Value) != want {
				t.Errorf("got %v, want %s", r, want)
			}
		}
		produce("on Monday")
		poll(cl, "on Monday")
		time.Sleep(week)
		samsatest.WaitStable(t, b, "billing", 1)
		produce("a week later")
		poll(cl, "a week later")

		late := franz(kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		defer late.Close()
		poll(late, "a week later") // the other has gone
	})
}

// A consumer of sarama waits as long. Its meters have to be off: a goroutine of their package, begun with
// the first meter, waits for ticks of the world outside. Its consumer groups cannot be in a bubble: a
// heartbeat waits for the answer to a fetch with a mutex, and for one who does that no time passes.
func TestAWeekOfSarama(t *testing.T) {
	metrics.UseNilMetrics = true
	aWeek(t, func(t *testing.T, b *samsa.Broker, pipe *kafkadoor.Pipe) {
		config := sarama.NewConfig()
		config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, pipe
		config.Producer.Return.Successes = true
		config.Consumer.MaxWaitTime, config.Net.ReadTimeout = time.Hour, 2*time.Hour
		config.Metadata.RefreshFrequency = 0 // waits for fetches as heartbeats do
		addrs := []string{pipe.Addr().String()}
		defer time.Sleep(time.Second) // a consumer that was closed sleeps once more
		p, err := sarama.NewSyncProducer(addrs, config)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		c, err := sarama.NewConsumer(addrs, config)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		orders, err := c.ConsumePartition("orders", 0, sarama.OffsetOldest)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = orders.Close() }()
		for i, value := range []string{"on Monday", "a week later"} {
			if i > 0 {
				time.Sleep(week)
			}
			if _, _, err := p.SendMessage(&sarama.ProducerMessage{Topic: "orders", Value: sarama.StringEncoder(value)}); err != nil {
				t.Fatal(err)
			}
			if m := <-orders.Messages(); string(m.Value) != value {
				t.Errorf("got %s, want %s", m.Value, value)
			}
		}
		samsatest.Equal(t, b, "orders", []string{"a week later"})
	})
}

// The same of kafka-go.
func TestAWeekOfKafkaGo(t *testing.T) {
	aWeek(t, func(t *testing.T, b *samsa.Broker, pipe *kafkadoor.Pipe) {
		addr := pipe.Addr().String()
		transport := &kafka.Transport{Dial: pipe.DialContext, MetadataTTL: time.Hour}
		defer transport.CloseIdleConnections()
		w := &kafka.Writer{Addr: kafka.TCP(addr), Topic: "orders", BatchSize: 1, Transport: transport}
		defer func() { _ = w.Close() }()
		r := kafka.NewReader(kafka.ReaderConfig{
			Brokers: []string{addr}, GroupID: "billing", Topic: "orders",
			Dialer:         &kafka.Dialer{DialFunc: pipe.DialContext, Timeout: 10 * time.Second},
			SessionTimeout: 30 * time.Minute, HeartbeatInterval: 5 * time.Minute, MaxWait: time.Hour, StartOffset: kafka.FirstOffset,
		})
		defer func() { _ = r.Close() }()
		for i, value := range []string{"on Monday", "a week later"} {
			if i > 0 {
				time.Sleep(week)
				samsatest.WaitStable(t, b, "billing", 1)
			}
			if err := w.WriteMessages(t.Context(), kafka.Message{Value: []byte(value)}); err != nil {
				t.Fatal(err)
			}
			m, err := r.ReadMessage(t.Context())
			if err != nil || string(m.Value) != value {
				t.Errorf("got %s, %v, want %s", m.Value, err, value)
			}
		}
		samsatest.Equal(t, b, "orders", []string{"a week later"})
	})
}

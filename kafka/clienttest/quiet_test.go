package clienttest

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	kafkago "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
)

// complaint is what a client says that something is amiss, or of what Kafka 4 may have and Samsa does not announce, as a Kafka without a receiver: telemetry.
var complaint = regexp.MustCompile(`(?i)warn|error|fail|telemetry|unsupported|deprecated`)

// quiet fails if a client has complained.
func quiet(t *testing.T, said string) {
	t.Helper()
	for line := range strings.Lines(said) {
		if complaint.MatchString(line) {
			t.Errorf("it says: %s", line)
		}
	}
}

// Clients that come from Go log nothing above what is usual, with the options that they have by default.
func TestGoClientsAreQuiet(t *testing.T) {
	t.Run("franz-go", func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		var said logbook
		said.changed = make(chan struct{})
		cl, err := kgo.NewClient(kgo.SeedBrokers(k.addr), kgo.ConsumeTopics("t"), kgo.ConsumerGroup("g"), kgo.WithLogger(kgo.BasicLogger(&said, kgo.LogLevelWarn, nil)))
		must(t, err)
		must(t, cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr())
		if fs := cl.PollFetches(t.Context()); fs.Err() != nil || fs.NumRecords() != 1 {
			t.Errorf("%d records, %v", fs.NumRecords(), fs.Err())
		}
		cl.Close()
		if text := said.String(); text != "" {
			t.Errorf("it says: %s", text)
		}
	})
	t.Run("sarama", func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		var said logbook
		said.changed = make(chan struct{})
		old := sarama.Logger
		sarama.Logger = log.New(&said, "", 0)
		defer func() { sarama.Logger = old }()
		config := sarama.NewConfig()
		config.Producer.Return.Successes = true
		p, err := sarama.NewSyncProducer([]string{k.addr}, config)
		must(t, err)
		_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: "t", Value: sarama.StringEncoder("v")})
		must(t, err)
		must(t, p.Close())
		quiet(t, said.String())
	})
	t.Run("kafka-go", func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		var said logbook
		said.changed = make(chan struct{})
		complaints := kafkago.LoggerFunc(log.New(&said, "", 0).Printf)
		w := &kafkago.Writer{Addr: kafkago.TCP(k.addr), Topic: "t", ErrorLogger: complaints, BatchTimeout: time.Millisecond}
		must(t, w.WriteMessages(t.Context(), kafkago.Message{Value: []byte("v")}))
		must(t, w.Close())
		r := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{k.addr}, Topic: "t", ErrorLogger: complaints})
		_, err := r.ReadMessage(t.Context())
		must(t, err)
		must(t, r.Close())
		if text := said.String(); text != "" {
			t.Errorf("it says: %s", text)
		}
	})
}

// Programs say nothing on their standard error, where they warn: of telemetry neither.
func TestProgramsAreQuiet(t *testing.T) {
	for _, p := range []program{confluentProgram(), newConfluentProgram(), javaProgram("java-4.4", javaStreams)} {
		t.Run(p.name, func(t *testing.T) {
			p.needs(t)
			k := inMemory(t, samsa.Options{})
			k.create("t", 1)
			in, err := json.Marshal([]job{{Topic: "t", Codec: "none", Records: []record{{Key: "k", Value: "v"}}}})
			must(t, err)
			for _, args := range [][]string{{"produce", k.addr}, {"consume", k.addr, "1", "t"}, {"group", k.addr, "1", "t", "g"}} {
				ctx, cancel := context.WithTimeout(t.Context(), javaPatience)
				cmd := p.command(ctx, args...)
				var stderr bytes.Buffer
				cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
				if _, err := cmd.Output(); err != nil {
					t.Errorf("%s: %v\n%s", args[0], err, stderr.String())
				}
				cancel()
				quiet(t, stderr.String())
			}
		})
	}
}

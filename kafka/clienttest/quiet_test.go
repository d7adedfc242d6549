package clienttest

import (
	"bytes"
	"context"
	"encoding/json"
	"log"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	shopify "github.com/Shopify/sarama"
	kafkago "github.com/segmentio/kafka-go"
	kafkagoplain "github.com/segmentio/kafka-go/sasl/plain"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
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

// quietDoors are where clients are to be quiet: each opens a broker with a topic t of one partition, and says how it is to be reached.
var quietDoors = []struct {
	name string
	open func(t *testing.T) (*kit, door)
}{
	{"one broker", func(t *testing.T) (*kit, door) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		return k, door{addr: k.addr}
	}},
	{"three brokers", func(t *testing.T) (*kit, door) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		return k, door{addr: samsatest.Cluster(t, k.Broker, 3).Addrs()[0]}
	}},
	{"three that ask", func(t *testing.T) (*kit, door) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		s := samsatest.SecureCluster(t, k.Broker, 3, samsatest.Guard{TLS: true, Users: map[string]string{"alice": "right"}})
		return k, door{addr: s.Addr, tls: s.TLS, ca: s.CA(), dir: t.TempDir()}
	}},
}

// entry is how a client comes in.
func (d door) entry() entry {
	if d.tls == nil {
		return entry{}
	}
	return entry{tls: "trusted", mechanism: "PLAIN", user: "alice", password: "right"}
}

func eachQuietDoor(t *testing.T, run func(t *testing.T, k *kit, d door, said *logbook)) {
	t.Helper()
	for _, q := range quietDoors {
		t.Run(q.name, func(t *testing.T) {
			k, d := q.open(t)
			said := &logbook{changed: make(chan struct{})}
			run(t, k.within(t, javaPatience), d, said)
			quiet(t, said.String())
		})
	}
}

// Clients that come from Go log nothing above what is usual, with the options that they have by default.
func TestGoClientsAreQuiet(t *testing.T) {
	t.Run("franz-go", func(t *testing.T) {
		eachQuietDoor(t, func(t *testing.T, _ *kit, d door, said *logbook) {
			cl, err := kgo.NewClient(append(franzOptions(d, d.entry()), kgo.ConsumeTopics("t"), kgo.ConsumerGroup("g"), kgo.WithLogger(kgo.BasicLogger(said, kgo.LogLevelWarn, nil)))...)
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
	})
	t.Run("sarama", func(t *testing.T) {
		eachQuietDoor(t, func(t *testing.T, _ *kit, d door, said *logbook) {
			old := sarama.Logger
			sarama.Logger = log.New(said, "", 0)
			defer func() { sarama.Logger = old }()
			config := sarama.NewConfig()
			saramaSecurity(config, d, d.entry())
			config.Producer.Return.Successes = true
			p, err := sarama.NewSyncProducer([]string{d.addr}, config)
			must(t, err)
			_, _, err = p.SendMessage(&sarama.ProducerMessage{Topic: "t", Value: sarama.StringEncoder("v")})
			must(t, err)
			must(t, p.Close())
		})
	})
	t.Run("shopify-sarama", func(t *testing.T) {
		eachQuietDoor(t, func(t *testing.T, _ *kit, d door, said *logbook) {
			old := shopify.Logger
			shopify.Logger = log.New(said, "", 0)
			defer func() { shopify.Logger = old }()
			config, e := shopify.NewConfig(), d.entry()
			config.Net.TLS.Enable, config.Net.TLS.Config = e.tls != "", e.config(d)
			config.Net.SASL.Enable, config.Net.SASL.User, config.Net.SASL.Password = e.mechanism != "", e.user, e.password
			config.Producer.Return.Successes = true
			p, err := shopify.NewSyncProducer([]string{d.addr}, config)
			must(t, err)
			_, _, err = p.SendMessage(&shopify.ProducerMessage{Topic: "t", Value: shopify.StringEncoder("v")})
			must(t, err)
			must(t, p.Close())
		})
	})
	t.Run("kafka-go", func(t *testing.T) {
		eachQuietDoor(t, func(t *testing.T, _ *kit, d door, said *logbook) {
			t.Parallel() // its reader closes when its last request has been answered, within 10 s
			complaints, e := kafkago.LoggerFunc(log.New(said, "", 0).Printf), d.entry()
			transport, dialer := &kafkago.Transport{TLS: e.config(d)}, &kafkago.Dialer{TLS: e.config(d)}
			if e.mechanism != "" {
				m := kafkagoplain.Mechanism{Username: e.user, Password: e.password}
				transport.SASL, dialer.SASLMechanism = m, m
			}
			w := &kafkago.Writer{Addr: kafkago.TCP(d.addr), Topic: "t", ErrorLogger: complaints, BatchTimeout: time.Millisecond, Transport: transport}
			must(t, w.WriteMessages(t.Context(), kafkago.Message{Value: []byte("v")}))
			must(t, w.Close())
			r := kafkago.NewReader(kafkago.ReaderConfig{Brokers: []string{d.addr}, Topic: "t", ErrorLogger: complaints, Dialer: dialer,
				ReadLagInterval: -1}) // it complains when it is closed while it asks for its lag
			_, err := r.ReadMessage(t.Context())
			must(t, err)
			must(t, r.Close())
			if text := said.String(); text != "" {
				t.Errorf("it says: %s", text)
			}
		})
	})
}

// kcatProgram is kcat, that says whatever it has to say; it is told how to log in by what it is given.
func kcatProgram(config map[string]string) program {
	return program{"kcat", func(ctx context.Context, args ...string) *exec.Cmd {
		verb, addr, more := args[0], args[1], []string{"-P", "-t", "t", "-p", "0"}
		if verb == "group" {
			more = []string{"-G", args[4], "-c", args[2], "-X", "auto.offset.reset=earliest", args[3]}
		}
		all := []string{"-b", addr}
		for name, value := range config {
			all = append(all, "-X", name+"="+value)
		}
		return exec.CommandContext(ctx, "kcat", append(all, more...)...)
	}, kcatClient().needs}
}

// Programs say nothing on their standard error, where they warn: of telemetry neither.
func TestProgramsAreQuiet(t *testing.T) {
	for _, p := range []struct {
		program
		config func(*testing.T, door, entry) map[string]string
	}{
		{confluentProgram(), librdkafkaConfig}, {newConfluentProgram(), librdkafkaConfig}, {kcatProgram(nil), librdkafkaConfig},
		{kafkaPythonProgram(), scriptConfig}, {newKafkaPythonProgram(), scriptConfig}, {aioKafkaProgram(), scriptConfig}, {kafkaJSProgram(), scriptConfig},
		{javaProgram("java", javaClients), javaConfig}, {javaProgram("java-4.4", javaStreams), javaConfig},
	} {
		t.Run(p.name, func(t *testing.T) {
			p.needs(t)
			eachQuietDoor(t, func(t *testing.T, k *kit, d door, said *logbook) {
				in, err := json.Marshal([]job{{Topic: "t", Codec: "none", Records: []record{{Key: "k", Value: "v"}}}})
				must(t, err)
				config := p.config(t, d, d.entry())
				delete(config, "patience")
				delete(config, "bootstrap.servers")
				security, err := json.Marshal(config)
				must(t, err)
				program := p.program
				if p.name == "kcat" {
					program = kcatProgram(config)
				}
				for _, args := range [][]string{{"produce", d.addr}, {"group", d.addr, "1", "t", "g"}} {
					cmd := program.command(k.ctx, args...)
					if cmd.Env == nil {
						cmd.Env = os.Environ()
					}
					cmd.Env = append(cmd.Env, "SAMSA_CLIENTTEST_SECURITY="+string(security), "KAFKAJS_LOG_LEVEL=warn")
					cmd.Stdin, cmd.Stderr = bytes.NewReader(in), said
					if _, err := cmd.Output(); err != nil {
						t.Errorf("%s: %v\n%s", args[0], err, said.String())
					}
				}
			})
		})
	}
}

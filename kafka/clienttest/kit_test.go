package clienttest

import (
	"cmp"
	"context"
	"os"
	"regexp"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

// patience bounds what a test waits for. Nothing is measured by it.
const patience = time.Minute

// kit is a broker, its wire door, and the steps that most tests are made of. What goes wrong
// in a step ends the test.
type kit struct {
	*samsa.Broker
	t    *testing.T
	ctx  context.Context // ends when the test has lost patience
	addr string          // of the door

	cancel context.CancelFunc // of ctx
}

// inMemory opens a broker in memory and its door, which are closed with the test.
func inMemory(t *testing.T, opts samsa.Options) *kit {
	t.Helper()
	opts.InMemory = true
	return open(t, "", opts)
}

// open is inMemory for a broker in dir.
func open(t *testing.T, dir string, opts samsa.Options) *kit {
	t.Helper()
	opts.Groups.InitialRebalanceDelay = cmp.Or(opts.Groups.InitialRebalanceDelay, -1) // no test waits for more members
	opts.Logger = zaptest.NewLogger(t, zaptest.Level(cmp.Or(logLevel(), zapcore.WarnLevel)), zaptest.WrapOptions(zap.AddCaller()))
	b, err := samsa.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil { // closes the door too
			t.Error(err)
		}
	})
	srv, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{Broker: b, addr: srv.Addr().String()}
	return k.of(t)
}

// of is the kit for a part of its test, with patience of its own.
func (k *kit) of(t *testing.T) *kit { return k.within(t, patience) }

// within is of with so much patience.
func (k *kit) within(t *testing.T, patience time.Duration) *kit {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return &kit{Broker: k.Broker, t: t, ctx: ctx, addr: k.addr, cancel: cancel}
}

// logLevel is what the environment asks the broker to tell, or 0.
func logLevel() zapcore.Level {
	if os.Getenv("SAMSA_LOG") == "debug" {
		return zapcore.DebugLevel
	}
	return 0
}

// compacted checks that a topic is compacted, and goes by nothing else.
func (k *kit) compacted(topic string) {
	k.t.Helper()
	info, err := k.Topics().Describe(k.ctx, topic)
	if err != nil {
		k.t.Fatal(err)
	}
	if got := info.Config.CleanupPolicy; got != samsa.CleanupCompact {
		k.t.Errorf("%s goes by %v, want compaction", topic, got)
	}
}

func (k *kit) create(topic string, partitions int) {
	k.t.Helper()
	if err := k.Topics().Create(k.ctx, topic, samsa.TopicConfig{Partitions: partitions}); err != nil {
		k.t.Fatal(err)
	}
}

// read returns the first n records of a topic, through the Go API.
func (k *kit) read(topic string, n int) []samsa.Record {
	k.t.Helper()
	records := k.wait(topic, n)
	if len(records) > n {
		k.t.Fatalf("%s has more than the %d records wanted", topic, n)
	}
	return records
}

// wait waits until a topic, which may not exist yet, has n records, and returns them and those
// that have come with them.
func (k *kit) wait(topic string, n int) (records []samsa.Record) {
	k.t.Helper()
	c, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{TopicPattern: regexp.MustCompile("^" + regexp.QuoteMeta(topic) + "$")})
	if err != nil {
		k.t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for len(records) < n {
		more, err := c.Poll(k.ctx)
		if err != nil {
			k.t.Fatalf("%d of %d records of %s: %v", len(records), n, topic, err)
		}
		records = append(records, more...)
	}
	return records
}

// write produces records to partition 0 through the Go API.
func (k *kit) write(topic string, records []record) {
	k.t.Helper()
	out := make([]samsa.Record, len(records))
	for i, r := range records {
		out[i] = samsa.Record{Topic: topic, Key: []byte(r.Key), Value: []byte(r.Value),
			Headers: []samsa.Header{{Key: headerKey, Value: []byte(r.Header)}}}
	}
	if _, err := k.Produce(k.ctx, out...); err != nil {
		k.t.Fatal(err)
	}
}

// record is a record as all clients can send and read it.
type record struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Header string `json:"header"` // the value of the header headerKey
}

const headerKey = "h"

// plain turns records of the Go API into those.
func plain(records []samsa.Record) []record {
	out := make([]record, len(records))
	for i, r := range records {
		out[i] = record{Key: string(r.Key), Value: string(r.Value)}
		for _, h := range r.Headers {
			if h.Key == headerKey {
				out[i].Header = string(h.Value)
			}
		}
	}
	return out
}

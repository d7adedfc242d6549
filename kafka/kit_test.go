package kafka

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/log"
)

// kit is a broker in memory, its wire door, and the steps that most tests are made of. What
// goes wrong in a step ends the test.
type kit struct {
	*samsa.Broker
	t    *testing.T
	ctx  context.Context
	srv  *Server
	pipe *Pipe // nil when the door is a TCP port
	logs *observer.ObservedLogs
}

// start opens a broker and its door at a port of its own.
func start(t *testing.T, brokerOpts samsa.Options, opts Options) *kit {
	t.Helper()
	k := newKit(t, brokerOpts)
	srv, err := Listen(k.Broker, "127.0.0.1:0", opts)
	if err != nil {
		t.Fatal(err)
	}
	k.srv = srv
	return k
}

// startPipe is start without a network, for bubbles in which time costs nothing.
func startPipe(t *testing.T, brokerOpts samsa.Options, opts Options) *kit {
	t.Helper()
	k := newKit(t, brokerOpts)
	k.pipe = NewPipe()
	srv, err := Serve(k.Broker, k.pipe, opts)
	if err != nil {
		t.Fatal(err)
	}
	k.srv = srv
	return k
}

func newKit(t *testing.T, opts samsa.Options) *kit {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	opts.InMemory, opts.Logger = true, zap.New(core)
	opts.Groups.InitialRebalanceDelay = cmp.Or(opts.Groups.InitialRebalanceDelay, -1)
	b, err := samsa.Open("", opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil { // closes the door too
			t.Error(err)
		}
	})
	return &kit{Broker: b, t: t, ctx: context.Background(), logs: logs}
}

// create creates a topic. Unless config says how long, it keeps its records for ever: those of
// tests are old.
func (k *kit) create(topic string, config samsa.TopicConfig) {
	k.t.Helper()
	config.Retention = cmp.Or(config.Retention, samsa.Unlimited)
	if err := k.Topics().Create(k.ctx, topic, config); err != nil {
		k.t.Fatal(err)
	}
}

// values returns what a Go consumer reads of the topic, which has n records.
func (k *kit) values(topic string, n int) []string {
	k.t.Helper()
	var values []string
	for _, r := range k.records(topic, n) {
		values = append(values, string(r.Value))
	}
	return values
}

// logged reports whether something was logged at level or above that an error is said to be.
func (k *kit) logged(target error) bool {
	for _, e := range k.logs.All() {
		for _, f := range e.Context {
			if err, ok := f.Interface.(error); ok && errors.Is(err, target) {
				return true
			}
		}
	}
	return false
}

// client is a Kafka client that says what it is told to say. It is for one goroutine.
type client struct {
	net.Conn
	t    *testing.T
	last int32 // correlation id
	sent []kmsg.Request
}

// dial connects a client, which is closed with the test.
func (k *kit) dial() *client {
	k.t.Helper()
	var nc net.Conn
	var err error
	if k.pipe != nil {
		nc, err = k.pipe.Dial("tcp", k.pipe.Addr().String())
	} else {
		nc, err = net.Dial("tcp", k.srv.Addr().String())
	}
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = nc.Close() })
	return &client{Conn: nc, t: k.t}
}

// send sends req in some version.
func (c *client) send(version int16, req kmsg.Request) {
	c.t.Helper()
	req.SetVersion(version)
	c.last++
	c.sent = append(c.sent, req)
	c.write(kmsg.NewRequestFormatter(kmsg.FormatterClientID("kit")).AppendRequest(nil, req, c.last))
}

func (c *client) write(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads the answer to the oldest request without one.
func (c *client) receive() kmsg.Response {
	c.t.Helper()
	id := c.last - int32(len(c.sent)) + 1
	req := c.sent[0]
	c.sent = c.sent[1:]
	resp := req.ResponseKind()
	resp.SetVersion(req.GetVersion())
	body := c.receiveFrame(id)
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		c.t.Fatalf("answer to %T version %d: %v", req, req.GetVersion(), err)
	}
	return resp
}

// receiveFrame reads one frame and returns what follows its correlation id.
func (c *client) receiveFrame(wantID int32) []byte {
	c.t.Helper()
	var length [4]byte
	if _, err := io.ReadFull(c, length[:]); err != nil {
		c.t.Fatal(err)
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(c, frame); err != nil {
		c.t.Fatal(err)
	}
	if id := int32(binary.BigEndian.Uint32(frame)); id != wantID {
		c.t.Fatalf("answer to request %d, want %d", id, wantID)
	}
	return frame[4:]
}

// ended waits for the server to close the connection, and fails if it sends anything before.
func (c *client) ended() {
	c.t.Helper()
	b, _ := io.ReadAll(c) // a reset is an end too
	if len(b) > 0 {
		c.t.Errorf("got %d bytes before the end", len(b))
	}
}

// ask sends a request and returns its answer.
func ask[R kmsg.Response](c *client, version int16, req kmsg.Request) R {
	c.t.Helper()
	c.send(version, req)
	return c.receive().(R)
}

// record is a record for batches of tests.
type record struct {
	ms         int64
	key, value string // an empty key is none
}

// batch makes a batch of records, as a producer without an id would.
func batch(t *testing.T, codec log.Codec, records ...record) log.Batch {
	t.Helper()
	var b log.Builder
	for _, r := range records {
		var key []byte
		if r.key != "" {
			key = []byte(r.key)
		}
		b.Append(r.ms, key, []byte(r.value), nil)
	}
	env, err := b.Seal(nil, codec)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// produceRequest asks to append batches to partition 0 of a topic.
func produceRequest(acks int16, topic string, records []byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Acks = acks
	rt, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	rt.Topic, rp.Records = topic, records
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// fetchRequest asks for partition 0 of a topic, from an offset on, and would wait for ever.
func fetchRequest(topic string, offset int64) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = int32(time.Hour/time.Millisecond), 1, 1<<20
	req.SessionEpoch = -1
	rt, rp := kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	rt.Topic, rp.FetchOffset, rp.PartitionMaxBytes = topic, offset, 1<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// fetched returns the records of an answer that has one partition.
func fetched(t *testing.T, resp *kmsg.FetchResponse) []log.Record {
	t.Helper()
	var records []log.Record
	rest := resp.Topics[0].Partitions[0].RecordBatches
	for len(rest) > 0 {
		length, _, err := log.BatchLength(rest)
		if err != nil || length > int64(len(rest)) {
			t.Fatalf("batch of %d bytes in %d: %v", length, len(rest), err)
		}
		b, err := log.ParseBatch(rest[:length])
		if err != nil {
			t.Fatal(err)
		}
		raw, err := b.AppendRecords(nil)
		if err != nil {
			t.Fatal(err)
		}
		r := log.NewRecordReader(b, raw)
		for {
			var rec log.Record
			more, err := r.Next(&rec)
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			records = append(records, rec)
		}
		rest = rest[length:]
	}
	return records
}

// in returns the broker's parts.
func (k *kit) in() inside.Broker { return inside.Of(k.Broker) }

package samsatest_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/samsatest"
)

// Kafka's error codes that the tests expect.
const (
	codeNotCoordinator = 16 // clients look for it and try again
	codeUnavailable    = 56 // KAFKA_STORAGE_ERROR: clients try again
	codeGroupFull      = 81 // GROUP_MAX_SIZE_REACHED
)

// wire is a connection of a Kafka client.
type wire struct {
	net.Conn
	t      *testing.T
	client string
	req    kmsg.Request // the last
}

func dial(t *testing.T, addr, client string) *wire {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = nc.Close() })
	return &wire{Conn: nc, t: t, client: client}
}

func (w *wire) send(version int16, req kmsg.Request) {
	w.t.Helper()
	req.SetVersion(version)
	w.req = req
	if _, err := w.Write(kmsg.NewRequestFormatter(kmsg.FormatterClientID(w.client)).AppendRequest(nil, req, 1)); err != nil {
		w.t.Fatal(err)
	}
}

// receive returns the answer, or an error when there is none.
func (w *wire) receive() (kmsg.Response, error) {
	w.t.Helper()
	var length [4]byte
	if _, err := io.ReadFull(w, length[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(length[:]))
	if _, err := io.ReadFull(w, frame); err != nil {
		return nil, err
	}
	resp := w.req.ResponseKind()
	resp.SetVersion(w.req.GetVersion())
	body := frame[4:]
	if resp.IsFlexible() && resp.Key() != kmsg.ApiVersions.Int16() {
		body = body[1:]
	}
	return resp, resp.ReadFrom(body)
}

func (w *wire) ask(version int16, req kmsg.Request) kmsg.Response {
	w.t.Helper()
	w.send(version, req)
	resp, err := w.receive()
	if err != nil {
		w.t.Fatal(err)
	}
	return resp
}

// produce appends a record to partition 0 of a topic and returns the error code.
func (w *wire) produce(topic, value string) int16 {
	w.t.Helper()
	return w.ask(7, w.produceRequest(topic, value)).(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode
}

func (w *wire) produceRequest(topic, value string) *kmsg.ProduceRequest {
	w.t.Helper()
	var b log.Builder
	b.Append(time.Now().UnixMilli(), nil, []byte(value), nil)
	env, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		w.t.Fatal(err)
	}
	req, rt, rp := kmsg.NewPtrProduceRequest(), kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
	req.Acks, rt.Topic, rp.Records = -1, topic, env
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// fetch reads partition 0 of a topic and returns the error code and how many bytes there are.
func (w *wire) fetch(topic string) (code int16, bytes int) {
	w.t.Helper()
	req, rt, rp := kmsg.NewPtrFetchRequest(), kmsg.NewFetchRequestTopic(), kmsg.NewFetchRequestTopicPartition()
	req.MaxBytes, rt.Topic, rp.PartitionMaxBytes = 1<<20, topic, 1<<20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	p := w.ask(11, req).(*kmsg.FetchResponse).Topics[0].Partitions[0]
	return p.ErrorCode, len(p.RecordBatches)
}

// Faults meet Kafka clients as the error codes that fit.
func TestFaultsOverTheWire(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	c := dial(t, samsatest.Kafka(t, b), "shop")
	want := func(what string, got, code int16) {
		t.Helper()
		if got != code {
			t.Errorf("%s: error code %d, want %d", what, got, code)
		}
	}
	samsatest.Appends(b, "orders").By("shop").Next(1).Fail()
	want("append", c.produce("orders", "lost"), codeUnavailable)
	samsatest.Appends(b, "orders").Stored().Next(1).Fail()
	want("answer to an append", c.produce("orders", "stored"), codeUnavailable)
	full := samsatest.FillDisk(b)
	want("append to a full disk", c.produce("orders", "lost"), codeUnavailable)
	full.Remove()
	want("append", c.produce("orders", "at last"), 0)
	samsatest.Equal(t, b, "orders", []string{"stored", "at last"})

	other := samsatest.Fetches(b, "orders").By("somebody else").Fail()
	samsatest.Fetches(b, "orders").By("shop").Next(1).Fail()
	if code, n := c.fetch("orders"); code != codeUnavailable || n != 0 {
		t.Errorf("fetch: error code %d, %d bytes", code, n)
	}
	if code, n := c.fetch("orders"); code != 0 || n == 0 || other.Hits() != 0 {
		t.Errorf("fetch: error code %d, %d bytes, somebody else was hit %d times", code, n, other.Hits())
	}

	samsatest.Joins(b, "billing").By("shop").Next(1).FailWith(samsa.ErrGroupFull)
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis = "billing", "consumer", 10_000, 10_000
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
	want("join", c.ask(2, join).(*kmsg.JoinGroupResponse).ErrorCode, codeGroupFull)

	samsatest.Joins(b, "billing").Next(1).Fail()
	want("join", c.ask(2, join).(*kmsg.JoinGroupResponse).ErrorCode, codeNotCoordinator)

	samsatest.Commits(b, "billing").Next(1).Fail()
	commit := kmsg.NewPtrOffsetCommitRequest()
	ct, cp := kmsg.NewOffsetCommitRequestTopic(), kmsg.NewOffsetCommitRequestTopicPartition()
	commit.Group, commit.Generation = "billing", -1
	ct.Topic, ct.Partitions, cp.Offset = "orders", []kmsg.OffsetCommitRequestTopicPartition{cp}, 1
	commit.Topics = append(commit.Topics, ct)
	want("commit", c.ask(5, commit).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode, codeNotCoordinator)
	want("commit", c.ask(5, commit).(*kmsg.OffsetCommitResponse).Topics[0].Partitions[0].ErrorCode, 0)
}

// An answer is lost, and what was asked for is done; it is a code; it comes late, and nobody else's does.
func TestFaultsOfAnswers(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	addr := samsatest.Kafka(t, b)
	c, other := dial(t, addr, "shop"), dial(t, addr, "other")
	produces := samsatest.Requests(b, kmsg.Produce.Int16()).Of("orders").Answers()
	lost := produces.By("shop").Next(1).Fail()
	if code := other.produce("orders", "other"); code != 0 || lost.Hits() != 0 {
		t.Errorf("code %d, %d hits", code, lost.Hits())
	}
	c.send(7, c.produceRequest("orders", "lost"))
	if resp, err := c.receive(); err == nil || lost.Hits() != 1 {
		t.Errorf("got %+v, %d hits", resp, lost.Hits())
	}
	c = dial(t, addr, "shop")
	const timedOut = 7
	produces.Next(1).FailWith(samsatest.Code(timedOut))
	if code := c.produce("orders", "a code"); code != timedOut {
		t.Errorf("code %d", code)
	}
	samsatest.Equal(t, b, "orders", []string{"other", "lost", "a code"})
	for _, key := range []kmsg.Key{kmsg.Metadata, kmsg.Fetch, kmsg.Produce, kmsg.ListOffsets} { // Metadata has long answers
		held := samsatest.Requests(b, key.Int16()).Answers().By("shop").Hold()
		req := kmsg.RequestForKey(key.Int16())
		fillIn(reflect.ValueOf(req).Elem())
		c.send(4, req)
		held.Wait(t)
		other.ask(4, req)
		held.Remove()
		if _, err := c.receive(); err != nil {
			t.Errorf("%s: %v", key.Name(), err)
		}
	}
	held := samsatest.Requests(b, kmsg.Metadata.Int16()).Answers().Hold() // until the end
	c.send(4, kmsg.NewPtrMetadataRequest())
	held.Wait(t)
}

// The connections of one client are dropped, are slow, or are a black hole; those of others
// are as ever.
func TestFaultsOfConnections(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 1))
	addr := samsatest.Kafka(t, b)
	good := dial(t, addr, "good")

	drop := samsatest.Requests(b).By("bad").Next(1).Fail()
	bad := dial(t, addr, "bad")
	bad.send(1, kmsg.NewPtrMetadataRequest())
	if resp, err := bad.receive(); err == nil {
		t.Errorf("got %+v from a connection that is dropped", resp)
	}
	bad = dial(t, addr, "bad")
	if code := bad.produce("orders", "on a new connection"); code != 0 || drop.Hits() != 1 {
		t.Errorf("error code %d, dropped %d times", code, drop.Hits())
	}

	hole := samsatest.Requests(b).By("bad").Hold()
	bad.send(1, kmsg.NewPtrMetadataRequest())
	hole.Wait(t)
	if code := good.produce("orders", "beside a black hole"); code != 0 {
		t.Errorf("error code %d", code)
	}
	hole.Remove()
	if _, err := bad.receive(); err != nil {
		t.Errorf("after the black hole: %v", err)
	}

	slow := samsatest.Requests(b).By("bad").Next(1).Delay(time.Millisecond)
	if code := bad.produce("orders", "late"); code != 0 || slow.Hits() != 1 {
		t.Errorf("error code %d, %d hits", code, slow.Hits())
	}
	samsatest.Equal(t, b, "orders", []string{"on a new connection", "beside a black hole", "late"})
	if s := fmt.Sprint(samsatest.Requests(b).By("bad").Fail()); !strings.Contains(s, "requests by bad") {
		t.Errorf("the fault is called %q", s)
	}
}

// A broker that closes lets go of what is in a black hole.
func TestCloseEndsABlackHole(t *testing.T) {
	b := samsatest.New(t)
	c := dial(t, samsatest.Kafka(t, b), "bad")
	hole := samsatest.Requests(b).Hold()
	c.send(1, kmsg.NewPtrMetadataRequest())
	hole.Wait(t)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, c) // until the connection ends, in whatever way
}

// Where the broker cannot be served, the test ends and says why.
func TestKafkaOfAClosedBroker(t *testing.T) {
	b := samsatest.New(t)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	ft := runFake(func(ft *fakeTest) { samsatest.Kafka(ft, b) })
	if len(ft.errs) != 1 || !strings.Contains(ft.errs[0], "Kafka") || !strings.Contains(ft.errs[0], "closed") {
		t.Errorf("got %q", ft.errs)
	}
}

// The door has the options that a test gives it; wrong ones end the test.
func TestKafkaOptions(t *testing.T) {
	b := samsatest.New(t)
	c := dial(t, samsatest.Kafka(t, b, kafka.Options{NodeID: 7, Advertise: "kafka:9093"}), "kit")
	broker := c.ask(1, kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse).Brokers[0]
	if broker.NodeID != 7 || broker.Host != "kafka" || broker.Port != 9093 {
		t.Errorf("got %+v", broker)
	}
	for want, opts := range map[string][]kafka.Options{
		"Options.NodeID is -1":  {{NodeID: -1}},
		"want at most one":      {{}, {}},
		"Options.Advertise is ": {{Advertise: "nowhere"}},
	} {
		for what, serve := range map[string]func(ft *fakeTest){
			"Kafka: ":     func(ft *fakeTest) { samsatest.Kafka(ft, b, opts...) },
			"KafkaPipe: ": func(ft *fakeTest) { samsatest.KafkaPipe(ft, b, opts...) },
		} {
			ft := runFake(serve)
			if len(ft.errs) != 1 || !strings.Contains(ft.errs[0], what) || !strings.Contains(ft.errs[0], want) {
				t.Errorf("got %q, want %s%s", ft.errs, what, want)
			}
		}
	}
}

// What one bubble leaves in the pools of the codecs serves the next, and the world outside.
func TestCodecsInBubbles(t *testing.T) {
	story := func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("orders", 1))
		for _, codec := range []samsa.Compression{samsa.CompressionGzip, samsa.CompressionSnappy, samsa.CompressionLz4, samsa.CompressionZstd} {
			p := producer(t, b, samsa.ProducerOptions{Compression: codec})
			if _, err := p.ProduceSync(ctx, samsatest.Record("orders", strings.Repeat("tea ", 100))); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(samsatest.Drain(t, b, "orders")); n != 4 {
			t.Errorf("%d records", n)
		}
	}
	synctest.Test(t, story)
	synctest.Test(t, story)
	story(t)
}

package fake

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/samsatest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin returns a fake broker with a topic, and a client of it.
func begin(t *testing.T) (*Fake, *api.Client) {
	t.Helper()
	k, err := New(t.Context(), Options{
		Prepare: func(ctx context.Context, b *samsa.Broker) error {
			return b.Topics().Create(ctx, "orders", samsa.TopicConfig{Partitions: 2})
		},
		Serve: Kafka("127.0.0.1:0", 1, kafka.ClusterOptions{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k, api.Direct(api.Handler(nil, api.Options{Write: true, Fake: k}))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("the error is %v, want %v", err, want)
	}
}

func produce(t *testing.T, c *api.Client, value string) error {
	t.Helper()
	_, err := c.Produce(t.Context(), "orders", api.ProduceRequest{Records: []api.NewRecord{{Key: api.Bytes("k"), Value: api.Bytes(value)}}})
	return err
}

func count(t *testing.T, c *api.Client) (n int64) {
	t.Helper()
	topic, err := c.Topic(t.Context(), "orders")
	must(t, err)
	return topic.Records
}

func TestFaults(t *testing.T) {
	_, c := begin(t)
	ctx := t.Context()
	f, err := c.NewFault(ctx, api.NewFault{On: "appends", Topic: "orders", Next: 2, Fail: true})
	must(t, err)
	wantError(t, produce(t, c, "1"), samsa.ErrUnavailable)
	wantError(t, c.Wait(ctx, api.Wait{Fault: f.ID, Timeout: api.Duration(time.Millisecond)}), context.DeadlineExceeded)
	wantError(t, produce(t, c, "1"), samsa.ErrUnavailable)
	must(t, c.Wait(ctx, api.Wait{Fault: f.ID}))
	must(t, produce(t, c, "1"))
	f, err = c.Fault(ctx, f.ID)
	if err != nil || f.Hits != 2 || f.Want != 2 {
		t.Fatal(f, err)
	}

	full, err := c.NewFault(ctx, api.NewFault{On: "space"})
	must(t, err)
	wantError(t, produce(t, c, "2"), samsa.ErrDiskFull)
	must(t, c.RemoveFault(ctx, full.ID))

	held, err := c.NewFault(ctx, api.NewFault{On: "appends", Hold: true})
	must(t, err)
	done := make(chan error)
	go func() { done <- produce(t, c, "2") }()
	must(t, c.Wait(ctx, api.Wait{Fault: held.ID}))
	must(t, c.RemoveFault(ctx, held.ID))
	must(t, <-done)

	named, err := c.NewFault(ctx, api.NewFault{On: "fetches", Error: "ErrUnknownTopic", Next: 1})
	must(t, err)
	at := int32(0)
	if topic, err := c.Topic(ctx, "orders"); err == nil && topic.Parts[1].HighWatermark > 0 {
		at = 1
	}
	_, err = c.Read(ctx, api.ReadRequest{Topic: "orders", Partition: at})
	wantError(t, err, samsa.ErrUnknownTopic)
	all, err := c.Faults(ctx)
	if err != nil || len(all) != 2 || all[1].ID != named.ID {
		t.Fatal(all, err)
	}
	wantError(t, c.RemoveFault(ctx, 99), samsa.ErrUnknown)
	for _, wrong := range []api.NewFault{
		{}, {On: "appends"}, {On: "nothing", Fail: true}, {On: "appends", Fail: true, Hold: true}, {On: "appends", Group: "g", Fail: true},
		{On: "joins", Topic: "orders", Fail: true}, {On: "fetches", Answers: true, Fail: true}, {On: "space", Hold: true}, {On: "space", Topic: "orders"},
		{On: "appends", Error: "ErrNobodyKnows"}, {On: "appends", Principal: "User:alice", Fail: true}, {On: "appends", Next: -1, Fail: true}, {On: "appends", Partitions: []int32{1}, Fail: true},
		{On: "commits", Keys: []int16{8}, Fail: true}, {On: "appends", Delay: -1e9},
	} {
		if f, err := c.NewFault(ctx, wrong); !errors.Is(err, samsa.ErrInvalid) {
			t.Errorf("%+v is %+v, %v", wrong, f, err)
		}
	}
	for _, right := range []api.NewFault{
		{On: "requests", Keys: []int16{kmsg.Produce.Int16()}, Topic: "orders", Partitions: []int32{1}, Code: 6},
		{On: "requests", Transaction: "*", Answers: true, Next: 1, Fail: true}, {On: "requests", Transaction: "tx", Group: "g", Client: "c", Hold: true},
		{On: "commits", Group: "g", Answers: true, Delay: api.Duration(time.Second)}, {On: "joins", Group: "g", Client: "c", Count: true},
	} {
		if _, err := c.NewFault(ctx, right); err != nil {
			t.Errorf("%+v: %v", right, err)
		}
	}
}

// What was acknowledged is there after a crash; what was synced, after a power failure; and nothing after a reset. Kafka clients find the
// broker where it was.
func TestLives(t *testing.T) {
	k, c := begin(t)
	ctx, addr := t.Context(), k.Addr()
	must(t, produce(t, c, "1"))
	for i, kill := range []string{"", "crash"} {
		_, err := c.NewFault(ctx, api.NewFault{On: "space"})
		must(t, err)
		must(t, c.Restart(ctx, api.Restart{Kill: kill}))
		if n := count(t, c); n != int64(i+1) {
			t.Errorf("after a restart %q there are %d records, want %d", kill, n, i+1)
		}
		must(t, produce(t, c, "1")) // and the fault is gone
	}
	must(t, c.Sync(ctx))
	must(t, produce(t, c, "lost"))
	must(t, c.Restart(ctx, api.Restart{Kill: "power"}))
	if n := count(t, c); n != 3 {
		t.Errorf("after a power failure there are %d records, want 3", n)
	}
	must(t, c.ResetKit(ctx))
	if n := count(t, c); n != 0 {
		t.Errorf("after a reset there are %d records", n)
	}
	if k.Addr() != addr {
		t.Errorf("it is served at %s, and was at %s", k.Addr(), addr)
	}
	wantError(t, c.Restart(ctx, api.Restart{Kill: "softly"}), samsa.ErrInvalid)
	must(t, k.Close())
	wantError(t, c.ResetKit(ctx), samsa.ErrClosed)
}

func TestForks(t *testing.T) {
	k, c := begin(t)
	ctx := t.Context()
	must(t, produce(t, c, "1"))
	made, err := c.NewFork(ctx, "case-1")
	must(t, err)
	if made.Kafka == "" || made.Kafka == k.Addr() {
		t.Errorf("the fork is served at %q", made.Kafka)
	}
	fork := c.OfFork("case-1")
	must(t, produce(t, fork, "2"))
	_, err = fork.NewFault(ctx, api.NewFault{On: "appends", Fail: true})
	must(t, err)
	wantError(t, produce(t, fork, "3"), samsa.ErrUnavailable)
	must(t, produce(t, c, "a"))
	must(t, produce(t, c, "b"))
	if a, b := count(t, c), count(t, fork); a != 3 || b != 2 {
		t.Errorf("%d and %d records, want 3 and 2", a, b)
	}
	_, err = fork.NewFork(ctx, "of-a-fork")
	must(t, err)
	_, err = c.NewFork(ctx, "case-1")
	wantError(t, err, samsa.ErrInvalid)
	_, err = c.NewFork(ctx, "../x")
	wantError(t, err, samsa.ErrInvalid)
	must(t, c.RemoveFork(ctx, "case-1"))
	wantError(t, produce(t, fork, "3"), samsa.ErrUnknown)
	wantError(t, c.RemoveFork(ctx, "case-1"), samsa.ErrUnknown)
}

func TestWaits(t *testing.T) {
	k, c := begin(t)
	ctx := t.Context()
	done := make(chan error)
	go func() { done <- c.Wait(ctx, api.Wait{Records: &api.WaitRecords{Topic: "orders", N: 3}}) }()
	for i := range 3 {
		must(t, produce(t, c, fmt.Sprint(i)))
	}
	must(t, <-done)
	_, err := c.ResetGroup(ctx, "g", api.ResetGroup{To: api.Latest(), Topics: []string{"orders"}})
	must(t, err)
	must(t, c.Wait(ctx, api.Wait{Committed: &api.WaitCommitted{Group: "g", Topic: "orders", N: 3}}))
	err = c.Wait(ctx, api.Wait{Stable: &api.WaitStable{Group: "g", Members: 1}, Timeout: api.Duration(time.Millisecond)})
	wantError(t, err, context.DeadlineExceeded)
	wantError(t, c.Wait(ctx, api.Wait{}), samsa.ErrInvalid)
	canceled, cancel := context.WithCancel(ctx)
	go cancel()
	wantError(t, c.Wait(canceled, api.Wait{Records: &api.WaitRecords{Topic: "orders", N: 9}}), context.Canceled)

	wantError(t, c.Expire(ctx, api.Expire{Group: "g", Member: "nobody"}), samsa.ErrUnknownMember)
	wantError(t, c.Expire(ctx, api.Expire{Transaction: "nobody"}), samsa.ErrUnknownTransactionalID)
	wantError(t, c.Expire(ctx, api.Expire{Group: "g"}), samsa.ErrInvalid)

	rec := samsatest.Drain(t, k.Broker(), "orders")[0]
	must(t, c.Corrupt(ctx, api.Corrupt{TopicPartition: api.TopicPartition{Topic: rec.Topic, Partition: rec.Partition}, Offset: rec.Offset}))
	page, err := c.Read(ctx, api.ReadRequest{Topic: rec.Topic, Partition: rec.Partition})
	if err != nil || len(page.Damaged) != 1 || page.Damaged[0].Name != "ErrCorruptRecord" {
		t.Errorf("%+v, %v", page, err)
	}
	wantError(t, c.Corrupt(ctx, api.Corrupt{TopicPartition: api.TopicPartition{Topic: "nobody"}}), samsa.ErrUnknownTopic)
}

// Who is told where to come back is told so of the broker, also after a restart, and of a copy where that is.
func TestAdvertised(t *testing.T) {
	k, err := New(t.Context(), Options{Serve: Kafka("127.0.0.1:0", 1, kafka.ClusterOptions{Options: kafka.Options{Advertise: "broker.example:9092"}})})
	must(t, err)
	defer func() { must(t, k.Close()) }()
	for range 2 {
		if got := told(t, k.Addr()); got != "broker.example:9092" {
			t.Errorf("clients are told %s", got)
		}
		must(t, k.Restart(t.Context(), api.Restart{}))
	}
	f, err := k.NewFork(t.Context(), "f")
	must(t, err)
	if got := told(t, f.Kafka); got != f.Kafka {
		t.Errorf("clients of a copy at %s are told %s", f.Kafka, got)
	}
}

// told returns where a broker tells Kafka clients to find it.
func told(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	must(t, err)
	defer func() { must(t, c.Close()) }()
	req := kmsg.NewPtrMetadataRequest()
	req.Version = 1
	_, err = c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1))
	must(t, err)
	var size [4]byte
	_, err = io.ReadFull(c, size[:])
	must(t, err)
	answer := make([]byte, binary.BigEndian.Uint32(size[:]))
	_, err = io.ReadFull(c, answer)
	must(t, err)
	m := kmsg.NewPtrMetadataResponse()
	m.Version = 1
	must(t, m.ReadFrom(answer[4:])) // behind the correlation id
	return net.JoinHostPort(m.Brokers[0].Host, fmt.Sprint(m.Brokers[0].Port))
}

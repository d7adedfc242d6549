package browsertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/internal/api"
	"github.com/samsa-go/samsa/internal/fake"
	"github.com/samsa-go/samsa/samsatest"
)

// world is a broker with something in everything, and a console of it.
type world struct {
	*samsa.Broker
	url string
}

// newWorld makes one. What is in it is the same each time, but for ids and times.
func newWorld(t *testing.T, opts console.Options) *world {
	t.Helper()
	b := samsatest.New(t,
		samsatest.TopicWith("web_log", samsa.TopicConfig{Partitions: 3, Retention: 24 * time.Hour}),
		samsatest.TopicWith("orders", samsa.TopicConfig{Partitions: 6, CleanupPolicy: samsa.CleanupCompact}),
		samsatest.Topic("mails", 1),
		samsatest.TopicWith("mails.dead", samsa.TopicConfig{DeadLetters: true}),
		samsatest.Topic("pictures", 1),
		samsatest.Topic("bookings", 1),
		samsatest.Topic("__internal", 1),
	)
	for i := range 60 {
		if err := b.Topics().Create(t.Context(), fmt.Sprintf("sensor.%03d", i), samsa.TopicConfig{}); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{Broker: b}
	w.fill(t)
	opts.Decoder = avro{}
	mux := http.NewServeMux()
	mux.Handle("/", console.Handler(b, opts))
	mux.Handle("/fake/", http.StripPrefix("/fake", console.Handler(nil, console.Options{Write: opts.Write, Fake: newFake(t)})))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// newFake makes a fake broker with a topic.
func newFake(t *testing.T) *fake.Fake {
	k, err := fake.New(t.Context(), fake.Options{Prepare: func(ctx context.Context, b *samsa.Broker) error {
		return b.Topics().Create(ctx, "orders", samsa.TopicConfig{})
	}})
	must(t, err)
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	_, err = k.NewFault(api.NewFault{On: "fetches", Topic: "orders", Count: true})
	must(t, err)
	return k
}

var paths = []string{"/", "/cart", "/search?q=tea", "/login", "/products/17"}

func (w *world) fill(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	began := time.Now().Add(-2 * time.Hour)
	var records []samsa.Record
	for i := range 600 {
		at := began.Add(time.Duration(i) * 11 * time.Second)
		records = append(records, samsa.Record{
			Topic: "web_log", Timestamp: at, Key: fmt.Appendf(nil, "user-%d", random.IntN(40)),
			Value: fmt.Appendf(nil, `{"path":%q,"status":%d,"ms":%.2f,"request":%d}`,
				paths[random.IntN(len(paths))], []int{200, 200, 200, 304, 404, 500}[random.IntN(6)], random.Float64()*80, 9007199254740993+int64(i)),
			Headers: []samsa.Header{{Key: "trace", Value: fmt.Appendf(nil, "%016x", random.Uint64())}, {Key: "host", Value: []byte("web-1")}},
		})
	}
	for i := range 40 {
		records = append(records, samsa.Record{
			Topic: "orders", Timestamp: began.Add(time.Duration(i) * time.Minute), Key: fmt.Appendf(nil, "order-%d", i),
			Value: fmt.Appendf(nil, `{"order":%d,"items":[{"name":"tea","n":%d},{"name":"books","n":1}],"paid":%t}`, 1000+i, i%4, i%3 > 0),
		})
		records = append(records, samsa.Record{Topic: "mails", Value: fmt.Appendf(nil, "to: user-%d@example.org", i)})
	}
	for i := range 20 {
		records = append(records, samsa.Record{
			Topic: "bookings", Key: fmt.Appendf(nil, "room-%d", i%7), Value: booking(9007199254740993+int64(i), fmt.Sprintf("Frieda %d", i)),
		})
	}
	records = append(records, samsa.Record{Topic: "bookings", Value: []byte{0, 0, 0, 0, 9, 1}})
	picture := make([]byte, 200<<10)
	for i := range picture {
		picture[i] = byte(random.Uint32())
	}
	records = append(records,
		samsa.Record{Topic: "pictures", Key: []byte{0, 1, 255}, Value: picture},
		samsa.Record{Topic: "pictures", Key: []byte("<script>alert(1)</script>"), Value: []byte("\"><img src=x onerror=alert(1)>\u202egnp.exe"),
			Headers: []samsa.Header{{Key: "</td><b>", Value: []byte("<i>")}, {Key: "null"}, {Key: "null", Value: []byte{}}}},
		samsa.Record{Topic: "pictures", Key: []byte("gone")},
	)
	if _, err := w.Produce(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	w.readers(t)
}

// readers makes groups: one that is at work, one that is behind, and a queue with dead letters.
func (w *world) readers(t *testing.T) {
	ctx := t.Context()
	shippers, err := w.NewConsumer(ctx, samsa.ConsumerOptions{Group: "shippers", ClientID: "shipper", Topics: []string{"orders", "web_log"}})
	must(t, err)
	t.Cleanup(func() { _ = shippers.Close() })
	_, err = shippers.PollRecords(ctx, 300)
	must(t, err)
	must(t, shippers.Commit(ctx))
	must(t, w.Groups().AlterOffsets(ctx, "nightly report", samsa.To(samsa.AtOffset(10)),
		samsa.TopicPartition{Topic: "web_log"}, samsa.TopicPartition{Topic: "web_log", Partition: 1}, samsa.TopicPartition{Topic: "web_log", Partition: 2}))
	q, err := w.NewQueue(ctx, samsa.QueueOptions{Group: "mailer", ClientID: "mailer", Topics: []string{"mails"}, DeadLetter: "mails.dead", Lock: time.Minute})
	must(t, err)
	t.Cleanup(func() { _ = q.Close() })
	for n := 0; n < 12; {
		ds, err := q.Receive(ctx, 12-n)
		must(t, err)
		for _, d := range ds {
			switch n++; {
			case n <= 3:
				must(t, d.Reject("no such mailbox"))
			case n <= 8:
				must(t, d.Ack())
			}
		}
	}
}

// many makes a topic in which a search takes a while.
func (w *world) many(t *testing.T) {
	must(t, w.Topics().Create(t.Context(), "many", samsa.TopicConfig{}))
	records := make([]samsa.Record, 10_000)
	for range 10 {
		for i := range records {
			records[i] = samsa.Record{Topic: "many", Value: []byte("hay")}
		}
		_, err := w.Produce(t.Context(), records...)
		must(t, err)
	}
}

// produceUntil has records come until the test has ended or stop is called.
func (w *world) produceUntil(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = w.Produce(ctx, samsa.Record{Topic: "web_log", Key: fmt.Appendf(nil, "live-%d", i%9), Value: fmt.Appendf(nil, `{"live":%d}`, i)})
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

package e2e

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/backup"
	"github.com/samsa-go/samsa/console"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/internal/inside"
	"github.com/samsa-go/samsa/kafka"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/samsatest"
)

// elsewhere is the least that a broker can stand on: one topic with one partition, in memory. It is all of it, Topics, Topic,
// Partition and Producing, but no groups.
type elsewhere struct {
	groups struct {
		engine.Coordinator // none is asked
		engine.Offsets
	}

	mu      sync.Mutex // guards what follows
	batches []log.Batch
	watcher []engine.Watcher
	closed  bool
}

const somewhere = "a cluster of one"

func (e *elsewhere) parts(inside.Host) (engine.Parts, error) {
	return engine.Parts{Where: somewhere, ClusterID: "there", Topics: e, Coordinator: e.groups, Offsets: e.groups, Producing: e, Close: e.close}, nil
}

func openElsewhere(t *testing.T, e *elsewhere, open func(inside.Host) (engine.Parts, error)) *samsa.Broker {
	t.Helper()
	b, err := inside.OpenEngine[*samsa.Broker](samsa.Options{}, open)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil || !e.closed {
			t.Errorf("%v, the engine is closed: %v", err, e.closed)
		}
	})
	return b
}

func (e *elsewhere) close() error {
	e.closed = true
	return nil
}

func (e *elsewhere) Get(name string) (engine.Topic, error) {
	if name != e.Name() {
		return nil, log.ErrUnknownTopic
	}
	return e, nil
}

func (e *elsewhere) Find(_ context.Context, name string, _ bool) (engine.Topic, error) {
	return e.Get(name)
}

func (e *elsewhere) List() []engine.Topic                      { return []engine.Topic{e} }
func (e *elsewhere) Changes() engine.Changes                   { return e }
func (e *elsewhere) Next() (engine.Topic, bool)                { return nil, false }
func (e *elsewhere) Name() string                              { return "orders" }
func (e *elsewhere) ID() [16]byte                              { return [16]byte{1} }
func (e *elsewhere) Partitions() int32                         { return 1 }
func (e *elsewhere) Partition(int32) (engine.Partition, error) { return elsewherePartition{e}, nil }
func (e *elsewhere) Watch(*engine.Waiter)                      {}
func (e *elsewhere) Unwatch(*engine.Waiter)                    {}

func (e *elsewhere) Produce(_ context.Context, _ engine.ProduceOptions, records []log.Record) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range records {
		r := &records[i]
		r.Offset, r.Timestamp = int64(len(e.batches)), time.UnixMilli(1)
		var b log.Builder
		b.Append(r.Timestamp.UnixMilli(), r.Key, r.Value, r.Headers)
		batch, err := b.Seal(nil, log.CodecNone)
		if err != nil {
			return err
		}
		batch.SetBaseOffset(r.Offset)
		e.batches = append(e.batches, batch)
	}
	for _, w := range e.watcher {
		w.Wake()
	}
	return nil
}

func (e *elsewhere) NewProducer(context.Context, engine.ProducerOptions) (engine.Producer, error) {
	return nil, engine.Absent{Where: somewhere}.Unsupported("a producer")
}

type elsewherePartition struct{ *elsewhere }

func (p elsewherePartition) TopicPartition() log.TopicPartition {
	return log.TopicPartition{Topic: p.Name()}
}
func (p elsewherePartition) LogStart() int64        { return 0 }
func (p elsewherePartition) LastStable() int64      { return p.HighWatermark() }
func (p elsewherePartition) Err() error             { return nil }
func (p elsewherePartition) Unwatch(engine.Watcher) {}

func (p elsewherePartition) HighWatermark() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return int64(len(p.batches))
}

func (p elsewherePartition) Watch(w engine.Watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watcher = append(p.watcher, w)
}

func (p elsewherePartition) Fetch(_ context.Context, _ string, _ log.Isolation, from int64, buf []byte, fn func(log.StoredBatch) bool) ([]byte, error) {
	p.mu.Lock()
	batches := p.batches[from:]
	p.mu.Unlock()
	for _, b := range batches {
		if !fn(log.StoredBatch{LastOffset: b.LastOffset(), MaxTimestamp: b.MaxTimestamp(), Batch: b}) {
			break
		}
	}
	return buf, nil
}

func (p elsewherePartition) FetchBefore(_ context.Context, _ string, _ log.Isolation, before int64, _ []byte) (log.StoredBatch, int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if before == 0 {
		return log.StoredBatch{}, 0, log.ErrOffsetOutOfRange
	}
	b := p.batches[before-1]
	return log.StoredBatch{LastOffset: b.LastOffset(), MaxTimestamp: b.MaxTimestamp(), Batch: b}, b.BaseOffset(), nil
}

func (p elsewherePartition) OffsetForTime(context.Context, log.Isolation, int64) (int64, bool, error) {
	return 0, false, nil
}

// A broker stands on whatever has its parts: it produces, consumes, reads backwards, and closes them.
func TestBrokerElsewhere(t *testing.T) {
	e := new(elsewhere)
	b, ctx := openElsewhere(t, e, e.parts), t.Context()
	if b.ClusterID() != "there" {
		t.Errorf("cluster %q", b.ClusterID())
	}
	c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"orders"}})
	if err != nil {
		t.Fatal(err)
	}
	stored, err := b.Produce(ctx, samsa.Record{Topic: "orders", Value: []byte("a")}, samsa.Record{Topic: "orders", Value: []byte("b")})
	if err != nil || stored[1].Offset != 1 {
		t.Fatalf("%v, %v", stored, err)
	}
	var got []string
	for len(got) < 2 {
		records, err := c.Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			got = append(got, string(r.Value))
		}
	}
	for r, err := range b.Backward(ctx, samsa.TopicPartition{Topic: "orders"}, samsa.Latest()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(r.Value))
	}
	if offsets, err := b.ListOffsets(ctx, "orders", samsa.Latest()); err != nil || offsets[0].Offset != 2 || strings.Join(got, "") != "abba" {
		t.Errorf("%v, %v, records %q", offsets, err, got)
	}
}

// arguments are for calls of all methods of a broker: they are as they should be.
func arguments(ctx context.Context, of reflect.Type) []reflect.Value {
	known := []any{
		"orders", 1, samsa.TopicPartition{Topic: "orders"}, samsa.Earliest(), samsa.To(samsa.Earliest()),
		samsa.QueueOptions{Group: "g", Topics: []string{"orders"}}, samsa.ConsumerOptions{Topics: []string{"orders"}},
		samsa.OpenTransaction{TopicPartition: samsa.TopicPartition{Topic: "orders"}}, map[int32]int64{0: 0}, map[string]string{"consumer.session.timeout.ms": ""},
	}
	var in []reflect.Value
	for i := range of.NumIn() {
		arg := of.In(i)
		switch {
		case arg == reflect.TypeFor[context.Context]():
			in = append(in, reflect.ValueOf(ctx))
			continue
		case arg == reflect.TypeFor[io.Writer](), arg == reflect.TypeFor[io.Reader]():
			in = append(in, reflect.ValueOf(new(bytes.Buffer)))
			continue
		case arg.Kind() == reflect.Func:
			in = append(in, reflect.MakeFunc(arg, func([]reflect.Value) []reflect.Value { return []reflect.Value{reflect.Zero(arg.Out(0))} }))
			continue
		case of.IsVariadic() && i == of.NumIn()-1:
			if arg.Elem() == reflect.TypeFor[samsa.Record]() {
				in = append(in, reflect.ValueOf(samsa.Record{Topic: "orders"}))
			}
			continue
		}
		j := slices.IndexFunc(known, func(k any) bool { return reflect.TypeOf(k) == arg })
		if j < 0 {
			in = append(in, reflect.Zero(arg))
			continue
		}
		in = append(in, reflect.ValueOf(known[j]))
	}
	return in
}

// unsupported calls all methods of a broker and of what administers it, and returns which of them are ErrUnsupported. It wants
// their errors to say where.
func unsupported(t *testing.T, b *samsa.Broker, where string) (names []string) {
	for _, of := range []struct {
		name string
		it   any
	}{{"", b}, {"Topics.", b.Topics()}, {"Groups.", b.Groups()}, {"Transactions.", b.Transactions()}} {
		v := reflect.ValueOf(of.it)
		for i := range v.NumMethod() {
			name := of.name + v.Type().Method(i).Name
			if name == "Close" || name == "Shutdown" {
				continue
			}
			for _, out := range v.Method(i).Call(arguments(t.Context(), v.Method(i).Type())) {
				err, ok := out.Interface().(error)
				if !ok || !errors.Is(err, samsa.ErrUnsupported) {
					continue
				}
				names = append(names, name)
				if !strings.Contains(err.Error(), where) {
					t.Errorf("%s does not say where: %v", name, err)
				}
			}
		}
	}
	return names
}

// What a broker stands on need not have everything: the rest is ErrUnsupported, and nothing was done. That is so for methods
// that come to be, too: who adds one says here where it works.
func TestUnsupportedElsewhere(t *testing.T) {
	e := new(elsewhere)
	e.groups.Offsets = inside.Of(open(t, "", samsa.Options{InMemory: true}).Broker).Parts.Offsets
	b := openElsewhere(t, e, func(h inside.Host) (engine.Parts, error) {
		parts, err := e.parts(h)
		parts.Producing = nil
		return parts, err
	})
	works := []string{"Backward", "ClusterID", "Groups", "ListOffsets", "NewConsumer", "NewTable", "Topics", "Transactions",
		"Groups.Committed", // of the offsets, which have to be there
	}
	all := allMethods(b)
	found := unsupported(t, b, somewhere)
	for _, name := range all {
		if slices.Contains(found, name) == slices.Contains(works, name) {
			t.Errorf("%s: unsupported %v", name, slices.Contains(found, name))
		}
	}
	if len(e.batches) > 0 {
		t.Errorf("%d batches were stored", len(e.batches))
	}
}

func allMethods(b *samsa.Broker) (names []string) {
	for prefix, of := range map[string]reflect.Type{
		"": reflect.TypeOf(b), "Topics.": reflect.TypeOf(b.Topics()), "Groups.": reflect.TypeOf(b.Groups()), "Transactions.": reflect.TypeOf(b.Transactions()),
	} {
		for i := range of.NumMethod() {
			if name := prefix + of.Method(i).Name; name != "Close" && name != "Shutdown" {
				names = append(names, name)
			}
		}
	}
	return names
}

// With all parts there, as of a cluster that has everything, what needs a store of this process is ErrUnsupported, and nothing else is.
func TestWithoutStore(t *testing.T) {
	k := open(t, "", samsa.Options{InMemory: true})
	k.create("orders", 1)
	e := new(elsewhere)
	b := openElsewhere(t, e, func(inside.Host) (engine.Parts, error) {
		parts := inside.Of(k.Broker).Parts
		parts.Where, parts.Close = somewhere, e.close
		return parts, nil
	})
	want := []string{"Import", "RetentionStats", "Snapshot", "Sweep", "Sync"}
	if got := unsupported(t, b, somewhere); !slices.Equal(got, want) {
		t.Errorf("unsupported: %q, want %q", got, want)
	}
}

// The doors beside the API say that a broker is elsewhere, or work as far as the API does.
func TestDoorsElsewhere(t *testing.T) {
	k := open(t, "", samsa.Options{InMemory: true})
	k.create("orders", 1)
	e := new(elsewhere)
	b := openElsewhere(t, e, func(inside.Host) (engine.Parts, error) {
		parts := inside.Of(k.Broker).Parts
		parts.Where, parts.Close = somewhere, e.close
		return parts, nil
	})
	_, err := kafka.Listen(b, "127.0.0.1:0", kafka.Options{})
	if !errors.Is(err, samsa.ErrUnsupported) {
		t.Errorf("kafka: %v", err)
	}
	if err := backup.Of(b, backup.SourceOptions{}).Hold(t.Context(), "id", 0); !errors.Is(err, samsa.ErrUnsupported) {
		t.Errorf("backup: %v", err)
	}
	func() {
		defer func() {
			if text, _ := recover().(string); !strings.Contains(text, somewhere) {
				t.Errorf("samsatest: %q", text)
			}
		}()
		samsatest.Drain(t, b, "orders")
	}()
	h := console.Handler(b, console.Options{})
	for _, path := range []string{"/", "/topic?name=orders", "/records?topic=orders", "/groups", "/api/v1/topics", "/api/v1/topics/orders", "/api/v1/groups", "/metrics", "/readyz"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "http://127.0.0.1"+path, nil))
		if w.Code != 200 {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

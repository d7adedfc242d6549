package e2e

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/callback"
)

// touchy is a partitioner of the program's, of which each function calls what it is told to.
type touchy struct {
	forTopic, partition func()
	told                atomic.Int32 // of complete batches
	calling             atomic.Int32
}

func (p *touchy) ForTopic(string) samsa.TopicPartitioner { p.forTopic(); return p }

func (p *touchy) Partition(*samsa.Record, int) int {
	defer p.calling.Add(-1)
	if p.calling.Add(1) > 1 {
		panic("calls overlap")
	}
	p.partition()
	return 0
}

func (p *touchy) OnNewBatch() { p.told.Add(1) }

// recovered returns what fn panics with.
func recovered(fn func()) (value any) {
	defer func() { value = recover() }()
	fn()
	return nil
}

// TestPartitionerPanics: the panic comes out of the call that has the record, and the producer
// and the broker go on.
func TestPartitionerPanics(t *testing.T) {
	const fault = "a fault in the partitioner"
	for _, where := range []string{"ForTopic", "Partition"} {
		t.Run(where, func(t *testing.T) {
			armed := true
			fail := func() {
				if armed {
					armed = false
					panic(fault)
				}
			}
			tp := &touchy{forTopic: func() {}, partition: func() {}}
			if where == "ForTopic" {
				tp.forTopic = fail
			} else {
				tp.partition = fail
			}
			k := inMemory(t, samsa.Options{Produce: samsa.ProduceOptions{Partitioner: tp}})
			var p *samsa.Producer
			r := samsa.Record{Value: make([]byte, 100)}
			for what, call := range map[string]func(){
				"Producer.Produce": func() { p.Produce(k.ctx, r, nil) },
				"Broker.Produce":   func() { _, _ = k.Produce(k.ctx, r) },
				"Tx.Produce":       func() { _ = k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Produce(r) }) },
			} {
				r.Topic = what // which each meets for the first time
				k.create(r.Topic, 1)
				armed = true
				p = k.producer(samsa.ProducerOptions{Partitioner: tp, BatchBytes: 1 << 10})
				if got := recovered(call); got != fault {
					t.Errorf("%s: recovered %v", what, got)
				}
				armed = false
				for range 50 {
					if _, err := p.ProduceSync(k.ctx, r); err != nil {
						t.Fatal(err)
					}
				}
				k.produce(r)
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
			if tp.told.Load() == 0 {
				t.Error("the partitioner was told of no batch")
			}
		})
	}
}

// TestPartitionerCallsTheProducer: it may call everything but what asks it again.
func TestPartitionerCallsTheProducer(t *testing.T) {
	var p *samsa.Producer
	var k *kit
	var heard []error
	nested := func() {
		p.Produce(k.ctx, samsa.Record{Topic: "a"}, func(_ samsa.Record, err error) { heard = append(heard, err) })
		_, err := k.Produce(k.ctx, samsa.Record{Topic: "a"})
		heard = append(heard, err, p.Flush(k.ctx))
		p.Buffered()
	}
	tp := &touchy{forTopic: func() {}, partition: func() { nested() }}
	k = inMemory(t, samsa.Options{})
	k.create("a", 1)
	p = k.producer(samsa.ProducerOptions{Partitioner: tp})
	if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "a"}); err != nil {
		t.Error(err)
	}
	if len(heard) != 3 || !errors.Is(heard[0], samsa.ErrInCallback) || heard[1] != nil || heard[2] != nil {
		t.Errorf("the partitioner heard %v, want ErrInCallback from Produce of its own producer alone", heard)
	}
	nested = func() { heard = append(heard, p.Close()) }
	if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "a"}); !errors.Is(err, samsa.ErrClosed) || heard[3] != nil {
		t.Errorf("closed by the partitioner: %v, %v", heard[3], err)
	}
}

// TestPartitionersDoNotOverlap: many goroutines use one that keeps a state.
func TestPartitionersDoNotOverlap(t *testing.T) {
	n := 0
	tp := &touchy{forTopic: func() {}, partition: func() { n++ }}
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	p := k.producer(samsa.ProducerOptions{Partitioner: tp})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				p.Produce(k.ctx, samsa.Record{Topic: "a"}, nil)
			}
		})
	}
	wg.Wait()
	if n != 8000 {
		t.Errorf("the partitioner has counted %d records", n)
	}
}

// TestPromiseWaitsForItself: what would wait for the promise that calls it is an error at once.
func TestPromiseWaitsForItself(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	p := k.producer(samsa.ProducerOptions{BufferedBytes: 1000})
	other := k.producer(samsa.ProducerOptions{})
	r := samsa.Record{Topic: "a", Value: make([]byte, 600)}
	errs := make(map[string]error)
	done := make(chan struct{})
	p.Produce(k.ctx, r, func(samsa.Record, error) {
		defer close(done)
		errs["Flush"] = p.Flush(k.ctx)
		errs["Close"] = p.Close()
		errs["Broker.Close"] = k.Close()
		errs["Broker.Shutdown"] = k.Shutdown(k.ctx)
		_, errs["ProduceSync"] = p.ProduceSync(k.ctx, r)
		p.Produce(k.ctx, r, func(_ samsa.Record, err error) { errs["Produce into a full buffer"] = err })
		if _, err := other.ProduceSync(k.ctx, r); err != nil {
			t.Errorf("another producer: %v", err)
		}
		if err := other.Close(); err != nil {
			t.Errorf("another producer: %v", err)
		}
		k.produce(r)
	})
	<-done
	if len(errs) != 6 {
		t.Errorf("heard %v", errs)
	}
	for what, err := range errs {
		if !errors.Is(err, samsa.ErrInCallback) {
			t.Errorf("%s: got error %v", what, err)
		}
	}
	if _, err := p.ProduceSync(k.ctx, r); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestPromiseOfARefusedRecord runs inside Produce, and may wait for the producer.
func TestPromiseOfARefusedRecord(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	p := k.producer(samsa.ProducerOptions{})
	heard := false
	p.Produce(k.ctx, samsa.Record{Topic: "none"}, func(samsa.Record, error) {
		heard = true
		if err := errors.Join(p.Flush(k.ctx), p.Close(), k.Close()); err != nil {
			t.Error(err)
		}
	})
	if !heard {
		t.Error("the promise was not called")
	}
}

// TestPromiseEndsItsGoroutine, as FailNow of a test does: the other promises are kept all
// the same, and in order.
func TestPromiseEndsItsGoroutine(t *testing.T) {
	running := goleak.IgnoreCurrent()
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	p := k.producer(samsa.ProducerOptions{Linger: time.Second})
	const records = 300
	var kept []int
	for i := range records {
		p.Produce(k.ctx, samsa.Record{Topic: "a"}, func(samsa.Record, error) {
			kept = append(kept, i)
			if i%3 == 0 {
				runtime.Goexit()
			}
		})
		if i%50 == 0 {
			if err := p.Flush(k.ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for i, n := range kept {
		if i != n {
			t.Fatalf("promises were called in the order %v", kept)
		}
	}
	if len(kept) != records || p.Buffered() != 0 {
		t.Errorf("%d of %d promises were called, %d bytes are left", len(kept), records, p.Buffered())
	}
	k.close()
	goleak.VerifyNone(t, running)
}

// TestHookEndsItsGoroutine: it is told of each batch once, and all promises are kept.
func TestHookEndsItsGoroutine(t *testing.T) {
	running := goleak.IgnoreCurrent()
	told, kept := 0, 0
	k := inMemory(t, samsa.Options{Hooks: []samsa.Hook{{Produce: func(_ context.Context, p samsa.ProduceEvent) {
		told += p.Batches[0].Records
		runtime.Goexit()
	}}}})
	k.create("a", 1)
	p := k.producer(samsa.ProducerOptions{})
	const records = 100
	for i := range records {
		p.Produce(k.ctx, samsa.Record{Topic: "a"}, func(_ samsa.Record, err error) {
			if err == nil {
				kept++
			}
		})
		if i%10 == 0 {
			if err := p.Flush(k.ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if told != records || kept != records {
		t.Errorf("of %d records %d were told, and %d promises kept", records, told, kept)
	}
	k.close()
	goleak.VerifyNone(t, running)
}

// TestCloseWhileAPromiseIsStuck: Close gives up waiting for it, and says what for; what it
// could close is closed, other producers have sent what they held, and when the promise returns
// the rest is done too.
func TestCloseWhileAPromiseIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("a", 1)
		p, other := k.producer(samsa.ProducerOptions{}), k.producer(samsa.ProducerOptions{Linger: time.Minute})
		release := make(chan struct{})
		var kept atomic.Int32
		keep := func(samsa.Record, error) { kept.Add(1) }
		p.Produce(k.ctx, samsa.Record{Topic: "a"}, func(samsa.Record, error) { <-release })
		synctest.Wait()
		p.Produce(k.ctx, samsa.Record{Topic: "a"}, keep)
		other.Produce(k.ctx, samsa.Record{Topic: "a"}, keep)
		began := time.Now()
		if err := p.Close(); !errors.Is(err, samsa.ErrCutOff) || !strings.Contains(err.Error(), "a producer") {
			t.Errorf("close of the producer: %v", err)
		}
		ctx, cancel := context.WithTimeout(k.ctx, time.Second)
		defer cancel()
		if err := k.Shutdown(ctx); !errors.Is(err, samsa.ErrCutOff) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "a producer") {
			t.Errorf("close of the broker: %v", err)
		}
		if took := time.Since(began); took != callback.CloseLimit+time.Second {
			t.Errorf("took %s", took)
		}
		if n := kept.Load(); n != 1 {
			t.Errorf("%d promises were kept, want that of the other producer", n)
		}
		if err := k.Close(); !errors.Is(err, samsa.ErrCutOff) {
			t.Errorf("close again: %v", err)
		}
		close(release)
		if err := p.Close(); err != nil {
			t.Errorf("close of the producer when the promise has returned: %v", err)
		}
		if n := kept.Load(); n != 2 {
			t.Errorf("%d promises were kept in the end", n)
		}
		k.Broker = inMemory(t, samsa.Options{}).Broker // which the cleanup may close without an error
	})
}

// TestProduceSyncEndsWithItsContext, whatever keeps the records.
func TestProduceSyncEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("a", 1)
		p := k.producer(samsa.ProducerOptions{})
		release := make(chan struct{})
		p.Produce(k.ctx, samsa.Record{Topic: "a"}, func(samsa.Record, error) { <-release })
		synctest.Wait()
		ctx, cancel := context.WithTimeout(k.ctx, time.Second)
		defer cancel()
		records := []samsa.Record{{Topic: "a", Value: []byte("1")}, {Topic: "a", Value: []byte("2")}}
		out, err := p.ProduceSync(ctx, records...)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, samsa.ErrOutcomeUnknown) || len(out) != 2 || string(out[1].Value) != "2" {
			t.Errorf("got %v, error %v", out, err)
		}
		close(release)
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if string(out[0].Value) != "1" || out[0].Timestamp != records[0].Timestamp {
			t.Errorf("the records were changed behind the caller's back: %v", out)
		}
	})
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// collector keeps what promises tell.
type collector struct {
	mu      sync.Mutex
	records []samsa.Record
	errs    []error
}

func (c *collector) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.records)
}

func (c *collector) promise(r samsa.Record, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.records = append(c.records, r)
	if err != nil {
		c.errs = append(c.errs, err)
	}
}

func TestProducerKeepsOrderPerPartition(t *testing.T) {
	for _, opts := range []samsa.ProducerOptions{
		{}, {BatchBytes: 200}, {Compression: samsa.CompressionNone}, {Acks: samsa.AckSynced, BatchBytes: 5000},
		{Compression: samsa.CompressionZstd, BatchBytes: 1000}, {Partitioner: samsa.RoundRobinPartitioner(), BatchBytes: 3000},
	} {
		k := inMemory(t, samsa.Options{})
		k.create("t", 3)
		p := k.producer(opts)
		var got collector
		const n = 5000
		for i := range n {
			p.Produce(k.ctx, samsa.Record{Topic: "t", Key: fmt.Append(nil, i%10), Value: fmt.Append(nil, i)}, got.promise)
		}
		if err := p.Flush(k.ctx); err != nil {
			t.Fatal(err)
		}
		if len(got.errs) > 0 || len(got.records) != n {
			t.Fatalf("%d promises, errors %v", len(got.records), got.errs)
		}
		next := map[int32]int64{}
		seen := map[int32]int{}
		for _, r := range got.records {
			if r.Offset != next[r.Partition] {
				t.Fatalf("promise of offset %d, want %d", r.Offset, next[r.Partition])
			}
			next[r.Partition]++
			var v int
			if _, err := fmt.Sscan(string(r.Value), &v); err != nil || v < seen[r.Partition] {
				t.Fatalf("value %s after %d", r.Value, seen[r.Partition])
			}
			seen[r.Partition] = v
		}
		if p.Buffered() != 0 {
			t.Errorf("%d bytes are still buffered", p.Buffered())
		}
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
		stored := k.read(c, n)
		byPlace := func(a, b samsa.Record) int {
			return int(a.Partition-b.Partition)<<20 + int(a.Offset-b.Offset)
		}
		slices.SortFunc(stored, byPlace)
		slices.SortFunc(got.records, byPlace)
		if !slices.Equal(texts(stored), texts(got.records)) {
			t.Error("what is stored differs from what was promised")
		}
	}
}

func TestProducerLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		p := k.producer(samsa.ProducerOptions{Linger: time.Second, BatchBytes: 1000})
		var got collector
		produce := func(n int) {
			for range n {
				p.Produce(k.ctx, samsa.Record{Topic: "t", Value: make([]byte, 90)}, got.promise)
			}
		}
		batches := func() int64 {
			s, err := k.Stats(k.ctx)
			if err != nil {
				t.Fatal(err)
			}
			return s.Batches
		}
		produce(3)
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if got.count() != 0 {
			t.Fatal("the batch went before its linger was over")
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got.count() != 3 || batches() != 1 {
			t.Fatalf("%d records in %d batches after the linger, want 3 in 1", got.count(), batches())
		}
		produce(15) // a full batch goes at once
		synctest.Wait()
		if n := got.count(); n < 3+9 || n == 18 {
			t.Fatalf("%d records of a full batch and a part are stored", n-3)
		}
		if err := p.Flush(k.ctx); err != nil || got.count() != 18 {
			t.Fatalf("%d records after Flush, %v", got.count(), err)
		}
	})
}

// Lingering ends when it is what keeps the buffer full.
func TestProducerDoesNotLingerWithAFullBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		p := k.producer(samsa.ProducerOptions{BufferedBytes: 1000, Linger: time.Minute})
		start := time.Now()
		for range 100 {
			p.Produce(k.ctx, samsa.Record{Topic: "t", Value: make([]byte, 90)}, nil)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("100 records into a buffer of 1000 bytes took %v", took)
		}
	})
}

// A record larger than the whole buffer still goes, alone.
func TestProducerTakesARecordLargerThanItsBuffer(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	p := k.producer(samsa.ProducerOptions{BufferedBytes: 10})
	if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "t", Value: make([]byte, 5000)}); err != nil {
		t.Fatal(err)
	}
}

func TestProducerAckNone(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	p := k.producer(samsa.ProducerOptions{Acks: samsa.AckNone, Linger: time.Minute})
	var got collector
	p.Produce(k.ctx, samsa.Record{Topic: "t", Value: []byte("a")}, got.promise)
	if len(got.records) != 1 || got.records[0].Offset != -1 || len(got.errs) != 0 {
		t.Fatalf("right after Produce: %v, %v", got.records, got.errs)
	}
	p.Produce(k.ctx, samsa.Record{Topic: "no"}, got.promise)
	if len(got.errs) != 1 || !errors.Is(got.errs[0], samsa.ErrUnknownTopic) {
		t.Fatalf("unknown topic: %v", got.errs)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	if got := texts(k.read(c, 1)); got[0] != "t/0@0=a" {
		t.Error(got)
	}
}

func TestProducerErrorsComeThroughThePromise(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	cancelled, cancel := context.WithCancel(k.ctx)
	cancel()
	p := k.producer(samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
	for _, tc := range []struct {
		ctx  context.Context
		r    samsa.Record
		want error
		says string
	}{
		{k.ctx, samsa.Record{Topic: "no"}, samsa.ErrUnknownTopic, `"no"`},
		{k.ctx, samsa.Record{Topic: "t", Partition: 3}, samsa.ErrUnknownPartition, "partition 3"},
		{k.ctx, samsa.Record{Topic: "t", Partition: -1}, samsa.ErrUnknownPartition, "partition -1"},
		{k.ctx, samsa.Record{Topic: "t", Value: make([]byte, 1<<20)}, samsa.ErrRecordTooLarge, "t/0"},
		{k.ctx, samsa.Record{Topic: "t", Timestamp: time.Unix(-1, 0)}, samsa.ErrInvalidTimestamp, "1969"},
		{cancelled, samsa.Record{Topic: "t"}, context.Canceled, "produce"},
	} {
		var got collector
		p.Produce(tc.ctx, tc.r, got.promise)
		if len(got.errs) != 1 || !errors.Is(got.errs[0], tc.want) || !strings.Contains(got.errs[0].Error(), tc.says) {
			t.Errorf("got %v, want %v that says %q", got.errs, tc.want, tc.says)
		}
		p.Produce(tc.ctx, tc.r, nil) // nobody to tell: no panic
	}
	if _, err := p.ProduceSync(k.ctx, samsa.Record{Topic: "t", Value: []byte("a")}, samsa.Record{Topic: "no"}, samsa.Record{Topic: "t"}); !errors.Is(err, samsa.ErrUnknownTopic) {
		t.Errorf("ProduceSync: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	var got collector
	p.Produce(k.ctx, samsa.Record{Topic: "t"}, got.promise)
	if len(got.errs) != 1 || !errors.Is(got.errs[0], samsa.ErrClosed) {
		t.Errorf("after Close: %v", got.errs)
	}
	if err := p.Close(); err != nil {
		t.Error("second Close:", err)
	}
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	k.read(c, 2) // those of ProduceSync, and nothing else
}

func TestProducerOptionsAreChecked(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	_, err := k.NewProducer(k.ctx, samsa.ProducerOptions{Acks: 7, Compression: -1, Linger: -1, BatchBytes: 1 << 30, BufferedBytes: -1})
	for _, field := range []string{"Acks", "Compression", "Linger", "BatchBytes", "BufferedBytes"} {
		if !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), "ProducerOptions."+field) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
}

// Close of the broker sends what producers hold.
func TestBrokerCloseFlushesProducers(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir, samsa.Options{})
	k.create("t", 1)
	p := k.producer(samsa.ProducerOptions{Linger: time.Minute})
	var got collector
	p.Produce(k.ctx, samsa.Record{Topic: "t", Value: []byte("held")}, got.promise)
	k.close()
	if len(got.records) != 1 || len(got.errs) != 0 {
		t.Fatalf("promises after Close: %v, %v", got.records, got.errs)
	}
	k = open(t, dir, samsa.Options{})
	if got := values(k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}}), 1)); got[0] != "held" {
		t.Error(got)
	}
}

// The caller's bytes may change as soon as Produce returns.
func TestProducerCopiesBytes(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	p := k.producer(samsa.ProducerOptions{})
	buf := make([]byte, 8)
	for i := range 100 {
		copy(buf, fmt.Sprintf("%08d", i))
		p.Produce(k.ctx, samsa.Record{Topic: "t", Key: buf, Value: buf, Headers: []samsa.Header{{Key: "h", Value: buf}}}, nil)
	}
	if err := p.Flush(k.ctx); err != nil {
		t.Fatal(err)
	}
	for i, r := range k.read(k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}}), 100) {
		want := fmt.Sprintf("%08d", i)
		if string(r.Key) != want || string(r.Value) != want || string(r.Headers[0].Value) != want {
			t.Fatalf("record %d: %s %s %v", i, r.Key, r.Value, r.Headers)
		}
	}
}

// Many goroutines, one producer, topics that grow and go: every promise is called once.
func TestProducerUnderConcurrency(t *testing.T) {
	k := inMemory(t, samsa.Options{AutoCreateTopics: true})
	p := k.producer(samsa.ProducerOptions{BatchBytes: 500, BufferedBytes: 20_000})
	const goroutines, each = 8, 500
	var mu sync.Mutex
	outcomes := 0
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				p.Produce(k.ctx, samsa.Record{Topic: fmt.Sprintf("t%d", i%3), Value: fmt.Appendf(nil, "%d-%d", g, i)}, func(_ samsa.Record, err error) {
					mu.Lock()
					defer mu.Unlock()
					outcomes++
					if err != nil && !errors.Is(err, samsa.ErrUnknownTopic) {
						t.Error(err)
					}
				})
			}
		})
	}
	wg.Go(func() {
		for i := range 5 {
			_ = k.Topics().AddPartitions(k.ctx, "t1", 2+i)
			_ = k.Topics().Delete(k.ctx, "t2") // comes back by itself
		}
	})
	wg.Wait()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if outcomes != goroutines*each {
		t.Errorf("%d promises were called, want %d", outcomes, goroutines*each)
	}
}

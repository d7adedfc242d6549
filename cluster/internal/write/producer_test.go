package write_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

// A promise has the time that the topic has given the record.
func TestLogAppendTime(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, b := k.Create("time", 1), open(t, k, k.Name("id"))
		k.Configure(topic, "message.timestamp.type", "LogAppendTime")
		for _, id := range []string{"", k.Name("named")} {
			p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{ID: id})
			if err != nil {
				t.Fatal(err)
			}
			r := samsa.Record{Topic: topic, Timestamp: time.UnixMilli(1000)}
			stored, err := p.ProduceSync(k.Ctx, r, r)
			if err != nil {
				t.Fatal(err)
			}
			c, err := b.NewConsumer(k.Ctx, samsa.ConsumerOptions{Topics: []string{topic}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = c.Close() })
			if err := c.Seek(k.Ctx, kit.TP(topic, 0), stored[1].Offset); err != nil {
				t.Fatal(err)
			}
			records, err := c.PollRecords(k.Ctx, 1)
			if err != nil {
				t.Fatal(err)
			}
			if got := stored[1].Timestamp; got.Equal(r.Timestamp) || !got.Equal(records[0].Timestamp) {
				t.Errorf("the promise has %v, the record %v", got, records[0].Timestamp)
			}
		}
	})
}

// Records that fit are stored, whatever limit the topic has, and gets.
func TestBatchesFit(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, b := k.Create("fit", 1), open(t, k, k.Name("id"))
		p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{Linger: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		next := 0
		for _, limit := range []string{"2000", "600", "200"} {
			k.Configure(topic, "max.message.bytes", limit) // of which nobody tells the producer
			first := next
			for range 50 {
				i := next
				next++
				p.Produce(k.Ctx, samsa.Record{Topic: topic, Value: []byte(noise(100))}, func(r samsa.Record, err error) {
					if err != nil || r.Offset != int64(i) {
						t.Errorf("limit %s, record %d of %d: %v, at offset %d", limit, i, first, err, r.Offset)
					}
				})
			}
			if err := p.Flush(k.Ctx); err != nil {
				t.Fatal(err)
			}
		}
		k.Want(k.Partition(topic, 0).HighWatermark(), next)
		small := make([]samsa.Record, 20)
		for i := range small {
			small[i] = samsa.Record{Topic: topic, Value: []byte(noise(100))}
		}
		if _, err := open(t, k, k.Name("id")).Produce(k.Ctx, small...); err != nil {
			t.Errorf("a call: %v", err)
		}
	})
}

// Hooks and Stats are told what producers, calls and Updates have stored.
func TestTold(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		type key struct{}
		var mu sync.Mutex
		told := make(map[string]int)
		topic := k.Create("told", 1)
		b := open(t, k, k.Name("id"), samsa.Hook{Produce: func(ctx context.Context, e samsa.ProduceEvent) {
			mu.Lock()
			defer mu.Unlock()
			for _, batch := range e.Batches {
				if e.Err != nil || batch.Offset < 0 || batch.Bytes == 0 || e.Began.IsZero() {
					t.Errorf("told %+v", e)
				}
				told[fmt.Sprintf("%v of %q", ctx.Value(key{}), e.ClientID)] += batch.Records
			}
		}})
		with := func(what string) context.Context { return context.WithValue(k.Ctx, key{}, what) }
		r := samsa.Record{Topic: topic, Value: []byte("v")}
		for _, id := range []string{"", k.Name("named")} {
			p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{ID: id, ClientID: "c"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.ProduceSync(with("producer"), r, r); err != nil {
				t.Fatal(err)
			}
			if err := p.Close(); err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.Produce(with("call"), r)
		k.Want(err, nil)
		_, err = b.Produce(with("call"), r, r)
		k.Want(err, nil)
		k.Want(b.Update(with("update"), func(tx *samsa.Tx) error { return tx.Produce(r, r, r) }), nil)
		mu.Lock()
		defer mu.Unlock()
		k.Want(told, map[string]int{`producer of "c"`: 4, `call of ""`: 3, `update of ""`: 3})
		all, err := b.Metrics(k.Ctx, samsa.MetricsOptions{})
		k.Want(err, nil)
		if s := all.Broker; s.Records != 10 || s.Bytes == 0 || s.Batches == 0 || s.Commits != 2 || s.Failed != 0 {
			t.Errorf("Stats are %+v", s)
		}
		if len(all.Producers) != 1 || all.Producers[0].Records != 4 || all.Producers[0].Open != 0 {
			t.Errorf("producers are %+v", all.Producers)
		}
	})
}

// A partitioner of the program's may call everything but what asks it again.
func TestPartitionerCallsTheProducer(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		topic, b := k.Create("partitioner", 1), open(t, k, k.Name("id"))
		r := samsa.Record{Topic: topic}
		var p *samsa.Producer
		var heard []error
		by := &calling{
			forTopic: func() { heard = append(heard, p.Flush(k.Ctx)) },
			partition: func() {
				p.Produce(k.Ctx, r, func(_ samsa.Record, err error) { heard = append(heard, err) })
				_, err := b.Produce(k.Ctx, r)
				heard = append(heard, err, p.Flush(k.Ctx))
				p.Buffered()
			},
		}
		p, err := b.NewProducer(k.Ctx, samsa.ProducerOptions{Partitioner: by})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() {
			_, err := p.ProduceSync(k.Ctx, r)
			done <- err
		}()
		select {
		case err = <-done:
		case <-k.Ctx.Done():
			t.Fatal("the partitioner waits for itself")
		}
		if err != nil || len(heard) != 4 || heard[0] != nil || !errors.Is(heard[1], samsa.ErrInCallback) || heard[2] != nil || heard[3] != nil {
			t.Errorf("%v; the partitioner heard %v, want ErrInCallback from Produce of its own producer alone", err, heard)
		}
	})
}

// calling is a partitioner that calls.
type calling struct{ forTopic, partition func() }

func (c *calling) ForTopic(string) samsa.TopicPartitioner {
	c.forTopic()
	return c
}

func (c *calling) Partition(*samsa.Record, int) int {
	c.partition()
	return 0
}

func (c *calling) OnNewBatch() {}

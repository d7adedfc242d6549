package shares_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/kit"
)

// BenchmarkWork is a record worked, and acknowledged, by so many goroutines of a queue, on four partitions.
func BenchmarkWork(b *testing.B) {
	for _, at := range []string{"door", "kafka"} {
		for _, n := range []int{1, 16, 128} {
			b.Run(fmt.Sprintf("%s/workers=%d", at, n), func(b *testing.B) { benchmarkWork(b, at, n) })
		}
	}
}

func benchmarkWork(b *testing.B, at string, n int) {
	var k *kit.Kit
	if at == "door" {
		k = kit.Door(b)
	} else {
		k = kit.At(b, kit.Kafka(b))
	}
	mails, broker := k.Create("mails", 4), open(b, k)
	q := queue(b, k, broker, samsa.QueueOptions{Group: k.Name("mailer"), Topics: []string{mails}})
	records := make([]samsa.Record, b.N+1)
	for i := range records {
		records[i] = samsa.Record{Topic: mails, Key: fmt.Append(nil, i), Value: make([]byte, 100)}
	}
	p, err := broker.NewProducer(k.Ctx, samsa.ProducerOptions{})
	must(b, err)
	if _, err := p.ProduceSync(k.Ctx, records[0]); err != nil {
		b.Fatal(err)
	}
	must(b, receive(b, k, q, 1)[string(records[0].Value)].Ack()) // the partitions are there
	if _, err := p.ProduceSync(k.Ctx, records[1:]...); err != nil {
		b.Fatal(err)
	}
	must(b, p.Close())
	var done atomic.Int64
	ctx, cancel := context.WithCancel(k.Ctx)
	defer cancel()
	b.ResetTimer()
	err = q.Work(ctx, n, func(context.Context, samsa.Delivery) error {
		if done.Add(1) == int64(b.N) {
			cancel()
		}
		return nil
	})
	b.StopTimer()
	if !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
}

// BenchmarkAcknowledge is an acknowledgement of the only record that there is, while somebody else waits for the next one.
func BenchmarkAcknowledge(b *testing.B) {
	k := kit.At(b, kit.Kafka(b))
	mails, broker := k.Create("mails", 1), open(b, k)
	q := queue(b, k, broker, samsa.QueueOptions{Group: k.Name("mailer"), Topics: []string{mails}})
	ctx, cancel := context.WithCancel(k.Ctx)
	defer cancel()
	got := make(chan samsa.Delivery)
	go func() {
		defer close(got)
		for {
			ds, err := q.Receive(ctx, 1)
			if err != nil {
				return
			}
			got <- ds[0]
		}
	}()
	var took time.Duration
	for range b.N {
		k.Put(mails, 0, "mail")
		d := <-got
		time.Sleep(5 * time.Millisecond) // it is worked, and the other one waits
		began := time.Now()
		must(b, d.Ack())
		took += time.Since(began)
	}
	b.ReportMetric(float64(took.Microseconds())/float64(b.N)/1000, "ms/ack")
}

package typed_test

import (
	"errors"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
	"github.com/samsa-go/samsa/typed"
)

var (
	plain = typed.CodecsOf(typed.String(), typed.Bytes())
	value = make([]byte, 100)
)

// What types cost besides encoding, by codecs that only copy: compare untyped with typed.
func BenchmarkProduce(b *testing.B) {
	b.Run("untyped", func(b *testing.B) {
		broker := samsatest.New(b, samsatest.Topic("t", 1))
		p, err := broker.NewProducer(ctx, samsa.ProducerOptions{})
		wantErr(b, err, nil)
		defer func() { wantErr(b, p.Close(), nil) }()
		var failed error
		b.ReportAllocs()
		for b.Loop() {
			p.Produce(ctx, samsa.Record{Topic: "t", Key: []byte("key"), Value: value}, func(_ samsa.Record, err error) { failed = errors.Join(failed, err) })
		}
		wantErr(b, errors.Join(p.Flush(ctx), failed), nil)
	})
	b.Run("typed", func(b *testing.B) {
		broker := samsatest.New(b, samsatest.Topic("t", 1))
		p, err := typed.NewProducer(ctx, broker, plain, samsa.ProducerOptions{})
		wantErr(b, err, nil)
		defer func() { wantErr(b, p.Close(), nil) }()
		var failed error
		b.ReportAllocs()
		for b.Loop() {
			p.Produce(ctx, typed.MessageOf("t", "key", value), func(_ typed.Message[string, []byte], err error) { failed = errors.Join(failed, err) })
		}
		wantErr(b, errors.Join(p.Flush(ctx), failed), nil)
	})
}

func BenchmarkConsume(b *testing.B) {
	const n = 100_000
	broker := samsatest.New(b, samsatest.Topic("t", 1))
	p, err := broker.NewProducer(ctx, samsa.ProducerOptions{})
	wantErr(b, err, nil)
	defer func() { wantErr(b, p.Close(), nil) }()
	for range n {
		p.Produce(ctx, samsa.Record{Topic: "t", Key: []byte("key"), Value: value}, nil)
	}
	wantErr(b, p.Flush(ctx), nil)
	opts := samsa.ConsumerOptions{Topics: []string{"t"}}
	b.Run("untyped", func(b *testing.B) {
		for b.Loop() {
			c, err := broker.NewConsumer(ctx, opts)
			wantErr(b, err, nil)
			bytes := 0
			for r, err := range c.RecordsUntil(ctx) {
				if err != nil {
					b.Fatal(err)
				}
				bytes += len(string(r.Key)) + len(r.Value)
			}
			wantErr(b, c.Close(), nil)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
	})
	b.Run("typed", func(b *testing.B) {
		for b.Loop() {
			c, err := typed.NewConsumer(ctx, broker, plain, opts)
			wantErr(b, err, nil)
			bytes := 0
			for m, err := range c.RecordsUntil(ctx) {
				if err != nil {
					b.Fatal(err)
				}
				bytes += len(m.Key) + len(m.Value)
			}
			wantErr(b, c.Close(), nil)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/record")
	})
}

package write_test

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/cluster/internal/groups"
	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/cluster/internal/link"
	"github.com/samsa-go/samsa/cluster/internal/read"
)

// BenchmarkFar is records of 100 bytes to one partition of a Kafka that is 20 ms away, each way, by a Producer and by franz-go by hand: 2 million
// as fast as they go, and one every 2 ms, of which the mean time until the promise is told.
func BenchmarkFar(b *testing.B) {
	const away, much, few = 20 * time.Millisecond, 2_000_000, 500
	near := kit.At(b, kit.Kafka(b))
	topic := near.Create("far", 1)
	far := newDistance(b, away)
	value := make([]byte, 100)
	run := func(b *testing.B, produce func(done func(error)), flush func(context.Context) error) {
		kept := func(err error) {
			if err != nil {
				b.Error(err)
			}
		}
		var much1, waited time.Duration
		for n := -1; n < b.N; n++ { // the first one is not measured
			if n == 0 {
				b.ResetTimer()
			}
			began := time.Now()
			for range much {
				produce(kept)
			}
			if err := flush(near.Ctx); err != nil {
				b.Fatal(err)
			}
			took := time.Since(began)
			var sum atomic.Int64
			tick := time.NewTicker(2 * time.Millisecond)
			for range few {
				<-tick.C
				began := time.Now()
				produce(func(err error) {
					kept(err)
					sum.Add(int64(time.Since(began)))
				})
			}
			tick.Stop()
			if err := flush(near.Ctx); err != nil {
				b.Fatal(err)
			}
			if n >= 0 {
				much1, waited = much1+took, waited+time.Duration(sum.Load()/few)
			}
		}
		b.ReportMetric(float64(much)*float64(b.N)/much1.Seconds(), "records/s")
		b.ReportMetric(float64(waited.Microseconds())/1000/float64(b.N), "ms/promise")
	}
	b.Run("by=samsa", func(b *testing.B) {
		k := *near
		var err error
		if k.Link, err = link.Open(link.Options{Seeds: k.Seeds, Dial: far.dial}); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(k.Link.Close)
		if k.Topics, err = read.Open(k.Ctx, k.Link); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(k.Topics.Close)
		k.Groups = groups.New(k.Link, k.Topics)
		b.Cleanup(k.Groups.Close)
		p, err := open(b, &k, k.Name("id")).NewProducer(k.Ctx, samsa.ProducerOptions{})
		if err != nil {
			b.Fatal(err)
		}
		run(b, func(done func(error)) {
			p.Produce(k.Ctx, samsa.Record{Topic: topic, Value: value}, func(_ samsa.Record, err error) { done(err) })
		}, p.Flush)
	})
	b.Run("by=franz-go", func(b *testing.B) {
		cl := near.Producer(kgo.Dialer(far.dial), kgo.MaxBufferedRecords(200_000))
		run(b, func(done func(error)) {
			cl.Produce(near.Ctx, &kgo.Record{Topic: topic, Value: value}, func(_ *kgo.Record, err error) { done(err) })
		}, cl.Flush)
	})
}

// distance is between a program and addresses that are near: bytes take so long, each way.
type distance struct {
	tb   testing.TB
	away time.Duration
	wg   sync.WaitGroup

	mu  sync.Mutex // guards what follows
	via map[string]net.Listener
}

func newDistance(tb testing.TB, away time.Duration) *distance {
	d := &distance{tb: tb, away: away, via: make(map[string]net.Listener)}
	tb.Cleanup(func() {
		d.mu.Lock()
		for _, l := range d.via {
			_ = l.Close()
		}
		d.mu.Unlock()
		d.wg.Wait()
	})
	return d
}

// dial connects to what is far away.
func (d *distance) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d.mu.Lock()
	l := d.via[address]
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			d.mu.Unlock()
			return nil, err
		}
		d.via[address] = l
		d.wg.Go(func() { d.serve(l, address) })
	}
	d.mu.Unlock()
	var dialer net.Dialer
	return dialer.DialContext(ctx, network, l.Addr().String())
}

func (d *distance) serve(l net.Listener, address string) {
	for {
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", address)
		if err != nil {
			_ = in.Close()
			continue
		}
		d.wg.Go(func() { d.carry(in, out) })
		d.wg.Go(func() { d.carry(out, in) })
	}
}

// carry carries bytes until one side ends, and ends the other.
func (d *distance) carry(from, to net.Conn) {
	type piece struct {
		bytes []byte
		due   time.Time
	}
	pieces := make(chan piece, 1<<12)
	d.wg.Go(func() {
		defer close(pieces)
		buf := make([]byte, 256<<10)
		for {
			n, err := from.Read(buf)
			if n > 0 {
				pieces <- piece{append([]byte(nil), buf[:n]...), time.Now().Add(d.away)}
			}
			if err != nil {
				return
			}
		}
	})
	for p := range pieces {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.bytes); err != nil {
			_ = from.Close()
		}
	}
	_ = to.Close()
	_ = from.Close()
}

package main

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/kafka"
)

const (
	kept = 1 << 20  // bytes that the site keeps
	size = 20 << 10 // of a measurement
	most = 1500     // measurements: more than a mirror has read ahead
)

// A site begins while the centre is away, feeds it when it comes, and stores more than its disk may take when it is cut off again. When the centre
// is back it gets what there is, each once and in order; what there was no room for is lost, and told.
func TestCentreIsAway(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	site, centre := broker(t), broker(t)
	at := "127.0.0.1:0"
	line := connect(t, centre, at)
	at = line.Addr().String()
	cut(t, line)

	s, err := open(ctx, site, "prague", "kafka://"+at+"/", kept)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	measure(ctx, t, s, 0, 50)
	line = connect(t, centre, at)
	if got := arrive(ctx, t, centre, 49); len(got) != 50 || got[0] != 0 {
		t.Fatalf("there are %v", got)
	}

	cut(t, line)
	measure(ctx, t, s, 50, most) // which the disk may not take
	if _, err := site.Sweep(ctx); err != nil {
		t.Fatal(err)
	}
	m, err := site.Metrics(ctx, samsa.MetricsOptions{Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	if m.Topics[0].BytesLive > kept+size*2 {
		t.Errorf("the site has %d bytes, may have %d", m.Topics[0].BytesLive, kept)
	}
	if first := start(ctx, t, site, topic); first <= 50 || first >= most {
		t.Errorf("the site has kept measurements from %d on", first)
	}

	line = connect(t, centre, at)
	defer cut(t, line)
	missed, last := int64(0), int64(-1)
	for _, n := range arrive(ctx, t, centre, most-1) {
		if n <= last {
			t.Fatalf("measurement %d is behind %d", n, last)
		}
		missed += n - last - 1
		last = n
	}
	var lost int64
	until(ctx, t, func() bool { // it counts a moment later
		stats := s.mirror.Stats()
		lost = stats.Lost
		return stats.Records+lost == most
	})
	// The centre has the same bound, and lets go what has arrived if much was copied.
	if lost == 0 || lost > missed || lost < missed && start(ctx, t, centre, "prague."+topic) == 0 {
		t.Errorf("%d are lost, and %d have not arrived", lost, missed)
	}
}

// start returns where a topic begins.
func start(ctx context.Context, t *testing.T, b *samsa.Broker, topic string) int64 {
	t.Helper()
	m, err := b.Metrics(ctx, samsa.MetricsOptions{Topics: []string{topic}})
	if err != nil {
		t.Fatal(err)
	}
	return m.Topics[0].Partitions[0].LogStart
}

func broker(t *testing.T) *samsa.Broker {
	t.Helper()
	b, err := samsa.Open("", samsa.Options{InMemory: true, Produce: samsa.ProduceOptions{Compression: samsa.CompressionNone}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

// connect has the centre be reached at an address, until cut.
func connect(t *testing.T, centre *samsa.Broker, at string) *kafka.Server {
	t.Helper()
	s, err := kafka.Listen(centre, at, kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func cut(t *testing.T, line *kafka.Server) {
	t.Helper()
	if err := line.Close(); err != nil {
		t.Error(err)
	}
}

// measure stores measurements, from a number on up to another.
func measure(ctx context.Context, t *testing.T, s *site, from, to int) {
	t.Helper()
	for n := from; n < to; n++ {
		if err := s.measured(ctx, fmt.Appendf(nil, "%d %s", n, strings.Repeat(".", size))); err != nil {
			t.Fatal(err)
		}
	}
}

// arrive returns the numbers of the measurements that the centre has, once it has one.
func arrive(ctx context.Context, t *testing.T, centre *samsa.Broker, last int64) (all []int64) {
	t.Helper()
	until(ctx, t, func() bool {
		_, err := centre.Topics().Describe(ctx, "prague."+topic)
		return err == nil
	})
	c, err := centre.NewConsumer(ctx, samsa.ConsumerOptions{Topics: []string{"prague." + topic}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for {
		records, err := c.Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			var n int64
			if _, err := fmt.Sscan(string(r.Value), &n); err != nil {
				t.Fatal(err)
			}
			if all = append(all, n); n == last {
				return all
			}
		}
	}
}

// until waits for something.
func until(ctx context.Context, t *testing.T, ok func() bool) {
	t.Helper()
	for !ok() {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		}
	}
}

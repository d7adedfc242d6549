package console_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
)

// BenchmarkProduce is what a console costs who produces as fast as can be. A round produces for 3 s while nothing looks, and for
// 3 s while a browser has four pages open, which ask as often as they do, and follows the topic; the next round begins with
// the other one. It tells the medians over the rounds of the CPU time a record takes unwatched, and of how much more it is
// watched, in percent: of all cores, and with the browser's side, which is in this process. With many=true the broker has 1,000
// topics of 5 partitions and 500 groups besides.
//
//	go test -run '^$' -bench Produce -benchtime 20x ./console
func BenchmarkProduce(b *testing.B) {
	for _, full := range []bool{false, true} {
		b.Run(fmt.Sprintf("many=%t", full), func(b *testing.B) {
			broker, err := samsa.Open(b.TempDir(), samsa.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = broker.Close() }()
			if err := broker.Topics().Create(b.Context(), "t", samsa.TopicConfig{Partitions: 4, RetentionBytes: 64 << 20}); err != nil {
				b.Fatal(err)
			}
			if full {
				many(b, broker)
			}
			h := console.Handler(broker, console.Options{})
			var alone, more []float64
			for watched := false; b.Loop(); watched = !watched {
				var cpu [2]float64 // of a record, in ns; watched is 1
				for _, w := range []bool{watched, !watched} {
					i, stop := 0, func() {}
					if w {
						i, stop = 1, watch(b, h)
					}
					cpu[i] = produce(b, broker)
					stop()
				}
				alone, more = append(alone, cpu[0]), append(more, 100*(cpu[1]/cpu[0]-1))
			}
			slices.Sort(alone)
			slices.Sort(more)
			b.ReportMetric(alone[len(alone)/2], "cpu-ns/record")
			b.ReportMetric(more[len(more)/2], "%more")
			b.ReportMetric(more[len(more)/4], "%more-q1")
			b.ReportMetric(more[len(more)*3/4], "%more-q3")
		})
	}
}

// produce produces records for 3 s, and returns the CPU time that one took, in ns.
func produce(b *testing.B, broker *samsa.Broker) float64 {
	p, err := broker.NewProducer(b.Context(), samsa.ProducerOptions{})
	if err != nil {
		b.Fatal(err)
	}
	value := []byte(strings.Repeat("x", 100))
	began, n := cpuTime(), 0
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); n += 1000 {
		for range 1000 {
			p.Produce(b.Context(), samsa.Record{Topic: "t", Value: value}, nil)
		}
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
	return float64(cpuTime()-began) / float64(n)
}

// watch asks for pages as a browser does, until it is told to stop.
func watch(b *testing.B, h http.Handler) (stop func()) {
	server := httptest.NewServer(h)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	ask := func(path, tag string) *http.Response {
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL+path, nil)
		if err != nil {
			b.Error(err)
			return nil
		}
		r.Header.Set("Samsa-Poll", "1")
		r.Header.Set("If-None-Match", tag)
		answer, err := server.Client().Do(r)
		if err != nil {
			return nil // it has ended
		}
		return answer
	}
	for _, path := range []string{"/", "/history.json", "/topic?name=t", "/history.json?topic=t", "/queues", "/groups"} {
		running.Go(func() {
			tag := ""
			for ctx.Err() == nil {
				if answer := ask(path, tag); answer != nil {
					tag = answer.Header.Get("ETag")
					_, _ = io.Copy(io.Discard, answer.Body)
					_ = answer.Body.Close()
				}
				select {
				case <-ctx.Done():
				case <-time.After(2 * time.Second):
				}
			}
		})
	}
	running.Go(func() {
		if answer := ask("/tail?topic=t", ""); answer != nil {
			for lines := bufio.NewReader(answer.Body); ; {
				if _, err := lines.ReadString('\n'); err != nil {
					break
				}
			}
			_ = answer.Body.Close()
		}
	})
	return func() {
		cancel()
		running.Wait()
		server.Close()
	}
}

// BenchmarkPage is what a page costs, of a broker with 1,000 topics of 5 partitions and 500 groups.
func BenchmarkPage(b *testing.B) {
	broker, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = broker.Close() }()
	many(b, broker)
	for range 100 {
		if _, err := broker.Produce(b.Context(), samsa.Record{Topic: "t1", Value: []byte(`{"a":1}`)}); err != nil {
			b.Fatal(err)
		}
	}
	h := console.Handler(broker, console.Options{})
	for _, path := range []string{"/", "/history.json", "/topics", "/topic?name=t1", "/records?topic=t1", "/record?topic=t1&partition=0&offset=7", "/search?topic=t1&q=7", "/groups", "/group?name=g7", "/queues", "/metrics"} {
		b.Run("page="+path[1:], func(b *testing.B) {
			for b.Loop() {
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil)); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// many creates 1,000 topics of 5 partitions, and 500 groups, each with offsets in two topics.
func many(b *testing.B, broker *samsa.Broker) {
	for i := range 1000 {
		if err := broker.Topics().Create(b.Context(), fmt.Sprintf("t%d", i), samsa.TopicConfig{Partitions: 5}); err != nil {
			b.Fatal(err)
		}
	}
	for i := range 500 {
		var tps []samsa.TopicPartition
		for p := range 10 {
			tps = append(tps, samsa.TopicPartition{Topic: fmt.Sprintf("t%d", 2*i+p/5), Partition: int32(p % 5)})
		}
		if err := broker.Groups().AlterOffsets(b.Context(), fmt.Sprintf("g%d", i), samsa.To(samsa.Earliest()), tps...); err != nil {
			b.Fatal(err)
		}
	}
}

package console_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/console"
)

// BenchmarkProduce is what a console costs who produces: nothing looks, or a browser has three pages open as often as
// they ask, and follows the topic.
func BenchmarkProduce(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run(map[bool]string{false: "console=none", true: "console=watched"}[watched], func(b *testing.B) {
			broker, err := samsa.Open(b.TempDir(), samsa.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = broker.Close() }()
			for name, n := range map[string]int{"t": 4, "u": 16, "v": 100} {
				if err := broker.Topics().Create(b.Context(), name, samsa.TopicConfig{Partitions: n}); err != nil {
					b.Fatal(err)
				}
			}
			if watched {
				defer watch(b, broker)()
			}
			p, err := broker.NewProducer(b.Context(), samsa.ProducerOptions{})
			if err != nil {
				b.Fatal(err)
			}
			value := []byte(strings.Repeat("x", 100))
			b.SetBytes(100)
			for b.Loop() {
				p.Produce(b.Context(), samsa.Record{Topic: "t", Value: value}, nil)
			}
			if err := p.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// watch asks for pages as a browser does, until it is told to stop.
func watch(b *testing.B, broker *samsa.Broker) (stop func()) {
	server := httptest.NewServer(console.Handler(broker, console.Options{}))
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	ask := func(path string) *http.Response {
		r, err := http.NewRequestWithContext(ctx, "GET", server.URL+path, nil)
		if err != nil {
			b.Error(err)
			return nil
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			return nil // it has ended
		}
		return answer
	}
	for _, path := range []string{"/", "/history.json", "/topic?name=t", "/topics"} {
		running.Go(func() {
			for ctx.Err() == nil {
				if answer := ask(path); answer != nil {
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
		if answer := ask("/tail?topic=t"); answer != nil {
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

// BenchmarkPage is what a page costs, of a broker with a thousand topics.
func BenchmarkPage(b *testing.B) {
	broker, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = broker.Close() }()
	for i := range 1000 {
		if err := broker.Topics().Create(b.Context(), fmt.Sprintf("t%d", i), samsa.TopicConfig{}); err != nil {
			b.Fatal(err)
		}
	}
	for range 100 {
		if _, err := broker.Produce(b.Context(), samsa.Record{Topic: "t1", Value: []byte(`{"a":1}`)}); err != nil {
			b.Fatal(err)
		}
	}
	h := console.Handler(broker, console.Options{})
	for _, path := range []string{"/", "/history.json", "/topics", "/topic?name=t1", "/records?topic=t1", "/record?topic=t1&partition=0&offset=7", "/search?topic=t1&q=7", "/groups"} {
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

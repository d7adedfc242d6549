package api

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// Ten thousand topics come in pages, each of them once, in their order.
func TestManyTopics(t *testing.T) {
	const topics = 10_000
	dir := t.TempDir()
	b := open(t, dir, samsa.Options{Control: serveControl})
	for i := range topics {
		must(t, b.Topics().Create(t.Context(), fmt.Sprintf("topic-%05d", i), samsa.TopicConfig{}))
	}
	c := dialed(t, dir)
	for _, limit := range []int{0, 999, maxListed} {
		names := listed(t, c, TopicsRequest{Limit: limit})
		if len(names) != topics {
			t.Fatalf("%d topics in pages of %d, want %d", len(names), limit, topics)
		}
		for i, name := range names {
			if name != fmt.Sprintf("topic-%05d", i) {
				t.Fatalf("topic %d is %s", i, name)
			}
		}
	}
	if names := listed(t, c, TopicsRequest{Prefix: "topic-012", Limit: 7}); len(names) != 100 || names[0] != "topic-01200" {
		t.Fatalf("%d topics of the prefix, %q", len(names), names[0])
	}
}

// Who follows a topic and takes nothing holds up nobody: records are produced, calls are answered, and there is a bound to how many
// there are.
func TestSlowReaders(t *testing.T) {
	everyClient(t, Options{Write: true}, func(t *testing.T, _ *samsa.Broker, c *Client) {
		ctx := t.Context()
		must(t, c.CreateTopic(ctx, NewTopic{Name: "t"}))
		var slow []*http.Response
		follow := request{http.MethodGet, recordsPath("t") + "/follow", FollowRequest{From: Earliest()}.query(), nil}
		idle := request{http.MethodGet, follow.path, FollowRequest{Filter: Filter{Header: "none"}}.query(), nil}
		for i := range maxStreams {
			asked := idle
			if i < 2 {
				asked = follow
			}
			resp, err := c.send(ctx, asked)
			must(t, err)
			slow = append(slow, resp)
		}
		_, err := c.send(ctx, follow)
		wantError(t, err, samsa.ErrUnavailable)
		for range 20 {
			_, err := c.Produce(ctx, "t", ProduceRequest{Compression: "none", Records: []NewRecord{{Value: bytes.Repeat(Bytes("x"), 500_000)}}})
			must(t, err)
		}
		topic, err := c.Topic(ctx, "t")
		if err != nil || topic.Records != 20 {
			t.Fatal(topic, err)
		}
		for _, resp := range slow {
			end(resp.Body)
		}
		for { // a server hears of it later
			resp, err := c.send(ctx, follow)
			if err == nil {
				end(resp.Body)
				return
			}
			if !errors.Is(err, samsa.ErrUnavailable) {
				t.Fatal(err)
			}
		}
	})
}

// What is small to send and large to hold is refused before it is held.
func TestCompactRequests(t *testing.T) {
	b := samsatest.New(t)
	must(t, b.Topics().Create(t.Context(), "t", samsa.TopicConfig{}))
	h := Handler(b, Options{Write: true})
	list := func(n int, of string) string { return "[" + strings.Repeat(of+",", n-1) + of + "]" }
	many := list(maxElements+1, "{}")
	for _, a := range []asked{
		{name: "records", body: `{"records":` + list(4<<20, "{}") + `}`},
		{name: "headers", body: `{"records":[{"headers":` + many + `}]}`},
		{name: "behind a list", body: `{"records":[{"headers":[{"key":"a"}]},{"headers":` + many + `}]}`},
		{name: "all together", body: `{"records":` + list(200, `{"headers":`+list(maxElements, "{}")+`}`) + `}`},
		{name: "text that looks like the end of a list", body: `{"records":[{"value":"]\"]\\"},` + many[1:] + `}`},
	} {
		t.Run(a.name, func(t *testing.T) {
			a.method, a.target, a.status, a.err = "POST", "/api/v1/topics/t/records", http.StatusRequestEntityTooLarge, "ErrTooLarge"
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			a.check(t, h)
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 16*uint64(len(a.body))+1<<20 {
				t.Errorf("it has taken %d bytes for a request of %d", n, len(a.body))
			}
		})
	}
	asked{method: "POST", target: "/api/v1/topics/t/records", body: `{"records":` + list(maxElements, `{"value":"[,,,{"}`) + `}`, status: http.StatusOK}.check(t, h)
}

// Large requests are taken a few at a time.
func TestLargeRequestsWait(t *testing.T) {
	b := samsatest.New(t)
	must(t, b.Topics().Create(t.Context(), "t", samsa.TopicConfig{}))
	h := Handler(b, Options{Write: true})
	post := func(ctx context.Context, body io.Reader) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/topics/t/records", body)
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set(RequestHeader, "1")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	var bodies []*io.PipeWriter
	var all sync.WaitGroup
	for range maxLarge {
		r, w := io.Pipe()
		bodies = append(bodies, w)
		all.Go(func() {
			if got := post(t.Context(), r); got.Code != http.StatusOK {
				t.Errorf("status %d: %s", got.Code, got.Body)
			}
		})
		if _, err := w.Write([]byte("{")); err != nil { // it is read: the request has its place
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := post(ctx, struct{ io.Reader }{strings.NewReader(`{"records":[]}`)}); got.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d: %s", got.Code, got.Body)
	}
	if got := post(t.Context(), strings.NewReader(`{"records":[{}]}`)); got.Code != http.StatusOK { // a small one need not wait
		t.Errorf("status %d: %s", got.Code, got.Body)
	}
	for _, w := range bodies {
		_, _ = w.Write([]byte(`"records":[{}]}`))
		_ = w.Close()
	}
	all.Wait()
}

// Of connections there is a number, and what comes besides is told so by its end.
func TestConnectionLimit(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	l = limit(l, 2)
	var served sync.WaitGroup
	accepted := make(chan net.Conn, 3)
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("x"))
			accepted <- c
		}
	})
	dial := func() error {
		c, err := net.Dial("tcp", l.Addr().String())
		must(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, err = io.ReadFull(c, make([]byte, 1))
		return err
	}
	must(t, dial())
	must(t, dial())
	if err := dial(); err == nil {
		t.Error("there is a third connection")
	}
	must(t, (<-accepted).Close())
	must(t, dial())
	must(t, l.Close())
	served.Wait()
}

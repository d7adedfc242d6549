package api

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/samsa-go/samsa"
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

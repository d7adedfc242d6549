package kafka

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

func TestStats(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxConnections: 1})
	k.create("orders", samsa.TopicConfig{})
	c := k.dial()
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "orders", batch(t, log.CodecNone, record{value: "tea"})))
	ask[*kmsg.ProduceResponse](c, 7, produceRequest(1, "nobody", batch(t, log.CodecNone, record{value: "tea"})))
	groups := kmsg.NewPtrDescribeGroupsRequest()
	groups.Groups = []string{"a", "b"}
	ask[*kmsg.DescribeGroupsResponse](c, 6, groups) // which says so of each
	refused := k.dial()
	refused.ended()
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "orders", batch(t, log.CodecNone, record{value: "milk"})))

	s := k.srv.Stats()
	if s.Connections != 1 || s.Accepted != 1 || s.Refused != 1 || s.Broken != 0 || s.BytesIn == 0 || s.BytesOut == 0 {
		t.Errorf("%+v", s)
	}
	if len(s.Requests) != 2 {
		t.Fatalf("requests: %+v", s.Requests)
	}
	p := s.Requests[0]
	if p.Key != 0 || p.Name != "Produce" || len(p.Versions) != 2 || p.Versions[0] != (VersionStats{7, 1}) || p.Versions[1] != (VersionStats{9, 2}) {
		t.Errorf("produce: %+v", p)
	}
	if n := p.Times.Count(); n < 2 || n > 3 { // the last one may not be over
		t.Errorf("%d times of Produce", n)
	}
	want := []ErrorStats{{codeUnknownTopicOrPartition, "UNKNOWN_TOPIC_OR_PARTITION", 1}, {codeGroupIDNotFound, "GROUP_ID_NOT_FOUND", 2}}
	if len(s.Errors) != 2 || s.Errors[0] != want[0] || s.Errors[1] != want[1] {
		t.Errorf("errors: %+v", s.Errors)
	}
	if m := s.RequestMemory; m.Max != 352<<20 || m.Used < 0 || m.Used > 1<<20 {
		t.Errorf("memory: %+v", m)
	}
	if err := k.srv.Close(); err != nil {
		t.Fatal(err)
	}
	if s := k.srv.Stats(); s.Connections != 0 || s.InFlight != 0 || s.RequestMemory.Used != 0 || s.AnswerMemory.Used != 0 || s.Requests[0].Times.Count() != 3 {
		t.Errorf("after Close: %+v", s)
	}
}

// Every answer can be looked through, and the fields that are codes are found.
func TestCodesAreFound(t *testing.T) {
	for _, e := range table {
		resp := e.key.Request().ResponseKind()
		eachCode(resp, func(code int16) {
			if code != 0 {
				t.Errorf("%s: code %d", e.key.Name(), code)
			}
		})
	}
	resp := kmsg.NewPtrOffsetCommitResponse()
	for range 2 {
		topic := kmsg.NewOffsetCommitResponseTopic()
		part := kmsg.NewOffsetCommitResponseTopicPartition()
		part.ErrorCode = codeIllegalGeneration
		topic.Partitions = append(topic.Partitions, part, part)
		resp.Topics = append(resp.Topics, topic)
	}
	n := 0
	eachCode(resp, func(code int16) {
		if code == codeIllegalGeneration {
			n++
		}
	})
	if n != 4 {
		t.Errorf("%d codes, want 4", n)
	}
}

// A hook is told of each request that was answered, by who asks.
func TestRequestsAreObserved(t *testing.T) {
	told := make(chan samsa.RequestEvent, 10)
	hook := samsa.Hook{Request: func(ctx context.Context, e samsa.RequestEvent) {
		if ctx.Err() == nil {
			told <- e
		}
	}}
	k := start(t, samsa.Options{Hooks: []samsa.Hook{hook}}, Options{})
	k.create("orders", samsa.TopicConfig{})
	c := k.dial()
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "orders", batch(t, log.CodecNone, record{value: "tea"})))
	ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, "nobody", batch(t, log.CodecNone, record{value: "tea"})))
	one, other := <-told, <-told
	if one.Key != 0 || one.Name != "Produce" || one.Version != 9 || one.Bytes == 0 || one.AnswerBytes == 0 || one.Errors != 0 || one.Began.IsZero() || one.Remote == "" {
		t.Errorf("%+v", one)
	}
	if other.Errors != 1 || other.Code != codeUnknownTopicOrPartition {
		t.Errorf("%+v", other)
	}
	c.send(9, produceRequest(0, "orders", batch(t, log.CodecNone, record{value: "tea"}))) // is not answered
	if e := <-told; e.AnswerBytes != 0 || e.Name != "Produce" {
		t.Errorf("%+v", e)
	}
}

package kafka

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/log"
)

// A session: the first answer has everything, later ones only what is new; forgotten
// partitions stay out, and wrong ids and epochs are told apart.
func TestFetchSession(t *testing.T) {
	k := start(t, samsa.Options{}, Options{})
	k.create("a", samsa.TopicConfig{})
	k.create("b", samsa.TopicConfig{})
	c := k.dial()
	produce := func(topic string) {
		ask[*kmsg.ProduceResponse](c, 9, produceRequest(1, topic, batch(t, log.CodecNone, record{1, "", "x"})))
	}
	fetch := func(id, epoch int32, change func(*kmsg.FetchRequest)) *kmsg.FetchResponse {
		t.Helper()
		req := kmsg.NewPtrFetchRequest()
		req.MaxBytes, req.SessionID, req.SessionEpoch = 1<<20, id, epoch
		if change != nil {
			change(req)
		}
		return ask[*kmsg.FetchResponse](c, 12, req)
	}
	want := func(resp *kmsg.FetchResponse, code int16, topics ...string) {
		t.Helper()
		var got []string
		for _, rt := range resp.Topics {
			got = append(got, rt.Topic)
		}
		if resp.ErrorCode != code || len(got) != len(topics) {
			t.Fatalf("error %d, topics %v, want error %d, topics %v", resp.ErrorCode, got, code, topics)
		}
		for i := range got {
			if got[i] != topics[i] {
				t.Errorf("got topics %v, want %v", got, topics)
			}
		}
	}
	produce("a")
	first := fetch(0, sessionNew, func(req *kmsg.FetchRequest) {
		req.Topics = append(fetchRequest("a", 0).Topics, fetchRequest("b", 0).Topics...)
	})
	want(first, 0, "a", "b")
	id := first.SessionID
	if id == 0 {
		t.Fatal("no session")
	}
	want(fetch(id, 1, func(req *kmsg.FetchRequest) { req.Topics = fetchRequest("a", 1).Topics }), 0) // nothing new
	produce("b")
	resp := fetch(id, 2, nil)
	want(resp, 0, "b")
	if recs := fetched(t, resp); len(recs) != 1 {
		t.Errorf("got %v", recs)
	}
	produce("a")
	want(fetch(id, 3, func(req *kmsg.FetchRequest) {
		f := kmsg.NewFetchRequestForgottenTopic()
		f.Topic, f.Partitions = "b", []int32{0}
		req.ForgottenTopics = append(req.ForgottenTopics, f)
	}), 0, "a")
	want(fetch(id, 3, nil), codeInvalidFetchSessionEpoch)
	want(fetch(id+1, 4, nil), codeFetchSessionIDNotFound)
	want(fetch(id, 4, nil), 0, "a") // it has not moved on
	want(fetch(id, sessionNone, func(req *kmsg.FetchRequest) { req.Topics = fetchRequest("b", 0).Topics }), 0, "b")
	want(fetch(id, 5, nil), codeFetchSessionIDNotFound)
}

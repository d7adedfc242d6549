package kafka

import (
	"maps"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

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

// A session remembers what a plain map would, with what the client was told of each.
func TestFetchSessionModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &fetchSession{at: make(map[sessionKey]place)}
		type partition struct {
			topic string
			index int32
		}
		type known struct {
			offset int64
			told   toldOffsets
		}
		model := make(map[partition]known)
		named := rapid.Custom(func(t *rapid.T) partition {
			return partition{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "topic"), rapid.Int32Range(-1, 4).Draw(t, "partition")}
		})
		for step := range rapid.IntRange(1, 20).Draw(t, "steps") {
			req := kmsg.NewPtrFetchRequest()
			for _, p := range rapid.SliceOfN(named, 0, 5).Draw(t, "fetched") {
				rt := fetchRequest(p.topic, int64(step)).Topics[0]
				rt.Partitions[0].Partition = p.index
				req.Topics = append(req.Topics, rt)
				if old, ok := model[p]; ok {
					model[p] = known{int64(step), old.told}
				} else {
					model[p] = known{int64(step), toldOffsets{-1, -1}}
				}
			}
			for _, p := range rapid.SliceOfN(named, 0, 3).Draw(t, "forgotten") {
				f := kmsg.NewFetchRequestForgottenTopic()
				f.Topic, f.Partitions = p.topic, []int32{p.index}
				req.ForgottenTopics = append(req.ForgottenTopics, f)
				delete(model, p)
			}
			s.merge(req)
			got := make(map[partition]known)
			for i, rt := range req.Topics {
				for j, rp := range rt.Partitions {
					got[partition{rt.Topic, rp.Partition}] = known{rp.FetchOffset, s.topics[i].told[j]}
				}
			}
			if !maps.Equal(got, model) || s.size != len(model) {
				t.Fatalf("%d of %v, want %v", s.size, got, model)
			}
			for i, rt := range req.Topics {
				for j, rp := range rt.Partitions { // as an answer would
					s.topics[i].told[j] = toldOffsets{int64(step), int64(rp.Partition)}
					model[partition{rt.Topic, rp.Partition}] = known{rp.FetchOffset, s.topics[i].told[j]}
				}
			}
		}
	})
}

// A session that would remember too much is not begun, and one that outgrows the limit ends.
func TestFetchSessionIsBounded(t *testing.T) {
	k := start(t, samsa.Options{}, Options{MaxMemoryBytes: 1 << 30})
	c := k.dial()
	many := func(from int) []kmsg.FetchRequestTopic {
		rt := fetchRequest("nobody", 0).Topics[0]
		rt.Partitions = nil
		for i := from; i < from+maxSessionPartitions*2/3; i++ {
			rp := kmsg.NewFetchRequestTopicPartition()
			rp.Partition = int32(i)
			rt.Partitions = append(rt.Partitions, rp)
		}
		return []kmsg.FetchRequestTopic{rt}
	}
	fetch := func(id, epoch int32, topics ...kmsg.FetchRequestTopic) *kmsg.FetchResponse {
		req := kmsg.NewPtrFetchRequest()
		req.SessionID, req.SessionEpoch, req.Topics = id, epoch, topics
		return ask[*kmsg.FetchResponse](c, 11, req)
	}
	if resp := fetch(0, sessionNew, append(many(0), many(maxSessionPartitions)...)...); resp.ErrorCode != 0 || resp.SessionID != 0 || len(resp.Topics[0].Partitions) <= maxSessionPartitions {
		t.Errorf("error %d, session %d, %d partitions", resp.ErrorCode, resp.SessionID, len(resp.Topics[0].Partitions))
	}
	id := fetch(0, sessionNew, many(0)...).SessionID
	if resp := fetch(id, 1, many(maxSessionPartitions)...); id == 0 || resp.ErrorCode != codeFetchSessionIDNotFound {
		t.Errorf("session %d, error %d", id, resp.ErrorCode)
	}
}

package kafka

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func fetchStory(a *txnAsker) {
	b, c := *a, *a // with ids of their own
	b.id, c.id, b.seq, c.seq = a.id+"-b", a.id+"-c", map[string]int32{}, map[string]int32{}
	for _, p := range []*txnAsker{a, &b, &c} {
		p.begin(time.Minute)
		a.name(p.now)
	}
	timestamps := []int64{-1, -2, -3, 1000} // latest, earliest, the greatest timestamp, long ago
	look := func(what string) {
		for iso := range int8(2) {
			a.note(fmt.Sprint(what, ", isolation ", iso), a.fetch(a.out, iso, 0))
			for _, timestamp := range timestamps {
				a.note(fmt.Sprint(what, ", offset of ", timestamp, ", isolation ", iso), a.list(a.out, iso, timestamp))
			}
		}
	}
	look("empty")
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"a0", func() { a.produced(a.out, "a0") }},
		{"b1", func() { b.produced(a.out, "b1") }},
		{"c2", func() { c.produced(a.out, "c2") }},
		{"c aborts", func() { c.ended(5, false) }},
		{"b aborts", func() { b.ended(5, false) }},
		{"a commits", func() { a.ended(5, true) }},
		{"b6", func() { b.produced(a.out, "b6") }},
		{"a7", func() { a.produced(a.out, "a7") }},
		{"a aborts", func() { a.ended(5, false) }},
		{"b commits", func() { b.ended(4, true) }},
	} {
		step.do()
		if step.what == "c aborts" {
			timestamps = []int64{-1, -2, 1000} // markers may be of one millisecond, or not
		}
		look(step.what)
	}
	for from := range int64(12) {
		a.note(fmt.Sprint("from ", from), a.fetch(a.out, 1, from))
	}
	a.note("producers", a.producers(a.out))
}

func adminStory(a *txnAsker) {
	open, done := *a, *a
	open.id, done.id, open.seq, done.seq = a.id+"-open", a.id+"-done", map[string]int32{}, map[string]int32{}
	for _, p := range []*txnAsker{a, &open, &done} {
		p.begin(time.Minute)
	}
	open.produced(a.out, "x")
	done.produced(a.out, "x")
	done.ended(5, true)
	for _, p := range []*txnAsker{a, &open, &done} {
		a.note(p.name(p.now), p.described())
	}
	a.note("nobody", a.state("nobody"))
	list := func(what string, version int16, edit func(*kmsg.ListTransactionsRequest)) {
		a.note(what, a.listed(version, edit))
	}
	list("all", 0, func(*kmsg.ListTransactionsRequest) {})
	list("open", 0, func(r *kmsg.ListTransactionsRequest) { r.StateFilters = []string{"Ongoing", "Gone"} })
	list("by id", 0, func(r *kmsg.ListTransactionsRequest) { r.ProducerIDFilters = []int64{open.now.ID} })
	list("long", 1, func(r *kmsg.ListTransactionsRequest) { r.DurationFilterMillis = 1 << 40 })
	list("pattern", 2, func(r *kmsg.ListTransactionsRequest) {
		r.TransactionalIDPattern = kmsg.StringPtr(a.id + "-(open|do.*)")
	})
	list("part of a pattern", 2, func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = kmsg.StringPtr(a.id) })
	list("bad pattern", 2, func(r *kmsg.ListTransactionsRequest) { r.TransactionalIDPattern = kmsg.StringPtr("(") })
	a.note("producers", a.producers(a.out))
	a.note("producers of nowhere", a.producers("nowhere"))
}

func markerStory(a *txnAsker) {
	a.begin(time.Minute)
	a.begin(time.Minute)
	a.produced(a.out, "x")
	a.note("an old epoch", a.mark(1, producer{a.now.ID, a.now.Epoch - 1}, false, a.out))
	a.note("unknown topic", a.mark(1, a.now, false, "nowhere"))
	a.note("abort 1", a.mark(1, a.now, false, a.out))
	a.note("stored", a.fetch(a.out, 1, 0))
	a.note("producers", a.producers(a.out))
	a.note("state", a.state(a.id))
	a.note("abort 2, again", a.mark(2, a.now, false, a.out))
	a.note("end", a.end(slices.Max(a.known([]int16{4, 5}, 5)), true))
	a.settled()
	a.note("stored at last", a.fetch(a.out, 1, 0))
	a.note("commit", a.mark(1, a.now, true, a.out))
}

func coordinatorStory(a *txnAsker) {
	for version := int16(1); version <= 6; version++ {
		for _, key := range []string{a.id, ""} {
			req := kmsg.NewPtrFindCoordinatorRequest()
			req.CoordinatorType, req.CoordinatorKey, req.CoordinatorKeys = 1, key, []string{key}
			resp := ask[*kmsg.FindCoordinatorResponse](a.asker, version, req)
			code := resp.ErrorCode
			for _, c := range resp.Coordinators {
				code = c.ErrorCode
			}
			a.note(fmt.Sprintf("%d of a key of %d bytes", version, min(len(key), 1)), code)
		}
	}
}

func deletedTopicStory(a *txnAsker) {
	a.begin(time.Minute)
	topic := a.out + "-deleted"
	a.create(topic)
	a.produced(topic, "x")
	a.produced(a.out, "x")
	req := kmsg.NewPtrDeleteTopicsRequest()
	req.TopicNames, req.TimeoutMillis = []string{topic}, 30_000
	a.note("delete", ask[*kmsg.DeleteTopicsResponse](a.asker, 5, req).Topics[0].ErrorCode)
	for begun := time.Now(); a.list(topic, 0, -1) != "UNKNOWN_TOPIC_OR_PARTITION -1"; time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > time.Minute {
			a.t.Fatal("it is never deleted")
		}
	}
	a.note("produce", a.produce(11, topic, "y"))
	a.ended(5, true)
	a.note("state", a.described())
	a.note("stored", a.fetch(a.out, 1, 0))
}

func deletedRecordsStory(a *txnAsker) {
	a.begin(time.Minute)
	a.produced(a.out, "x")
	a.produced(a.out, "y")
	remove := func(topic string, offset int64) *kmsg.DeleteRecordsResponseTopicPartition {
		req := kmsg.NewPtrDeleteRecordsRequest()
		rp := kmsg.NewDeleteRecordsRequestTopicPartition()
		rp.Offset = offset
		rt := kmsg.NewDeleteRecordsRequestTopic()
		rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
		req.Topics, req.TimeoutMillis = append(req.Topics, rt), 30_000
		p := ask[*kmsg.DeleteRecordsResponse](a.asker, 2, req).Topics[0].Partitions[0]
		a.note(fmt.Sprint("delete to ", offset), p.ErrorCode, fmt.Sprint("begins at ", p.LowWatermark))
		return &p
	}
	removed := func(offset int64) {
		p := remove(a.out, offset)
		a.note("then latest, isolation 1", a.list(a.out, 1, -1))
		a.note("then", a.fetch(a.out, 1, max(offset, p.LowWatermark)))
		a.note("producers", a.producers(a.out))
	}
	removed(1)
	removed(2)
	a.ended(5, false)
	a.note("end", a.fetch(a.out, 1, 2))
	a.produced(a.out, "z")
	removed(3)
	removed(4)
	a.ended(5, true)
	a.note("end", a.fetch(a.out, 1, 4))
	remove(a.out, 99)
	remove(a.out, -2)
	remove(a.out+"-nowhere", 0)
	for _, policy := range []string{"compact", "compact,delete"} {
		topic := a.out + "-" + strings.ReplaceAll(policy, ",", "-")
		a.createWith(policy, topic)
		remove(topic, 0)
		remove(topic, -1)
	}
}

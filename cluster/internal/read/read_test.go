package read

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// What is there is read, and what comes then.
func TestRecordsCome(t *testing.T) {
	k := start(t)
	k.create("orders", 2)
	k.put("orders", 0, "a", "b")
	k.put("orders", 1, "x")
	c := k.consumer(consumer.Options{Topics: []string{"orders"}, Isolation: log.ReadCommitted})
	k.want(k.read(c, 3), map[int32][]string{0: {"a", "b"}, 1: {"x"}})
	k.put("orders", 1, "y")
	k.want(k.read(c, 1), map[int32][]string{1: {"y"}})
}

// Who reads what others read too does not disturb them.
func TestManyReadOne(t *testing.T) {
	k := start(t)
	k.create("orders", 1)
	k.put("orders", 0, "a", "b")
	var all []*consumer.Consumer
	for i := range 5 {
		iso := log.ReadCommitted
		if i%2 == 0 {
			iso = log.ReadUncommitted
		}
		all = append(all, k.consumer(consumer.Options{Topics: []string{"orders"}, Isolation: iso}))
	}
	for _, c := range all {
		k.want(k.read(c, 2), map[int32][]string{0: {"a", "b"}})
	}
	if err := all[0].Close(); err != nil {
		t.Fatal(err)
	}
	k.put("orders", 0, "c")
	for _, c := range all[1:] {
		k.want(k.read(c, 1), map[int32][]string{0: {"c"}})
	}
}

// A topic that comes later, and partitions that do, are noticed by those who read all that match.
func TestTopicsComeAndGo(t *testing.T) {
	k := start(t)
	k.create("a", 1)
	w := engine.NewWaiter()
	k.topics.Watch(w)
	defer k.topics.Unwatch(w)
	course := k.topics.Changes()
	next := func() (engine.Topic, bool) {
		t.Helper()
		for {
			if topic, gone := course.Next(); topic != nil {
				return topic, gone
			}
			select {
			case <-w.C():
			case <-k.ctx.Done():
				t.Fatal("nothing happened")
			}
		}
	}
	first, err := k.topics.Find(k.ctx, "a", false)
	if err != nil {
		t.Fatal(err)
	}
	if topic, gone := next(); topic != first || gone {
		t.Fatalf("got %v, %v", topic.Name(), gone)
	}
	if err := k.Topics().AddPartitions(k.ctx, "a", 3); err != nil {
		t.Fatal(err)
	}
	k.topics.Soon("a")
	if topic, gone := next(); topic != first || gone || topic.Partitions() != 3 {
		t.Fatalf("got %v, %v, %d", topic.Name(), gone, topic.Partitions())
	}
	if err := k.Topics().Delete(k.ctx, "a"); err != nil {
		t.Fatal(err)
	}
	k.create("a", 1)
	k.topics.Soon("a")
	if topic, gone := next(); topic != first || !gone {
		t.Fatalf("got %v, %v", topic.Name(), gone)
	}
	again, gone := next()
	if again == first || gone || again.ID() == first.ID() {
		t.Fatalf("got %v, %v", again.Name(), gone)
	}
	if err := k.Topics().Delete(k.ctx, "a"); err != nil {
		t.Fatal(err)
	}
	k.topics.Soon("a")
	if topic, gone := next(); topic != again || !gone {
		t.Fatalf("got %v, %v", topic.Name(), gone)
	}
	_, err = k.topics.Find(k.ctx, "a", false)
	k.wantError(err, log.ErrUnknownTopic)
	_, err = k.topics.Get("a")
	k.wantError(err, log.ErrUnknownTopic)
}

// Who reads a topic that is deleted is told.
func TestReadOfDeletedTopic(t *testing.T) {
	k := start(t)
	k.create("orders", 1)
	c := k.consumer(consumer.Options{Topics: []string{"orders"}})
	k.put("orders", 0, "a")
	k.read(c, 1)
	if err := k.Topics().Delete(k.ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	_, err := c.Poll(k.ctx)
	k.wantError(err, log.ErrUnknownTopic)
}

// A consumer goes where it is sent.
func TestSeeks(t *testing.T) {
	k := start(t)
	k.create("orders", 1)
	c := k.consumer(consumer.Options{Topics: []string{"orders"}, Start: engine.Start{Kind: engine.Latest}})
	k.put("orders", 0, "a", "b", "c", "d")
	k.want(k.read(c, 4), map[int32][]string{0: {"a", "b", "c", "d"}})
	tp := log.TopicPartition{Topic: "orders"}
	if err := c.Seek(k.ctx, tp, 1); err != nil {
		t.Fatal(err)
	}
	k.want(k.read(c, 3), map[int32][]string{0: {"b", "c", "d"}})
	if err := c.SeekLast(k.ctx, 1); err != nil {
		t.Fatal(err)
	}
	k.want(k.read(c, 1), map[int32][]string{0: {"d"}})
	k.put("orders", 0, "e")
	if err := c.SeekTo(k.ctx, engine.Start{Kind: engine.Latest}); err != nil {
		t.Fatal(err)
	}
	k.put("orders", 0, "f")
	k.want(k.read(c, 1), map[int32][]string{0: {"f"}})
	if err := c.SeekTo(k.ctx, engine.Start{Kind: engine.AtTime, Time: time.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	k.want(k.read(c, 6), map[int32][]string{0: {"a", "b", "c", "d", "e", "f"}})
	if err := c.SeekTo(k.ctx, engine.Start{Kind: engine.AtTime, Time: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	k.put("orders", 0, "g")
	k.want(k.read(c, 1), map[int32][]string{0: {"g"}})
}

// What is out of range is said, after which the bounds are right.
func TestOutOfRange(t *testing.T) {
	k := start(t)
	k.create("orders", 1)
	k.put("orders", 0, "a", "b", "c")
	tp := log.TopicPartition{Topic: "orders"}
	c := k.consumer(consumer.Options{Topics: []string{"orders"}, OutOfRange: consumer.ResetError, Start: engine.Start{Kind: engine.AtOffset, Offset: 7}})
	_, err := c.Poll(k.ctx)
	k.wantError(err, log.ErrOffsetOutOfRange)
	if err := k.Topics().DeleteRecords(k.ctx, "orders", map[int32]int64{0: 2}); err != nil {
		t.Fatal(err)
	}
	if err := c.Seek(k.ctx, tp, 0); err != nil {
		t.Fatal(err)
	}
	_, err = c.Poll(k.ctx)
	k.wantError(err, log.ErrOffsetOutOfRange)
	r := k.consumer(consumer.Options{Topics: []string{"orders"}, OutOfRange: consumer.ResetEarliest, Start: engine.Start{Kind: engine.AtOffset, Offset: 1}})
	k.want(k.read(r, 1), map[int32][]string{0: {"c"}})
}

// A partition is read from its end to its start.
func TestBackward(t *testing.T) {
	k := start(t)
	k.create("orders", 1)
	k.put("orders", 0, "a", "b", "c", "d")
	if _, err := k.Produce(k.ctx, samsa.Record{Topic: "orders", Value: []byte("e")}, samsa.Record{Topic: "orders", Value: []byte("f")}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r, err := range k.reads.Backward(k.ctx, log.TopicPartition{Topic: "orders"}, engine.Start{Kind: engine.Latest}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(r.Value))
	}
	k.want(got, []string{"f", "e", "d", "c", "b", "a"})
	got = nil
	for r, err := range k.reads.Backward(k.ctx, log.TopicPartition{Topic: "orders"}, engine.Start{Kind: engine.AtOffset, Offset: 5}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(r.Value))
	}
	k.want(got, []string{"e", "d", "c", "b", "a"})
}

// Who does not watch gets what is there at once.
func TestFetchOfWhoDoesNotWatch(t *testing.T) {
	k := start(t)
	k.create("orders", 1)
	k.put("orders", 0, "a", "b")
	p := k.partition("orders", 0)
	got, err := fetched(p, 0)
	if err != nil {
		t.Fatal(err)
	}
	k.want(got, []string{"0", "1"})
	got, err = fetched(p, 2)
	if err != nil {
		t.Fatal(err)
	}
	k.want(got, []string{})
	_, err = fetched(p, 3)
	k.wantError(err, log.ErrOffsetOutOfRange)
}

// What has no context answers at once, and what has one ends with it, when nobody answers.
func TestNobodyAnswers(t *testing.T) {
	k := start(t)
	k.create("orders", 1)
	k.put("orders", 0, "a")
	c := k.consumer(consumer.Options{Topics: []string{"orders"}})
	k.read(c, 1)
	p := k.partition("orders", 0)
	if err := k.srv.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(k.ctx, 300*time.Millisecond)
	defer cancel()
	_, err := c.Poll(ctx)
	k.wantError(err, context.DeadlineExceeded)
	_, err = k.topics.Find(ctx, "orders", false)
	k.wantError(err, context.DeadlineExceeded)
	_, _, err = p.OffsetForTime(ctx, log.ReadCommitted, 0)
	k.wantError(err, context.DeadlineExceeded)
	_, _, err = p.FetchBefore(ctx, "", log.ReadCommitted, 1, nil)
	k.wantError(err, context.DeadlineExceeded)
	k.want(p.HighWatermark(), 1)
	if _, err := k.topics.Get("orders"); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, 1)
	for _, topic := range k.topics.List() {
		names = append(names, topic.Name())
	}
	if !slices.Contains(names, "orders") {
		t.Fatalf("topics are %v", names)
	}
}

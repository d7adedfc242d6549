package read_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/samsa-go/samsa/cluster/internal/kit"
	"github.com/samsa-go/samsa/internal/consumer"
	"github.com/samsa-go/samsa/internal/engine"
	"github.com/samsa-go/samsa/log"
)

// What is there is read, and what comes then.
func TestRecordsCome(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders := k.Create("orders", 2)
		k.Put(orders, 0, "a", "b")
		k.Put(orders, 1, "x")
		c := k.Consumer(consumer.Options{Topics: []string{orders}, Isolation: log.ReadCommitted})
		k.Want(k.Read(c, 3), map[int32][]string{0: {"a", "b"}, 1: {"x"}})
		k.Put(orders, 1, "y")
		k.Want(k.Read(c, 1), map[int32][]string{1: {"y"}})
	})
}

// Who reads what others read too does not disturb them.
func TestManyReadOne(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders := k.Create("orders", 1)
		k.Put(orders, 0, "a", "b")
		var all []*consumer.Consumer
		for i := range 5 {
			iso := log.ReadCommitted
			if i%2 == 0 {
				iso = log.ReadUncommitted
			}
			all = append(all, k.Consumer(consumer.Options{Topics: []string{orders}, Isolation: iso}))
		}
		for _, c := range all {
			k.Want(k.Read(c, 2), map[int32][]string{0: {"a", "b"}})
		}
		if err := all[0].Close(); err != nil {
			t.Fatal(err)
		}
		k.Put(orders, 0, "c")
		for _, c := range all[1:] {
			k.Want(k.Read(c, 1), map[int32][]string{0: {"c"}})
		}
	})
}

// What happens to topics is told, in order: one that is created again is another one.
func TestTopicsComeAndGo(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		name := k.Name("orders")
		w := engine.NewWaiter()
		k.Topics.Watch(w)
		defer k.Topics.Unwatch(w)
		course := k.Topics.Changes()
		next := func(wantGone bool, partitions int32) engine.Topic {
			t.Helper()
			for {
				topic, gone := course.Next()
				switch {
				case topic == nil:
					k.Topics.Soon(name)
					select {
					case <-w.C():
					case <-k.Ctx.Done():
						t.Fatal("nothing happened")
					}
				case topic.Name() == name:
					if gone != wantGone || topic.Partitions() != partitions {
						t.Fatalf("topic of %d partitions, gone %v", topic.Partitions(), gone)
					}
					return topic
				}
			}
		}
		k.CreateAs(name, 1)
		first := next(false, 1)
		if found, err := k.Topics.Find(k.Ctx, name, false); err != nil || found != first {
			t.Fatal(found, err)
		}
		k.Grow(name, 3)
		if next(false, 3) != first {
			t.Fatal("it is another one")
		}
		k.Drop(name)
		if next(true, 3) != first {
			t.Fatal("it is another one")
		}
		k.CreateAs(name, 1)
		again := next(false, 1)
		if again == first || again.ID() == first.ID() {
			t.Fatal("it is the same one")
		}
		k.Drop(name)
		if next(true, 1) != again {
			t.Fatal("it is another one")
		}
		_, err := k.Topics.Find(k.Ctx, name, false)
		k.WantError(err, log.ErrUnknownTopic)
		_, err = k.Topics.Get(name)
		k.WantError(err, log.ErrUnknownTopic)
	})
}

// Who reads a topic that is deleted is told.
func TestReadOfDeletedTopic(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders := k.Create("orders", 1)
		c := k.Consumer(consumer.Options{Topics: []string{orders}})
		k.Put(orders, 0, "a")
		k.Read(c, 1)
		k.Drop(orders)
		_, err := c.Poll(k.Ctx)
		k.WantError(err, log.ErrUnknownTopic)
	})
}

// Records that were read ahead are gone with the others before the start of the log.
func TestReadAheadOfDroppedRecords(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders := k.Create("orders", 1)
		k.Put(orders, 0, "a", "b", "c")
		p, w := k.Partition(orders, 0), engine.NewWaiter()
		p.Watch(w)
		defer p.Unwatch(w)
		var got log.StoredBatch
		k.Until(w, "a batch", func() bool {
			_, err := p.Fetch(k.Ctx, "", log.ReadCommitted, 0, nil, func(sb log.StoredBatch) bool { got = sb; return false })
			if err != nil {
				k.WantError(err, engine.ErrNotYet)
			}
			return got.Batch != nil
		})
		k.Want(got.LastOffset, 0)
		k.DropRecords(orders, 0, 2)
		k.Want(k.Partition(orders, 0).LogStart(), 2)
		_, err := p.Fetch(k.Ctx, "", log.ReadCommitted, 1, nil, func(sb log.StoredBatch) bool {
			t.Errorf("got the records up to %d", sb.LastOffset)
			return false
		})
		k.WantError(err, log.ErrOffsetOutOfRange)
	})
}

// A consumer goes where it is sent.
func TestSeeks(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders := k.Create("orders", 1)
		c := k.Consumer(consumer.Options{Topics: []string{orders}, Start: engine.Start{Kind: engine.Latest}})
		k.Put(orders, 0, "a", "b", "c", "d")
		k.Want(k.Read(c, 4), map[int32][]string{0: {"a", "b", "c", "d"}})
		tp := log.TopicPartition{Topic: orders}
		if err := c.Seek(k.Ctx, tp, 1); err != nil {
			t.Fatal(err)
		}
		k.Want(k.Read(c, 3), map[int32][]string{0: {"b", "c", "d"}})
		if err := c.SeekLast(k.Ctx, 1); err != nil {
			t.Fatal(err)
		}
		k.Want(k.Read(c, 1), map[int32][]string{0: {"d"}})
		k.Put(orders, 0, "e")
		if err := c.SeekTo(k.Ctx, engine.Start{Kind: engine.Latest}); err != nil {
			t.Fatal(err)
		}
		k.Put(orders, 0, "f")
		k.Want(k.Read(c, 1), map[int32][]string{0: {"f"}})
		if err := c.SeekTo(k.Ctx, engine.Start{Kind: engine.AtTime, Time: time.Now().Add(-time.Hour)}); err != nil {
			t.Fatal(err)
		}
		k.Want(k.Read(c, 6), map[int32][]string{0: {"a", "b", "c", "d", "e", "f"}})
		if err := c.SeekTo(k.Ctx, engine.Start{Kind: engine.AtTime, Time: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		k.Put(orders, 0, "g")
		k.Want(k.Read(c, 1), map[int32][]string{0: {"g"}})
	})
}

// What is out of range is said, after which the bounds are right.
func TestOutOfRange(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders := k.Create("orders", 1)
		k.Put(orders, 0, "a", "b", "c")
		tp := log.TopicPartition{Topic: orders}
		c := k.Consumer(consumer.Options{Topics: []string{orders}, OutOfRange: consumer.ResetError, Start: engine.Start{Kind: engine.AtOffset, Offset: 7}})
		_, err := c.Poll(k.Ctx)
		k.WantError(err, log.ErrOffsetOutOfRange)
		k.DropRecords(orders, 0, 2)
		if err := c.Seek(k.Ctx, tp, 0); err != nil {
			t.Fatal(err)
		}
		_, err = c.Poll(k.Ctx)
		k.WantError(err, log.ErrOffsetOutOfRange)
		r := k.Consumer(consumer.Options{Topics: []string{orders}, OutOfRange: consumer.ResetEarliest, Start: engine.Start{Kind: engine.AtOffset, Offset: 1}})
		k.Want(k.Read(r, 1), map[int32][]string{0: {"c"}})
	})
}

// A partition is read from its end to its start.
func TestBackward(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders := k.Create("orders", 1)
		k.Put(orders, 0, "a", "b", "c", "d")
		k.PutTogether(orders, 0, "e", "f")
		var got []string
		for r, err := range k.Reads.Backward(k.Ctx, log.TopicPartition{Topic: orders}, engine.Start{Kind: engine.Latest}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(r.Value))
		}
		k.Want(got, []string{"f", "e", "d", "c", "b", "a"})
		got = nil
		for r, err := range k.Reads.Backward(k.Ctx, log.TopicPartition{Topic: orders}, engine.Start{Kind: engine.AtOffset, Offset: 5}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(r.Value))
		}
		k.Want(got, []string{"e", "d", "c", "b", "a"})
	})
}

// Who does not watch gets what is there at once.
func TestFetchOfWhoDoesNotWatch(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders := k.Create("orders", 1)
		k.Put(orders, 0, "a", "b")
		p := k.Partition(orders, 0)
		got, err := fetched(p, 0)
		if err != nil {
			t.Fatal(err)
		}
		k.Want(got, []string{"0", "1"})
		got, err = fetched(p, 2)
		if err != nil {
			t.Fatal(err)
		}
		k.Want(got, []string{})
		_, err = fetched(p, 3)
		k.WantError(err, log.ErrOffsetOutOfRange)
	})
}

// What has no context answers at once, and what has one ends with it, when nobody answers.
func TestNobodyAnswers(t *testing.T) {
	k := kit.Door(t)
	orders := k.Create("orders", 1)
	k.Put(orders, 0, "a")
	c := k.Consumer(consumer.Options{Topics: []string{orders}})
	k.Read(c, 1)
	p := k.Partition(orders, 0)
	if err := k.Server.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(k.Ctx, 300*time.Millisecond)
	defer cancel()
	_, err := c.Poll(ctx)
	k.WantError(err, context.DeadlineExceeded)
	_, err = k.Topics.Find(ctx, orders, false)
	k.WantError(err, context.DeadlineExceeded)
	_, _, err = p.OffsetForTime(ctx, log.ReadCommitted, 0)
	k.WantError(err, context.DeadlineExceeded)
	_, _, err = p.FetchBefore(ctx, "", log.ReadCommitted, 1, nil)
	k.WantError(err, context.DeadlineExceeded)
	k.Want(p.HighWatermark(), 1)
	if _, err := k.Topics.Get(orders); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, 1)
	for _, topic := range k.Topics.List() {
		names = append(names, topic.Name())
	}
	if !slices.Contains(names, orders) {
		t.Fatalf("topics are %v", names)
	}
}

// Records of transactions come when they are committed, in their order, and those of aborted ones never.
func TestTransactions(t *testing.T) {
	kit.Places(t, func(t *testing.T, k *kit.Kit) {
		orders := k.Create("orders", 1)
		one, two := k.Producer(kgo.TransactionalID(k.Name("one"))), k.Producer(kgo.TransactionalID(k.Name("two")))
		c := k.Consumer(consumer.Options{Topics: []string{orders}, Isolation: log.ReadCommitted})
		dirty := k.Consumer(consumer.Options{Topics: []string{orders}, Isolation: log.ReadUncommitted})
		k.Transact(one, orders, 0, false, "a", "b")
		k.Transact(two, orders, 0, true, "c", "d")
		k.Transact(one, orders, 0, true, "e")
		k.Put(orders, 0, "f")
		k.Transact(two, orders, 0, false, "g")
		k.Put(orders, 0, "h")
		k.Want(k.Read(c, 5), map[int32][]string{0: {"c", "d", "e", "f", "h"}})
		k.Want(k.Read(dirty, 8), map[int32][]string{0: {"a", "b", "c", "d", "e", "f", "g", "h"}})
		var got []string
		for r, err := range k.Reads.Backward(k.Ctx, kit.TP(orders, 0), engine.Start{Kind: engine.Latest}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(r.Value))
		}
		k.Want(got, []string{"h", "f", "e", "d", "c"})

		if err := one.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := one.ProduceSync(k.Ctx, &kgo.Record{Topic: orders, Value: []byte("i")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		k.Put(orders, 0, "j")
		k.Want(k.Read(dirty, 2), map[int32][]string{0: {"i", "j"}})
		p := k.Partition(orders, 0)
		k.Want(p.HighWatermark()-p.LastStable(), 2)
		if err := one.EndTransaction(k.Ctx, kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
		k.Want(k.Read(c, 2), map[int32][]string{0: {"i", "j"}})
	})
}

func fetched(p engine.Partition, from int64) (values []string, err error) {
	_, err = p.Fetch(context.Background(), "", log.ReadCommitted, from, nil, func(sb log.StoredBatch) bool {
		values = append(values, fmt.Sprint(sb.Batch.BaseOffset()))
		return true
	})
	return values, err
}

func TestMain(m *testing.M) { kit.Main(m) }

package conform

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/samsa-go/samsa"
)

// polled is what a Poll has returned.
type polled struct {
	records []samsa.Record
	err     error
}

// polls calls Poll in the background.
func (k *kit) polls(ctx context.Context, c *samsa.Consumer) <-chan polled {
	out := make(chan polled, 1)
	k.goes(func() {
		records, err := c.Poll(ctx)
		out <- polled{records, err}
	})
	return out
}

var hourAgo = time.Now().Add(-time.Hour).Truncate(time.Millisecond)

// begins has a consumer that begins at s read three records, of hourAgo and a second later each, and one that comes then.
func begins(s samsa.Start, want ...string) func(k *kit) {
	return func(k *kit) {
		name := k.topic(1)
		k.stamped(name, hourAgo, hourAgo.Add(time.Second), hourAgo.Add(2*time.Second))
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, Start: s})
		k.put(name, 0, "new")
		k.reads(c, want...)
	}
}

// starts are where a consumer begins.
var starts = []promise{
	{"earliest", "Earliest is the first record, and the default.", func(k *kit) {
		begins(samsa.Earliest(), "0", "1", "2", "new")(k)
		begins(samsa.Start{}, "0", "1", "2", "new")(k)
	}},
	{"latest", "Latest is behind what is there when NewConsumer returns.", begins(samsa.Latest(), "new")},
	{"offset", "AtOffset is that offset.", begins(samsa.AtOffset(2), "2", "new")},
	{"time", "AtTime is the first record of that time or later, exact to a millisecond.", func(k *kit) {
		begins(samsa.AtTime(hourAgo.Add(time.Second)), "1", "2", "new")(k)
		begins(samsa.AtTime(hourAgo.Add(time.Second+time.Millisecond)), "2", "new")(k)
		begins(samsa.AtTime(hourAgo.Add(-time.Hour)), "0", "1", "2", "new")(k)
	}},
	{"time-of-none", "AtTime of a time that no record has is behind the last one.", func(k *kit) {
		name := k.topic(1)
		k.stamped(name, hourAgo, hourAgo)
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, Start: samsa.AtTime(time.Now().Add(time.Minute))})
		k.put(name, 0, "new")
		k.reads(c, "new")
	}},
	{"removed", "Earliest is the first record that is still there.", func(k *kit) {
		name := k.topic(1)
		k.write(name, numbers(5)...)
		k.must(k.Topics().DeleteRecords(k.ctx, name, map[int32]int64{0: 3}))
		k.reads(k.reader(name), "3", "4")
	}},
}

var consumers = []promise{
	{"order", "The records of a partition come in the order of their offsets, those of all topics of the consumer.", func(k *kit) {
		a, b := k.topic(2), k.topic(1)
		for i := range 10 {
			k.put(a, int32(i%2), fmt.Sprintf("%d-%d", i%2, i/2))
			if i < 5 {
				k.put(b, 0, fmt.Sprintf("2-%d", i))
			}
		}
		c := k.reader(a, b)
		k.equal("assigned", len(c.Assigned()), 3)
		k.inOrder(k.read(c, 15), 3, 5)
	}},
	{"partitions", "A consumer reads the partitions that are named, and others are ErrUnknownPartition.", func(k *kit) {
		name := k.topic(4)
		for p := range int32(4) {
			k.put(name, p, fmt.Sprint(p))
		}
		c := k.consumer(samsa.ConsumerOptions{Partitions: map[string][]int32{name: {3, 1}}})
		k.equal("read", sorted(k.read(c, 2)), []string{"1", "3"})
		k.equal("assigned", c.Assigned(), []samsa.TopicPartition{at(name, 1), at(name, 3)})
		_, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Partitions: map[string][]int32{name: {4}}})
		k.is(err, samsa.ErrUnknownPartition)
	}},
	{"options", "Options that cannot be are ErrInvalidOption.", func(k *kit) {
		name := k.topic(1)
		for _, o := range []samsa.ConsumerOptions{
			{}, {Topics: []string{name}, OutOfRange: 9}, {Topics: []string{name}, MaxPollRecords: -1},
			{Topics: []string{name}, MaxPollBytes: -1}, {Topics: []string{name}, Start: samsa.AtOffset(-5)},
			{Topics: []string{name}, Start: samsa.Committed()}, {Topics: []string{name}, Isolation: 7},
		} {
			c, err := k.NewConsumer(k.ctx, o)
			if k.is(err, samsa.ErrInvalidOption); err == nil {
				k.closes(c)
			}
		}
	}},
	{"wakes", "A Poll that waits returns when there is a record.", func(k *kit) {
		name := k.topic(2)
		out := k.polls(k.ctx, k.reader(name))
		k.put(name, 1, "a")
		got := <-out
		k.must(got.err)
		k.equal("polled", values(got.records), []string{"a"})
	}},
	{"max", "A Poll returns at most MaxPollRecords, and PollRecords as many as it says; the rest comes in order.", func(k *kit) {
		name := k.topic(1)
		k.write(name, numbers(9)...)
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, MaxPollRecords: 2})
		var got []samsa.Record
		for i := 0; len(got) < 9; i++ {
			most, poll := 2, c.Poll
			if i%2 == 1 {
				most, poll = 3, func(ctx context.Context) ([]samsa.Record, error) { return c.PollRecords(ctx, 3) }
			}
			records, err := poll(k.ctx)
			k.must(err)
			k.equal("as many as may be", len(records) > 0 && len(records) <= most, true)
			got = append(got, records...)
		}
		k.equal("all", values(got), numbers(9))
		_, err := c.PollRecords(k.ctx, 0)
		k.is(err, samsa.ErrInvalidOption)
	}},
	{"max-bytes", "MaxPollBytes bounds a Poll, but the first record comes even if it is larger.", func(k *kit) {
		name := k.topic(1)
		big := samsa.Record{Topic: name, Value: noise(5000)}
		k.produce(big, big, big)
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, MaxPollBytes: 6000})
		for range 3 {
			records, err := c.Poll(k.ctx)
			k.must(err)
			k.equal("polled", len(records), 1)
		}
	}},
	{"collect", "Collect waits for n records, takes no more, and returns what there is when its time is over.", func(k *kit) {
		name := k.topic(1)
		c := k.reader(name)
		out := make(chan polled, 1)
		k.goes(func() {
			records, err := c.Collect(k.ctx, 3, time.Hour)
			out <- polled{records, err}
		})
		k.write(name, numbers(4)...)
		got := <-out
		k.must(got.err)
		k.equal("collected", values(got.records), numbers(3))
		k.reads(c, "3")
		records, err := c.Collect(k.ctx, 3, time.Millisecond)
		k.must(err)
		k.equal("collected of nothing", len(records), 0)
		_, err = c.Collect(k.ctx, 0, time.Second)
		k.is(err, samsa.ErrInvalidOption)
	}},
	{"collect-ends", "What Collect would have returned when its context ends comes with the next call.", func(k *kit) {
		name := k.topic(1)
		c := k.reader(name)
		k.write(name, "a", "b")
		ctx, cancel := context.WithCancel(k.ctx)
		k.goes(cancel)
		_, err := c.Collect(ctx, 3, time.Hour)
		k.is(err, context.Canceled)
		position, err := c.Position(at(name, 0))
		k.must(err)
		k.equal("position", position, int64(0))
		k.reads(c, "a", "b")
	}},
	{"poll-ends", "A Poll ends with its context, and loses no record.", func(k *kit) {
		name := k.topic(1)
		c := k.reader(name)
		ctx, cancel := context.WithCancel(k.ctx)
		out := k.polls(ctx, c)
		cancel()
		k.is((<-out).err, context.Canceled)
		k.write(name, "a")
		k.reads(c, "a")
	}},
	{"position", "Position is behind the last record that was returned, and Lag and TotalLag count to the end.", func(k *kit) {
		name := k.topic(2)
		k.put(name, 0, "a", "b", "c")
		k.put(name, 1, "d")
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, MaxPollRecords: 1})
		left, next := int64(4), map[int32]int64{}
		for {
			for p, end := range map[int32]int64{0: 3, 1: 1} {
				position, err := c.Position(at(name, p))
				k.must(err)
				lag, err := c.Lag(at(name, p))
				k.must(err)
				k.equal("position and lag", []int64{position, lag}, []int64{next[p], end - next[p]})
			}
			total, err := c.TotalLag(k.ctx)
			k.must(err)
			k.equal("total lag", total, left)
			if left == 0 {
				break
			}
			next[k.read(c, 1)[0].Partition]++
			left--
		}
		_, err := c.Position(at(name, 2))
		k.is(err, samsa.ErrUnknownPartition)
		_, err = c.Lag(at(name, 2))
		k.is(err, samsa.ErrUnknownPartition)
	}},
	{"pause", "A partition that is paused gives nothing, and keeps its position, until Resume.", func(k *kit) {
		name := k.topic(2)
		c := k.reader(name)
		k.must(c.Pause(at(name, 0)))
		k.equal("paused", c.Paused(), []samsa.TopicPartition{at(name, 0)})
		k.put(name, 0, "a", "b")
		for i := range 3 { // would each wake a Poll that returns the others
			k.put(name, 1, fmt.Sprint(i))
			k.reads(c, fmt.Sprint(i))
		}
		position, err := c.Position(at(name, 0))
		k.must(err)
		k.equal("position", position, int64(0))
		k.must(c.Resume(at(name, 0)))
		k.reads(c, "a", "b")
		k.must(c.Pause())
		k.equal("paused", len(c.Paused()), 2)
		k.must(c.Resume())
		k.equal("paused", len(c.Paused()), 0)
		k.is(c.Pause(at(name, 7)), samsa.ErrUnknownPartition)
	}},
	{"pattern", "TopicPattern selects topics by their names, those too that are made later.", func(k *kit) {
		prefix := k.name + "-pattern"
		create := func(suffix string) string {
			name := prefix + suffix
			k.must(k.Topics().Create(k.ctx, name, samsa.TopicConfig{}))
			k.atEnd(func() { k.must(k.Topics().Delete(k.ctx, name)) })
			return name
		}
		a, other := create("-a"), create("x")
		c := k.consumer(samsa.ConsumerOptions{TopicPattern: regexp.MustCompile("^" + regexp.QuoteMeta(prefix) + "-")})
		k.write(other, "no")
		k.write(a, "a")
		k.reads(c, "a")
		k.write(create("-b"), "b")
		k.reads(c, "b")
	}},
	{"added", "Partitions that are added are read from their first record, wherever the consumer began.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "old")
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, Start: samsa.Latest()})
		k.must(k.Topics().AddPartitions(k.ctx, name, 3))
		k.put(name, 2, "a", "b")
		k.reads(c, "a", "b")
		k.equal("assigned", len(c.Assigned()), 3)
	}},
	{"deleted", "A deleted topic is ErrUnknownTopic for a Poll that waits, and the others are read on.", func(k *kit) {
		gone, stays := k.topic(2), k.topic(1)
		c := k.reader(gone, stays)
		out := k.polls(k.ctx, c)
		k.must(k.Topics().Delete(k.ctx, gone))
		k.is((<-out).err, samsa.ErrUnknownTopic)
		k.write(stays, "a")
		k.reads(c, "a")
		k.must(k.Topics().Delete(k.ctx, stays))
		for range 2 { // nothing is left to read
			_, err := c.Poll(k.ctx)
			k.is(err, samsa.ErrUnknownTopic)
		}
	}},
	{"made-again", "A topic that was deleted and made again is read from its first record.", func(k *kit) {
		name := k.topic(1)
		c := k.reader(name)
		k.write(name, "old0", "old1", "old2")
		k.reads(c, "old0", "old1", "old2")
		k.must(k.Topics().Delete(k.ctx, name))
		_, err := c.Poll(k.ctx)
		k.is(err, samsa.ErrUnknownTopic)
		k.must(k.Topics().Create(k.ctx, name, samsa.TopicConfig{}))
		k.write(name, "new")
		k.reads(k.reader(name), "new")
	}},
	{"out-of-range", "Where no record can be a consumer goes to the first or the last as it was told, and OnReset hears of it.", func(k *kit) {
		for policy, want := range map[samsa.ResetPolicy][]string{samsa.ResetEarliest: {"a", "b", "c"}, samsa.ResetLatest: {"c"}} {
			name := k.topic(1)
			k.write(name, "a", "b")
			told := make(chan samsa.Reset, 1)
			c := k.consumer(samsa.ConsumerOptions{
				Topics: []string{name}, Start: samsa.AtOffset(100), OutOfRange: policy,
				OnReset: func(_ context.Context, _ *samsa.Consumer, r samsa.Reset) { told <- r },
			})
			out := k.polls(k.ctx, c)
			r := samsa.Reset{TopicPartition: at(name, 0), From: 100}
			if policy == samsa.ResetLatest {
				r.To = 2
			}
			k.equal("reset", <-told, r)
			k.write(name, "c")
			got := <-out
			k.must(got.err)
			if len(got.records) < len(want) {
				got.records = append(got.records, k.read(c, len(want)-len(got.records))...)
			}
			k.equal("read", values(got.records), want)
		}
	}},
	{"out-of-range-error", "With ResetError that is ErrOffsetOutOfRange until a Seek.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a", "b")
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, OutOfRange: samsa.ResetError})
		k.reads(c, "a", "b")
		k.must(c.Seek(k.ctx, at(name, 0), 5))
		for range 3 {
			_, err := c.Poll(k.ctx)
			k.is(err, samsa.ErrOffsetOutOfRange)
		}
		k.must(c.Seek(k.ctx, at(name, 0), 1))
		k.reads(c, "b")
	}},
	{"overtaken", "A consumer that records are deleted before goes on at the first that is left.", func(k *kit) {
		name := k.topic(1)
		k.write(name, numbers(5)...)
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, MaxPollRecords: 1})
		k.reads(c, "0")
		k.must(c.Seek(k.ctx, at(name, 0), 1))
		k.must(k.Topics().DeleteRecords(k.ctx, name, map[int32]int64{0: 4}))
		k.must(c.Seek(k.ctx, at(name, 0), 1))
		k.reads(c, "4")
	}},
	{"isolation", "Records of Produce and Update come to readers of what is committed and of all alike.", func(k *kit) {
		name := k.topic(1)
		k.produce(samsa.Record{Topic: name, Value: []byte("a")}, samsa.Record{Topic: name, Value: []byte("b")})
		k.must(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: name, Value: []byte("c")}) }))
		for _, isolation := range []samsa.Isolation{samsa.ReadCommitted, samsa.ReadUncommitted} {
			k.reads(k.consumer(samsa.ConsumerOptions{Topics: []string{name}, Isolation: isolation}), "a", "b", "c")
		}
	}},
	{"own-bytes", "Records and their bytes belong to the caller, and stay what they are.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "first", "second")
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, MaxPollRecords: 1})
		first := k.read(c, 1)[0]
		other := k.read(k.reader(name), 2)
		copy(other[0].Value, "xxxxx")
		k.equal("value", string(first.Value), "first")
		k.reads(c, "second")
		k.equal("value", string(first.Value), "first")
		k.has([]string{"first", "second"}, name)
	}},
	{"close", "Close ends a Poll that waits with ErrClosed, and all that comes then.", func(k *kit) {
		name := k.topic(1)
		c := k.reader(name)
		out := k.polls(k.ctx, c)
		k.closes(c)
		k.is((<-out).err, samsa.ErrClosed)
		_, err := c.Poll(k.ctx)
		k.is(err, samsa.ErrClosed)
		k.is(c.Seek(k.ctx, at(name, 0), 0), samsa.ErrClosed)
		k.closes(c)
		k.must(c.Shutdown(k.ctx))
	}},
	{"no-group", "Without a group there is nothing to commit: ErrInvalidGroup.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		c := k.reader(name)
		r := k.reads(c, "a")
		_, err := c.Committed(k.ctx)
		for _, err := range []error{err, c.Commit(k.ctx), c.CommitRecords(k.ctx, r...)} {
			k.is(err, samsa.ErrInvalidGroup)
		}
	}},
}

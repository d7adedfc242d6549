package conform

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/samsa-go/samsa"
)

// offsetOf is the committed offset of the first partition of a topic.
func offsetOf(topic string, offset int64) map[samsa.TopicPartition]samsa.CommittedOffset {
	return map[samsa.TopicPartition]samsa.CommittedOffset{at(topic, 0): {Offset: offset}}
}

var commits = []promise{
	{"on-close", "Close commits what is processed, and not what the last Poll has returned: that comes again.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(4)...)
		o := options(g, name)
		o.MaxPollRecords = 2
		c := k.consumer(o)
		k.reads(c, "0", "1", "2", "3")
		k.closes(c)
		k.hasCommitted(g, name, 2)
		k.reads(k.consumer(options(g, name)), "2", "3")
	}},
	{"by-itself", "What is processed is committed every AutoCommitInterval.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		o := options(g, name)
		o.Member.AutoCommitInterval = 10 * time.Millisecond
		k.write(name, "a")
		m := k.joins(o)
		k.got(1, m)
		for ctx := k.ctx; ctx.Err() == nil; k.write(name, "more") { // each ends a Poll
			if o, found := k.committed(g)[at(name, 0)]; found && o.Offset >= 1 {
				return
			}
		}
		k.Fatalf("nothing is committed")
	}},
	{"commit", "Commit commits all that Poll has returned, CommitRecords what is up to these records, CommitOffsets exactly these.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(4)...)
		c := k.consumer(manual(g, name))
		records := k.reads(c, numbers(4)...)
		k.hasCommitted(g, name, -1)
		k.must(c.CommitRecords(k.ctx, records[1], records[0]))
		k.hasCommitted(g, name, 2)
		k.must(c.Commit(k.ctx))
		k.hasCommitted(g, name, 4)
		k.must(c.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{at(name, 0): {Offset: 1, Metadata: "half"}}))
		want := map[samsa.TopicPartition]samsa.CommittedOffset{at(name, 0): {Offset: 1, Metadata: "half"}}
		k.equal("committed", k.committed(g), want)
		own, err := c.Committed(k.ctx, at(name, 0), at(name, 9))
		k.must(err)
		k.equal("committed, by the consumer", own, want)
		k.closes(c)
		k.equal("committed when it is closed", k.committed(g), want)
		k.reads(k.consumer(manual(g, name)), "1", "2", "3")
	}},
	{"in-the-loop", "In a loop over Records Commit commits up to the record that the loop has.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(4)...)
		c := k.consumer(manual(g, name))
		for r, err := range c.Records(k.ctx) {
			k.must(err)
			k.must(c.Commit(k.ctx))
			if k.hasCommitted(g, name, r.Offset+1); r.Offset == 2 {
				break
			}
		}
		k.closes(c)
		k.hasCommitted(g, name, 3)
	}},
	{"refused", "An offset that cannot be and metadata that is too long are refused, and nothing is committed.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "a")
		c := k.consumer(manual(g, name))
		k.reads(c, "a")
		k.is(c.CommitOffsets(k.ctx, offsetOf(name, -1)), samsa.ErrOffsetOutOfRange)
		k.is(c.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{at(name, 0): {Metadata: strings.Repeat("m", 4097)}}), samsa.ErrMetadataTooLarge)
		k.hasCommitted(g, name, -1)
	}},
	{"no-longer", "A record of a partition that went to another member is not committed: ErrIllegalGeneration.", func(k *kit) {
		name, g := k.topic(2), k.freshGroup()
		k.fill(name, "v", 2)
		a := k.joins(manual(g, name))
		k.got(2, a)
		b := k.joins(manual(g, name))
		owned := k.owned([]*member{a, b}, 1, 1)
		i := slices.IndexFunc(a.got, func(r samsa.Record) bool { return at(r.Topic, r.Partition) == owned[1][0] })
		k.is(a.CommitRecords(k.ctx, a.got[i]), samsa.ErrIllegalGeneration)
		k.equal("committed", len(k.committed(g)), 0)
		k.must(a.CommitRecords(k.ctx, a.got[1-i]))
		k.equal("committed", len(k.committed(g)), 1)
	}},
	{"start", "A group goes on at its committed offset, wherever the consumer would begin.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(4)...)
		k.must(k.Groups().SetOffsets(k.ctx, g, offsetOf(name, 2)))
		for _, s := range []samsa.Start{samsa.Earliest(), samsa.Latest(), samsa.AtOffset(3), samsa.Committed()} {
			o := manual(g, name)
			o.Start = s
			c := k.consumer(o)
			k.reads(c, "2", "3")
			k.closes(c)
		}
	}},
	{"start-without", "With Committed a partition without one is ErrNoOffset, until a Seek.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "a", "b")
		o := manual(g, name)
		o.Start = samsa.Committed()
		c := k.consumer(o)
		for range 2 {
			_, err := c.Poll(k.ctx)
			k.is(err, samsa.ErrNoOffset)
		}
		_, err := c.Position(at(name, 0))
		k.is(err, samsa.ErrNoOffset)
		k.must(c.Seek(k.ctx, at(name, 0), 1))
		k.reads(c, "b")
	}},
	{"back", "SeekTo(Committed()) has come again what was polled since.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(4)...)
		c := k.consumer(manual(g, name))
		records := k.reads(c, numbers(4)...)
		k.must(c.CommitRecords(k.ctx, records[0]))
		k.must(c.SeekTo(k.ctx, samsa.Committed()))
		k.reads(c, "1", "2", "3")
	}},
	{"seek-assigned", "OnAssigned may seek, before anything is read.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "a", "b")
		o := manual(g, name)
		o.Member.OnAssigned = func(ctx context.Context, c *samsa.Consumer, added []samsa.TopicPartition) {
			for _, tp := range added {
				k.must(c.Seek(ctx, tp, 1))
			}
		}
		k.reads(k.consumer(o), "b")
	}},
	{"made-again", "A record of a topic that was deleted is not committed for a new one of its name.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(3)...)
		c := k.consumer(manual(g, name))
		old := k.reads(c, numbers(3)...)
		k.must(k.Topics().Delete(k.ctx, name))
		k.must(k.Topics().Create(k.ctx, name, samsa.TopicConfig{}))
		k.is(c.CommitRecords(k.ctx, old...), samsa.ErrIllegalGeneration)
		_, err := c.Poll(k.ctx)
		k.is(err, samsa.ErrUnknownTopic)
		k.write(name, "new")
		k.reads(c, "new")
		k.is(c.CommitRecords(k.ctx, old...), samsa.ErrIllegalGeneration)
		k.hasCommitted(g, name, -1)
		k.must(c.Commit(k.ctx))
		k.hasCommitted(g, name, 1)
	}},
	{"regained", "A record from before a partition went to another and came back is not committed, until it has come again.", func(k *kit) {
		name, g := k.topic(2), k.freshGroup()
		k.put(name, 0, numbers(3)...)
		k.put(name, 1, numbers(3)...)
		o := manual(g, name)
		o.Member.OnAssigned = func(_ context.Context, c *samsa.Consumer, added []samsa.TopicPartition) {
			if len(added) == 1 { // the one that has come back
				k.must(c.Pause(added...))
			}
		}
		a := k.joins(o)
		k.got(6, a)
		b := k.joins(manual(g, name))
		came := k.owned([]*member{a, b}, 1, 1)[1][0]
		old := a.got[slices.IndexFunc(a.got, func(r samsa.Record) bool { return at(r.Topic, r.Partition) == came && r.Offset == 2 })]
		b.leave()
		k.owned([]*member{a}, 2)
		k.is(a.CommitRecords(k.ctx, old), samsa.ErrIllegalGeneration)
		k.equal("committed", len(k.committed(g)), 0)
		k.must(a.Resume())
		k.got(9, a)
		k.must(a.CommitRecords(k.ctx, old))
	}},
}

// workOf has Work do the records of a group until n were begun, and returns its error.
func (k *kit) workOf(c *samsa.Consumer, at, n int, fn func(r samsa.Record) error) error {
	ctx, cancel := context.WithCancel(k.ctx)
	defer cancel()
	begun := 0
	return c.Work(ctx, at, func(_ context.Context, r samsa.Record) error {
		k.change(func() {
			if begun++; begun == n {
				cancel()
			}
		})
		return fn(r)
	})
}

var works = []promise{
	{"all", "Work does each record, and what is done is committed when it ends.", func(k *kit) {
		name, g := k.topic(2), k.freshGroup()
		for i := range 10 {
			k.put(name, int32(i%2), fmt.Sprint(i))
		}
		var did []samsa.Record
		err := k.workOf(k.consumer(options(g, name)), 4, 10, func(r samsa.Record) error {
			k.change(func() { did = append(did, r) })
			return nil
		})
		k.is(err, context.Canceled)
		k.equal("done", sorted(did), numbers(10))
		k.equal("committed", k.committed(g), map[samsa.TopicPartition]samsa.CommittedOffset{at(name, 0): {Offset: 5}, at(name, 1): {Offset: 5}})
	}},
	{"at-once", "Work calls the function n times at once, for records of one partition too.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(3)...)
		under := 0
		err := k.workOf(k.consumer(options(g, name)), 3, 3, func(samsa.Record) error {
			k.change(func() { under++ })
			k.wait("the others", func() bool { return under == 3 })
			return nil
		})
		k.is(err, context.Canceled)
	}},
	{"contiguous", "What is committed is what comes before the first record that is not done.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, numbers(4)...)
		done := 0
		c := k.consumer(options(g, name))
		err := c.Work(k.ctx, 4, func(_ context.Context, r samsa.Record) error {
			defer k.change(func() { done++ })
			if r.Offset == 1 {
				k.wait("the others", func() bool { return done == 3 })
				// Their functions have ended, which Work itself may learn a moment later.
				for k.must(c.Commit(k.ctx)); k.committed(g)[at(name, 0)].Offset < 1; k.must(c.Commit(k.ctx)) {
					runtime.Gosched()
				}
				k.hasCommitted(g, name, 1)
				return errMine
			}
			return nil
		})
		k.is(err, errMine)
		k.hasCommitted(g, name, 1)
		k.closes(c)
		k.reads(k.consumer(options(g, name)), "1", "2", "3")
	}},
	{"by-key", "With OrderByKey the records of a key are done one after the other, and other keys do not wait.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		for i := range 9 {
			k.produce(samsa.Record{Topic: name, Key: fmt.Append(nil, i%3), Value: fmt.Appendf(nil, "%d-%d", i%3, i/3)})
		}
		o := options(g, name)
		o.OrderByKey = true
		under, first := make(map[string]bool), 0
		var did []samsa.Record
		err := k.workOf(k.consumer(o), 9, 9, func(r samsa.Record) error {
			key := string(r.Key)
			k.change(func() {
				k.equal("another of the key is under way", under[key], false)
				under[key] = true
				first++
			})
			k.wait("the first of each key", func() bool { return first >= 3 })
			k.change(func() { under[key] = false; did = append(did, r) })
			return nil
		})
		k.is(err, context.Canceled)
		k.inOrder(did, 3, 3)
	}},
	{"callback", "While Work runs Poll is ErrInCallback, and in its function so is Close.", func(k *kit) {
		name, g := k.topic(1), k.freshGroup()
		k.write(name, "a")
		c := k.consumer(options(g, name))
		k.is(k.workOf(c, 1, 1, func(samsa.Record) error {
			_, err := c.Poll(k.ctx)
			k.is(err, samsa.ErrInCallback)
			k.is(c.Close(), samsa.ErrInCallback)
			return nil
		}), context.Canceled)
	}},
	{"options", "Work is for a member of a group, and of one with ManualCommit it makes one call at once: else ErrInvalidOption.", func(k *kit) {
		name := k.topic(1)
		fn := func(context.Context, samsa.Record) error { return nil }
		k.is(k.consumer(manual(k.freshGroup(), name)).Work(k.ctx, 2, fn), samsa.ErrInvalidOption)
		k.is(k.consumer(options(k.freshGroup(), name)).Work(k.ctx, 0, fn), samsa.ErrInvalidOption)
	}},
}

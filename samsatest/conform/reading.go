package conform

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/samsa-go/samsa"
)

// hasRead returns a consumer that has read three records of a topic's first partition, as those of begins.
func hasRead(k *kit) (*samsa.Consumer, string) {
	name := k.topic(2)
	k.stamped(name, hourAgo, hourAgo.Add(time.Second), hourAgo.Add(2*time.Second))
	c := k.reader(name)
	k.reads(c, "0", "1", "2")
	return c, name
}

// seeks move a consumer.
var seeks = []promise{
	{"offset", "Seek goes on at an offset.", func(k *kit) {
		c, name := hasRead(k)
		k.must(c.Seek(k.ctx, at(name, 0), 1))
		position, err := c.Position(at(name, 0))
		k.must(err)
		k.equal("position", position, int64(1))
		k.reads(c, "1", "2")
		k.is(c.Seek(k.ctx, at(name, 0), -1), samsa.ErrOffsetOutOfRange)
		k.is(c.Seek(k.ctx, at(name, 7), 0), samsa.ErrUnknownPartition)
	}},
	{"to", "SeekTo goes on where a Start is, in the partitions that are named or in all.", func(k *kit) {
		c, name := hasRead(k)
		k.must(c.SeekTo(k.ctx, samsa.Earliest()))
		k.reads(c, "0", "1", "2")
		k.must(c.SeekTo(k.ctx, samsa.AtOffset(2), at(name, 0)))
		k.reads(c, "2")
		k.must(c.SeekTo(k.ctx, samsa.Earliest(), at(name, 1)))
		k.must(c.SeekTo(k.ctx, samsa.Latest()))
		k.put(name, 0, "3")
		k.reads(c, "3")
	}},
	{"to-fails", "When SeekTo fails no position has moved.", func(k *kit) {
		c, name := hasRead(k)
		k.is(c.SeekTo(k.ctx, samsa.Earliest(), at(name, 0), at(name, 9)), samsa.ErrUnknownPartition)
		k.is(c.SeekTo(k.ctx, samsa.Committed()), samsa.ErrInvalidOption)
		k.put(name, 0, "3")
		k.reads(c, "3")
	}},
	{"time", "SeekTime goes on at the first record of a time or later.", func(k *kit) {
		c, name := hasRead(k)
		k.must(c.SeekTime(k.ctx, hourAgo.Add(time.Second)))
		k.reads(c, "1", "2")
		k.must(c.SeekTime(k.ctx, time.Now().Add(time.Minute), at(name, 0)))
		k.put(name, 0, "3")
		k.reads(c, "3")
	}},
	{"last", "SeekLast goes on at the n-th record from the end, or the first.", func(k *kit) {
		c, name := hasRead(k)
		for n, want := range map[int64][]string{1: {"2"}, 2: {"1", "2"}, 9: {"0", "1", "2"}} {
			k.must(c.SeekLast(k.ctx, n, at(name, 0)))
			k.reads(c, want...)
		}
		k.must(c.SeekLast(k.ctx, 0))
		k.put(name, 0, "3")
		k.reads(c, "3")
		k.is(c.SeekLast(k.ctx, -1), samsa.ErrInvalidOption)
	}},
	{"last-counts", "SeekLast counts records and not offsets.", func(k *kit) {
		name := k.topic(1)
		for i := range 3 {
			k.must(k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.Produce(samsa.Record{Topic: name, Value: fmt.Append(nil, i)}) }))
		}
		c := k.reader(name)
		k.must(c.SeekLast(k.ctx, 2))
		k.reads(c, "1", "2")
	}},
	{"ahead", "What was read ahead does not come after a Seek.", func(k *kit) {
		name := k.topic(1)
		k.write(name, numbers(6)...)
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{name}, MaxPollRecords: 1})
		k.reads(c, "0")
		k.must(c.Seek(k.ctx, at(name, 0), 4))
		k.reads(c, "4")
		k.must(c.Seek(k.ctx, at(name, 0), 0))
		k.reads(c, "0")
	}},
}

// loops are those over Records and RecordsUntil.
var loops = []promise{
	{"records", "A loop over Records gets all that comes, and a break leaves the position behind its last record.", func(k *kit) {
		name := k.topic(1)
		k.write(name, numbers(4)...)
		c := k.reader(name)
		var got []samsa.Record
		for len(got) < 4 {
			for r, err := range c.Records(k.ctx) {
				k.must(err)
				if got = append(got, r); len(got)%2 == 0 {
					break
				}
			}
			position, err := c.Position(at(name, 0))
			k.must(err)
			k.equal("position", position, int64(len(got)))
		}
		k.equal("got", values(got), numbers(4))
	}},
	{"records-end", "It ends when its context ends or the consumer is closed, and yields that error last.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		c := k.reader(name)
		ctx, cancel := context.WithCancel(k.ctx)
		defer cancel()
		var last error
		for _, err := range c.Records(ctx) {
			last = err
			cancel()
		}
		k.is(last, context.Canceled)
		closed := make(chan error, 1)
		k.goes(func() {
			var last error
			for _, err := range c.Records(k.ctx) {
				last = err
			}
			closed <- last
		})
		k.closes(c)
		k.is(<-closed, samsa.ErrClosed)
	}},
	{"seek", "A Seek in the loop acts on what it gets next.", func(k *kit) {
		name := k.topic(1)
		k.write(name, numbers(6)...)
		c := k.reader(name)
		var got []string
		for r, err := range c.Records(k.ctx) {
			k.must(err)
			if got = append(got, string(r.Value)); r.Offset == 5 {
				break
			}
			if r.Offset == 1 {
				k.must(c.Seek(k.ctx, at(name, 0), 4))
			}
		}
		k.equal("got", got, []string{"0", "1", "4", "5"})
	}},
	{"until", "RecordsUntil reads what is there when it begins, and ends by itself.", func(k *kit) {
		name := k.topic(2)
		k.put(name, 0, "0", "1")
		k.put(name, 1, "2")
		c := k.reader(name)
		var got []samsa.Record
		for r, err := range c.RecordsUntil(k.ctx) {
			k.must(err)
			if len(got) == 0 {
				k.put(name, 0, "later")
			}
			got = append(got, r)
		}
		k.equal("got", sorted(got), numbers(3))
		k.reads(c, "later")
		for r, err := range c.RecordsUntil(k.ctx) {
			k.Errorf("a record came from a topic that was read: %q, %v", r.Value, err)
		}
	}},
	{"until-nothing", "RecordsUntil of an empty topic, and of partitions that are paused, ends at once.", func(k *kit) {
		name := k.topic(2)
		c := k.reader(name)
		for r, err := range c.RecordsUntil(k.ctx) {
			k.Errorf("a record came from nothing: %q, %v", r.Value, err)
		}
		k.put(name, 0, "a")
		k.must(c.Pause(at(name, 0)))
		for r, err := range c.RecordsUntil(k.ctx) {
			k.Errorf("a record came from a partition that is paused: %q, %v", r.Value, err)
		}
	}},
	{"until-end", "RecordsUntil ends with the error of its context.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		var errs []error
		for _, err := range k.reader(name).RecordsUntil(ended()) {
			errs = append(errs, err)
		}
		k.equal("errors", len(errs), 1)
		k.is(errors.Join(errs...), context.Canceled)
	}},
}

// backwards returns the values that Backward gives, and the last error.
func (k *kit) backwards(ctx context.Context, tp samsa.TopicPartition, from samsa.Start) (all []string, last error) {
	for r, err := range k.Backward(ctx, tp, from) {
		if last = err; err == nil {
			all = append(all, string(r.Value))
		}
	}
	return all, last
}

var backward = []promise{
	{"all", "Backward gives the records from the newest to the oldest: all, those before an offset, those before a time.", func(k *kit) {
		name := k.topic(1)
		k.stamped(name, hourAgo, hourAgo.Add(time.Second), hourAgo.Add(2*time.Second))
		for _, tt := range []struct {
			from samsa.Start
			want []string
		}{
			{samsa.Latest(), []string{"2", "1", "0"}},
			{samsa.AtOffset(2), []string{"1", "0"}},
			{samsa.AtTime(hourAgo.Add(time.Second)), []string{"0"}},
			{samsa.AtOffset(0), nil},
		} {
			got, err := k.backwards(k.ctx, at(name, 0), tt.from)
			k.must(err)
			k.equal(tt.from.String(), got, tt.want)
		}
	}},
	{"batches", "It does so with several records in a batch, and AtOffset of the last record of a loop goes on with it.", func(k *kit) {
		name := k.topic(1)
		var want []string
		for i := range 5 {
			records := make([]samsa.Record, i+1)
			for j := range records {
				records[j] = samsa.Record{Topic: name, Value: fmt.Append(nil, i, j)}
				want = append(want, string(records[j].Value))
			}
			k.produce(records...)
		}
		slices.Reverse(want)
		var got []string
		from := samsa.Latest()
		for len(got) < len(want) {
			before := len(got)
			for r, err := range k.Backward(k.ctx, at(name, 0), from) {
				k.must(err)
				got, from = append(got, string(r.Value)), samsa.AtOffset(r.Offset)
				if len(got)%4 == 0 {
					break
				}
			}
			if len(got) == before {
				k.Fatalf("nothing comes before %s", from)
			}
		}
		k.equal("got", got, want)
	}},
	{"meanwhile", "What is appended after it began it does not see, and a consumer's position stays.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a", "b", "c")
		var got []string
		for r, err := range k.Backward(k.ctx, at(name, 0), samsa.Latest()) {
			k.must(err)
			got = append(got, string(r.Value))
			k.write(name, "later")
		}
		k.equal("got", got, []string{"c", "b", "a"})
	}},
	{"refuses", "An offset behind the end, a partition and a topic that are not there, and the end of the context are its one error.", func(k *kit) {
		name := k.topic(1)
		k.write(name, "a")
		for _, tt := range []struct {
			ctx  context.Context
			tp   samsa.TopicPartition
			from samsa.Start
			want error
		}{
			{k.ctx, at(k.fresh("t"), 0), samsa.Latest(), samsa.ErrUnknownTopic},
			{k.ctx, at(name, 1), samsa.Latest(), samsa.ErrUnknownPartition},
			{k.ctx, at(name, 0), samsa.AtOffset(2), samsa.ErrOffsetOutOfRange},
			{k.ctx, at(name, 0), samsa.Committed(), samsa.ErrInvalidOption},
			{ended(), at(name, 0), samsa.Latest(), context.Canceled},
		} {
			got, err := k.backwards(tt.ctx, tt.tp, tt.from)
			k.is(err, tt.want)
			k.equal("records", len(got), 0)
		}
	}},
}

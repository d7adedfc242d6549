package mirror

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/internal/metrics"
)

// What a record is arrives as it was: offset, key, value, headers, time, compression.
func TestCopiesAsItIs(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{Partitions: 2, Retention: samsa.Unlimited, MaxMessageBytes: 2 << 20})
	k.create(k.from, "stamped", samsa.TopicConfig{LogAppendTime: true})
	at := time.UnixMilli(12345)
	for i, c := range []samsa.Compression{samsa.CompressionNone, samsa.CompressionGzip, samsa.CompressionSnappy, samsa.CompressionLz4, samsa.CompressionZstd} {
		k.produce(k.from, samsa.ProduceOptions{Compression: c}, []samsa.Record{
			{Topic: "t", Partition: 1, Key: []byte("key"), Value: make([]byte, 5000), Timestamp: at.Add(time.Duration(i))},
			{Topic: "t", Partition: 1, Key: []byte("gone")},
			{Topic: "t", Partition: 1, Value: []byte{}, Headers: []samsa.Header{{Key: "a", Value: []byte("1")}, {Key: "a"}}},
			{Topic: "stamped", Value: []byte("x"), Timestamp: at},
		}...)
	}
	m := k.run(Options{})
	k.same("t", 0)
	k.same("t", 1)
	k.same("stamped", 0)
	k.want(len(k.read(k.to, "t", 1)), 15)
	k.want(m.Stats().Records, int64(20))
	info, err := k.to.Topics().Describe(k.ctx, "t")
	k.ok(err)
	k.want([]any{len(info.Partitions), info.Config.Retention, info.Config.MaxMessageBytes}, []any{2, time.Duration(samsa.Unlimited), 2 << 20})
	lag, err := m.Lag(k.ctx)
	k.ok(err)
	k.want(lag.Records, int64(0))
}

// A mirror that was stopped goes on where it was, and what it has copied is there once.
func TestGoesOn(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	for i := range 10 {
		k.put(k.from, "t", 0, fmt.Sprint(i))
		k.run(Options{})
		k.same("t", 0)
	}
	k.run(Options{})
	k.same("t", 0)
}

// A mirror that runs copies what comes, topics and partitions that are new, and configs that change.
func TestFollows(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	m, err := New(k.from, k.to, Options{Refresh: 10 * time.Millisecond})
	k.ok(err)
	ctx, cancel := context.WithCancel(k.ctx)
	ended := make(chan error)
	go func() { ended <- m.Run(ctx) }()
	k.put(k.from, "t", 0, "a")
	k.until(func() bool { return k.end("t", 0) == 1 })
	k.ok(k.from.Topics().Alter(k.ctx, "t", func(c *samsa.TopicConfig) error {
		c.Partitions, c.Retention = 2, time.Hour
		return nil
	}))
	k.put(k.from, "t", 1, "b")
	k.create(k.from, "later", samsa.TopicConfig{})
	k.put(k.from, "later", 0, "c")
	k.until(func() bool { return k.end("t", 1) == 1 && k.end("later", 0) == 1 })
	info, err := k.to.Topics().Describe(k.ctx, "t")
	k.ok(err)
	k.want(info.Config.Retention, time.Hour)
	elsewhere := open(t)
	other, err := New(k.from, elsewhere, Options{}) // of the same name
	k.ok(err)
	otherEnded := make(chan error)
	go func() { otherEnded <- other.Run(ctx) }()
	k.until(func() bool { return other.Stats().Records == 3 })
	both, err := metrics.Of(k.ctx, k.from, samsa.MetricsOptions{})
	k.ok(err)
	k.want([]any{len(both.Mirrors), both.Mirrors[0].To != both.Mirrors[1].To}, []any{2, true})
	k.ok(elsewhere.Close())
	k.fails(<-otherEnded, samsa.ErrClosed)
	for _, b := range []*samsa.Broker{k.from, k.to} { // and the metrics of both tell
		told, err := metrics.Of(k.ctx, b, samsa.MetricsOptions{})
		k.ok(err)
		k.want([]any{len(told.Mirrors), told.Mirrors[0].Name, told.Mirrors[0].Records}, []any{1, "mirror", int64(3)})
		k.want(told.Mirrors[0].Lag, map[string]int64{"t": 0, "later": 0})
	}
	cancel()
	k.fails(<-ended, context.Canceled)
	told, err := metrics.Of(k.ctx, k.to, samsa.MetricsOptions{})
	k.ok(err)
	k.want(len(told.Mirrors), 0)
}

// Groups go on where they were, not further than what is copied, and never backwards.
func TestGroups(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b", "c")
	k.commit(k.from, "g", "t", 0, 2)
	k.commit(k.from, "other", "t", 0, 1)
	k.run(Options{ExcludeGroups: []string{"oth*"}})
	k.want(k.committed(k.to, "g", "t", 0), int64(2))
	k.want(k.committed(k.to, "other", "t", 0), int64(-1))
	k.commit(k.to, "g", "t", 0, 3)
	k.run(Options{ExcludeGroups: []string{"oth*"}})
	k.want(k.committed(k.to, "g", "t", 0), int64(3))
}

// A group that has members in the target is theirs.
func TestGroupsWithMembers(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b")
	k.run(Options{})
	c, err := k.to.NewConsumer(k.ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
	k.ok(err)
	_, err = c.Poll(k.ctx)
	k.ok(err)
	k.commit(k.from, "g", "t", 0, 2)
	k.run(Options{})
	k.want(k.committed(k.to, "g", "t", 0), int64(-1))
	k.ok(c.Close())
}

// Queues have no offsets to bring, and take none: neither that of a name here nor there keeps a copy from its end.
func TestGroupsOfAnotherKind(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b")
	k.run(Options{})
	for b, name := range map[*samsa.Broker]string{k.from: "here", k.to: "there"} {
		q, err := b.NewQueue(k.ctx, samsa.QueueOptions{Group: name, Topics: []string{"t"}})
		k.ok(err)
		_, err = q.Receive(k.ctx, 1)
		k.ok(err)
		defer func() { k.ok(q.Close()) }()
	}
	for _, name := range []string{"there", "with the others"} {
		k.commit(k.from, name, "t", 0, 2)
	}
	k.ok(k.run(Options{}).Finish(k.ctx))
	k.want(k.committed(k.to, "with the others", "t", 0), int64(2))
}

// What retention has taken before it was copied is lost, counted, and no record takes its offset.
func TestRetentionOvertakes(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b", "c", "d", "e")
	k.ok(k.from.Topics().DeleteRecords(k.ctx, "t", map[int32]int64{0: 2}))
	k.run(Options{})
	k.want(k.records(k.to, "t", 0), []string{"2:c", "3:d", "4:e"})
	k.run(Options{})
	k.want(k.partition(k.to, "t", 0).LogStart(), int64(2))
	k.put(k.from, "t", 0, "f", "g", "h")
	k.ok(k.from.Topics().DeleteRecords(k.ctx, "t", map[int32]int64{0: 7}))
	m := k.run(Options{})
	k.want(m.Stats().Lost, int64(2))
	k.want(k.records(k.to, "t", 0), []string{"2:c", "3:d", "4:e", "7:h"})
	k.commit(k.from, "g", "t", 0, 7)
	k.run(Options{})
	k.want(k.committed(k.to, "g", "t", 0), int64(7))
}

// A topic that was deleted and made anew goes behind what it was before.
func TestMadeAnew(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b", "c")
	k.run(Options{})
	k.ok(k.from.Topics().Delete(k.ctx, "t"))
	k.run(Options{})
	k.want(k.records(k.to, "t", 0), []string{"0:a", "1:b", "2:c"})
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "d", "e")
	k.commit(k.from, "g", "t", 0, 1)
	k.run(Options{})
	k.run(Options{})
	k.want(k.records(k.to, "t", 0), []string{"0:a", "1:b", "2:c", "3:d", "4:e"})
	k.want(k.committed(k.to, "g", "t", 0), int64(4))
}

// What came from the target does not go back there, by whatever way.
func TestLoops(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a")
	k.run(Options{Prefix: "far."})
	back := k.between(k.to, k.from, Options{Name: "back"})
	k.ok(back.Run(k.ctx))
	k.fails(back.Stats().Refused["far.t"], ErrLoop)
	k.fails(k.between(k.to, k.from, Options{Name: "back", Topics: []string{"far.t"}}).Run(k.ctx), ErrLoop)

	third := open(t)
	k.ok(k.between(k.to, third, Options{Name: "on"}).Run(k.ctx))
	k.want(k.records(third, "far.t", 0), []string{"0:a"})
	k.fails(k.between(third, k.from, Options{Name: "round", Topics: []string{"far.t"}}).Run(k.ctx), ErrLoop)
}

// A topic of the target that has records of others is not written to.
func TestNotOurs(t *testing.T) {
	k := newKit(t)
	for _, b := range []*samsa.Broker{k.from, k.to} {
		k.create(b, "t", samsa.TopicConfig{})
		k.create(b, "empty", samsa.TopicConfig{})
	}
	k.put(k.to, "t", 0, "mine")
	k.put(k.from, "t", 0, "a")
	k.put(k.from, "empty", 0, "a")
	m := k.run(Options{})
	k.fails(m.Stats().Refused["t"], ErrNotOurs)
	k.want(k.records(k.to, "t", 0), []string{"0:mine"})
	k.same("empty", 0)
	k.put(k.to, "empty", 0, "mine") // who writes beside the mirror is found out
	k.put(k.from, "empty", 0, "b")
	k.fails(k.mirror(Options{Topics: []string{"empty"}}).Run(k.ctx), ErrNotOurs)
}

// A mirror of the same name takes over.
func TestFenced(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	m, err := New(k.from, k.to, Options{})
	k.ok(err)
	ended := make(chan error)
	go func() { ended <- m.Run(k.ctx) }()
	k.put(k.from, "t", 0, "a")
	k.until(func() bool { return k.end("t", 0) == 1 })
	k.fails(m.Run(k.ctx), samsa.ErrInvalidOption) // the same one
	k.run(Options{})
	k.put(k.from, "t", 0, "b")
	k.fails(<-ended, samsa.ErrProducerFenced)
	k.run(Options{})
	k.same("t", 0)
}

// The name belongs to a source.
func TestNameOfAnother(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.run(Options{})
	k.fails(k.between(open(t), k.to, Options{}).Run(k.ctx), samsa.ErrInvalidOption)
	k.fails(k.mirror(Options{Prefix: "x."}).Run(k.ctx), samsa.ErrInvalidOption)
	_, err := New(k.from, k.from, Options{})
	k.fails(err, samsa.ErrInvalidOption)
}

// A move and the way back, step by step: nothing is lost or repeated, and groups go on where they were.
func TestMoveAndBack(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a", "b", "c")
	k.commit(k.from, "g", "t", 0, 1)
	there := k.run(Options{Name: "there"})

	k.put(k.from, "t", 0, "d") // there is a last one
	k.fails(there.Finish(k.ctx), ErrBehind)
	k.fails(k.between(k.to, k.from, Options{Name: "back", Topics: []string{"t"}}).Run(k.ctx), ErrLoop) // not yet
	k.commit(k.from, "g", "t", 0, 2)
	k.ok(there.Run(k.ctx))
	k.ok(there.Finish(k.ctx))
	k.want(k.committed(k.to, "g", "t", 0), int64(2))

	k.put(k.to, "t", 0, "e", "f") // the program is there now
	k.commit(k.to, "g", "t", 0, 3)
	back := k.between(k.to, k.from, Options{Name: "back", Topics: []string{"t"}})
	k.ok(back.Run(k.ctx))
	k.want(k.committed(k.from, "g", "t", 0), int64(3))
	k.commit(k.to, "g", "t", 0, 5)
	k.ok(back.Run(k.ctx))
	k.ok(back.Finish(k.ctx))
	k.want(k.committed(k.from, "g", "t", 0), int64(5))
	k.same("t", 0)

	k.put(k.from, "t", 0, "g") // and back again
	k.ok(there.Run(k.ctx))
	k.ok(there.Finish(k.ctx))
	k.same("t", 0)
	k.want(k.records(k.to, "t", 0), []string{"0:a", "1:b", "2:c", "3:d", "4:e", "5:f", "6:g"})
}

// What was written to the source behind the cut keeps the way back from beginning.
func TestWayBackMeetsRecords(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{})
	k.put(k.from, "t", 0, "a")
	k.ok(k.run(Options{}).Finish(k.ctx))
	k.put(k.from, "t", 0, "late")
	k.put(k.to, "t", 0, "b")
	k.fails(k.between(k.to, k.from, Options{Name: "back", Topics: []string{"t"}}).Run(k.ctx), ErrNotOurs)
	k.fails(k.mirror(Options{Topics: []string{"t"}}).Run(k.ctx), ErrNotOurs) // and it is finished
}

// Hold keeps records in a queue of the source until they are copied.
func TestHold(t *testing.T) {
	k := newKit(t)
	k.create(k.from, "t", samsa.TopicConfig{CleanupPolicy: samsa.CleanupConsumed})
	k.put(k.from, "t", 0, "a", "b")
	_, err := k.from.Sweep(k.ctx)
	k.ok(err)
	k.want(k.partition(k.from, "t", 0).LogStart(), int64(0))
	k.run(Options{Hold: true})
	_, err = k.from.Sweep(k.ctx)
	k.ok(err)
	k.want(k.partition(k.from, "t", 0).LogStart(), int64(2))
}

func TestOptions(t *testing.T) {
	k := newKit(t)
	_, err := New(k.from, k.to, Options{Name: "a/b", Prefix: "\n", Replicas: -1, BytesPerSecond: -1, Refresh: -1, Topics: []string{"["}, Groups: []string{""}})
	k.fails(err, samsa.ErrInvalidOption)
	if joined, ok := errors.Unwrap(err).(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 7 {
		t.Fatalf("not all that is wrong: %v", err)
	}
	for _, pair := range [][2]*samsa.Broker{{nil, k.to}, {k.from, nil}} {
		_, err := New(pair[0], pair[1], Options{})
		k.fails(err, samsa.ErrInvalidOption)
	}
}

// end is where the target's partition ends, -1 without one.
func (k *kit) end(name string, partition int32) int64 {
	info, err := k.to.Topics().Describe(k.ctx, name)
	if err != nil || len(info.Partitions) <= int(partition) {
		return -1
	}
	return info.Partitions[partition].HighWatermark
}

// until waits for something that the mirror does.
func (k *kit) until(ok func() bool) {
	k.t.Helper()
	for !ok() {
		if err := pause(k.ctx, time.Millisecond); err != nil {
			k.t.Fatal(err)
		}
	}
}

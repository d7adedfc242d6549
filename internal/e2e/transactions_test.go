package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
	"github.com/samsa-go/samsa/internal/writer"
	"github.com/samsa-go/samsa/log"
	"github.com/samsa-go/samsa/txn"
)

// wire is the producer of a transactional id, with what the wire door makes of a Kafka client's requests. What goes wrong
// ends the test.
type wire struct {
	k    *kit
	id   string
	p    txn.Producer
	seqs map[samsa.TopicPartition]int32
}

// transactional begins with a transactional id.
func (k *kit) transactional(id string) *wire {
	k.t.Helper()
	p, err := k.inside().Txns.Init(k.ctx, id, time.Minute, nil)
	if err != nil {
		k.t.Fatal(err)
	}
	return &wire{k, id, p, make(map[samsa.TopicPartition]int32)}
}

// try adds one batch to the transaction, and opens it if there is none.
func (w *wire) try(tp samsa.TopicPartition, values ...string) error {
	w.k.t.Helper()
	t, err := w.k.inside().Catalogue.Get(tp.Topic)
	if err != nil {
		w.k.t.Fatal(err)
	}
	var b log.Builder
	for _, v := range values {
		b.Append(time.Now().UnixMilli(), nil, []byte(v), nil)
	}
	batch, err := b.Seal(nil, log.CodecNone)
	if err != nil {
		w.k.t.Fatal(err)
	}
	const attributes, transactional = 22, 1 << 4
	batch[attributes] |= transactional
	batch.SetProducer(w.p.ID, w.p.Epoch, w.seqs[tp])
	tx := &writer.Tx{Appends: []writer.Append{{Partition: t.Partitions()[tp.Partition], Batch: batch}}}
	if w.id != "" {
		w.k.inside().Txns.Guard(tx, w.id, true)
	}
	if err := w.k.inside().Committer.Do(tx); err != nil {
		return err
	}
	w.seqs[tp] += int32(len(values))
	return nil
}

func (w *wire) write(tp samsa.TopicPartition, values ...string) {
	w.k.t.Helper()
	if err := w.try(tp, values...); err != nil {
		w.k.t.Fatal(err)
	}
}

// commitTo has the transaction commit an offset of a group.
func (w *wire) commitTo(name string, tp samsa.TopicPartition, offset int64) {
	w.k.t.Helper()
	err := w.k.inside().Txns.CommitOffsets(w.k.ctx, w.id, w.p, true, name, group.CommitRequest{
		Generation: -1, Offsets: map[log.TopicPartition]group.Offset{tp: {Offset: offset}},
	})
	if err != nil {
		w.k.t.Fatal(err)
	}
}

func (w *wire) end(commit bool) {
	w.k.t.Helper()
	p, err := w.k.inside().Txns.End(w.k.ctx, w.id, w.p, txn.EndOptions{Commit: commit})
	if err != nil {
		w.k.t.Fatal(err)
	}
	w.p = p
}

// reading is what a consumer has of the partition a/0.
type reading struct {
	k *kit
	c *samsa.Consumer
}

// now polls what there is, in a bubble, and says where the consumer is: values, position and lag.
func (r reading) now() string {
	r.k.t.Helper()
	synctest.Wait()
	records, err := r.c.Collect(r.k.ctx, 100, 0)
	if err == nil {
		synctest.Wait()
		_, err = r.c.Collect(r.k.ctx, 100, 0) // past what has no records
	}
	tp := samsa.TopicPartition{Topic: "a"}
	position, posErr := r.c.Position(tp)
	lag, lagErr := r.c.Lag(tp)
	total, totalErr := r.c.TotalLag(r.k.ctx)
	if err := errors.Join(err, posErr, lagErr, totalErr); err != nil {
		r.k.t.Fatal(err)
	}
	return fmt.Sprint(values(records), " at ", position, ", lag ", lag, " of ", total)
}

// A consumer gets what was committed, in order, and is never at the end before what is open. One that wants all gets all at once.
func TestConsumersReadWhatIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("a", 1)
		tp := samsa.TopicPartition{Topic: "a"}
		of := func(iso samsa.Isolation, group string) reading {
			return reading{k, k.consumer(samsa.ConsumerOptions{Group: group, Topics: []string{"a"}, Isolation: iso, Member: samsa.MemberOptions{ManualCommit: group != ""}})}
		}
		alone, all := of(samsa.ReadCommitted, ""), of(samsa.ReadUncommitted, "")
		w := k.transactional("t")
		for _, step := range []struct {
			do         func()
			alone, all string
		}{
			{func() { k.write("a", "0") }, "[0] at 1, lag 0 of 0", "[0] at 1, lag 0 of 0"},
			{func() { w.write(tp, "1", "2") }, "[] at 1, lag 0 of 0", "[1 2] at 3, lag 0 of 0"},
			{func() { k.write("a", "3") }, "[] at 1, lag 0 of 0", "[3] at 4, lag 0 of 0"},
			{func() { w.end(true) }, "[1 2 3] at 5, lag 0 of 0", "[] at 5, lag 0 of 0"},
			{func() { w.write(tp, "5"); w.write(tp, "6") }, "[] at 5, lag 0 of 0", "[5 6] at 7, lag 0 of 0"},
			{func() { w.end(false) }, "[] at 8, lag 0 of 0", "[] at 8, lag 0 of 0"},
			{func() { k.write("a", "8") }, "[8] at 9, lag 0 of 0", "[8] at 9, lag 0 of 0"},
		} {
			step.do()
			if got := alone.now(); got != step.alone {
				t.Errorf("committed: %s, want %s", got, step.alone)
			}
			if got := all.now(); got != step.all {
				t.Errorf("all: %s, want %s", got, step.all)
			}
		}
		if s, err := k.Stats(k.ctx); err != nil || s.Aborted != 2 {
			t.Errorf("%d records of aborted transactions were passed, error %v", s.Aborted, err)
		}
	})
}

// What a group has committed is behind the markers that it has come past, and its lag counts to the high watermark.
func TestGroupsBehindMarkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{Groups: samsa.GroupOptions{InitialRebalanceDelay: -1}})
		k.create("a", 1)
		tp := samsa.TopicPartition{Topic: "a"}
		w := k.transactional("t")
		w.write(tp, "0", "1")
		w.end(true)
		w.write(tp, "3")
		w.end(false)
		c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"a"}, Member: samsa.MemberOptions{ManualCommit: true}})
		k.read(c, 2)
		r := reading{k, c}
		r.now()
		committed := func(want int64, lag int64) {
			t.Helper()
			if err := c.Commit(k.ctx); err != nil {
				t.Fatal(err)
			}
			d, err := k.Groups().Describe(k.ctx, "g")
			if err != nil {
				t.Fatal(err)
			}
			if p := d.Partitions[0]; p.Committed != want || p.Lag != lag {
				t.Errorf("committed %d, lag %d, want %d and %d", p.Committed, p.Lag, want, lag)
			}
		}
		committed(5, 0)
		w.write(tp, "5", "6")
		if got := r.now(); got != "[] at 5, lag 0 of 0" {
			t.Error(got)
		}
		committed(5, 2)
		w.end(true)
		if got := r.now(); got != "[5 6] at 8, lag 0 of 0" {
			t.Error(got)
		}
		committed(8, 0)
	})
}

// Where a consumer of what is committed ends, and what it counts from the end, is before the first open transaction.
func TestTheEndOfWhatIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("a", 1)
		tp := samsa.TopicPartition{Topic: "a"}
		aborted, committed, open := k.transactional("aborted"), k.transactional("committed"), k.transactional("open")
		k.write("a", "0")
		aborted.write(tp, "1")
		committed.write(tp, "2")
		aborted.end(false)  // 3
		committed.end(true) // 4
		time.Sleep(time.Second)
		now := time.Now()
		open.write(tp, "5")
		k.write("a", "6")
		for iso, want := range map[samsa.Isolation]struct {
			until, last    string
			latest, atTime int64
		}{
			samsa.ReadCommitted:   {"[0 2]", "[0 2]", 5, 5},
			samsa.ReadUncommitted: {"[0 1 2 5 6]", "[5 6]", 7, 5},
		} {
			c := k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}, Isolation: iso})
			loop := func() string {
				var records []samsa.Record
				for r, err := range c.RecordsUntil(k.ctx) {
					if err != nil {
						t.Fatal(err)
					}
					records = append(records, r)
				}
				return fmt.Sprint(values(records))
			}
			if got := loop(); got != want.until {
				t.Errorf("%s: until now are %s, want %s", iso, got, want.until)
			}
			if err := c.SeekLast(k.ctx, 2); err != nil {
				t.Fatal(err)
			}
			if got := loop(); got != want.last {
				t.Errorf("%s: the last two are %s, want %s", iso, got, want.last)
			}
			for start, want := range map[samsa.Start]int64{samsa.Latest(): want.latest, samsa.AtTime(now): want.atTime} {
				if err := c.SeekTo(k.ctx, start); err != nil {
					t.Fatal(err)
				}
				if got, err := c.Position(tp); got != want || err != nil {
					t.Errorf("%s: %s is %d, error %v, want %d", iso, start, got, err, want)
				}
			}
		}
		for start, want := range map[samsa.Start]string{samsa.Latest(): "[2 0]", samsa.AtOffset(7): "[2 0]", samsa.AtOffset(2): "[0]"} {
			var back []samsa.Record
			for r, err := range k.Backward(k.ctx, tp, start) {
				if err != nil {
					t.Fatal(err)
				}
				back = append(back, r)
			}
			if got := fmt.Sprint(values(back)); got != want {
				t.Errorf("backward from %s: %s, want %s", start, got, want)
			}
		}
		d, err := k.Topics().Describe(k.ctx, "a")
		if err != nil || d.Partitions[0].LastStable != 5 || d.Partitions[0].HighWatermark != 7 {
			t.Errorf("%+v, error %v", d.Partitions, err)
		}
		at, err := k.ListOffsets(k.ctx, "a", samsa.Latest())
		if err != nil || at[0].Offset != 7 {
			t.Errorf("%v, error %v", at, err)
		}
	})
}

// A consumer may stand behind the last stable offset, where one that reads all has committed. It waits, and goes on there.
func TestConsumerBehindTheLastStableOffset(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("a", 1)
		tp := samsa.TopicPartition{Topic: "a"}
		w := k.transactional("t")
		w.write(tp, "0", "1", "2")
		r := reading{k, k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}, Start: samsa.AtOffset(2), OutOfRange: samsa.ResetError})}
		if got := r.now(); got != "[] at 2, lag 0 of 0" {
			t.Error(got)
		}
		w.end(true)
		if got := r.now(); got != "[2] at 4, lag 0 of 0" {
			t.Error(got)
		}
	})
}

// Updates and transactions of the wire write to the same partitions and the same group. Each is there as a whole or
// not at all: records in the order of the log, and the offsets.
func TestUpdateBesideTransactions(t *testing.T) {
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprint("commit ", commit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := inMemory(t, samsa.Options{})
				k.create("a", 1)
				k.create("b", 1)
				a, b := samsa.TopicPartition{Topic: "a"}, samsa.TopicPartition{Topic: "b"}
				update := func(fail error, value string) {
					t.Helper()
					err := k.Update(k.ctx, func(tx *samsa.Tx) error {
						return errors.Join(fail, tx.Produce(samsa.Record{Topic: "a", Value: []byte(value)}, samsa.Record{Topic: "b", Value: []byte(value)}))
					})
					if !errors.Is(err, fail) {
						t.Fatal(err)
					}
				}
				c := k.consumer(samsa.ConsumerOptions{Topics: []string{"a", "b"}})
				read := func(want ...string) {
					t.Helper()
					synctest.Wait()
					records, err := c.Collect(k.ctx, 100, 0)
					if got := texts(records); err != nil || !slices.Equal(sorted(got), want) {
						t.Errorf("%v, error %v, want %v", got, err, want)
					}
				}
				w := k.transactional("t")
				update(nil, "u0")
				read("a/0@0=u0", "b/0@0=u0")
				w.write(a, "w")
				w.commitTo("g", b, 1)
				update(nil, "u1")                      // beside the open one: a waits for that, b has nothing to wait for
				update(errors.New("undone"), "undone") // leaves nothing
				read("b/0@1=u1")
				w.write(b, "w")
				update(nil, "u2")
				read()
				w.end(commit)
				want := []string{"a/0@2=u1", "a/0@3=u2", "b/0@3=u2"}
				offsets := 0
				if commit {
					want = append(want, "a/0@1=w", "b/0@2=w")
					offsets = 1
				}
				read(sorted(want)...)
				if got, err := k.Groups().Committed(k.ctx, "g"); err != nil || len(got) != offsets {
					t.Errorf("group g has %v, error %v", got, err)
				}
			})
		})
	}
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// Administrators see what is open and whose it is, abort it as a whole, and fence.
func TestTransactionsAreAdministered(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	k.create("b", 1)
	a, b := samsa.TopicPartition{Topic: "a"}, samsa.TopicPartition{Topic: "b"}
	admin := k.Transactions()
	begun := time.Now().Add(-time.Millisecond)
	w, other := k.transactional("orders"), k.transactional("audit")
	lost := &wire{k: k, p: txn.Producer{ID: 5000, Epoch: 1}, seqs: make(map[samsa.TopicPartition]int32)}
	w.write(a, "1")
	w.write(b, "1")
	w.commitTo("g", a, 1)
	other.write(b, "2")
	lost.write(a, "3")

	names, err := admin.List(k.ctx)
	if err != nil || !slices.Equal(names, []string{"audit", "orders"}) {
		t.Errorf("%v, error %v", names, err)
	}
	d, err := admin.Describe(k.ctx, "orders")
	if err != nil || d.ID != "orders" || d.State != samsa.TransactionOngoing || d.Timeout != time.Minute || d.Started.Before(begun) ||
		d.ProducerID != w.p.ID || d.ProducerEpoch != w.p.Epoch ||
		!slices.Equal(d.Partitions, []samsa.TopicPartition{a, b}) || !slices.Equal(d.Groups, []string{"g"}) {
		t.Errorf("%+v, error %v", d, err)
	}
	open := func(topics ...string) (text []string) {
		t.Helper()
		all, err := admin.Open(k.ctx, topics...)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range all {
			if o.Written.Before(begun) {
				t.Errorf("written %s", o.Written)
			}
			text = append(text, fmt.Sprintf("%s from %d by %q", o.TopicPartition, o.Since, o.ID))
		}
		return text
	}
	if got, want := open(), []string{`a/0 from 0 by "orders"`, `a/0 from 1 by ""`, `b/0 from 0 by "orders"`, `b/0 from 1 by "audit"`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	all, err := admin.Open(k.ctx, "a")
	if err != nil || len(all) != 2 {
		t.Fatalf("%+v, error %v", all, err)
	}
	for _, o := range all {
		if err := admin.Abort(k.ctx, o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
		if err := admin.Abort(k.ctx, o); !errors.Is(err, samsa.ErrInvalidTxnState) {
			t.Errorf("again: %v", err)
		}
	}
	if got, want := open(), []string{`b/0 from 1 by "audit"`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if err := w.try(b, "late"); !errors.Is(err, samsa.ErrProducerFenced) {
		t.Errorf("after the abort: %v", err)
	}
	if err := admin.Fence(k.ctx, "audit"); err != nil {
		t.Error(err)
	}
	if err := other.try(b, "late"); !errors.Is(err, samsa.ErrProducerFenced) {
		t.Errorf("after the fence: %v", err)
	}
	if got := open(); len(got) > 0 {
		t.Errorf("%q", got)
	}
	_, err = admin.Open(k.ctx, "none")
	for want, got := range map[error]error{samsa.ErrUnknownTransactionalID: admin.Fence(k.ctx, "none"), samsa.ErrUnknownTopic: err} {
		if !errors.Is(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// Options say how long a transaction may be open, and how long ids are remembered that nobody uses: never while a transaction
// is open.
func TestLimitsOfTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{
			Transactions:     samsa.TransactionOptions{MaxTimeout: 2 * time.Hour, IDExpiry: time.Hour},
			ProducerIDExpiry: 30 * time.Minute,
		})
		k.create("a", 1)
		_, err := k.inside().Txns.Init(k.ctx, "long", 2*time.Hour+time.Millisecond, nil)
		if !errors.Is(err, log.ErrInvalidTxnTimeout) {
			t.Fatalf("more than the longest time-out: %v", err)
		}
		p, err := k.inside().Txns.Init(k.ctx, "long", 2*time.Hour, nil)
		if err != nil {
			t.Fatal(err)
		}
		long := &wire{k, "long", p, make(map[samsa.TopicPartition]int32)}
		tp := samsa.TopicPartition{Topic: "a"}
		short := k.transactional("short")
		short.write(tp, "short")
		short.end(true)
		long.write(tp, "long")
		known := func(want string) {
			t.Helper()
			synctest.Wait()
			_, sweep := k.Sweep(k.ctx)
			ids, err := k.Transactions().List(k.ctx)
			topic, inCatalogue := k.inside().Catalogue.Get("a")
			if err := errors.Join(sweep, err, inCatalogue); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(ids, len(topic.Partitions()[0].Log().Producers())); got != want {
				t.Errorf("after %s: ids, and how many producers of the partition: %s, want %s", time.Since(startOfBubble), got, want)
			}
		}
		time.Sleep(30*time.Minute - time.Second)
		known("[long short] 2")
		time.Sleep(2 * time.Second)
		known("[long short] 1")
		time.Sleep(30 * time.Minute)
		known("[long] 1")
		time.Sleep(time.Hour) // long is aborted
		known("[long] 1")
		time.Sleep(time.Hour + time.Second)
		known("[] 0")
	})
}

// startOfBubble is what the clock of a bubble says first.
var startOfBubble = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

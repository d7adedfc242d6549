package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// A record is processed when the program comes back for more, and not before. The tests of
// this file are programs that do not.

var ctx = context.Background()

var inT = samsa.TopicPartition{Topic: "t"}

// thousand is a broker whose topic t has 1000 records in ten batches: the value is the offset.
func thousand(t *testing.T) *samsa.Broker {
	t.Helper()
	b := samsatest.New(t, samsatest.Topic("t", 1))
	fillTopic(t, b, 1000)
	return b
}

func fillTopic(t *testing.T, b *samsa.Broker, n int) {
	t.Helper()
	for from := 0; from < n; from += 100 {
		var values []string
		for i := from; i < min(n, from+100); i++ {
			values = append(values, fmt.Sprint(i))
		}
		samsatest.Produce(t, b, "t", values...)
	}
}

// program is a consumer of group g, closed by the program itself.
func program(t *testing.T, b *samsa.Broker, member samsa.MemberOptions) *samsa.Consumer {
	t.Helper()
	return newConsumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: member})
}

// committed returns the offset of group g in t/0, -1 for none.
func committed(t *testing.T, b *samsa.Broker) int64 {
	t.Helper()
	offsets, err := b.Groups().Committed(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets[inT]; ok {
		return o.Offset
	}
	return -1
}

// next returns the offset of the first record that a new consumer of g gets.
func next(t *testing.T, b *samsa.Broker) int64 {
	t.Helper()
	c := program(t, b, samsa.MemberOptions{ManualCommit: true})
	records, err := c.Poll(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return records[0].Offset
}

var errHandler = errors.New("the handler failed")

// However a program ends at the record with offset 4, that record is the first of its
// successor, and nothing behind it is lost.
func TestWhatEndsALoopCommitsNothing(t *testing.T) {
	for name, program4 := range map[string]func(b *samsa.Broker, c *samsa.Consumer) error{
		"a panic": func(_ *samsa.Broker, c *samsa.Consumer) (err error) {
			defer func() { err = recover().(error) }()
			defer func() { _ = c.Close() }()
			for r, err := range c.Records(ctx) {
				if err != nil {
					return err
				}
				if r.Offset == 4 {
					panic(errHandler)
				}
			}
			return nil
		},
		"a returned error": func(_ *samsa.Broker, c *samsa.Consumer) error {
			defer func() { _ = c.Close() }()
			for r, err := range c.Records(ctx) {
				if err != nil {
					return err
				}
				if r.Offset == 4 {
					return errHandler
				}
			}
			return nil
		},
		"a break": func(_ *samsa.Broker, c *samsa.Consumer) error {
			defer func() { _ = c.Close() }()
			for r, err := range c.Records(ctx) {
				if err != nil {
					return err
				}
				if r.Offset == 4 {
					break
				}
			}
			return errHandler
		},
		"Close in the loop": func(_ *samsa.Broker, c *samsa.Consumer) error {
			for r, err := range c.Records(ctx) {
				if errors.Is(err, samsa.ErrClosed) {
					return errHandler
				}
				if err != nil {
					return err
				}
				if r.Offset > 4 {
					return fmt.Errorf("offset %d comes after Close", r.Offset)
				}
				if r.Offset == 4 {
					if err := c.Close(); err != nil {
						return err
					}
				}
			}
			return nil
		},
		"Close by another goroutine": func(_ *samsa.Broker, c *samsa.Consumer) error {
			return closedAt4(c, func() error { return c.Close() })
		},
		"Close of the broker": func(b *samsa.Broker, c *samsa.Consumer) error {
			return closedAt4(c, b.Close)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			b := samsatest.New(t, samsatest.Dir(dir), samsatest.Topic("t", 1), samsatest.AllowOpenClients())
			fillTopic(t, b, 1000)
			if err := program4(b, program(t, b, samsa.MemberOptions{})); !errors.Is(err, errHandler) {
				t.Fatal(err)
			}
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			b, err := samsa.Open(dir, samsa.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }()
			if at := next(t, b); at != 4 {
				t.Errorf("the successor begins at %d, want 4", at)
			}
		})
	}
}

// closedAt4 has somebody else close the consumer while its loop is busy with offset 4.
func closedAt4(c *samsa.Consumer, closeIt func() error) error {
	for r, err := range c.Records(ctx) {
		if errors.Is(err, samsa.ErrClosed) {
			return errHandler
		}
		if err != nil {
			return err
		}
		if r.Offset == 4 {
			closed := make(chan error)
			go func() { closed <- closeIt() }()
			if err := <-closed; err != nil {
				return err
			}
		}
	}
	return io.ErrUnexpectedEOF
}

// Ten records of a Poll are in work, the first fails, and the program returns.
func TestWhatPollReturnedIsNotProcessedByClose(t *testing.T) {
	b := thousand(t)
	c := newConsumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, MaxPollRecords: 10})
	for range 2 {
		if records, err := c.Poll(ctx); err != nil || len(records) != 10 {
			t.Fatal(len(records), err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if at := next(t, b); at != 10 {
		t.Errorf("the successor begins at %d, want 10: behind the first Poll", at)
	}
}

// Who comes back for more, and learns that there is none for want of time, has processed what
// there was.
func TestAnEndedContextLosesNothing(t *testing.T) {
	for name, work := range map[string]func(c *samsa.Consumer){
		"loop": func(c *samsa.Consumer) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for r, err := range c.Records(ctx) {
				if err == nil && r.Offset == 700 {
					cancel()
				}
			}
		},
		"polls": func(c *samsa.Consumer) {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			for seen := 0; ; {
				records, err := c.Poll(ctx)
				if err != nil {
					return
				}
				if seen += len(records); seen == 701 {
					cancel()
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := thousand(t)
			c := newConsumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, MaxPollRecords: 701})
			work(c)
			if err := c.Close(); err != nil {
				t.Fatal(err)
			}
			if at := next(t, b); at != 701 {
				t.Errorf("the successor begins at %d, want 701", at)
			}
		})
	}
}

// A commit in the loop names the record that the loop has, and those before it.
func TestCommitInTheLoop(t *testing.T) {
	for name, commit := range map[string]func(c *samsa.Consumer, r samsa.Record) error{
		"Commit":        func(c *samsa.Consumer, _ samsa.Record) error { return c.Commit(ctx) },
		"CommitRecords": func(c *samsa.Consumer, r samsa.Record) error { return c.CommitRecords(ctx, r) },
	} {
		t.Run(name, func(t *testing.T) {
			b := thousand(t)
			c := program(t, b, samsa.MemberOptions{ManualCommit: true})
			for r, err := range c.Records(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				if err := commit(c, r); err != nil {
					t.Fatal(err)
				}
				if at := committed(t, b); at != r.Offset+1 {
					t.Fatalf("at offset %d the group has committed %d", r.Offset, at)
				}
				if r.Offset == 250 {
					break
				}
			}
		})
	}
}

// Auto-commit goes with the loop, record by record.
func TestAutoCommitInTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := thousand(t)
		c := program(t, b, samsa.MemberOptions{AutoCommitInterval: time.Second})
		for r, err := range c.Records(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(1100 * time.Millisecond)
			synctest.Wait()
			if at := committed(t, b); at != r.Offset && r.Offset > 0 {
				t.Fatalf("at offset %d the group has committed %d", r.Offset, at)
			}
			if r.Offset == 150 {
				break
			}
		}
	})
}

// Every call in the loop acts on what the loop gets next, and tells of the record it has.
func TestCallsInTheLoopActAtOnce(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 2))
	for p := range int32(2) {
		var records []samsa.Record
		for range 50 {
			records = append(records, samsa.Record{Topic: "t", Partition: p})
		}
		pr := newProducer(t, b, samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
		if _, err := pr.ProduceSync(ctx, records...); err != nil {
			t.Fatal(err)
		}
	}
	for _, group := range []string{"", "g"} {
		c := newConsumer(t, b, samsa.ConsumerOptions{Group: group, Topics: []string{"t"}})
		var got []string
		for r, err := range c.Records(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			tp := samsa.TopicPartition{Topic: r.Topic, Partition: r.Partition}
			got = append(got, fmt.Sprintf("%d@%d", r.Partition, r.Offset))
			if at, err := c.Position(tp); err != nil || at != r.Offset+1 {
				t.Fatalf("position %d, %v at offset %d", at, err, r.Offset)
			}
			if lag, err := c.Lag(tp); err != nil || lag != 49-r.Offset {
				t.Fatalf("lag %d, %v at offset %d", lag, err, r.Offset)
			}
			other := samsa.TopicPartition{Topic: "t", Partition: 1 - r.Partition}
			switch len(got) {
			case 1:
				err = c.Pause(tp)
			case 2:
				err = c.Seek(t.Context(), tp, 40)
			case 3:
				err = errors.Join(c.Resume(other), c.Pause(tp), c.Seek(t.Context(), other, 7))
			case 4: // a Poll in the loop goes on where the loop is, and the loop behind it
				var records []samsa.Record
				records, err = c.Poll(ctx)
				got = append(got, fmt.Sprintf("%d more from %d", len(records), records[0].Offset))
				err = errors.Join(err, c.Seek(t.Context(), tp, 49))
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(got) == 6 {
				break
			}
		}
		first := got[0][:1]
		second := map[string]string{"0": "1", "1": "0"}[first]
		want := []string{first + "@0", second + "@0", second + "@40", first + "@7", "42 more from 8", first + "@49"}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// A context that ends in the loop ends it there, and not at the end of some batch.
func TestTheLoopEndsWithItsContext(t *testing.T) {
	b := thousand(t)
	c := newConsumer(t, b, samsa.ConsumerOptions{Topics: []string{"t"}})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	records := 0
	for _, err := range c.Records(ctx) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			continue
		}
		records++
		cancel()
	}
	if at, err := c.Position(inT); err != nil || at != 1 || records != 1 {
		t.Errorf("%d records, position %d, %v", records, at, err)
	}
}

// A loop that takes a minute a record is alive, although a batch takes it hours.
func TestTheLoopIsASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		fillTopic(t, b, 100)
		c := program(t, b, samsa.MemberOptions{MaxPollInterval: 2 * time.Minute, OnLost: func(context.Context, *samsa.Consumer, []samsa.TopicPartition) {
			t.Error("the partition was lost")
		}})
		seen := 0
		for _, err := range c.Records(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if seen++; seen == 100 {
				break
			}
		}
		if at := committed(t, b); at != 99 {
			t.Errorf("the group has committed %d, want 99", at)
		}
	})
}

// A partition that goes to another member in the middle of a batch goes from the record that
// the loop has come back from.
func TestRevocationInTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := thousand(t)
		called := func(client string) *samsa.Consumer {
			return newConsumer(t, b, samsa.ConsumerOptions{
				Group: "g", ClientID: client, Topics: []string{"t"}, Member: samsa.MemberOptions{Assignors: []samsa.Assignor{toTheYounger()}},
			})
		}
		a := called("a")
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		last := int64(-1)
		var took chan []samsa.Record
		for r, err := range a.Records(ctx) {
			if err != nil {
				break
			}
			last = r.Offset
			if last == 4 {
				took = make(chan []samsa.Record, 1)
				other := called("b")
				go func() {
					records, err := other.Poll(ctx)
					if err != nil {
						t.Error(err)
					}
					took <- records
					cancel()
				}()
				synctest.Wait()
			}
		}
		if records := <-took; len(records) == 0 || records[0].Offset != last+1 {
			t.Errorf("the loop had %d, and the other member begins at %v", last, samsatest.Texts(records[:1]))
		}
		if last > 5 {
			t.Errorf("the loop went on to offset %d before it gave the partition up", last)
		}
	})
}

// toTheYounger gives everything to the member with client id b, if there is one.
func toTheYounger() samsa.Assignor {
	return samsa.AssignorFunc("younger", false, func(members []samsa.AssignMember, partitions map[string]int32) map[string]samsa.Assignment {
		to := members[0].ID
		for _, m := range members {
			if strings.HasPrefix(m.ID, "b") {
				to = m.ID
			}
		}
		all := make(samsa.Assignment)
		for name, n := range partitions {
			for p := range n {
				all[name] = append(all[name], p)
			}
		}
		return map[string]samsa.Assignment{to: all}
	})
}

// What a member loses in the middle of a batch, its loop gets no more of.
func TestLossInTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := thousand(t)
		lost := false
		c := newConsumer(t, b, samsa.ConsumerOptions{Group: "g", ClientID: "a", Topics: []string{"t"}, Member: samsa.MemberOptions{
			OnLost: func(context.Context, *samsa.Consumer, []samsa.TopicPartition) { lost = true },
		}})
		for r, err := range c.Records(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if lost {
				if r.Offset != 0 {
					t.Errorf("after the loss the loop goes on at %d, want 0: nothing was committed", r.Offset)
				}
				break
			}
			if r.Offset > 4 {
				t.Fatalf("offset %d came although the member was lost at 4", r.Offset)
			}
			if r.Offset == 4 {
				samsatest.Expire(t, b, "g", "a")
				synctest.Wait()
			}
		}
	})
}

// An error that Poll owes holds the position back: what was committed before it was told does
// not step over the damage.
func TestDamageIsToldBeforeItIsCommitted(t *testing.T) {
	for name, read := range map[string]func(t *testing.T, c *samsa.Consumer) error{
		"polls": func(t *testing.T, c *samsa.Consumer) error {
			records, err := c.Poll(ctx)
			if err != nil || len(records) != 10 {
				t.Fatalf("%d records, %v", len(records), err)
			}
			return nil
		},
		"loop": func(t *testing.T, c *samsa.Consumer) error {
			for r, err := range c.Records(ctx) {
				if err != nil || r.Offset == 9 {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := samsatest.New(t, samsatest.Topic("t", 1))
			fillTopic(t, b, 10)
			samsatest.Produce(t, b, "t", "damaged")
			samsatest.Produce(t, b, "t", "last")
			samsatest.Corrupt(t, b, "t", 0, 10)
			c := program(t, b, samsa.MemberOptions{ManualCommit: true})
			if err := read(t, c); err != nil {
				t.Fatal(err)
			}
			if err := c.Commit(ctx); err != nil {
				t.Fatal(err)
			}
			if at := committed(t, b); at != 10 {
				t.Fatalf("committed %d, want 10", at)
			}
			if _, err := c.Poll(ctx); !errors.Is(err, samsa.ErrCorruptRecord) {
				t.Fatalf("got %v, want the damage", err)
			}
			if at, err := c.Position(inT); err != nil || at != 11 {
				t.Errorf("position %d, %v, want 11: the damage was told", at, err)
			}
			if records, err := c.Poll(ctx); err != nil || samsatest.Texts(records)[0] != "last" {
				t.Errorf("got %v, %v", records, err)
			}
		})
	}
}

// Records of a busy partition do not keep an error of another one back.
func TestAnErrorComesInItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 3))
		pr := newProducer(t, b, samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
		for p := range int32(3) {
			for range 100 {
				if _, err := pr.ProduceSync(ctx, samsa.Record{Topic: "t", Partition: p}); err != nil {
					t.Fatal(err)
				}
			}
		}
		samsatest.Corrupt(t, b, "t", 1, 0)
		c := newConsumer(t, b, samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollRecords: 10})
		synctest.Wait() // all is read ahead
		for polls := 0; ; polls++ {
			_, err := c.Poll(ctx)
			if errors.Is(err, samsa.ErrCorruptRecord) {
				return
			}
			if err != nil || polls == 2 {
				t.Fatalf("poll %d: %v", polls, err)
			}
		}
	})
}

// A member may have any number of partitions: commits are split as the store needs it.
func TestCommitOfManyPartitions(t *testing.T) {
	const partitions = 9000
	b := samsatest.New(t, samsatest.Topic("t", partitions))
	c := program(t, b, samsa.MemberOptions{ManualCommit: true})
	offsets := make(map[samsa.TopicPartition]samsa.CommittedOffset, partitions)
	for p := range int32(partitions) {
		offsets[samsa.TopicPartition{Topic: "t", Partition: p}] = samsa.CommittedOffset{Metadata: strings.Repeat("m", 1000)}
	}
	if _, err := b.Produce(ctx, samsa.Record{Topic: "t"}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Poll(ctx); err != nil {
		t.Fatal(err)
	}
	for name, commit := range map[string]func() error{
		"Commit":        func() error { return c.Commit(ctx) },
		"CommitOffsets": func() error { return c.CommitOffsets(ctx, offsets) },
	} {
		if err := commit(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if now, err := c.Committed(ctx); err != nil || len(now) != partitions {
			t.Fatalf("%s: %d partitions, %v", name, len(now), err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	moved := 0
	for _, to := range []samsa.Start{samsa.Latest(), samsa.Earliest()} {
		if err := b.Groups().AlterOffsets(ctx, "g", samsa.To(to)); err != nil {
			t.Fatal(err)
		}
		now, err := b.Groups().Committed(ctx, "g")
		if err != nil || len(now) != partitions {
			t.Fatalf("altered to %s: %d partitions, %v", to, len(now), err)
		}
		for _, o := range now {
			moved += int(o.Offset)
		}
	}
	if moved != 1 {
		t.Errorf("after resets to the end and to the beginning the offsets are %d records apart, want 1", moved)
	}
	if err := b.Groups().Delete(ctx, "g"); err != nil {
		t.Fatal(err)
	}
}

// An auto-commit that fails again and again is not kept quiet.
func TestAutoCommitThatKeepsFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Options(samsa.Options{Logger: zap.New(core)}))
		fillTopic(t, b, 10)
		c := program(t, b, samsa.MemberOptions{})
		f := samsatest.Commits(b, "g").Fail()
		ctx, cancel := context.WithTimeout(ctx, time.Minute+time.Second)
		defer cancel()
		told := 0
		for ctx.Err() == nil {
			if _, err := c.Poll(ctx); err != nil && ctx.Err() == nil {
				if !strings.Contains(err.Error(), "auto-commit") {
					t.Fatal(err)
				}
				told++
			}
		}
		if failed := f.Hits(); told == 0 || failed-told != 2 {
			t.Errorf("of %d failures in a row Poll told %d, want all but the first two", failed, told)
		}
		if n := logs.FilterMessage("auto-commit failed").Len(); n != told {
			t.Errorf("%d warnings, want %d", n, told)
		}
		f.Remove()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if at := committed(t, b); at != 10 {
			t.Errorf("committed %d, want 10", at)
		}
	})
}

// A consumer that retention has overtaken is moved, and says so: to the operator, in the
// statistics, and to the program before it gets a record from there.
func TestResetsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.WarnLevel)
		b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Options(samsa.Options{Logger: zap.New(core)}))
		for range 10 { // more than is read ahead
			samsatest.Produce(t, b, "t", slices.Repeat([]string{strings.Repeat("x", 4000)}, 100)...)
		}
		var resets []samsa.Reset
		c := newConsumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, MaxPollRecords: 10, MaxPollBytes: 40_000,
			OnReset: func(_ context.Context, c *samsa.Consumer, r samsa.Reset) {
				if at, err := c.Position(r.TopicPartition); err != nil || at != r.To {
					t.Errorf("position %d, %v in OnReset, want %d", at, err, r.To)
				}
				resets = append(resets, r)
			}})
		poll := func() int64 {
			records, err := c.Poll(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return records[0].Offset
		}
		poll()
		synctest.Wait() // what is read ahead is read
		if err := b.Topics().DeleteRecords(ctx, "t", map[int32]int64{0: 900}); err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		for at < 900 {
			if before := at; len(resets) == 0 {
				if at = poll(); at < 900 && at != before+10 {
					t.Fatalf("after %d came %d", before, at)
				}
			}
		}
		if len(resets) != 1 || resets[0].From < 100 || resets[0].TopicPartition != inT || resets[0].To != 900 || at != 900 {
			t.Fatalf("resets %v, and %d came", resets, at)
		}
		skipped := resets[0].Skipped()
		if skipped != 900-resets[0].From || skipped <= 0 {
			t.Errorf("skipped %d of %v", skipped, resets[0])
		}
		stats, err := b.Stats(t.Context())
		if err != nil || stats.Resets != 1 || stats.Skipped != skipped {
			t.Errorf("statistics %+v, %v", stats, err)
		}
		lines := logs.FilterMessageSnippet("offset that is not there").All()
		if len(lines) != 1 {
			t.Fatalf("logged %v", logs.All())
		}
		fields := lines[0].ContextMap()
		for key, want := range map[string]any{"group": "g", "partition": "t/0", "from": resets[0].From, "to": int64(900), "skipped": skipped} {
			if fields[key] != want {
				t.Errorf("logged %s=%v, want %v", key, fields[key], want)
			}
		}
	})
}

// OnReset may close the consumer, and a panic of it is Poll's: other resets are told all the same.
func TestOnResetIsTheProgramsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 2))
		var told []samsa.Reset
		c := newConsumer(t, b, samsa.ConsumerOptions{Topics: []string{"t"}, Start: samsa.AtOffset(100),
			OnReset: func(_ context.Context, c *samsa.Consumer, r samsa.Reset) {
				if told = append(told, r); len(told) == 1 {
					panic(errHandler)
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}})
		synctest.Wait()
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !errors.Is(err, errHandler) {
					t.Errorf("Poll panicked with %v", err)
				}
			}()
			_, _ = c.Poll(ctx)
		}()
		if _, err := c.Poll(ctx); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
		if len(told) != 2 || told[0].TopicPartition.Partition == told[1].TopicPartition.Partition || told[0].Skipped() != 0 {
			t.Errorf("told %v", told)
		}
	})
}

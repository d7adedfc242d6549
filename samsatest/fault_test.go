package samsatest_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func TestAppendsFailBeforeTheyAreStored(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("orders", 2), samsatest.Topic("other", 1))
	f := samsatest.Appends(b, "orders", 1).Next(2).Fail()
	p := producer(t, b, samsa.ProducerOptions{Partitioner: samsa.ManualPartitioner()})
	send := func(topic string, partition int32, value string) error {
		_, err := p.ProduceSync(ctx, samsa.Record{Topic: topic, Partition: partition, Value: []byte(value)})
		return err
	}
	for range 2 {
		wantErr(t, send("orders", 1, "lost"), samsa.ErrUnavailable, samsatest.ErrInjected)
		wantErr(t, send("orders", 0, "another partition"), nil)
		wantErr(t, send("other", 0, "another topic"), nil)
	}
	wantErr(t, send("orders", 1, "the third"), nil)
	samsatest.Equal(t, b, "orders", []string{"another partition", "another partition", "the third"})
	if n := f.Hits(); n != 2 {
		t.Errorf("it has hit %d times, want 2", n)
	}
}

func TestAnAppendOfSeveralPartitionsFailsAsAWhole(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("a", 1), samsatest.Topic("b", 1))
	f := samsatest.Appends(b, "b").FailWith(samsa.ErrDiskFull)
	_, err := b.Produce(ctx, samsatest.Record("a", "1"), samsatest.Record("b", "2"))
	wantErr(t, err, samsa.ErrDiskFull)
	err = b.Update(ctx, func(tx *samsa.Tx) error {
		return errors.Join(tx.Produce(samsatest.Record("b", "3")), tx.Set([]byte("k"), []byte("v")))
	})
	wantErr(t, err, samsa.ErrDiskFull)
	f.Remove()
	samsatest.Equal(t, b, "a", nil)
	samsatest.Produce(t, b, "b", "4")
	samsatest.Equal(t, b, "b", []string{"4"})
	if n := f.Hits(); n != 2 {
		t.Errorf("it has hit %d times, want 2", n)
	}
}

func TestAnswersToAppendsAreLost(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	f := samsatest.Appends(b, "t").Stored().Next(3).Fail()
	_, err := b.Produce(ctx, samsatest.Record("t", "produced"))
	wantErr(t, err, samsatest.ErrInjected, samsa.ErrOutcomeUnknown)
	p := producer(t, b, samsa.ProducerOptions{Acks: samsa.AckSynced})
	_, err = p.ProduceSync(ctx, samsatest.Record("t", "sent"))
	wantErr(t, err, samsatest.ErrInjected, samsa.ErrOutcomeUnknown)
	update := func(n string) error {
		return b.Update(ctx, func(tx *samsa.Tx) error {
			return errors.Join(tx.Produce(samsatest.Record("t", n)), tx.Set([]byte("k"), []byte(n)))
		})
	}
	wantErr(t, update("updated"), samsatest.ErrInjected, samsa.ErrOutcomeUnknown)
	f.Wait(t)
	// All of it is there, and what comes later is not confused by it.
	samsatest.Equal(t, b, "t", []string{"produced", "sent", "updated"})
	if got := get(t, b, "k"); got != "updated" {
		t.Errorf("the key is %q", got)
	}
	wantErr(t, update("again"), nil)
}

func TestHeldAppendsKeepTheirOrder(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1), samsatest.Topic("other", 1))
	f := samsatest.Appends(b, "t").Next(1).Hold()
	p := producer(t, b, samsa.ProducerOptions{})
	var got []string
	send := func(value string) {
		p.Produce(ctx, samsatest.Record("t", value), func(r samsa.Record, err error) {
			got = append(got, fmt.Sprint(string(r.Value), r.Offset, err))
		})
	}
	send("a")
	f.Wait(t)
	done := make(chan error)
	go func() {
		_, err := b.Produce(ctx, samsatest.Record("t", "b")) // waits behind it: only one is held
		done <- err
	}()
	samsatest.Produce(t, b, "other", "is not held")
	samsatest.Equal(t, b, "t", nil)
	f.Remove()
	wantErr(t, <-done, nil)
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"a0 <nil>"}) {
		t.Errorf("promises were told %q", got)
	}
	samsatest.SameRecords(t, b, "t", []string{"a", "b"})
}

func TestAContextEndsTheWaitForAHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		f := samsatest.Appends(b, "t").Hold()
		short, cancel := contextWithTimeout(time.Second)
		defer cancel()
		_, err := b.Produce(short, samsatest.Record("t", "v"))
		wantErr(t, err, short.Err())
		err = b.Update(short, func(tx *samsa.Tx) error { return tx.Produce(samsatest.Record("t", "v")) })
		wantErr(t, err, short.Err())
		f.Remove()
		samsatest.Produce(t, b, "t", "later")
		samsatest.Equal(t, b, "t", []string{"later"})
	})
}

func TestReleaseLetsOneWaveGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		f := samsatest.Appends(b, "t").Hold()
		for _, value := range []string{"a", "b"} {
			done := make(chan error, 1)
			go func() {
				_, err := b.Produce(ctx, samsatest.Record("t", value))
				done <- err
			}()
			synctest.Wait()
			before := len(samsatest.Drain(t, b, "t"))
			f.Release()
			wantErr(t, <-done, nil)
			if n := len(samsatest.Drain(t, b, "t")); n != before+1 {
				t.Errorf("%d records, before the release %d", n, before)
			}
		}
	})
}

// Whatever can be held stands still until the fault is removed, and is counted. Behind the
// store, what is held is there for others to see.
func TestHolds(t *testing.T) {
	produce := func(b *samsa.Broker, _ *samsa.Consumer) error {
		_, err := b.Produce(ctx, samsatest.Record("t", "new"))
		return err
	}
	pollOne := func(_ *samsa.Broker, c *samsa.Consumer) error {
		_, err := c.Poll(ctx)
		return err
	}
	commit := func(_ *samsa.Broker, c *samsa.Consumer) error {
		return c.CommitOffsets(ctx, map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "t"}: {Offset: 1}})
	}
	nothing, record, offset := "1 records, 0 committed", "2 records, 0 committed", "1 records, 1 committed"
	for name, tc := range map[string]struct {
		hold            func(b *samsa.Broker) *samsatest.Fault
		joined          bool // the consumer is a member before
		work            func(b *samsa.Broker, c *samsa.Consumer) error
		meanwhile, then string
	}{
		"append":            {func(b *samsa.Broker) *samsatest.Fault { return samsatest.Appends(b, "t").Hold() }, false, produce, nothing, record},
		"answer to append":  {func(b *samsa.Broker) *samsatest.Fault { return samsatest.Appends(b, "t").Stored().Hold() }, false, produce, record, record},
		"fetch":             {func(b *samsa.Broker) *samsatest.Fault { return samsatest.Fetches(b, "t").Next(1).Hold() }, false, pollOne, nothing, nothing},
		"join":              {func(b *samsa.Broker) *samsatest.Fault { return samsatest.Joins(b, "g").Hold() }, false, pollOne, nothing, nothing},
		"commit":            {func(b *samsa.Broker) *samsatest.Fault { return samsatest.Commits(b, "g").Hold() }, true, commit, nothing, offset},
		"answer to commits": {func(b *samsa.Broker) *samsatest.Fault { return samsatest.Commits(b, "g").Stored().Hold() }, true, commit, offset, offset},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := samsatest.New(t, samsatest.Topic("t", 1))
				samsatest.Produce(t, b, "t", "old")
				c := consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: samsa.MemberOptions{ManualCommit: true}})
				if tc.joined {
					poll(t, c)
				}
				held := tc.hold(b)
				done := make(chan error, 1)
				go func() { done <- tc.work(b, c) }()
				held.Wait(t)
				synctest.Wait()
				select {
				case err := <-done:
					t.Fatalf("it is not held: %v", err)
				default:
				}
				wantState(t, b, tc.meanwhile)
				held.Remove()
				wantErr(t, <-done, nil)
				wantState(t, b, tc.then)
				if n := held.Hits(); n != 1 {
					t.Errorf("it has hit %d times, want 1", n)
				}
			})
		})
	}
}

// wantState compares what topic t has, and what group g has committed of it.
func wantState(t *testing.T, b *samsa.Broker, want string) {
	t.Helper()
	offsets, err := b.Groups().Committed(ctx, "g")
	if err != nil && !errors.Is(err, samsa.ErrUnknownGroup) {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%d records, %d committed", len(samsatest.Drain(t, b, "t")), offsets[samsa.TopicPartition{Topic: "t"}].Offset)
	if got != want {
		t.Errorf("there are %s, want %s", got, want)
	}
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		c := consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: samsa.MemberOptions{ManualCommit: true}})
		samsatest.Appends(b, "t").Next(1).Delay(1 * time.Second)
		samsatest.Appends(b, "t").Stored().Next(1).Delay(2 * time.Second)
		samsatest.Joins(b, "g").Next(1).Delay(4 * time.Second)
		samsatest.Fetches(b, "t").Next(1).Delay(8 * time.Second)
		samsatest.Commits(b, "g").Next(1).Delay(16 * time.Second)
		samsatest.Commits(b, "g").Stored().Next(1).Delay(32 * time.Second)
		began := time.Now()
		samsatest.Produce(t, b, "t", "v")
		took(t, began, 3*time.Second)
		poll(t, c)
		took(t, began, 15*time.Second)
		wantErr(t, c.Commit(ctx), nil)
		took(t, began, 63*time.Second)
	})
}

func took(t *testing.T, began time.Time, want time.Duration) {
	t.Helper()
	if d := time.Since(began); d != want {
		t.Errorf("after %s, want %s", d, want)
	}
}

func TestFetchesFail(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	samsatest.Fetches(b, "t").By("somebody else").Fail()
	f := samsatest.Fetches(b, "t").By("me").Next(1).Fail()
	samsatest.Produce(t, b, "t", "v")
	c := consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, ClientID: "me"})
	_, err := c.Poll(ctx)
	wantErr(t, err, samsa.ErrUnavailable, samsatest.ErrInjected)
	if got := poll(t, c); !slices.Equal(got, []string{"v"}) || f.Hits() != 1 {
		t.Errorf("then came %q; it has hit %d times", got, f.Hits())
	}
}

func TestAConsumerWhoseFetchIsHeldCanBeClosed(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	f := samsatest.Fetches(b, "t").Hold()
	c := consumer(t, b, samsa.ConsumerOptions{Topics: []string{"t"}})
	samsatest.Produce(t, b, "t", "v")
	f.Wait(t)
	wantErr(t, c.Close(), nil)
}

func TestCommitsFail(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", "v")
	c := consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, ClientID: "me", Member: samsa.MemberOptions{ManualCommit: true}})
	poll(t, c)
	samsatest.Commits(b, "g").By("me").Next(1).Fail()
	err := c.Commit(ctx)
	wantErr(t, err, samsa.ErrUnavailable)
	if !samsa.Retriable(err) || errors.Is(err, samsa.ErrOutcomeUnknown) {
		t.Errorf("what is not done yet: %v", err)
	}
	if offsets, err := c.Committed(ctx); err != nil || len(offsets) != 0 {
		t.Errorf("committed %v, %v", offsets, err)
	}
	samsatest.Commits(b, "g").Stored().Next(1).Fail()
	wantErr(t, c.Commit(ctx), samsa.ErrUnavailable, samsa.ErrOutcomeUnknown)
	samsatest.WaitCommitted(t, b, "g", "t", 1)
	wantErr(t, c.Commit(ctx), nil)
}

func TestJoinsFail(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", "v")
	c := consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
	samsatest.Joins(b, "g").Next(1).FailWith(samsa.ErrGroupFull)
	_, err := c.Poll(ctx)
	wantErr(t, err, samsa.ErrGroupFull)
	if got := poll(t, c); !slices.Equal(got, []string{"v"}) {
		t.Errorf("then came %q", got)
	}
}

func TestFillDisk(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", "before")
	c := consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
	f := samsatest.FillDisk(b)
	_, err := b.Produce(ctx, samsatest.Record("t", "no room"))
	wantErr(t, err, samsa.ErrDiskFull, samsatest.ErrInjected)
	wantErr(t, b.Topics().Create(ctx, "u", samsa.TopicConfig{}), samsa.ErrDiskFull)
	poll(t, c)
	wantErr(t, c.Commit(ctx), nil)
	if n := f.Hits(); n != 2 {
		t.Errorf("it has hit %d times, want 2", n)
	}
	f.Remove()
	samsatest.Produce(t, b, "t", "room again")
	samsatest.Equal(t, b, "t", []string{"before", "room again"})
}

func TestFaultsEndWithTheBroker(t *testing.T) {
	ft := runFake(func(ft *fakeTest) {
		b := samsatest.New(ft, samsatest.Topic("t", 1))
		held := samsatest.Appends(b, "t").Hold()
		go func() { _, _ = b.Produce(ctx, samsatest.Record("t", "v")) }()
		held.Wait(ft)
	})
	ft.wantErrs(t)
}

func TestWaitGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		runFake(func(ft *fakeTest) {
			b := samsatest.New(ft, samsatest.Topic("t", 2))
			samsatest.Appends(b, "t", 1).By("me").Next(2).Fail().Wait(ft)
		}).wantErrs(t, "fail appends of t/[1] by me: unavailable for the moment: injected by the test has not hit within 30s: 0 of 2 times")
		runFake(func(ft *fakeTest) {
			samsatest.WaitRecords(ft, samsatest.New(ft, samsatest.Topic("t", 2)), "t", 1)
		}).wantErrs(t, "waited for 30s: topic t has 0 records, want 1")
		runFake(func(ft *fakeTest) {
			samsatest.WaitCommitted(ft, samsatest.New(ft, samsatest.Topic("t", 1)), "g", "t", 1)
		}).wantErrs(t, "group g has committed 0 records of topic t, want 1")
		runFake(func(ft *fakeTest) {
			samsatest.WaitStable(ft, samsatest.New(ft), "g", 1)
		}).wantErrs(t, "group g: unknown group")
	})
}

// A damaged batch is an error for those who read it, in memory, in a fork, and on disk.
func TestCorrupt(t *testing.T) {
	damaged := func(opts ...samsatest.Option) *samsa.Broker {
		b := samsatest.New(t, append(opts, samsatest.Topic("t", 1))...)
		for _, v := range []string{"a", "b", "c"} {
			samsatest.Produce(t, b, "t", v)
		}
		samsatest.Corrupt(t, b, "t", 0, 1)
		return b
	}
	memory := damaged()
	for name, b := range map[string]*samsa.Broker{
		"memory": memory, "fork": samsatest.Fork(t, memory), "disk": damaged(samsatest.Dir(filepath.Join(t.TempDir(), "d"))),
	} {
		t.Run(name, func(t *testing.T) {
			c := consumer(t, b, samsa.ConsumerOptions{Topics: []string{"t"}})
			var got []string
			for len(got) < 3 {
				records, err := c.Poll(ctx)
				if err != nil {
					wantErr(t, err, samsa.ErrCorruptRecord)
					got = append(got, "damaged")
				}
				got = append(got, samsatest.Texts(records)...)
			}
			if !slices.Equal(got, []string{"a", "damaged", "c"}) {
				t.Errorf("read %q", got)
			}
		})
	}
}

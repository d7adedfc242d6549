package samsatest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func TestCrashKeepsWhatWasStored(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", "stored")
	set(t, b, "k", "stored")
	lazy := producer(t, b, samsa.ProducerOptions{Acks: samsa.AckNone, Linger: time.Minute})
	if _, err := lazy.ProduceSync(ctx, samsatest.Record("t", "buffered")); err != nil {
		t.Fatal(err)
	}
	held := samsatest.Appends(b, "t").Hold()
	outcome := make(chan error, 1)
	go func() {
		_, err := b.Produce(ctx, samsatest.Record("t", "on its way"))
		outcome <- err
	}()
	held.Wait(t)

	samsatest.Crash(t, b)
	wantErr(t, <-outcome, samsa.ErrClosed, samsa.ErrOutcomeUnknown)
	_, err := b.Produce(ctx, samsatest.Record("t", "too late"))
	wantErr(t, err, samsa.ErrClosed)
	lazy.Produce(ctx, samsatest.Record("t", "too late"), func(_ samsa.Record, err error) { wantErr(t, err, samsa.ErrClosed) })

	for range 2 { // each restart finds the same
		again := samsatest.Restart(t, b)
		samsatest.Equal(t, again, "t", []string{"stored"})
		if got := get(t, again, "k"); got != "stored" {
			t.Errorf("the key is %q", got)
		}
		samsatest.Produce(t, again, "t", "after")
	}
}

func TestCrashOfABrokerOnDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	b := samsatest.New(t, samsatest.Dir(dir), samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", "stored")
	lazy := producer(t, b, samsa.ProducerOptions{Acks: samsa.AckNone, Linger: time.Minute})
	if _, err := lazy.ProduceSync(ctx, samsatest.Record("t", "buffered")); err != nil {
		t.Fatal(err)
	}
	samsatest.Crash(t, b)
	b = samsatest.Restart(t, b)
	samsatest.Equal(t, b, "t", []string{"stored"})
	samsatest.Produce(t, b, "t", "after")
}

func TestCutPowerKeepsWhatWasSynced(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	durable := producer(t, b, samsa.ProducerOptions{Acks: samsa.AckSynced})
	samsatest.Produce(t, b, "t", "stored before")
	if _, err := durable.ProduceSync(ctx, samsatest.Record("t", "synced")); err != nil {
		t.Fatal(err)
	}
	samsatest.Produce(t, b, "t", "stored after")
	fork := samsatest.Fork(t, b)

	samsatest.CutPower(t, b)
	samsatest.Equal(t, samsatest.Restart(t, b), "t", []string{"stored before", "synced"})

	// What a fork begins with counts as synced.
	samsatest.Produce(t, fork, "t", "lost")
	samsatest.CutPower(t, fork)
	samsatest.Equal(t, samsatest.Restart(t, fork), "t", []string{"stored before", "synced", "stored after"})
}

// A member of a crashed broker loses its partitions without a last commit, and its successor
// gets the records again.
func TestCrashUnderAConsumer(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	samsatest.Produce(t, b, "t", "a", "b")
	var mu sync.Mutex
	var heard []string
	note := func(what string) func(context.Context, *samsa.Consumer, []samsa.TopicPartition) {
		return func(_ context.Context, _ *samsa.Consumer, tps []samsa.TopicPartition) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, fmt.Sprint(what, tps))
		}
	}
	opts := samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}}
	opts.Member.OnRevoked, opts.Member.OnLost = note("revoked"), note("lost")
	c := consumer(t, b, opts)
	poll(t, c)
	samsatest.Crash(t, b)
	_, err := c.Poll(ctx)
	wantErr(t, err, samsa.ErrClosed)
	wantErr(t, c.Commit(ctx), samsa.ErrClosed)
	if mu.Lock(); !slices.Equal(heard, []string{"lost[t/0]"}) {
		t.Errorf("callbacks %q", heard)
	}
	mu.Unlock()
	b = samsatest.Restart(t, b)
	if got := poll(t, consumer(t, b, opts)); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("the successor got %q", got)
	}
}

// Whatever is acknowledged when the broker is killed under load is there afterwards, in
// order, once; what is not acknowledged may be.
func TestCrashUnderLoad(t *testing.T) {
	for range 20 {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		var wg sync.WaitGroup
		var mu sync.Mutex
		acked := make(map[int64]string)
		enough := make(chan struct{}, 4)
		for w := range 4 {
			wg.Go(func() {
				for i := 0; ; i++ {
					text := fmt.Sprintf("%d-%d", w, i)
					records, err := b.Produce(ctx, samsatest.Record("t", text))
					if err != nil {
						wantErr(t, err, samsa.ErrClosed)
						return
					}
					mu.Lock()
					acked[records[0].Offset] = text
					mu.Unlock()
					if i == 100 {
						enough <- struct{}{}
					}
				}
			})
		}
		<-enough
		samsatest.Crash(t, b)
		wg.Wait()
		left := samsatest.Drain(t, samsatest.Restart(t, b), "t")
		for offset, text := range acked {
			if offset >= int64(len(left)) || string(left[offset].Value) != text {
				t.Fatalf("%q was acknowledged at offset %d; %d records are left", text, offset, len(left))
			}
		}
	}
}

// member polls until the test is over.
func member(t *testing.T, b *samsa.Broker, name string) *samsa.Consumer {
	t.Helper()
	c := consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, ClientID: name})
	poll, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		for poll.Err() == nil {
			_, _ = c.Poll(poll)
		}
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
	return c
}

func TestWaitStableAndExpire(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 4))
	samsatest.Trace(t, b)
	one := member(t, b, "one")
	samsatest.WaitStable(t, b, "g", 1)
	member(t, b, "two")
	samsatest.WaitStable(t, b, "g", 2)
	samsatest.Produce(t, b, "t", "1=a", "2=b", "3=c", "4=d")
	if err := one.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	before, err := b.Groups().Describe(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	samsatest.Expire(t, b, "g", "two")
	samsatest.WaitStable(t, b, "g", 2) // it comes back by itself
	after, err := b.Groups().Describe(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	if after.Generation <= before.Generation {
		t.Errorf("generation %d after %d", after.Generation, before.Generation)
	}
	runFake(func(ft *fakeTest) { samsatest.Expire(ft, b, "g", "three") }).wantErrs(t, `has no member "three"`)
}

// An expired member learns of it with its next call, whatever name it was given by.
func TestExpire(t *testing.T) {
	for name, of := range map[string]func(m samsa.MemberInfo) string{
		"member id":   func(m samsa.MemberInfo) string { return m.ID },
		"instance id": func(m samsa.MemberInfo) string { return m.InstanceID },
		"client id":   func(m samsa.MemberInfo) string { return m.ClientID },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := samsatest.New(t, samsatest.Topic("t", 1))
				samsatest.Produce(t, b, "t", "v")
				c := consumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, ClientID: "worker", Member: samsa.MemberOptions{
					InstanceID: "host-1", ManualCommit: true,
				}})
				poll(t, c)
				info, err := b.Groups().Describe(ctx, "g")
				if err != nil || len(info.Members) != 1 {
					t.Fatalf("the group is %+v, %v", info, err)
				}
				samsatest.Expire(t, b, "g", of(info.Members[0]))
				wantMembers(t, b, 0)
				wantErr(t, c.Commit(ctx), samsa.ErrUnknownMember)
				if got := poll(t, c); !slices.Equal(got, []string{"v"}) { // it joins again; nothing was committed
					t.Errorf("then came %q", got)
				}
				wantMembers(t, b, 1)
			})
		})
	}
}

func TestWaitRecordsOfATopicToCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t)
		go func() {
			time.Sleep(time.Second)
			_ = b.Topics().Create(ctx, "t", samsa.TopicConfig{Partitions: 1})
			time.Sleep(time.Second)
			_, _ = b.Produce(ctx, samsatest.Record("t", "v"))
		}()
		if got := samsatest.Texts(samsatest.WaitRecords(t, b, "t", 1)); !slices.Equal(got, []string{"v"}) {
			t.Errorf("came %q", got)
		}
	})
}

func TestWaitCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 2))
		member(t, b, "auto")
		samsatest.Produce(t, b, "t", "1=a", "2=b", "3=c")
		began := time.Now()
		samsatest.WaitCommitted(t, b, "g", "t", 3)
		took(t, began, 5*time.Second) // the interval of auto-commit
	})
}

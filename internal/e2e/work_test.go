package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// workshop is a consumer whose Work runs in a goroutine of its own. Each call waits until it is told how it ends.
type workshop struct {
	*samsa.Consumer
	k    *kit
	stop context.CancelFunc
	done chan error // what Work has returned

	mu    sync.Mutex // guards what follows
	calls map[string]chan error
	did   []string // in the order of the calls
}

// works has a member of the group g work, n calls at once.
func (k *kit) works(name string, n int, opts samsa.ConsumerOptions) *workshop {
	k.t.Helper()
	opts.Group, opts.ClientID, opts.Topics = "g", name, []string{"t"}
	w := &workshop{Consumer: k.consumer(opts), k: k, calls: make(map[string]chan error)}
	w.begin(n)
	return w
}

func (w *workshop) begin(n int) {
	ctx, cancel := context.WithCancel(w.k.ctx)
	w.stop, w.done = cancel, make(chan error, 1)
	go func() { w.done <- w.Work(ctx, n, w.call) }()
	synctest.Wait()
}

// call is a call of the function. It ends as told, or with its context.
func (w *workshop) call(ctx context.Context, r samsa.Record) error {
	told := make(chan error)
	w.mu.Lock()
	w.calls[string(r.Value)] = told
	w.did = append(w.did, string(r.Value))
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.calls, string(r.Value))
	}()
	select {
	case err := <-told:
		switch {
		case err != nil && err.Error() == "panic":
			panic("out of order")
		case err != nil && err.Error() == "leave":
			runtime.Goexit()
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tell ends calls, each with that error.
func (w *workshop) tell(err error, values ...string) {
	w.k.t.Helper()
	for _, v := range values {
		w.mu.Lock()
		told := w.calls[v]
		w.mu.Unlock()
		if told == nil {
			w.k.t.Fatalf("%s is not under way", v)
		}
		told <- err
		synctest.Wait()
	}
}

// under returns the records that are under way, sorted.
func (w *workshop) under() (values []string) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.calls))
}

func (w *workshop) wantUnder(want string) {
	w.k.t.Helper()
	if got := strings.Join(w.under(), " "); got != want {
		w.k.t.Errorf("under way are %q, want %q", got, want)
	}
}

// wantEnd checks that Work has ended, and with which errors and words.
func (w *workshop) wantEnd(want error, words ...string) {
	w.k.t.Helper()
	synctest.Wait()
	select {
	case err := <-w.done:
		if (want == nil) != (err == nil) || !errors.Is(err, want) {
			w.k.t.Errorf("work: %v, want %v", err, want)
		}
		for _, word := range words {
			if err != nil && !strings.Contains(err.Error(), word) {
				w.k.t.Errorf("work: %v, want %q in it", err, word)
			}
		}
	default:
		w.k.t.Fatal("work goes on")
	}
}

// autoCommits waits until what is done was committed.
func autoCommits() {
	time.Sleep(6 * time.Second)
	synctest.Wait()
}

// So many calls are under way at once, and what is committed is what comes before the first record that is not done.
func TestWorkCommitsWhatIsContiguous(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b", "c", "d", "e")
		w := k.works("w", 3, samsa.ConsumerOptions{})
		w.wantUnder("a b c")
		w.tell(nil, "b", "c")
		w.wantUnder("a d e")
		autoCommits()
		k.wantCommitted("g", "t/0@0")
		if err := w.Commit(k.ctx); err != nil { // of what is done
			t.Error(err)
		}
		k.wantCommitted("g", "t/0@0")
		w.tell(nil, "a", "e")
		autoCommits()
		k.wantCommitted("g", "t/0@3")
		w.tell(nil, "d")
		w.stop()
		w.wantEnd(context.Canceled)
		k.wantCommitted("g", "t/0@5")
	})
}

// A record that fails ends the work, and is not committed: it comes again, with those behind it.
func TestWorkFails(t *testing.T) {
	broken := errors.New("broken")
	for name, how := range map[string]struct {
		err, want error
		says      string
	}{
		"error": {broken, broken, "t/0: offset 1: broken"}, "panic": {errors.New("panic"), nil, "t/0: offset 1: panic: out of order"},
		"leave": {errors.New("leave"), nil, "t/0: offset 1: the function did not return"},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, 1, func(k *kit) {
				k.put("t", 0, "a", "b", "c", "d", "e")
				w := k.works("w", 3, samsa.ConsumerOptions{})
				w.tell(nil, "c")
				w.tell(how.err, "b")
				w.wantUnder("a d") // go on to their end
				w.tell(nil, "a", "d")
				select {
				case err := <-w.done:
					if err == nil || how.want != nil && !errors.Is(err, how.want) || !strings.HasSuffix(err.Error(), how.says) {
						t.Errorf("work: %v", err)
					}
				default:
					t.Fatal("work goes on")
				}
				autoCommits()
				k.wantCommitted("g", "t/0@1")
				w.begin(9)
				w.wantUnder("b c d e")
				w.tell(nil, "b", "c", "d", "e")
				if err := w.Close(); err != nil {
					t.Error(err)
				}
				w.wantEnd(samsa.ErrClosed)
				k.wantCommitted("g", "t/0@5")
			})
		})
	}
}

// Who is to have a partition waits for the calls that have its records, and begins with the first that is not done.
func TestWorkGivesUpAPartition(t *testing.T) {
	for name, assignor := range map[string]samsa.Assignor{"cooperative": samsa.CooperativeStickyAssignor(), "eager": samsa.RoundRobinAssignor()} {
		t.Run(name, func(t *testing.T) {
			story(t, 2, func(k *kit) {
				opts := samsa.ConsumerOptions{Member: samsa.MemberOptions{Assignors: []samsa.Assignor{assignor}}}
				var w *workshop
				opts.Member.OnRevoked = func(context.Context, *samsa.Consumer, []samsa.TopicPartition) {
					w.mu.Lock()
					defer w.mu.Unlock()
					if under := w.calls["b1"]; under != nil {
						t.Error("a partition is revoked while a record of it is under way")
					}
				}
				k.put("t", 0, "a0")
				k.put("t", 1, "b0", "b1", "b2")
				w = k.works("w", 4, opts)
				w.wantUnder("a0 b0 b1 b2")
				v := k.works("v", 4, samsa.ConsumerOptions{Member: samsa.MemberOptions{Assignors: []samsa.Assignor{assignor}}})
				time.Sleep(10 * time.Second)
				v.wantUnder("") // though w has been told
				w.tell(nil, "b0", "b2")
				w.tell(nil, "b1")
				w.tell(nil, "a0")
				k.put("t", 0, "a1")
				k.put("t", 1, "b3")
				time.Sleep(10 * time.Second)
				for _, w := range []*workshop{w, v} { // each has one
					w.tell(nil, w.under()...)
					if len(w.did) == 0 {
						t.Error("one has done nothing")
					}
					w.stop()
					w.wantEnd(context.Canceled)
				}
				k.wantCommitted("g", "t/0@2, t/1@4")
			})
		})
	}
}

// A call whose partition was lost has its context ended, and is no failure. Its record comes again.
func TestWorkLosesAPartition(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b")
		lost := false
		w := k.works("w", 1, samsa.ConsumerOptions{Member: samsa.MemberOptions{
			OnLost: func(context.Context, *samsa.Consumer, []samsa.TopicPartition) { lost = true },
		}})
		w.wantUnder("a")
		samsatest.Expire(t, k.Broker, "g", "w")
		time.Sleep(10 * time.Second)
		w.wantUnder("a") // again
		if !lost || strings.Join(w.did, " ") != "a a" {
			t.Errorf("lost is %v, calls were %q", lost, w.did)
		}
		w.tell(nil, "a")
		w.tell(nil, "b")
		w.stop()
		w.wantEnd(context.Canceled)
		k.wantCommitted("g", "t/0@2")
	})
}

// The first to hear that the group has put the member out may be a call that commits: it fails, and Work goes on as if
// its context had ended before.
func TestWorkIsToldByItsCommitThatAPartitionIsLost(t *testing.T) {
	for name, commits := range map[string]func(k *kit, c *samsa.Consumer, r samsa.Record) error{
		"commit": func(k *kit, c *samsa.Consumer, r samsa.Record) error { return c.CommitRecords(k.ctx, r) },
		"update": func(k *kit, c *samsa.Consumer, r samsa.Record) error {
			return k.Update(k.ctx, func(tx *samsa.Tx) error { return tx.CommitRecords(c, r) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, 1, func(k *kit) {
				k.put("t", 0, "a", "b")
				ctx, cancel := context.WithCancel(k.ctx)
				lost := 0
				c := k.consumer(samsa.ConsumerOptions{Group: "g", ClientID: "w", Topics: []string{"t"}, Member: samsa.MemberOptions{
					ManualCommit: true, OnLost: func(context.Context, *samsa.Consumer, []samsa.TopicPartition) { lost++ },
				}})
				var did []string
				err := c.Work(ctx, 1, func(_ context.Context, r samsa.Record) error {
					did = append(did, string(r.Value))
					if len(did) == 1 {
						samsatest.Expire(t, k.Broker, "g", "w")
					}
					err := commits(k, c, r)
					if len(did) == 1 && !errors.Is(err, samsa.ErrUnknownMember) {
						t.Errorf("the first commit: %v", err)
					}
					if len(did) == 3 {
						cancel()
					}
					return err
				})
				if got := strings.Join(did, " "); !errors.Is(err, context.Canceled) || got != "a a b" || lost != 1 {
					t.Errorf("work: %v, calls %s, lost %d times", err, got, lost)
				}
				k.wantCommitted("g", "t/0@2")
			})
		})
	}
}

// Close ends the contexts of calls, waits for them, and commits what is done. Shutdown waits as long as it is told to.
func TestWorkIsClosed(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b", "c")
		w := k.works("w", 2, samsa.ConsumerOptions{})
		w.tell(nil, "a")
		w.wantUnder("b c")
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		w.wantEnd(samsa.ErrClosed)
		w.wantUnder("")
		k.wantCommitted("g", "t/0@1")
		if err := w.Work(k.ctx, 1, w.call); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("work of a closed consumer: %v", err)
		}
	})
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a")
		c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
		release, done := make(chan struct{}), make(chan error)
		go func() {
			done <- c.Work(k.ctx, 1, func(context.Context, samsa.Record) error { <-release; return nil })
		}()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(k.ctx, time.Minute)
		defer cancel()
		if err := c.Shutdown(ctx); !errors.Is(err, samsa.ErrCutOff) {
			t.Errorf("shutdown: %v", err)
		}
		close(release)
		if err := <-done; !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("work: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		k.wantCommitted("g", "t/0@0") // the group has not waited so long
	})
}

// What would wait for the call itself, or poll beside the work, is refused.
func TestCallsOfWork(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b")
		c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
		ctx, cancel := context.WithCancel(k.ctx)
		defer cancel()
		var errs []error
		err := c.Work(ctx, 1, func(ctx context.Context, r samsa.Record) error {
			_, poll := c.Poll(ctx)
			errs = append(errs, c.Close(), c.Shutdown(ctx), poll, c.Work(ctx, 1, func(context.Context, samsa.Record) error { return nil }), k.Close())
			if string(r.Value) == "b" {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) || len(errs) != 10 {
			t.Errorf("work: %v, %d errors", err, len(errs))
		}
		for _, err := range errs {
			if !errors.Is(err, samsa.ErrInCallback) {
				t.Errorf("got %v", err)
			}
		}
		for what, err := range map[string]error{
			"0 at once":                  c.Work(k.ctx, 0, func(context.Context, samsa.Record) error { return nil }),
			"no function":                c.Work(k.ctx, 1, nil),
			"manual commit, two at once": k.consumer(samsa.ConsumerOptions{Group: "m", Topics: []string{"t"}, Member: samsa.MemberOptions{ManualCommit: true}}).Work(k.ctx, 2, func(context.Context, samsa.Record) error { return nil }),
		} {
			if !errors.Is(err, samsa.ErrInvalidOption) {
				t.Errorf("%s: %v", what, err)
			}
		}
		alone := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
		if err := alone.Work(k.ctx, 1, func(context.Context, samsa.Record) error { return nil }); !errors.Is(err, samsa.ErrInvalidGroup) {
			t.Errorf("without a group: %v", err)
		}
	})
}

// With ManualCommit nobody commits but the function: in a transaction, what it writes is there once.
func TestWorkCommitsInTransactions(t *testing.T) {
	story(t, 2, func(k *kit) {
		k.must(k.Topics().Create(k.ctx, "out", samsa.TopicConfig{}))
		k.put("t", 0, "a", "b", "c", "d")
		k.put("t", 1, "e", "f")
		opts := samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: samsa.MemberOptions{ManualCommit: true}}
		c := k.consumer(opts)
		copied := func(tx *samsa.Tx, r samsa.Record) error {
			return errors.Join(tx.Produce(samsa.Record{Topic: "out", Value: r.Value}), tx.CommitRecords(c, r))
		}
		failed := errors.New("failed")
		tries := make(map[string]int)
		work := func(ctx context.Context, r samsa.Record) error {
			tries[string(r.Value)]++
			return k.Update(ctx, func(tx *samsa.Tx) error {
				if err := copied(tx, r); err != nil || tries[string(r.Value)] == 1 && string(r.Value) == "c" {
					return errors.Join(err, failed)
				}
				return nil
			})
		}
		if err := c.Work(k.ctx, 1, work); !errors.Is(err, failed) {
			t.Fatalf("work: %v", err)
		}
		k.must(c.Close())
		c = k.consumer(opts) // goes on where the transactions have come to
		ctx, cancel := context.WithCancel(k.ctx)
		go func() {
			samsatest.WaitRecords(t, k.Broker, "out", 6)
			synctest.Wait()
			cancel()
		}()
		if err := c.Work(ctx, 1, work); !errors.Is(err, context.Canceled) {
			t.Errorf("work: %v", err)
		}
		var out []string
		for _, r := range samsatest.Drain(t, k.Broker, "out") {
			out = append(out, string(r.Value))
		}
		slices.Sort(out)
		if got := strings.Join(out, ""); got != "abcdef" || tries["c"] != 2 || len(tries) != 6 {
			t.Errorf("out has %s, after %v", got, tries)
		}
	})
}

// A pause does not make anything done, and a seek counts: what was under way before it counts for nothing.
func TestWorkSeeks(t *testing.T) {
	story(t, 1, func(k *kit) {
		tp := samsa.TopicPartition{Topic: "t"}
		k.put("t", 0, "a", "b", "c")
		w := k.works("w", 2, samsa.ConsumerOptions{})
		w.tell(nil, "b")
		w.wantUnder("a c")
		if err := errors.Join(w.Pause(tp), w.Resume(tp)); err != nil {
			t.Error(err)
		}
		autoCommits()
		k.wantCommitted("g", "t/0@0")
		w.tell(nil, "a")
		autoCommits()
		k.wantCommitted("g", "t/0@2")
		if err := w.Seek(k.ctx, tp, 1); err != nil {
			t.Error(err)
		}
		w.wantUnder("b c") // c of before
		w.tell(nil, "c")
		autoCommits()
		k.wantCommitted("g", "t/0@1")
		w.tell(nil, "b")
		w.wantUnder("c")
		w.tell(nil, "c")
		autoCommits()
		k.wantCommitted("g", "t/0@3")
	})
}

// Records of one key are done one after the other, in their order, and those of different keys at once. With members that
// come and go, and calls that fail, every record is done, and none that is not done is committed.
func TestWorkLikeTheModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		inBubble(t, func() { runWork(rt) })
	})
}

func runWork(rt *rapid.T) {
	b, err := samsa.Open("", samsa.Options{InMemory: true})
	if err != nil {
		rt.Fatal(err)
	}
	defer mustClose(rt, b)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const partitions = 3
	if err := b.Topics().Create(ctx, "t", samsa.TopicConfig{Partitions: partitions}); err != nil {
		rt.Fatal(err)
	}
	type place struct {
		partition int32
		offset    int64
	}
	var mu sync.Mutex // guards what follows
	total, done, busy, last := 0, make(map[place]bool), make(map[string]bool), make(map[string]int64)
	byKey := rapid.Bool().Draw(rt, "order by key")
	failures := rapid.IntRange(0, 5).Draw(rt, "failures")
	seed := rapid.Int64Range(1, 1000).Draw(rt, "seed")
	wrong := ""
	call := func(ctx context.Context, r samsa.Record) error {
		mu.Lock()
		key := fmt.Sprint(r.Partition, string(r.Key))
		if byKey && r.Key != nil {
			if busy[key] {
				wrong = fmt.Sprintf("two records of key %s at once", key)
			}
			if prev, ok := last[key]; ok && r.Offset > prev+1 {
				for o := prev + 1; o < r.Offset; o++ {
					if !done[place{r.Partition, o}] && o%4 == r.Offset%4 { // the key, see below
						wrong = fmt.Sprintf("offset %d of key %s before %d", r.Offset, key, o)
					}
				}
			}
			last[key] = r.Offset
		}
		busy[key] = true
		mu.Unlock()
		timer := time.NewTimer(time.Duration((r.Offset*7+int64(r.Partition)*3+seed)%13) * 100 * time.Millisecond)
		defer timer.Stop()
		var err error
		select {
		case <-timer.C:
		case <-ctx.Done():
			err = ctx.Err()
		}
		mu.Lock()
		defer mu.Unlock()
		busy[key] = false
		if err == nil && failures > 0 && (r.Offset+seed)%5 == 0 {
			failures--
			return errors.New("no luck")
		}
		if err == nil {
			done[place{r.Partition, r.Offset}] = true
		}
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var open []*samsa.Consumer
	join := func() {
		c, err := b.NewConsumer(ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, OrderByKey: byKey, Member: samsa.MemberOptions{AutoCommitInterval: time.Second}})
		if err != nil {
			rt.Fatal(err)
		}
		open = append(open, c)
		n := rapid.IntRange(1, 5).Draw(rt, "calls")
		wg.Go(func() {
			for {
				if err := c.Work(ctx, n, call); errors.Is(err, samsa.ErrClosed) || ctx.Err() != nil {
					return
				}
			}
		})
	}
	check := func() {
		synctest.Wait()
		committed, err := b.Groups().Committed(context.Background(), "g")
		if err != nil && !errors.Is(err, samsa.ErrUnknownGroup) {
			rt.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		for tp, o := range committed {
			for offset := range o.Offset {
				if !done[place{tp.Partition, offset}] {
					rt.Fatalf("%s is committed up to %d, and %d is not done", tp, o.Offset, offset)
				}
			}
		}
		if wrong != "" {
			rt.Fatal(wrong)
		}
	}
	join()
	next := [partitions]int64{}
	rt.Repeat(map[string]func(*rapid.T){
		"": func(*rapid.T) { check() },
		"write": func(*rapid.T) {
			var records []samsa.Record
			for range rapid.IntRange(1, 10).Draw(rt, "records") {
				p := rapid.Int32Range(0, partitions-1).Draw(rt, "partition")
				r := samsa.Record{Topic: "t", Partition: p}
				if next[p]%4 > 0 {
					r.Key = fmt.Append(nil, next[p]%4)
				}
				next[p]++
				total++
				records = append(records, r)
			}
			if _, err := b.ProduceWith(ctx, samsa.ProduceOptions{Partitioner: samsa.ManualPartitioner()}, records...); err != nil {
				rt.Fatal(err)
			}
		},
		"wait": func(*rapid.T) {
			time.Sleep(time.Duration(rapid.IntRange(1, 30).Draw(rt, "tenths")) * 100 * time.Millisecond)
		},
		"join": func(*rapid.T) {
			if len(open) < 4 {
				join()
			}
		},
		"close": func(*rapid.T) {
			if len(open) > 1 {
				c := open[0]
				open = open[1:]
				if err := c.Close(); err != nil {
					rt.Fatal(err)
				}
			}
		},
	})
	time.Sleep(10 * time.Minute)
	for _, c := range open {
		if err := c.Close(); err != nil {
			rt.Fatal(err)
		}
	}
	check()
	if len(done) != total {
		rt.Fatalf("%d records of %d are done", len(done), total)
	}
	committed, err := b.Groups().Committed(context.Background(), "g")
	sum := 0
	for _, o := range committed {
		sum += int(o.Offset)
	}
	if sum != total || err != nil && total > 0 {
		rt.Fatalf("committed are %v, %v, want %d in all", committed, err, total)
	}
}

// What is no record ends Work as it would be an error of Poll, when the calls under way have ended; the next one goes on
// behind it. So does a callback that panics, as a panic of Work.
func TestWorkMeetsWhatPollTells(t *testing.T) {
	story(t, 1, func(k *kit) {
		for _, v := range []string{"a", "b", "c"} { // a batch each
			k.put("t", 0, v)
		}
		samsatest.Corrupt(t, k.Broker, "t", 0, 1)
		w := k.works("w", 3, samsa.ConsumerOptions{})
		w.wantUnder("a")
		w.tell(nil, "a")
		w.wantEnd(samsa.ErrCorruptRecord)
		w.begin(3)
		w.wantUnder("c")
		if err := k.Topics().Delete(k.ctx, "t"); err != nil {
			t.Error(err)
		}
		time.Sleep(10 * time.Second)
		w.wantUnder("c") // is told when it has ended
		w.tell(errors.New("too late"), "c")
		w.wantEnd(samsa.ErrUnknownTopic)
	})
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b")
		first := true
		c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: samsa.MemberOptions{
			OnAssigned: func(context.Context, *samsa.Consumer, []samsa.TopicPartition) {
				if first {
					first = false
					panic("not me")
				}
			},
		}})
		ctx, cancel := context.WithCancel(k.ctx)
		defer cancel()
		var did []string
		work := func() (err error) {
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("panic: %v", v)
				}
			}()
			return c.Work(ctx, 2, func(_ context.Context, r samsa.Record) error {
				if did = append(did, string(r.Value)); len(did) == 2 {
					cancel()
				}
				return nil
			})
		}
		if err := work(); err == nil || err.Error() != "panic: not me" {
			t.Errorf("work: %v", err)
		}
		if err := work(); !errors.Is(err, context.Canceled) || len(did) != 2 {
			t.Errorf("work: %v, did %q", err, did)
		}
	})
}

// A broker that is closed ends the work of its consumers, and one that dies too. A group that has come to the end has no lag
// though there are markers of transactions.
func TestWorkEndsWithTheBroker(t *testing.T) {
	story(t, 1, func(k *kit) {
		w := k.transactional("id")
		tp := samsa.TopicPartition{Topic: "t"}
		w.write(tp, "a")
		w.end(true)
		w.write(tp, "undone")
		w.end(false)
		c := k.works("w", 2, samsa.ConsumerOptions{})
		c.tell(nil, "a")
		autoCommits()
		k.wantCommitted("g", "t/0@4")
		k.put("t", 0, "b", "c")
		c.wantUnder("b c")
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		c.wantEnd(samsa.ErrClosed)
		c.wantUnder("")
	})
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		k := &kit{Broker: b, t: t, ctx: context.Background()}
		k.put("t", 0, "a", "b")
		c := k.works("w", 2, samsa.ConsumerOptions{})
		c.tell(nil, "a")
		samsatest.Crash(t, b)
		c.wantEnd(samsa.ErrClosed)
		c.wantUnder("")
	})
}

// BenchmarkWork hands out records to functions that do nothing, and commits them.
func BenchmarkWork(b *testing.B) {
	for _, n := range []int{1, 8, 64} {
		for _, byKey := range []bool{false, true} {
			b.Run(fmt.Sprintf("calls=%d/by-key=%v", n, byKey), func(b *testing.B) {
				broker := mustOpen(b, "", samsa.Options{InMemory: true})
				defer mustClose(b, broker)
				mustCreate(b, broker, "t", 4)
				const batch = 1000
				for left := b.N; left > 0; left -= batch {
					records := make([]samsa.Record, min(left, batch))
					for i := range records {
						records[i] = samsa.Record{Topic: "t", Key: fmt.Append(nil, i%100), Value: []byte("value")}
					}
					if _, err := broker.Produce(b.Context(), records...); err != nil {
						b.Fatal(err)
					}
				}
				c, err := broker.NewConsumer(b.Context(), samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, OrderByKey: byKey})
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(b.Context())
				defer cancel()
				var left atomic.Int64
				left.Store(int64(b.N))
				b.ReportAllocs()
				b.ResetTimer()
				err = c.Work(ctx, n, func(context.Context, samsa.Record) error {
					if left.Add(-1) == 0 {
						cancel()
					}
					return nil
				})
				b.StopTimer()
				if !errors.Is(err, context.Canceled) {
					b.Fatal(err)
				}
				mustClose(b, c)
			})
		}
	}
}

package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// until reads until now and returns the records as partition@offset, in their order within the partitions, and the
// errors.
func (k *kit) until(c *samsa.Consumer, do func(samsa.Record)) (read string, errs []error) {
	k.t.Helper()
	byPartition := make(map[string][]string)
	for r, err := range c.RecordsUntil(k.ctx) {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		tp := fmt.Sprint(r.Topic, "/", r.Partition)
		byPartition[tp] = append(byPartition[tp], fmt.Sprint(tp, "@", r.Offset))
		if do != nil {
			do(r)
		}
	}
	return joinSorted(byPartition), errs
}

func joinSorted(byPartition map[string][]string) string {
	var all []string
	for _, tp := range slices.Sorted(maps.Keys(byPartition)) {
		all = append(all, byPartition[tp]...)
	}
	return strings.Join(all, " ")
}

// wantUntil reads until now, which must give these records and no error.
func (k *kit) wantUntil(c *samsa.Consumer, want string) {
	k.t.Helper()
	if got, errs := k.until(c, nil); got != want || len(errs) > 0 {
		k.t.Errorf("read %q, want %q; errors %v", got, want, errs)
	}
}

func (k *kit) wantPositions(c *samsa.Consumer, want string) {
	k.t.Helper()
	var all []string
	for _, tp := range c.Assigned() {
		at, err := c.Position(tp)
		if err != nil {
			k.t.Fatal(err)
		}
		all = append(all, fmt.Sprint(tp, "@", at))
	}
	if got := strings.Join(all, " "); got != want {
		k.t.Errorf("positions %q, want %q", got, want)
	}
}

var (
	t0 = samsa.TopicPartition{Topic: "t"}
	t1 = samsa.TopicPartition{Topic: "t", Partition: 1}
)

// What has happened before, or happens in the loop, and what the loop reads. Topic t has the partitions t/0 with three
// batches of one record, and t/1 with two. All of it is in a bubble: a loop that waits for ever fails the test.
func TestRecordsUntil(t *testing.T) {
	all := "t/0@0 t/0@1 t/0@2 t/1@0 t/1@1"
	for _, tc := range []struct {
		name      string
		opts      samsa.ConsumerOptions
		before    func(k *kit, c *samsa.Consumer)
		first     func(k *kit, c *samsa.Consumer) // in the loop, at its first record
		want      string
		errs      string // that they have
		positions string
	}{
		{name: "everything", want: all, positions: "t/0@3 t/1@2"},
		{name: "one a poll", opts: samsa.ConsumerOptions{MaxPollRecords: 1, MaxPollBytes: 1}, want: all, positions: "t/0@3 t/1@2"},
		{name: "from the end", opts: samsa.ConsumerOptions{Start: samsa.Latest()}, want: "", positions: "t/0@3 t/1@2"},
		{name: "what comes meanwhile", first: func(k *kit, _ *samsa.Consumer) {
			k.put("t", 0, "new", "new")
			k.put("t", 1, "new")
		}, want: all, positions: "t/0@3 t/1@2"},
		{name: "an empty partition, and a new one", before: func(k *kit, _ *samsa.Consumer) {
			if err := k.Topics().AddPartitions(k.ctx, "t", 3); err != nil {
				k.t.Error(err)
			}
			synctest.Wait()
		}, first: func(k *kit, _ *samsa.Consumer) {
			if err := k.Topics().AddPartitions(k.ctx, "t", 4); err != nil {
				k.t.Error(err)
			}
			k.put("t", 2, "new")
			k.put("t", 3, "new")
			synctest.Wait()
		}, want: all, positions: "t/0@3 t/1@2 t/2@0 t/3@0"},
		{name: "the start has moved", before: func(k *kit, c *samsa.Consumer) {
			k.deleteRecords("t", 0, 2)
			k.deleteRecords("t", 1, 2)
			k.seek(c, t0, 0) // what was read ahead does not count
			k.seek(c, t1, 0)
		}, want: "t/0@2", positions: "t/0@3 t/1@2"},
		{name: "the start moves beyond the end", opts: samsa.ConsumerOptions{MaxPollRecords: 1, MaxPollBytes: 1}, first: func(k *kit, c *samsa.Consumer) {
			k.put("t", 0, "new", "new")
			k.deleteRecords("t", 0, 4)
			k.seek(c, t0, 1)
		}, want: "t/0@0 t/1@0 t/1@1", positions: "t/0@4 t/1@2"},
		{name: "behind the log", opts: samsa.ConsumerOptions{Start: samsa.AtOffset(9)}, want: all, positions: "t/0@3 t/1@2"},
		{name: "behind the log, and latest", opts: samsa.ConsumerOptions{Start: samsa.AtOffset(9), OutOfRange: samsa.ResetLatest}, positions: "t/0@3 t/1@2"},
		{name: "a paused partition", before: func(k *kit, c *samsa.Consumer) { k.must(c.Pause(t0)) }, want: "t/1@0 t/1@1", positions: "t/0@0 t/1@2"},
		{name: "paused in the loop", first: func(k *kit, c *samsa.Consumer) { k.must(c.Pause(t0, t1)) }, want: "t/0@0", positions: "t/0@1 t/1@0"},
		{name: "resumed in the loop", before: func(k *kit, c *samsa.Consumer) { k.must(c.Pause(t0)) },
			first: func(k *kit, c *samsa.Consumer) { k.must(c.Resume()) }, want: all, positions: "t/0@3 t/1@2"},
		{name: "a seek back", first: func(k *kit, c *samsa.Consumer) { k.seek(c, t0, 0) }, want: "t/0@0 " + all, positions: "t/0@3 t/1@2"},
		{name: "a seek beyond the end", first: func(k *kit, c *samsa.Consumer) {
			k.put("t", 0, "new", "new")
			k.seek(c, t0, 4)
		}, want: "t/0@0 t/1@0 t/1@1", positions: "t/0@4 t/1@2"},
		{name: "a deleted topic", first: func(k *kit, _ *samsa.Consumer) {
			k.must(k.Topics().Delete(k.ctx, "t"))
			synctest.Wait() // it has come to the consumer, and what was read ahead is thrown away
		}, want: "t/0@0", errs: "ErrUnknownTopic", positions: ""},
		{name: "a topic that is created again", opts: samsa.ConsumerOptions{TopicPattern: regexp.MustCompile("t")}, first: func(k *kit, _ *samsa.Consumer) {
			k.must(k.Topics().Delete(k.ctx, "t"))
			k.create("t", 1)
			k.put("t", 0, "new")
			synctest.Wait()
		}, want: "t/0@0", errs: "ErrUnknownTopic", positions: "t/0@0"},
		{name: "a damaged batch", before: func(k *kit, c *samsa.Consumer) {
			samsatest.Corrupt(k.t, k.Broker, "t", 0, 1)
			samsatest.Corrupt(k.t, k.Broker, "t", 1, 1)
			k.seek(c, t0, 0)
			k.seek(c, t1, 0)
		}, want: "t/0@0 t/0@2 t/1@0", errs: "ErrCorruptRecord ErrCorruptRecord", positions: "t/0@3 t/1@2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := inMemory(t, samsa.Options{})
				k.create("t", 2)
				k.put("t", 0, "a", "b", "c")
				k.put("t", 1, "d", "e")
				if tc.opts.TopicPattern == nil {
					tc.opts.Topics = []string{"t"}
				}
				c := k.consumer(tc.opts)
				if tc.before != nil {
					tc.before(k, c)
				}
				read, errs := k.until(c, func(samsa.Record) {
					if first := tc.first; first != nil {
						tc.first = nil
						first(k, c)
					}
				})
				var texts []string
				for _, err := range errs {
					texts = append(texts, sentinel(err))
				}
				if read != tc.want || strings.Join(texts, " ") != tc.errs {
					t.Errorf("read %q, want %q; errors %v", read, tc.want, errs)
				}
				k.wantPositions(c, tc.positions)
			})
		})
	}
}

func sentinel(err error) string {
	switch {
	case errors.Is(err, samsa.ErrUnknownTopic):
		return "ErrUnknownTopic"
	case errors.Is(err, samsa.ErrCorruptRecord):
		return "ErrCorruptRecord"
	}
	return err.Error()
}

func (k *kit) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *kit) seek(c *samsa.Consumer, tp samsa.TopicPartition, offset int64) {
	k.t.Helper()
	k.must(c.Seek(k.ctx, tp, offset))
}

func (k *kit) deleteRecords(topic string, partition int32, before int64) {
	k.t.Helper()
	k.must(k.Topics().DeleteRecords(k.ctx, topic, map[int32]int64{partition: before}))
}

// The loop does not end with an error that comes until a Seek; the program does, or seeks.
func TestRecordsUntilOutOfRangeIsAnErrorUntilASeek(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	k.put("t", 0, "a", "b")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, Start: samsa.AtOffset(9), OutOfRange: samsa.ResetError})
	n := 0
	for r, err := range c.RecordsUntil(k.ctx) {
		switch {
		case err == nil && r.Offset != 1, err != nil && !errors.Is(err, samsa.ErrOffsetOutOfRange):
			t.Errorf("record %d, %v", r.Offset, err)
		case err != nil && n == 2:
			k.seek(c, t0, 1)
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d times", n)
	}
	k.wantPositions(c, "t/0@2")
}

// The end of ctx, and of the consumer, are errors that end the loop. Nothing is left of a loop that was left.
func TestRecordsUntilEndsEarly(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	k.put("t", 0, "a", "b", "c")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	ctx, cancel := context.WithCancel(k.ctx)
	defer cancel()
	n, last := 0, error(nil)
	for _, last = range c.RecordsUntil(ctx) {
		n++
		cancel()
	}
	if n != 2 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d times, %v", n, last)
	}
	for _, err := range c.RecordsUntil(k.ctx) {
		k.must(err)
		k.put("t", 0, "d")
		break
	}
	if got := values(k.read(c, 2)); !slices.Equal(got, []string{"c", "d"}) {
		t.Errorf("after a break come %v", got)
	}
	func() {
		defer func() { _ = recover() }()
		k.put("t", 0, "e")
		for _, err := range c.RecordsUntil(k.ctx) {
			k.must(err)
			k.put("t", 0, "f")
			panic("in the loop")
		}
	}()
	if got := values(k.read(c, 1)); !slices.Equal(got, []string{"f"}) {
		t.Errorf("after a panic comes %v", got)
	}
	k.must(c.Close())
	if err := lastOf(c.RecordsUntil(k.ctx)); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// A loop that waits for what is being read hears of a Seek to its end, and of a Pause, at once.
func TestRecordsUntilHearsWhatOthersDo(t *testing.T) {
	for name, do := range map[string]func(k *kit, c *samsa.Consumer){
		"seek":  func(k *kit, c *samsa.Consumer) { k.seek(c, t0, 1) },
		"pause": func(k *kit, c *samsa.Consumer) { k.must(c.Pause(t0)) },
	} {
		t.Run(name, func(t *testing.T) {
			story(t, 1, func(k *kit) {
				k.put("t", 0, "a")
				held := samsatest.Fetches(k.Broker, "t").Hold()
				c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
				ended := false
				go func() { ended = lastOf(c.RecordsUntil(k.ctx)) == nil }()
				synctest.Wait()
				if ended {
					t.Error("ended before everything was read")
				}
				do(k, c)
				synctest.Wait()
				if !ended {
					t.Error("has not heard of it")
				}
				held.Release()
			})
		})
	}
}

// A loop inside another one has its own end, and the outer one goes on to its own.
func TestRecordsUntilInside(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	k.put("t", 0, "a", "b", "c")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	inner := 0
	outer, errs := k.until(c, func(r samsa.Record) {
		if r.Offset == 1 {
			k.put("t", 0, "d")
			inner, _ = 0, k.put
			for _, err := range c.RecordsUntil(k.ctx) {
				k.must(err)
				inner++
			}
			k.seek(c, t0, 2)
		}
	})
	if outer != "t/0@0 t/0@1 t/0@2" || inner != 2 || len(errs) > 0 {
		t.Errorf("read %q and %d, %v", outer, inner, errs)
	}
	k.wantPositions(c, "t/0@3")
}

// The loop of a consumer that reads nothing ends at once.
func TestRecordsUntilOfNothing(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	c := k.consumer(samsa.ConsumerOptions{TopicPattern: regexp.MustCompile("")})
	k.wantUntil(c, "")
	k.create("t", 1)
	k.put("t", 0, "a")
	k.wantUntil(k.consumer(samsa.ConsumerOptions{TopicPattern: regexp.MustCompile("")}), "t/0@0")
}

// A consumer of a group joins, reads until now, and that the loop ends says that the last record is processed.
func TestRecordsUntilOfAGroup(t *testing.T) {
	story(t, 2, func(k *kit) {
		k.put("t", 0, "a", "b")
		k.put("t", 1, "c")
		opts := samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}}
		c := k.consumer(opts)
		k.wantUntil(c, "t/0@0 t/0@1 t/1@0")
		k.wantUntil(c, "")
		k.must(c.Close())
		k.put("t", 0, "d")
		k.wantUntil(k.consumer(opts), "t/0@2")
	})
}

// What a loop was left at comes again, what it has passed does not.
func TestRecordsUntilOfAGroupLeft(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b", "c")
		opts := samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}}
		c := k.consumer(opts)
		for r, err := range c.RecordsUntil(k.ctx) {
			k.must(err)
			if r.Offset == 1 {
				break
			}
		}
		k.must(c.Close())
		k.wantUntil(k.consumer(opts), "t/0@1 t/0@2")
	})
}

// Others join and leave during the loop, with an assignor that keeps partitions and with one that gives up all at
// first. What is lost is not waited for. What comes is read up to the end, which is that of when the loop began.
func TestRecordsUntilDuringARebalance(t *testing.T) {
	for name, assignor := range map[string]samsa.Assignor{"cooperative": samsa.CooperativeStickyAssignor(), "eager": samsa.RangeAssignor()} {
		t.Run(name, func(t *testing.T) {
			member := samsa.MemberOptions{Assignors: []samsa.Assignor{assignor}}
			opts := samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Member: member, MaxPollRecords: 1}
			t.Run("joins", func(t *testing.T) {
				story(t, 4, func(k *kit) {
					k.fill("x", 4)
					k.fill("x", 4)
					c := k.consumer(opts)
					first := true
					read, errs := k.until(c, func(samsa.Record) {
						if first {
							first = false
							k.started("g", samsa.ConsumerOptions{Topics: []string{"t"}, Member: member})
							time.Sleep(10 * time.Second) // c has heard of it
							k.fill("y", 4)
						}
					})
					if n := len(c.Assigned()); n != 2 || len(errs) > 0 {
						t.Errorf("has %d partitions, %v", n, errs)
					}
					for _, tp := range c.Assigned() {
						if at, err := c.Position(tp); at != 2 || err != nil || !strings.Contains(read, fmt.Sprint(tp, "@0 ", tp, "@1")) {
							t.Errorf("%s: position %d, %v; read %q", tp, at, err, read)
						}
					}
				})
			})
			t.Run("leaves", func(t *testing.T) {
				story(t, 2, func(k *kit) {
					other := k.started("g", samsa.ConsumerOptions{Topics: []string{"t"}, Member: member})
					c := k.consumer(opts)
					k.wantUntil(c, "")
					for len(c.Assigned()) == 0 { // the other one has to give something up first
						time.Sleep(10 * time.Second)
						k.wantUntil(c, "")
					}
					other.stop()
					k.fill("x", 2)
					k.fill("x", 2)
					first := true
					read, errs := k.until(c, func(samsa.Record) {
						if first {
							first = false
							k.fill("y", 2)
							other.leave()
							time.Sleep(10 * time.Second)
						}
					})
					if read != "t/0@0 t/0@1 t/1@0 t/1@1" || len(errs) > 0 {
						t.Errorf("read %q, %v", read, errs)
					}
					k.wantPositions(c, "t/0@2 t/1@2")
				})
			})
		})
	}
}

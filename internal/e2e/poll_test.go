package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

func TestPollRecords(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	k.write("t", "a", "b", "c", "d", "e", "f")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollRecords: 3})
	for _, step := range []struct {
		limit int // 0 is for Poll
		want  string
	}{{1, "[a]"}, {2, "[b c]"}, {0, "[d e f]"}} {
		poll := c.Poll
		if step.limit > 0 {
			poll = func(ctx context.Context) ([]samsa.Record, error) { return c.PollRecords(ctx, step.limit) }
		}
		got, err := poll(k.ctx)
		if err != nil || fmt.Sprint(values(got)) != step.want {
			t.Errorf("%d at most: got %v, %v, want %s", step.limit, values(got), err, step.want)
		}
	}
	if err := c.Seek(k.ctx, samsa.TopicPartition{Topic: "t"}, 0); err != nil {
		t.Fatal(err)
	}
	if got, err := c.PollRecords(k.ctx, math.MaxInt32); err != nil || len(got) != 6 {
		t.Errorf("got %v, %v, want all, more than MaxPollRecords", values(got), err)
	}
}

// The shares of the partitions are rounded up, and come to no more than the limit all the same.
func TestPollLimitsHoldForAllPartitions(t *testing.T) {
	story(t, 3, func(k *kit) {
		for p := range int32(3) {
			k.put("t", p, "0", "1", "2", "3", "4")
		}
		for _, opts := range []samsa.ConsumerOptions{{MaxPollRecords: 4}, {MaxPollBytes: 4}} {
			opts.Topics = []string{"t"}
			c := k.consumer(opts)
			synctest.Wait() // all is read ahead, or as much as there is room for
			if got := k.poll(c); len(got) != 4 {
				t.Errorf("%+v: got %d records, want 4", opts, len(got))
			}
			synctest.Wait()
			if got, err := c.PollRecords(k.ctx, 2); err != nil || len(got) > 2 {
				t.Errorf("%+v: got %d records, %v, want 2 at most", opts, len(got), err)
			}
		}
	})
}

// A partition whose records are larger than what others leave of the limit has its turn all the same.
func TestPollLimitsStarveNobody(t *testing.T) {
	story(t, 2, func(k *kit) {
		for range 10 {
			k.put("t", 0, "123", "456", "789")
		}
		large := strings.Repeat("x", 45)
		k.put("t", 1, large, large)
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollBytes: 50})
		came := 0
		for range 4 {
			synctest.Wait() // all is read ahead, or as much as there is room for
			bytes := 0
			got := k.poll(c)
			for _, r := range got {
				came += int(r.Partition)
				bytes += len(r.Value)
			}
			if bytes > 50 {
				t.Errorf("%d bytes came: %v", bytes, values(got))
			}
		}
		if came != 2 {
			t.Errorf("%d of 2 large records came", came)
		}
	})
}

// One that is larger than the partition's share of the limit, and not than what is left of it, comes with the others.
func TestPollGoesBeyondTheShare(t *testing.T) {
	story(t, 2, func(k *kit) {
		k.put("t", 0, "123")
		k.put("t", 1, strings.Repeat("x", 45))
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollBytes: 50})
		for _, want := range []int{2, 1} {
			synctest.Wait()
			if got := k.poll(c); len(got) != want {
				t.Errorf("%d records came, want %d", len(got), want)
			}
			k.put("t", 0, "456")
		}
	})
}

func TestPollsRefuseWhatCannotBe(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	for _, n := range []int{0, -1} {
		if _, err := c.PollRecords(k.ctx, n); !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), fmt.Sprint("max is ", n)) {
			t.Errorf("PollRecords: %v", err)
		}
		if _, err := c.Collect(k.ctx, n, time.Second); !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), fmt.Sprint("n is ", n)) {
			t.Errorf("Collect: %v", err)
		}
	}
}

// What was collected comes after so long.
func TestCollect(t *testing.T) {
	for name, tc := range map[string]struct {
		opts   samsa.ConsumerOptions
		n      int
		within time.Duration
		later  string // written after a second
		want   string
		after  time.Duration
	}{
		"enough is there":           {samsa.ConsumerOptions{}, 2, time.Hour, "", "[a b]", 0},
		"more than MaxPollRecords":  {samsa.ConsumerOptions{MaxPollRecords: 1}, 3, time.Hour, "", "[a b c]", 0},
		"enough comes":              {samsa.ConsumerOptions{}, 4, time.Hour, "d e", "[a b c d]", time.Second},
		"not enough comes":          {samsa.ConsumerOptions{}, 9, time.Hour, "d e", "[a b c d e]", time.Hour},
		"in the middle of a batch":  {samsa.ConsumerOptions{Start: samsa.AtOffset(1)}, 3, time.Hour, "d e", "[b c d]", time.Second},
		"nothing":                   {samsa.ConsumerOptions{Start: samsa.Latest()}, 2, time.Minute, "", "[]", time.Minute},
		"no time":                   {samsa.ConsumerOptions{}, 9, 0, "", "[a b c]", 0},
		"less than no time":         {samsa.ConsumerOptions{Start: samsa.Latest()}, 9, -time.Hour, "", "[]", 0},
		"no room for more":          {samsa.ConsumerOptions{MaxPollBytes: 2}, 9, time.Hour, "", "[a b]", 0},
		"of a group, enough comes":  {samsa.ConsumerOptions{Group: "g"}, 4, time.Hour, "d", "[a b c d]", time.Second},
		"of a group, with no time":  {samsa.ConsumerOptions{Group: "g"}, 4, 0, "", "[]", 0}, // it only joins
		"of a group, longer a poll": {samsa.ConsumerOptions{Group: "g", Member: samsa.MemberOptions{MaxPollInterval: time.Minute}}, 4, time.Hour, "", "[a b c]", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, 1, func(k *kit) {
				k.write("t", "a", "b", "c")
				tc.opts.Topics = []string{"t"}
				c := k.consumer(tc.opts)
				synctest.Wait() // it reads ahead
				if tc.later != "" {
					go func() {
						time.Sleep(time.Second)
						k.write("t", strings.Fields(tc.later)...)
					}()
				}
				began := time.Now()
				records, err := c.Collect(k.ctx, tc.n, tc.within)
				if took := time.Since(began); err != nil || fmt.Sprint(values(records)) != tc.want || took != tc.after {
					t.Errorf("got %v, %v, after %s; want %s after %s", values(records), err, took, tc.want, tc.after)
				}
				if tc.opts.Group == "" {
					return
				}
				if records, err := c.Collect(k.ctx, 9, time.Second); err != nil || len(c.Assigned()) != 1 {
					t.Errorf("the next one: %v, %v", values(records), err)
				}
			})
		})
	}
}

// What happens while Collect sleeps happens as between two polls: it has taken nothing.
func TestCollectHasTakenNothing(t *testing.T) {
	inT, inU := samsa.TopicPartition{Topic: "t"}, samsa.TopicPartition{Topic: "u"}
	for name, tc := range map[string]struct {
		act   func(k *kit, c *samsa.Consumer) error // while it sleeps, after a second
		fails error
		want  string // of that call, in any order
		next  string // of the next one
	}{
		"nothing":  {func(*kit, *samsa.Consumer) error { return nil }, nil, "[a b c d]", "[]"},
		"Seek":     {func(k *kit, c *samsa.Consumer) error { return c.Seek(k.ctx, inT, 1) }, nil, "[b c d]", "[]"},
		"Seek far": {func(k *kit, c *samsa.Consumer) error { return c.SeekTo(k.ctx, samsa.Latest()) }, nil, "[]", "[]"},
		"Pause":    {func(_ *kit, c *samsa.Consumer) error { return c.Pause(inT) }, nil, "[d]", "[]"},
		"Pause and Resume": {func(_ *kit, c *samsa.Consumer) error {
			return errors.Join(c.Pause(inT), c.Resume(inT))
		}, nil, "[a b c d]", "[]"},
		"Commit":            {func(k *kit, c *samsa.Consumer) error { return c.Commit(k.ctx) }, nil, "[a b c d]", "[]"},
		"a topic that goes": {func(k *kit, _ *samsa.Consumer) error { return k.Topics().Delete(k.ctx, "u") }, samsa.ErrUnknownTopic, "[]", "[a b c]"},
		"Close":             {func(_ *kit, c *samsa.Consumer) error { return c.Close() }, samsa.ErrClosed, "[]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			story(t, 1, func(k *kit) {
				k.create("u", 1)
				k.put("t", 0, "a", "b", "c")
				k.put("u", 0, "d")
				c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t", "u"}, Member: samsa.MemberOptions{ManualCommit: true}})
				go func() {
					time.Sleep(time.Second)
					for _, tp := range []samsa.TopicPartition{inT, inU} {
						if at, err := c.Position(tp); err != nil || at != 0 {
							t.Errorf("while it sleeps the position in %s is %d, %v", tp, at, err)
						}
					}
					if err := tc.act(k, c); err != nil {
						t.Error(err)
					}
				}()
				got, err := c.Collect(k.ctx, 5, time.Minute)
				if sorted := slices.Sorted(slices.Values(values(got))); !errors.Is(err, tc.fails) || fmt.Sprint(sorted) != tc.want {
					t.Errorf("got %v, %v, want %s, %v", values(got), err, tc.want, tc.fails)
				}
				committed, err := k.Groups().Committed(k.ctx, "g")
				for tp, o := range committed {
					if o.Offset != 0 {
						t.Errorf("committed in %s is %d", tp, o.Offset)
					}
				}
				if err != nil || tc.next == "" {
					return
				}
				if got, err := c.Collect(k.ctx, 5, time.Minute); err != nil || fmt.Sprint(values(got)) != tc.next {
					t.Errorf("the next one got %v, %v, want %s", values(got), err, tc.next)
				}
			})
		})
	}
}

// At the end of its context there are no records, and the next call, whichever it is, has them.
func TestCollectEndsWithItsContext(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b", "c")
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
		for range 2 {
			ctx, cancel := context.WithTimeout(k.ctx, time.Second)
			defer cancel()
			began := time.Now()
			if got, err := c.Collect(ctx, 4, time.Minute); !errors.Is(err, context.DeadlineExceeded) || got != nil {
				t.Errorf("got %v, %v", values(got), err)
			}
			if took := time.Since(began); took != time.Second {
				t.Errorf("took %s", took)
			}
		}
		if got := k.poll(c); len(got) != 3 {
			t.Errorf("then got %v", values(got))
		}
	})
}

// What stands before damage is returned at once, if it is known, and the damage with the next call, which waits for
// nothing.
func TestCollectMeetsDamage(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b", "damaged", "c")
		samsatest.Corrupt(k.t, k.Broker, "t", 0, 2)
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
		began := time.Now()
		if got, err := c.Collect(k.ctx, 3, time.Hour); err != nil || fmt.Sprint(values(got)) != "[a b]" {
			k.t.Errorf("got %v, %v", values(got), err)
		}
		if _, err := c.Collect(k.ctx, 3, time.Hour); !errors.Is(err, samsa.ErrCorruptRecord) {
			k.t.Errorf("got %v, want the damage", err)
		}
		if took := time.Since(began); took != 0 {
			k.t.Errorf("took %s", took)
		}
		if got, err := c.Collect(k.ctx, 3, time.Minute); err != nil || fmt.Sprint(values(got)) != "[c]" {
			k.t.Errorf("got %v, %v", values(got), err)
		}
	})
}

// What Collect has returned is processed with the next call, and no earlier: not while it sleeps.
func TestCollectIsOneReturn(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b", "c")
		c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
		collect := func(n int, within time.Duration) {
			if _, err := c.Collect(k.ctx, n, within); err != nil {
				t.Error(err)
			}
		}
		collect(2, time.Minute)
		time.Sleep(time.Minute) // auto-commit has nothing to do
		k.wantCommitted("g", "t/0@0")
		go func() {
			time.Sleep(time.Minute)
			k.wantCommitted("g", "t/0@2") // the call before
		}()
		collect(2, 2*time.Minute)
		time.Sleep(time.Minute)
		k.wantCommitted("g", "t/0@2")
		collect(1, 0)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		k.wantCommitted("g", "t/0@3")
	})
}

// Records that are read ahead of a partition that goes to another member come there, and nowhere else.
func TestCollectDuringARebalance(t *testing.T) {
	story(t, 4, func(k *kit) {
		k.fill("x", 4)
		a := k.consumer(samsa.ConsumerOptions{Group: "g", ClientID: "a", Topics: []string{"t"}})
		type outcome struct {
			records []samsa.Record
			err     error
		}
		done := make(chan outcome)
		go func() {
			records, err := a.Collect(k.ctx, 5, time.Hour)
			done <- outcome{records, err}
		}()
		time.Sleep(time.Minute)
		b := k.started("g", named("b"))
		mine := <-done
		if mine.err != nil || len(mine.records) != 2 {
			t.Errorf("collected %v, %v, want those of two partitions", values(mine.records), mine.err)
		}
		b.stop()
		if all := slices.Sorted(slices.Values(append(values(mine.records), strings.Fields(b.took())...))); fmt.Sprint(all) != "[x0 x1 x2 x3]" {
			t.Errorf("both together got %v", all)
		}
	})
}

func TestTotalLag(t *testing.T) {
	story(t, 2, func(k *kit) {
		want := func(c *samsa.Consumer, want int64) {
			t.Helper()
			if lag, err := c.TotalLag(k.ctx); err != nil || lag != want {
				t.Errorf("the total lag is %d, %v, want %d", lag, err, want)
			}
		}
		wantError := func(what string, err, want error, says string) {
			t.Helper()
			if !errors.Is(err, want) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v, want %v that says %s", what, err, want, says)
			}
		}
		in0, in1 := samsa.TopicPartition{Topic: "t"}, samsa.TopicPartition{Topic: "t", Partition: 1}
		k.create("u", 1)
		k.put("t", 0, "a", "b", "c")
		k.put("t", 1, "d")
		k.put("u", 0, "e")
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t", "u"}})
		want(c, 5)
		k.read(c, 5)
		want(c, 0)
		k.put("t", 1, "f", "g")
		if err := errors.Join(c.Seek(k.ctx, in0, 2), c.Pause(in1)); err != nil {
			t.Fatal(err)
		}
		want(c, 3)
		if err := c.Seek(k.ctx, in1, 100); err != nil { // it is paused, and stays there
			t.Fatal(err)
		}
		want(c, 1)
		ended, cancel := context.WithCancel(k.ctx)
		cancel()
		_, err := c.TotalLag(ended)
		wantError("with a context that has ended", err, context.Canceled, "total lag")

		if err := errors.Join(c.Pause(), k.Topics().Delete(k.ctx, "u")); err != nil {
			t.Fatal(err)
		}
		_, err = c.TotalLag(k.ctx)
		wantError("a topic that is gone", err, samsa.ErrUnknownTopic, "u")
		_, err = c.Lag(samsa.TopicPartition{Topic: "u"})
		wantError("a topic that is gone", err, samsa.ErrUnknownTopic, "u/0")
		k.create("u", 1)
		_, err = c.TotalLag(k.ctx)
		wantError("a topic that is gone, and there is another", err, samsa.ErrUnknownTopic, "u/0")

		member := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, Start: samsa.Committed()})
		want(member, 0) // it has no partitions yet
		_, err = member.Poll(k.ctx)
		wantError("Poll", err, samsa.ErrNoOffset, "t/")
		for what, call := range map[string]func() error{
			"TotalLag": func() error { _, err := member.TotalLag(k.ctx); return err },
			"Lag":      func() error { _, err := member.Lag(in0); return err },
			"Position": func() error { _, err := member.Position(in0); return err },
		} {
			wantError(what, call(), samsa.ErrNoOffset, "t/0")
		}
		if err := member.SeekTo(k.ctx, samsa.AtOffset(1)); err != nil {
			t.Fatal(err)
		}
		want(member, 4)
		if err := member.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = member.TotalLag(k.ctx)
		wantError("closed", err, samsa.ErrClosed, "total lag")
	})
}

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
	"github.com/samsa-go/samsa/group"
)

// seat is a consumer in a group that commits by hand.
func (k *kit) seat(group string, topics ...string) *samsa.Consumer {
	k.t.Helper()
	return k.consumer(samsa.ConsumerOptions{Group: group, Topics: topics, ClientID: "test", Member: samsa.MemberOptions{ManualCommit: true}})
}

// commitFor commits offsets of topic t, by partition, for a group without members.
func (k *kit) commitFor(name string, offsets ...int64) {
	k.t.Helper()
	req := group.CommitRequest{Generation: -1, Offsets: make(map[samsa.TopicPartition]group.Offset)}
	for p, offset := range offsets {
		req.Offsets[samsa.TopicPartition{Topic: "t", Partition: int32(p)}] = group.Offset{Offset: offset}
	}
	if err := k.inside().Groups.Commit(k.ctx, name, req); err != nil {
		k.t.Fatal(err)
	}
}

// committed tells the committed offsets of a group, as "t/0@3 t/1@4".
func (k *kit) committed(name string) string {
	k.t.Helper()
	offsets, err := k.Groups().Committed(k.ctx, name)
	if err != nil {
		k.t.Fatal(err)
	}
	var texts []string
	for tp, o := range offsets {
		texts = append(texts, fmt.Sprintf("%s@%d", tp, o.Offset))
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

func (k *kit) wantOffsets(name, want string) {
	k.t.Helper()
	if got := k.committed(name); got != want {
		k.t.Errorf("group %s has committed %q, want %q", name, got, want)
	}
}

func (k *kit) groupInfo(name string) samsa.GroupInfo {
	k.t.Helper()
	info, err := k.Groups().Describe(k.ctx, name)
	if err != nil {
		k.t.Fatal(err)
	}
	return info
}

func (k *kit) wantError(what string, err, want error, words ...string) {
	k.t.Helper()
	if !errors.Is(err, want) {
		k.t.Errorf("%s: %v, want %v", what, err, want)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			k.t.Errorf("%s: %v does not name %q", what, err, w)
		}
	}
}

func TestGroupsList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		k.commitFor("b", 0)
		k.write("t", "x")
		k.read(k.seat("c", "t"), 1)
		k.read(k.seat("a", "t"), 1)
		names, err := k.Groups().List(k.ctx)
		if err != nil || !slices.Equal(names, []string{"a", "b", "c"}) {
			t.Errorf("%q, %v", names, err)
		}
	})
}

func TestGroupsDescribe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 2)
		k.create("u", 1)
		k.put("t", 0, "a", "b", "c")
		k.put("u", 0, "x")
		if _, err := k.Groups().Describe(k.ctx, "g"); !errors.Is(err, samsa.ErrUnknownGroup) {
			t.Errorf("before anybody came: %v", err)
		}
		c := k.seat("g", "t", "u")
		k.read(c, 4)
		tp := samsa.TopicPartition{Topic: "t"}
		if err := c.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{tp: {Offset: 1, Metadata: "note"}}); err != nil {
			t.Fatal(err)
		}
		info := k.groupInfo("g")
		if info.Name != "g" || info.State != samsa.GroupStable || info.Assignor != "cooperative-sticky" || info.Generation != 1 || len(info.Members) != 1 {
			t.Fatalf("%+v", info)
		}
		m := info.Members[0]
		if m.ID == "" || m.ClientID != "test" || m.ClientHost == "" || fmt.Sprint(m.Topics, m.Assigned) != "[t u] [t/0 t/1 u/0]" {
			t.Errorf("member %+v", m)
		}
		want := []samsa.GroupPartition{
			{Topic: "t", Partition: 0, Committed: 1, Metadata: "note", HighWatermark: 3, Lag: 2, MemberID: m.ID},
			{Topic: "t", Partition: 1, Committed: -1, HighWatermark: 0, Lag: 0, MemberID: m.ID},
			{Topic: "u", Partition: 0, Committed: -1, HighWatermark: 1, Lag: 1, MemberID: m.ID},
		}
		if !slices.Equal(info.Partitions, want) {
			t.Errorf("partitions %v, want %v", info.Partitions, want)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		info = k.groupInfo("g")
		if info.State != samsa.GroupEmpty || info.Assignor != "" || len(info.Members) != 0 || info.Generation != 2 {
			t.Errorf("when the member has left: %+v", info)
		}
		if want := []samsa.GroupPartition{{Topic: "t", Partition: 0, Committed: 1, Metadata: "note", HighWatermark: 3, Lag: 2}}; !slices.Equal(info.Partitions, want) {
			t.Errorf("partitions %v, want %v", info.Partitions, want)
		}
	})
}

func TestGroupsDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 2)
		k.write("t", "a")
		k.wantError("unknown group", k.Groups().Delete(k.ctx, "g"), samsa.ErrUnknownGroup, "g")
		c := k.seat("g", "t")
		k.read(c, 1)
		if err := c.Commit(k.ctx); err != nil {
			t.Fatal(err)
		}
		before := k.committed("g")
		k.wantError("group with a member", k.Groups().Delete(k.ctx, "g"), samsa.ErrGroupNotEmpty, "g")
		k.wantOffsets("g", before)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if err := k.Groups().Delete(k.ctx, "g"); err != nil {
			t.Fatal(err)
		}
		k.wantOffsets("g", "")
		k.wantError("once more", k.Groups().Delete(k.ctx, "g"), samsa.ErrUnknownGroup)
		if names, err := k.Groups().List(k.ctx); err != nil || len(names) > 0 {
			t.Errorf("left: %q, %v", names, err)
		}
		k.read(k.seat("g", "t"), 1) // a new one of that name begins anew
	})
}

// A consumer that was there before its group was deleted, but had not joined, is a member
// of the new one like any other: it hears of rebalances at once.
func TestGroupDeletedBeforeTheFirstPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 2)
		k.commitFor("g", 0)
		early := k.seat("g", "t")
		if err := k.Groups().Delete(k.ctx, "g"); err != nil {
			t.Fatal(err)
		}
		k.put("t", 0, "a")
		k.put("t", 1, "b")
		k.read(early, 2)
		start := time.Now()
		late := k.seat("g", "t")
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = early.Poll(k.ctx)
		}()
		ctx, cancel := context.WithCancel(k.ctx)
		go func() {
			for ctx.Err() == nil {
				_, _ = late.Poll(ctx)
			}
		}()
		synctest.Wait()
		if n := len(late.Assigned()); n != 1 || time.Since(start) > 0 {
			t.Errorf("the second member has %d partitions after %s", n, time.Since(start))
		}
		cancel()
		_ = early.Close()
		<-done
	})
}

func TestGroupsDeleteOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 3)
		k.create("former", 1)
		k.put("t", 0, "a")
		tp := func(p int32) samsa.TopicPartition { return samsa.TopicPartition{Topic: "t", Partition: p} }
		former := samsa.TopicPartition{Topic: "former"}
		k.wantError("unknown group", k.Groups().DeleteOffsets(k.ctx, "g", tp(0)), samsa.ErrUnknownGroup)
		k.commitFor("g", 0, 0, 0)
		if err := k.Groups().DeleteOffsets(k.ctx, "g", tp(0), tp(2), tp(9)); err != nil {
			t.Fatal(err)
		}
		k.wantOffsets("g", "t/1@0")
		if err := k.inside().Groups.Commit(k.ctx, "g", group.CommitRequest{Generation: -1, Offsets: map[samsa.TopicPartition]group.Offset{former: {Offset: 5}}}); err != nil {
			t.Fatal(err)
		}
		c := k.seat("g", "t")
		k.read(c, 1)
		err := k.Groups().DeleteOffsets(k.ctx, "g", tp(1), former)
		k.wantError("with a member", err, samsa.ErrGroupSubscribed)
		if text := err.Error(); !strings.Contains(text, "t/1") || strings.Contains(text, "former") {
			t.Errorf("the offsets that stay are not named: %v", err)
		}
		k.wantOffsets("g", "t/1@0")
		_ = c.Close()
		if err := k.Groups().DeleteOffsets(k.ctx, "g", tp(1)); err != nil {
			t.Fatal(err)
		}
		k.wantOffsets("g", "")
	})
}

func TestGroupsReset(t *testing.T) {
	for _, tc := range []struct {
		name string
		to   func() samsa.GroupOffset
		want string // from t/0@2 t/1@1, logs of 4 and 1 records
	}{
		{"earliest", func() samsa.GroupOffset { return samsa.To(samsa.Earliest()) }, "t/0@0 t/1@0"},
		{"latest", func() samsa.GroupOffset { return samsa.To(samsa.Latest()) }, "t/0@4 t/1@1"},
		{"offset", func() samsa.GroupOffset { return samsa.To(samsa.AtOffset(3)) }, "t/0@3 t/1@1"}, // clamped
		{"time", func() samsa.GroupOffset { return samsa.To(samsa.AtTime(time.Now().Add(-90 * time.Minute))) }, "t/0@2 t/1@1"},
		{"ago", func() samsa.GroupOffset { return samsa.Ago(150 * time.Minute) }, "t/0@1 t/1@1"},
		{"ago, between two milliseconds", func() samsa.GroupOffset { return samsa.Ago(2*time.Hour - time.Microsecond) }, "t/0@1 t/1@1"},
		{"long ago", func() samsa.GroupOffset { return samsa.Ago(1000 * time.Hour) }, "t/0@0 t/1@0"},
		{"in the future", func() samsa.GroupOffset { return samsa.Ago(-time.Hour) }, "t/0@4 t/1@1"},
		{"back", func() samsa.GroupOffset { return samsa.Shift(-1) }, "t/0@1 t/1@0"},
		{"forward", func() samsa.GroupOffset { return samsa.Shift(1) }, "t/0@3 t/1@1"},
		{"not at all", func() samsa.GroupOffset { return samsa.Shift(0) }, "t/0@2 t/1@1"},
		{"far back", func() samsa.GroupOffset { return samsa.Shift(math.MinInt64) }, "t/0@0 t/1@0"},
		{"far forward", func() samsa.GroupOffset { return samsa.Shift(math.MaxInt64) }, "t/0@4 t/1@1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := inMemory(t, samsa.Options{})
				k.create("t", 3)
				k.put("t", 1, "x")
				k.put("t", 0, "a")
				for _, v := range []string{"b", "c", "d"} {
					time.Sleep(time.Hour)
					k.put("t", 0, v)
				}
				k.commitFor("g", 2, 1)
				if err := k.Groups().AlterOffsets(k.ctx, "g", tc.to()); err != nil {
					t.Fatal(err)
				}
				k.wantOffsets("g", tc.want)
				if err := k.Groups().AlterOffsets(k.ctx, "g", tc.to(), samsa.TopicPartition{Topic: "t", Partition: 1}); err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(k.committed("g"), strings.Fields(tc.want)[0]+" ") {
					t.Errorf("another partition moved: %s, want %s", k.committed("g"), tc.want)
				}
			})
		})
	}
}

// The next consumer of the group goes on where AlterOffsets has put it; metadata stays.
func TestGroupsResetMovesConsumers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		k.put("t", 0, "a", "b", "c", "d")
		c := k.seat("g", "t")
		k.read(c, 4)
		tp := samsa.TopicPartition{Topic: "t"}
		if err := c.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{tp: {Offset: 4, Metadata: "note"}}); err != nil {
			t.Fatal(err)
		}
		k.wantError("with a member", k.Groups().AlterOffsets(k.ctx, "g", samsa.To(samsa.Earliest())), samsa.ErrGroupNotEmpty, "g")
		k.wantError("with a member, naming it", k.Groups().AlterOffsets(k.ctx, "g", samsa.To(samsa.Earliest()), tp), samsa.ErrGroupNotEmpty)
		k.wantOffsets("g", "t/0@4")
		_ = c.Close()
		if err := k.Groups().AlterOffsets(k.ctx, "g", samsa.Shift(-2)); err != nil {
			t.Fatal(err)
		}
		if o := k.groupInfo("g").Partitions[0]; o.Metadata != "note" || o.Lag != 2 {
			t.Errorf("%+v", o)
		}
		if got := values(k.read(k.seat("g", "t"), 2)); !slices.Equal(got, []string{"c", "d"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestGroupsResetRefuses(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	alter := func(to samsa.GroupOffset, tps ...samsa.TopicPartition) error {
		return k.Groups().AlterOffsets(k.ctx, "g", to, tps...)
	}
	k.wantError("unknown topic", alter(samsa.To(samsa.Latest()), samsa.TopicPartition{Topic: "no", Partition: 0}), samsa.ErrUnknownTopic, "no", "g")
	k.wantError("unknown partition", alter(samsa.To(samsa.Latest()), samsa.TopicPartition{Topic: "t", Partition: 1}), samsa.ErrUnknownPartition, "t/1")
	k.wantError("negative partition", alter(samsa.To(samsa.Latest()), samsa.TopicPartition{Topic: "t", Partition: -1}), samsa.ErrUnknownPartition, "t/-1")
	k.wantError("nothing to shift", alter(samsa.Shift(1), samsa.TopicPartition{Topic: "t"}), samsa.ErrNoOffset, "t/0")
	k.wantError("to committed", alter(samsa.To(samsa.Committed()), samsa.TopicPartition{Topic: "t"}), samsa.ErrInvalidOption)
	k.wantError("all partitions of nobody", alter(samsa.To(samsa.Latest())), samsa.ErrUnknownGroup, "g")
	if names, err := k.Groups().List(k.ctx); err != nil || len(names) > 0 {
		t.Errorf("what was refused leaves groups %q, %v", names, err)
	}
	if err := alter(samsa.To(samsa.Latest()), samsa.TopicPartition{Topic: "t"}); err != nil {
		t.Errorf("a group that does not exist: %v", err)
	}
	k.wantOffsets("g", "t/0@0")
	k.wantError("one wrong, one right", alter(samsa.To(samsa.Latest()), samsa.TopicPartition{Topic: "t"}, samsa.TopicPartition{Topic: "t", Partition: 7}), samsa.ErrUnknownPartition)
}

func TestGroupNames(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	for _, name := range []string{"", strings.Repeat("g", 513)} {
		g := k.Groups()
		_, err := g.Describe(k.ctx, name)
		k.wantError("describe", err, samsa.ErrInvalidGroup)
		_, err = g.Committed(k.ctx, name)
		k.wantError("committed", err, samsa.ErrInvalidGroup)
		k.wantError("delete", g.Delete(k.ctx, name), samsa.ErrInvalidGroup)
		k.wantError("delete offsets", g.DeleteOffsets(k.ctx, name, samsa.TopicPartition{Topic: "t"}), samsa.ErrInvalidGroup)
		k.wantError("alter", g.AlterOffsets(k.ctx, name, samsa.To(samsa.Latest()), samsa.TopicPartition{Topic: "t"}), samsa.ErrInvalidGroup)
	}
	_, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Group: strings.Repeat("g", 513), Topics: []string{"t"}})
	k.wantError("consumer", err, samsa.ErrInvalidOption, "ConsumerOptions.Group")
	k.commitFor(strings.Repeat("g", 512), 0)
	k.commitFor("a/b c\x00ü", 0)
	k.wantOffsets("a/b c\x00ü", "t/0@0")
	k.wantOffsets("a/b c", "")
}

func TestGroupsRefuseAfterClose(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	k.commitFor("g", 0)
	calls := map[string]func(context.Context) error{
		"list":      func(ctx context.Context) error { _, err := k.Groups().List(ctx); return err },
		"describe":  func(ctx context.Context) error { _, err := k.Groups().Describe(ctx, "g"); return err },
		"committed": func(ctx context.Context) error { _, err := k.Groups().Committed(ctx, "g"); return err },
		"delete":    func(ctx context.Context) error { return k.Groups().Delete(ctx, "g") },
		"delete offsets": func(ctx context.Context) error {
			return k.Groups().DeleteOffsets(ctx, "g", samsa.TopicPartition{Topic: "t"})
		},
		"alter": func(ctx context.Context) error { return k.Groups().AlterOffsets(ctx, "g", samsa.To(samsa.Latest())) },
	}
	gone, cancel := context.WithCancel(k.ctx)
	cancel()
	for name, call := range calls {
		k.wantError(name+" with an ended context", call(gone), context.Canceled)
	}
	k.wantOffsets("g", "t/0@0")
	k.close()
	for name, call := range calls {
		k.wantError(name+" after Close", call(k.ctx), samsa.ErrClosed)
	}
	_, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
	k.wantError("consumer after Close", err, samsa.ErrClosed)
}

func TestOffsetsOfATopicThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		k.put("t", 0, "a", "b", "c")
		k.commitFor("g", 2)
		if err := k.Topics().Delete(k.ctx, "t"); err != nil {
			t.Fatal(err)
		}
		k.wantOffsets("g", "")
		if ps := k.groupInfo("g").Partitions; len(ps) != 0 {
			t.Errorf("partitions %v", ps)
		}
		k.create("t", 1)
		k.put("t", 0, "x", "y", "z")
		k.wantOffsets("g", "")
		if got := values(k.read(k.seat("g", "t"), 3)); !slices.Equal(got, []string{"x", "y", "z"}) {
			t.Errorf("got %q", got)
		}
	})
}

// A group goes on with a topic that is created anew under the old name.
func TestGroupReadsATopicCreatedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 2)
		k.put("t", 1, "old")
		c := k.seat("g", "t")
		k.read(c, 1)
		if err := c.Commit(k.ctx); err != nil {
			t.Fatal(err)
		}
		if err := k.Topics().Delete(k.ctx, "t"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Poll(k.ctx); !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Errorf("poll: %v", err)
		}
		k.create("t", 2)
		k.put("t", 1, "new", "newer")
		if got := texts(k.read(c, 2)); !slices.Equal(got, []string{"t/1@0=new", "t/1@1=newer"}) {
			t.Errorf("got %q", got)
		}
		if err := c.Commit(k.ctx); err != nil {
			t.Fatal(err)
		}
		k.wantOffsets("g", "t/0@0 t/1@2")
	})
}

func TestOffsetsExpire(t *testing.T) {
	const week = 7 * 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{Groups: samsa.GroupOptions{MaxSessionTimeout: time.Hour}})
		k.create("t", 1)
		k.put("t", 0, "a")
		c := k.consumer(samsa.ConsumerOptions{Group: "members", Topics: []string{"t"}, Member: samsa.MemberOptions{
			ManualCommit: true, AutoCommitInterval: week, SessionTimeout: time.Hour, HeartbeatInterval: 20 * time.Minute,
		}})
		ctx, cancel := context.WithCancel(k.ctx)
		polled := make(chan struct{})
		go func() {
			defer close(polled)
			for ctx.Err() == nil {
				_, _ = c.Poll(ctx)
			}
		}()
		synctest.Wait()
		if err := c.Commit(k.ctx); err != nil {
			t.Fatal(err)
		}
		k.commitFor("nobody", 1)
		k.commitFor("fresh", 1)
		time.Sleep(week - time.Hour)
		k.commitFor("fresh", 1)
		k.wantOffsets("nobody", "t/0@1")
		time.Sleep(2 * time.Hour)
		k.wantOffsets("nobody", "")
		k.wantOffsets("fresh", "t/0@1")
		k.wantOffsets("members", "t/0@1")
		time.Sleep(2 * week)
		if names, err := k.Groups().List(k.ctx); err != nil || !slices.Equal(names, []string{"members"}) {
			t.Errorf("groups %q, %v", names, err)
		}
		k.wantOffsets("members", "t/0@1")
		cancel()
		<-polled
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(week - time.Hour) // since it left, not since it committed
		k.wantOffsets("members", "t/0@1")
		time.Sleep(2 * time.Hour)
		k.wantError("expired group", k.Groups().Delete(k.ctx, "members"), samsa.ErrUnknownGroup)
	})
}

// A consumer that has not polled yet keeps nothing alive, and misses nothing.
func TestOffsetsExpireUnderAnIdleConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		if err := k.Topics().Create(k.ctx, "t", samsa.TopicConfig{Retention: samsa.Unlimited}); err != nil {
			t.Fatal(err)
		}
		k.put("t", 0, "a", "b")
		k.commitFor("g", 1)
		c := k.seat("g", "t")
		time.Sleep(8 * 24 * time.Hour)
		k.wantOffsets("g", "")
		k.read(c, 2)
		if err := c.Commit(k.ctx); err != nil {
			t.Fatal(err)
		}
		k.wantOffsets("g", "t/0@2")
	})
}

func TestGroupsSurviveReopen(t *testing.T) {
	dir := t.TempDir()
	k := open(t, dir, samsa.Options{})
	k.create("t", 2)
	k.put("t", 0, "a", "b", "c")
	c := k.seat("g", "t")
	k.read(c, 3)
	tp := samsa.TopicPartition{Topic: "t"}
	if err := c.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{tp: {Offset: 2, Metadata: "note"}}); err != nil {
		t.Fatal(err)
	}
	k.commitFor("gone", 1, 0)
	if err := k.Groups().Delete(k.ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	k.commitFor("partly", 1, 0)
	if err := k.Groups().DeleteOffsets(k.ctx, "partly", tp); err != nil {
		t.Fatal(err)
	}
	k.commitFor("altered", 1, 0)
	if err := k.Groups().AlterOffsets(k.ctx, "altered", samsa.To(samsa.Latest())); err != nil {
		t.Fatal(err)
	}
	generation := k.groupInfo("g").Generation
	for range 3 {
		k.close()
		k = open(t, dir, samsa.Options{})
		info := k.groupInfo("g")
		if info.State != samsa.GroupEmpty || info.Generation < generation {
			t.Errorf("%s in generation %d after the reopening, it was %d", info.State, info.Generation, generation)
		}
		if want := []samsa.GroupPartition{{Topic: "t", Partition: 0, Committed: 2, Metadata: "note", HighWatermark: 3, Lag: 1}}; !slices.Equal(info.Partitions, want) {
			t.Errorf("partitions %v, want %v", info.Partitions, want)
		}
		c := k.seat("g", "t")
		if got := values(k.read(c, 1)); got[0] != "c" {
			t.Errorf("goes on at %q", got)
		}
		if now := k.groupInfo("g").Generation; now <= generation {
			t.Errorf("generation %d follows on %d", now, generation)
		} else {
			generation = now
		}
	}
	k.wantOffsets("partly", "t/1@0")
	k.wantOffsets("altered", "t/0@3 t/1@0")
	if names, err := k.Groups().List(k.ctx); err != nil || !slices.Equal(names, []string{"altered", "g", "partly"}) {
		t.Errorf("groups %q, %v", names, err)
	}
}

func TestCommitLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 2)
		k.put("t", 0, "a")
		c := k.seat("g", "t")
		k.read(c, 1)
		commit := func(offset int64, metadata string) error {
			return c.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "t"}: {Offset: offset, Metadata: metadata}, {Topic: "t", Partition: 1}: {}})
		}
		k.wantError("long metadata", commit(1, strings.Repeat("m", 4097)), samsa.ErrMetadataTooLarge, "t/0", "4097")
		k.wantOffsets("g", "") // all or nothing
		if err := commit(1, strings.Repeat("m", 4096)); err != nil {
			t.Errorf("metadata of 4096 bytes: %v", err)
		}
		found, err := c.Committed(k.ctx, samsa.TopicPartition{Topic: "t"})
		if o := found[samsa.TopicPartition{Topic: "t"}]; err != nil || len(found) != 1 || o.Offset != 1 || len(o.Metadata) != 4096 {
			t.Errorf("found %d offsets, %d with %d bytes, %v", len(found), o.Offset, len(o.Metadata), err)
		}
	})
}

// Somebody who is no member may commit for a group that has none.
func TestCommitWithoutMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		k.put("t", 0, "a", "b")
		k.commitFor("g", 1)
		c := k.seat("g", "t")
		if got := values(k.read(c, 1)); got[0] != "b" {
			t.Errorf("goes on at %q", got)
		}
		req := group.CommitRequest{Generation: -1, Offsets: map[samsa.TopicPartition]group.Offset{{Topic: "t"}: {Offset: 0}}}
		k.wantError("with a member", k.inside().Groups.Commit(k.ctx, "g", req), samsa.ErrUnknownMember)
		k.wantOffsets("g", "t/0@1")
		_ = c.Close()
		if err := k.inside().Groups.Commit(k.ctx, "g", req); err != nil {
			t.Errorf("when it has left: %v", err)
		}
		k.wantOffsets("g", "t/0@0")
	})
}

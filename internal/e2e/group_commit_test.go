package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
)

func TestAutoCommit(t *testing.T) {
	story(t, 1, func(k *kit) {
		c := k.worker("g", named("a")).Consumer
		k.put("t", 0, "a", "b")
		k.read(c, 2)
		time.Sleep(6 * time.Second)
		k.wantCommitted("g", "t/0@0") // the records may still be in work
		k.put("t", 0, "c")
		k.read(c, 1)
		k.wantCommitted("g", "t/0@0")
		time.Sleep(5 * time.Second)
		k.wantCommitted("g", "t/0@2")
		if err := c.Close(); err != nil { // says nothing of the last one
			t.Fatal(err)
		}
		k.wantCommitted("g", "t/0@2")
		if err := c.Commit(k.ctx); !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("commit after Close: %v", err)
		}
	})
}

// When the broker is closed under a consumer nobody knows what has become of the records
// that its last Poll returned: they come again.
func TestAutoCommitAtBrokerClose(t *testing.T) {
	dir := t.TempDir()
	b := open(t, dir, samsa.Options{})
	b.create("t", 1)
	b.put("t", 0, "a", "b")
	c := b.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, MaxPollRecords: 1})
	b.read(c, 1)
	b.read(c, 1)
	b.close()
	b = open(t, dir, samsa.Options{})
	b.wantCommitted("g", "t/0@1")
}

func TestAutoCommitOnRevoke(t *testing.T) {
	story(t, 2, func(k *kit) {
		a := k.started("g", eager("a"))
		k.fill("x", 2)
		a.wantTook("x0 x1")
		b := k.started("g", eager("b"))
		k.wantCommitted("g", "t/0@1, t/1@1")
		b.wantOwns("t/1")
		b.wantTook("")
	})
}

// What a reset and a Seek pass over, nobody will come back for: it is committed, even if Poll has
// nothing to return.
func TestAutoCommitOfWhatIsSkipped(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b", "c", "d", "e", "f")
		tp := samsa.TopicPartition{Topic: "t"}
		w := k.worker("g", samsa.ConsumerOptions{Start: samsa.AtOffset(1), MaxPollRecords: 1})
		k.read(w.Consumer, 1)
		if err := w.Seek(t.Context(), tp, 5); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		k.wantCommitted("g", "t/0@1") // the first record is with the program
		w.start()
		w.wantTook("f")
		time.Sleep(time.Minute)
		k.wantCommitted("g", "t/0@6")
		if err := w.Seek(t.Context(), tp, 2); err != nil {
			t.Fatal(err)
		}
		w.wantTook("c d e f")
		w.stop()
		w.leave()

		k.put("t", 0, "g", "h")
		if err := k.Topics().DeleteRecords(k.ctx, "t", map[int32]int64{0: 8}); err != nil {
			t.Fatal(err)
		}
		w = k.started("g", samsa.ConsumerOptions{})
		time.Sleep(time.Minute)
		k.wantCommitted("g", "t/0@8")
		if err := w.Seek(t.Context(), tp, 7); err != nil { // back to what is not there
			t.Fatal(err)
		}
		synctest.Wait()
		w.leave()
		k.wantCommitted("g", "t/0@8")
	})
}

// A pause moves nothing, also not what the program has committed ahead.
func TestPauseCommitsNothing(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b", "c")
		w := k.worker("g", samsa.ConsumerOptions{MaxPollRecords: 1})
		k.read(w.Consumer, 1)
		if err := w.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "t"}: {Offset: 3}}); err != nil {
			t.Fatal(err)
		}
		if err := w.Pause(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		k.wantCommitted("g", "t/0@3")
	})
}

func TestManualCommit(t *testing.T) {
	story(t, 2, func(k *kit) {
		opts := manual("a")
		opts.Member.CommitAcks = samsa.AckSynced
		a := k.started("g", opts)
		k.put("t", 0, "a", "b", "c")
		a.wantTook("a b c")
		time.Sleep(time.Minute)
		k.wantCommitted("g", "")
		syncs, err := k.Stats(k.ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			commit func() error
			want   string
		}{
			{func() error { return a.CommitRecords(k.ctx, a.read[1], a.read[0]) }, "t/0@2"},
			{func() error { return a.Commit(k.ctx) }, "t/0@3, t/1@0"},
			{func() error {
				return a.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "t"}: {Offset: 1, Metadata: "half"}})
			}, "t/0@1 half, t/1@0"},
			{func() error { return a.CommitRecords(k.ctx) }, "t/0@1 half, t/1@0"},
		} {
			if err := tc.commit(); err != nil {
				t.Error(err)
			}
			k.wantCommitted("g", tc.want)
		}
		if now, _ := k.Stats(k.ctx); now.Syncs < syncs.Syncs+3 {
			t.Errorf("%d fsyncs for 3 commits", now.Syncs-syncs.Syncs)
		}
		offsets, err := a.Committed(k.ctx, samsa.TopicPartition{Topic: "t"}, samsa.TopicPartition{Topic: "t", Partition: 9})
		if err != nil || fmt.Sprint(offsets) != "map[t/0:{1 half}]" {
			t.Errorf("Committed: %v, %v", offsets, err)
		}
		for want, o := range map[error]samsa.CommittedOffset{
			samsa.ErrOffsetOutOfRange: {Offset: -1}, samsa.ErrMetadataTooLarge: {Offset: 1, Metadata: strings.Repeat("m", 4097)},
		} {
			if err := a.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{{Topic: "t"}: o}); !errors.Is(err, want) {
				t.Errorf("got %v, want %v", err, want)
			}
		}
		a.leave()
		k.wantCommitted("g", "t/0@1 half, t/1@0")
	})
}

func TestCommitWithoutGroup(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	_, err := c.Committed(k.ctx)
	for _, err := range []error{c.Commit(k.ctx), c.CommitRecords(k.ctx, samsa.Record{Topic: "t"}), err} {
		if !errors.Is(err, samsa.ErrInvalidGroup) {
			t.Errorf("got %v", err)
		}
	}
}

func TestGroupStarts(t *testing.T) {
	base := time.UnixMilli(1_000_000)
	for _, tc := range []struct {
		start     samsa.Start
		committed int64
		reset     samsa.ResetPolicy
		want      string
	}{
		{start: samsa.Earliest(), committed: -1, want: "a b c d"},
		{start: samsa.Latest(), committed: -1, want: "d"},
		{start: samsa.AtTime(base.Add(time.Second)), committed: -1, want: "b c d"},
		{start: samsa.AtOffset(2), committed: -1, want: "c d"},
		{start: samsa.Latest(), committed: 1, want: "b c d"},
		{start: samsa.Committed(), committed: 2, want: "c d"},
		{start: samsa.Latest(), committed: 100, want: "a b c d"}, // ResetEarliest
		{start: samsa.Earliest(), committed: 100, reset: samsa.ResetLatest, want: "d"},
	} {
		t.Run(fmt.Sprintf("%s/%d", tc.start, tc.committed), func(t *testing.T) {
			story(t, 1, func(k *kit) {
				for i, v := range []string{"a", "b", "c"} {
					k.produce(samsa.Record{Topic: "t", Value: []byte(v), Timestamp: base.Add(time.Duration(i) * time.Second)})
				}
				if tc.committed >= 0 {
					k.commitAlone("g", tc.committed)
				}
				opts := manual("a")
				opts.Start, opts.OutOfRange = tc.start, tc.reset
				a := k.started("g", opts)
				k.put("t", 0, "d")
				a.wantTook(tc.want)
			})
		})
	}
}

// commitAlone commits an offset of t/0 as somebody who is no member.
func (k *kit) commitAlone(g string, offset int64) {
	k.t.Helper()
	err := k.inside().Groups.Commit(k.ctx, g, group.CommitRequest{
		Generation: -1, Offsets: map[samsa.TopicPartition]group.Offset{{Topic: "t"}: {Offset: offset, LeaderEpoch: -1}},
	})
	if err != nil {
		k.t.Fatal(err)
	}
}

func TestGroupStartCommittedNeedsOne(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b")
		opts := named("a")
		opts.Start = samsa.Committed()
		w := k.worker("g", opts)
		for range 2 {
			if _, err := w.Poll(k.ctx); !errors.Is(err, samsa.ErrNoOffset) {
				t.Fatalf("Poll: %v", err)
			}
		}
		if err := errors.Join(w.Pause(), w.Resume()); err != nil {
			t.Error(err)
		}
		if _, err := w.Poll(k.ctx); !errors.Is(err, samsa.ErrNoOffset) {
			t.Errorf("Poll after a pause: %v", err)
		}
		if err := w.Commit(k.ctx); err != nil {
			t.Error(err)
		}
		k.wantCommitted("g", "")
		if err := w.SeekTo(t.Context(), samsa.Committed()); !errors.Is(err, samsa.ErrNoOffset) {
			t.Errorf("seek to Committed: %v", err)
		}
		if err := w.Seek(t.Context(), samsa.TopicPartition{Topic: "t"}, 1); err != nil {
			t.Fatal(err)
		}
		if got := values(k.read(w.Consumer, 1)); got[0] != "b" {
			t.Errorf("got %v", got)
		}
	})
}

// What was polled since the last commit comes again after a seek to that.
func TestSeekToCommitted(t *testing.T) {
	story(t, 2, func(k *kit) {
		k.put("t", 0, "a", "b", "c")
		k.put("t", 1, "x")
		w := k.worker("g", named("a"))
		k.read(w.Consumer, 4)
		tp := samsa.TopicPartition{Topic: "t"}
		if err := w.CommitOffsets(k.ctx, map[samsa.TopicPartition]samsa.CommittedOffset{tp: {Offset: 1}}); err != nil {
			t.Fatal(err)
		}
		if err := w.SeekTo(k.ctx, samsa.Committed()); err != nil { // where the group has committed nothing it begins
			t.Fatal(err)
		}
		got := values(k.read(w.Consumer, 3))
		if slices.Sort(got); fmt.Sprint(got) != "[b c x]" {
			t.Errorf("got %v", got)
		}
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
		k.wantError("seek without a group", c.SeekTo(k.ctx, samsa.Committed()), samsa.ErrInvalidOption, "Committed")
	})
}

// OnAssigned may seek, before anything is read.
func TestSeekInOnAssigned(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a", "b")
		opts := named("a")
		opts.Start = samsa.Committed()
		opts.Member.OnAssigned = func(_ context.Context, c *samsa.Consumer, added []samsa.TopicPartition) {
			if err := c.Seek(t.Context(), added[0], 1); err != nil {
				t.Error(err)
			}
		}
		w := k.started("g", opts)
		w.wantTook("b")
		if err := w.err(); err != nil {
			t.Error(err)
		}
	})
}

func TestCommittedOutOfRangeIsAnError(t *testing.T) {
	story(t, 1, func(k *kit) {
		k.put("t", 0, "a")
		k.commitAlone("g", 100)
		opts := manual("a")
		opts.OutOfRange = samsa.ResetError
		w := k.worker("g", opts)
		for range 2 {
			if _, err := w.Poll(k.ctx); !errors.Is(err, samsa.ErrOffsetOutOfRange) {
				t.Fatalf("Poll: %v", err)
			}
		}
		if err := w.SeekTo(t.Context(), samsa.Earliest()); err != nil {
			t.Fatal(err)
		}
		if records := k.read(w.Consumer, 1); w.CommitRecords(k.ctx, records...) != nil {
			t.Error("commit behind the seek failed")
		}
		k.wantCommitted("g", "t/0@1")
	})
}

// What a member did to a partition ends when it is revoked.
func TestRevokedPartitionIsForgotten(t *testing.T) {
	story(t, 2, func(k *kit) {
		one := samsa.TopicPartition{Topic: "t", Partition: 1}
		a := k.started("g", manual("a"))
		if err := a.Pause(one); err != nil {
			t.Fatal(err)
		}
		k.fill("x", 2)
		a.wantTook("x0")
		b := k.started("g", manual("b"))
		b.wantTook("x1")
		for _, err := range []error{a.Pause(one), a.Resume(one), a.Seek(t.Context(), one, 0)} {
			if !errors.Is(err, samsa.ErrUnknownPartition) {
				t.Errorf("a revoked partition: %v", err)
			}
		}
		if err := b.Commit(k.ctx); err != nil {
			t.Fatal(err)
		}
		b.leave()
		k.fill("y", 2)
		a.wantTook("y0 y1") // not paused, and behind the commit
	})
}

// A commit waits while the group is between two generations, as long as ctx lets it.
func TestCommitDuringRebalance(t *testing.T) {
	story(t, 1, func(k *kit) {
		r := k.remote("g", "t")
		r.join()
		opts := manual("a")
		nobody := func([]samsa.AssignMember, map[string]int32) map[string]samsa.Assignment { return nil }
		opts.Member.Assignors = []samsa.Assignor{samsa.AssignorFunc("range", true, nobody)} // the remote one assigns
		a := k.started("g", opts)
		r.join()
		r.sync()
		k.put("t", 0, "x")
		a.wantTook("x")
		a.stop()
		joined := make(chan struct{})
		go func() {
			defer close(joined)
			r.join() // the leader, which keeps the others waiting then
		}()
		synctest.Wait()
		k.put("t", 0, "y")
		k.read(a.Consumer, 1) // a joins too
		<-joined
		if d := k.describe("g"); d.State != samsa.GroupCompletingRebalance {
			t.Fatalf("the group is %s", d.State)
		}
		ctx, cancel := context.WithTimeout(k.ctx, time.Second)
		defer cancel()
		if err := a.Commit(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("commit with a short ctx: %v", err)
		}
		k.wantCommitted("g", "")
		committed := make(chan error, 1)
		go func() { committed <- a.Commit(k.ctx) }()
		synctest.Wait()
		r.sync()
		if err := <-committed; err != nil {
			t.Error(err)
		}
		k.wantCommitted("g", "t/0@2")
	})
}

// A newer commit does not end before an older one that is on its way.
func TestCommitsKeepTheirOrder(t *testing.T) {
	story(t, 1, func(k *kit) {
		opts := named("a")
		opts.Member.AutoCommitInterval = time.Millisecond
		a := k.started("g", opts)
		var records []string
		for i := range 200 {
			v := fmt.Sprintf("%03d", i)
			records = append(records, v)
			k.put("t", 0, v)
			time.Sleep(300 * time.Microsecond)
		}
		if got := strings.Fields(a.took()); !slices.Equal(got, records) {
			t.Errorf("got %v", got)
		}
		a.leave()
		k.wantCommitted("g", "t/0@200")
	})
}

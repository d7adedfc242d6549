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
)

func TestConsumerStarts(t *testing.T) {
	base := time.UnixMilli(1_000_000)
	for _, tc := range []struct {
		start samsa.Start
		want  string
	}{
		{samsa.Earliest(), "a b c d"},
		{samsa.Start{}, "a b c d"},
		{samsa.AtOffset(2), "c d"},
		{samsa.AtOffset(3), "d"},
		{samsa.AtTime(base.Add(time.Second)), "b c d"},
		{samsa.AtTime(base.Add(time.Second + 999_999)), "b c d"}, // b was produced in that millisecond
		{samsa.AtTime(base.Add(time.Second + time.Millisecond)), "c d"},
		{samsa.AtTime(base.Add(-time.Hour)), "a b c d"},
		{samsa.AtTime(base.Add(time.Hour)), "d"}, // none is that late: only what comes
		{samsa.Latest(), "d"},
	} {
		t.Run(tc.start.String(), func(t *testing.T) {
			k := inMemory(t, samsa.Options{})
			k.create("t", 1)
			for i, v := range []string{"a", "b", "c"} {
				k.produce(samsa.Record{Topic: "t", Value: []byte(v), Timestamp: base.Add(time.Duration(i) * time.Second)})
			}
			c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, Start: tc.start})
			k.write("t", "d")
			want := strings.Fields(tc.want)
			if got := values(k.read(c, len(want))); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestConsumerReadsNamedPartitions(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 4)
	for p := range int32(4) {
		k.put("t", p, fmt.Sprint("p", p))
	}
	c := k.consumer(samsa.ConsumerOptions{Partitions: map[string][]int32{"t": {3, 1, 3}}})
	if got, want := texts(k.read(c, 2)), []string{"t/1@0=p1", "t/3@0=p3"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := fmt.Sprint(c.Assigned()); got != "[t/1 t/3]" {
		t.Errorf("assignment %s", got)
	}
}

func TestConsumerRefusesWhatIsNotThere(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 2)
	_, err := k.NewConsumer(k.ctx, samsa.ConsumerOptions{Topics: []string{"no", "t"}, Partitions: map[string][]int32{"nor": {0}}})
	if !errors.Is(err, samsa.ErrUnknownTopic) || !strings.Contains(err.Error(), `"no"`) || !strings.Contains(err.Error(), `"nor"`) {
		t.Errorf("unknown topics: %v", err)
	}
	_, err = k.NewConsumer(k.ctx, samsa.ConsumerOptions{Partitions: map[string][]int32{"t": {0, 2, -1}}})
	if !errors.Is(err, samsa.ErrUnknownPartition) || !strings.Contains(err.Error(), "t/2") || !strings.Contains(err.Error(), "t/-1") {
		t.Errorf("unknown partitions: %v", err)
	}
	_, err = k.NewConsumer(k.ctx, samsa.ConsumerOptions{OutOfRange: 9, MaxPollRecords: -1, MaxPollBytes: -2, Start: samsa.AtOffset(-5)})
	for _, field := range []string{"Topics", "OutOfRange", "MaxPollRecords", "MaxPollBytes", "Start"} {
		if !errors.Is(err, samsa.ErrInvalidOption) || !strings.Contains(err.Error(), "ConsumerOptions."+field) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
}

func TestConsumerSeeks(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	tp := samsa.TopicPartition{Topic: "t"}
	k.put("t", 0, "a", "b", "c")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	k.read(c, 3)
	for _, tc := range []struct {
		seek func() error
		want string
	}{
		{func() error { return c.Seek(t.Context(), tp, 1) }, "b c"},
		{func() error { return c.SeekTo(t.Context(), samsa.Earliest()) }, "a b c"},
		{func() error { return c.SeekTo(t.Context(), samsa.AtOffset(2), tp) }, "c"},
		{func() error { return c.SeekTime(t.Context(), time.Unix(0, 0), tp) }, "a b c"},
	} {
		if err := tc.seek(); err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(tc.want)
		if got := values(k.read(c, len(want))); !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		if at, err := c.Position(tp); err != nil || at != 3 {
			t.Errorf("position %d, %v, want 3", at, err)
		}
	}
	if err := c.SeekTime(t.Context(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if at, _ := c.Position(tp); at != 3 {
		t.Errorf("position %d after a seek to the future, want 3", at)
	}
	if err := c.Seek(t.Context(), tp, -1); !errors.Is(err, samsa.ErrOffsetOutOfRange) {
		t.Errorf("negative offset: %v", err)
	}
	if err := c.Seek(t.Context(), samsa.TopicPartition{Topic: "t", Partition: 7}, 0); !errors.Is(err, samsa.ErrUnknownPartition) {
		t.Errorf("foreign partition: %v", err)
	}
}

func TestConsumerSeekIntoTheMiddleOfABatch(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	k.write("t", "a", "b", "c", "d") // one batch
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, Start: samsa.AtOffset(2)})
	if got := texts(k.read(c, 2)); !slices.Equal(got, []string{"t/0@2=c", "t/0@3=d"}) {
		t.Error(got)
	}
}

func TestConsumerOutOfRange(t *testing.T) {
	for _, tc := range []struct {
		policy samsa.ResetPolicy
		want   string
	}{
		{samsa.ResetEarliest, "a b c"},
		{samsa.ResetLatest, "c"},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := inMemory(t, samsa.Options{})
			k.create("t", 1)
			k.put("t", 0, "a", "b")
			c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, Start: samsa.AtOffset(100), OutOfRange: tc.policy})
			synctest.Wait() // the consumer has found out
			k.put("t", 0, "c")
			want := strings.Fields(tc.want)
			if got := values(k.read(c, len(want))); !slices.Equal(got, want) {
				t.Errorf("policy %d: got %v, want %v", tc.policy, got, want)
			}
		})
	}
}

func TestConsumerOutOfRangeIsAnErrorUntilASeek(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 2)
	k.put("t", 0, "a")
	k.put("t", 1, "b")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, OutOfRange: samsa.ResetError})
	k.read(c, 2)
	tp := samsa.TopicPartition{Topic: "t"}
	if err := c.Seek(t.Context(), tp, 5); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.Poll(k.ctx); !errors.Is(err, samsa.ErrOffsetOutOfRange) || !strings.Contains(err.Error(), "t/0") {
			t.Fatalf("got %v, want ErrOffsetOutOfRange of t/0", err)
		}
	}
	k.put("t", 1, "c") // the other partition is not held up for ever
	for {
		records, err := c.Poll(k.ctx)
		if errors.Is(err, samsa.ErrOffsetOutOfRange) {
			continue
		}
		if err != nil || fmt.Sprint(values(records)) != "[c]" {
			t.Fatal(records, err)
		}
		break
	}
	if err := c.SeekTo(t.Context(), samsa.Earliest(), tp); err != nil {
		t.Fatal(err)
	}
	if got := texts(k.read(c, 1)); got[0] != "t/0@0=a" {
		t.Error(got)
	}
}

func TestConsumerPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 2)
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
		quiet := samsa.TopicPartition{Topic: "t", Partition: 0}
		if err := c.Pause(quiet); err != nil {
			t.Fatal(err)
		}
		k.put("t", 0, "a", "b")
		k.put("t", 1, "c")
		if got := texts(k.read(c, 1)); got[0] != "t/1@0=c" {
			t.Fatal(got)
		}
		ctx, cancel := context.WithTimeout(k.ctx, time.Hour)
		defer cancel()
		if r, err := c.Poll(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a paused partition was read: %v, %v", r, err)
		}
		if got := fmt.Sprint(c.Paused()); got != "[t/0]" {
			t.Error(got)
		}
		if at, _ := c.Position(quiet); at != 0 {
			t.Errorf("position of the paused partition is %d", at)
		}
		if err := c.Resume(quiet); err != nil {
			t.Fatal(err)
		}
		if got := values(k.read(c, 2)); !slices.Equal(got, []string{"a", "b"}) {
			t.Error(got)
		}
	})
}

// A consumer that pauses everything it has read ahead must not run out of room for the rest.
func TestConsumerPausedReadAheadMakesRoom(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 2)
	big := strings.Repeat("x", 10_000)
	k.put("t", 0, big, big, big, big)
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollBytes: 1})
	k.read(c, 1)
	if err := c.Pause(samsa.TopicPartition{Topic: "t", Partition: 0}); err != nil {
		t.Fatal(err)
	}
	k.put("t", 1, "small")
	if got := values(k.read(c, 1)); got[0] != "small" {
		t.Error(got)
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	k.read(c, 1)
	k.read(c, 1)
	k.read(c, 1)
}

func TestConsumerLag(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	tp := samsa.TopicPartition{Topic: "t"}
	k.write("t", "a", "b", "c")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollRecords: 2})
	for _, want := range []int64{3, 1, 0} {
		if got, err := c.Lag(tp); err != nil || got != want {
			t.Errorf("lag %d, %v, want %d", got, err, want)
		}
		if want > 0 {
			if _, err := c.Poll(k.ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestConsumerPollLimits(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	k.write("t", "0123456789", "0123456789", "0123456789", "0123456789", "0123456789")
	for _, tc := range []struct {
		opts samsa.ConsumerOptions
		want []int // records of the polls
	}{
		{samsa.ConsumerOptions{}, []int{5}},
		{samsa.ConsumerOptions{MaxPollRecords: 2}, []int{2, 2, 1}},
		{samsa.ConsumerOptions{MaxPollBytes: 20}, []int{2, 2, 1}},
		{samsa.ConsumerOptions{MaxPollBytes: 29}, []int{2, 2, 1}},      // a third would be too many
		{samsa.ConsumerOptions{MaxPollBytes: 1}, []int{1, 1, 1, 1, 1}}, // never less than one
	} {
		tc.opts.Topics = []string{"t"}
		c := k.consumer(tc.opts)
		for _, want := range tc.want {
			if got, err := c.Poll(k.ctx); err != nil || len(got) != want {
				t.Errorf("%+v: %d records, %v, want %d", tc.opts, len(got), err, want)
			}
		}
	}
}

// One partition that is far behind does not keep the others waiting.
// Who wants no limits says so with the largest number.
func TestConsumerWithoutLimits(t *testing.T) {
	for name, opts := range map[string]samsa.ConsumerOptions{
		"records": {MaxPollRecords: math.MaxInt},
		"bytes":   {MaxPollBytes: math.MaxInt},
	} {
		for how, read := range map[string]func(k *kit, c *samsa.Consumer) []samsa.Record{
			"polls": func(k *kit, c *samsa.Consumer) []samsa.Record { return k.read(c, 6) },
			"loop": func(k *kit, c *samsa.Consumer) (records []samsa.Record) {
				for r, err := range c.Records(k.ctx) {
					if err != nil {
						k.t.Fatal(err)
					}
					if records = append(records, r); len(records) == 6 {
						break
					}
				}
				return records
			},
		} {
			t.Run(name+" "+how, func(t *testing.T) {
				story(t, 3, func(k *kit) {
					k.fill("a", 3)
					k.fill("b", 3)
					opts.Topics = []string{"t"}
					got := values(read(k, k.consumer(opts)))
					if slices.Sort(got); strings.Join(got, " ") != "a0 a1 a2 b0 b1 b2" {
						t.Errorf("got %v", got)
					}
				})
			})
		}
	}
}

func TestConsumerIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 3)
		many := make([]samsa.Record, 1000)
		for i := range many {
			many[i] = samsa.Record{Topic: "t", Value: []byte("x")}
		}
		p := k.producer(samsa.ProducerOptions{Partitioner: samsa.PartitionerFunc(func(*samsa.Record, int) int { return 1 })})
		if _, err := p.ProduceSync(k.ctx, many...); err != nil {
			t.Fatal(err)
		}
		k.put("t", 0, "a", "a", "a")
		k.put("t", 2, "c", "c", "c")
		c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollRecords: 6})
		synctest.Wait() // all is read ahead
		seen := map[int32]int{}
		for range 2 {
			for _, r := range k.poll(c) {
				seen[r.Partition]++
			}
		}
		if seen[0] < 3 || seen[2] < 3 {
			t.Errorf("two polls have read of each partition: %v", seen)
		}
	})
}

func (k *kit) poll(c *samsa.Consumer) []samsa.Record {
	k.t.Helper()
	records, err := c.Poll(k.ctx)
	if err != nil {
		k.t.Fatal(err)
	}
	return records
}

func TestConsumerPicksUpNewPartitions(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, Start: samsa.Latest()})
	if err := k.Topics().AddPartitions(k.ctx, "t", 3); err != nil {
		t.Fatal(err)
	}
	k.put("t", 2, "a", "b")
	if got := texts(k.read(c, 2)); !slices.Equal(got, []string{"t/2@0=a", "t/2@1=b"}) {
		t.Error(got)
	}
	if n := len(c.Assigned()); n != 3 {
		t.Errorf("%d partitions are assigned, want 3", n)
	}
}

func TestConsumerOfADeletedTopic(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("gone", 2)
	k.create("stays", 1)
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"gone", "stays"}})
	waiting := make(chan error, 1)
	go func() {
		_, err := c.Poll(k.ctx)
		waiting <- err
	}()
	if err := k.Topics().Delete(k.ctx, "gone"); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, samsa.ErrUnknownTopic) || !strings.Contains(err.Error(), "gone") {
		t.Fatalf("the waiting reader got %v", err)
	}
	k.write("stays", "a")
	if got := texts(k.read(c, 1)); got[0] != "stays/0@0=a" {
		t.Error(got)
	}
	if err := k.Topics().Delete(k.ctx, "stays"); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nothing is left to read: waiting would be for ever
		if _, err := c.Poll(k.ctx); !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Fatalf("got %v", err)
		}
	}
}

func TestRecordsIterates(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 1)
	k.write("t", "a", "b", "c")
	k.write("t", "d")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
	tp := samsa.TopicPartition{Topic: "t"}

	// Leaving the loop in the middle of a poll leaves the position behind the last record.
	for r, err := range c.Records(k.ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Value) == "b" {
			break
		}
	}
	if at, _ := c.Position(tp); at != 2 {
		t.Errorf("position %d, want 2", at)
	}
	ctx, cancel := context.WithCancel(k.ctx)
	defer cancel()
	var got []string
	var last error
	for r, err := range c.Records(ctx) {
		if last = err; err != nil {
			continue // ends by itself
		}
		if got = append(got, string(r.Value)); len(got) == 2 {
			cancel()
		}
	}
	if !slices.Equal(got, []string{"c", "d"}) || !errors.Is(last, context.Canceled) {
		t.Errorf("got %v and %v", got, last)
	}
}

func TestConsumerCloseEndsPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		for _, closeIt := range []func(c *samsa.Consumer) error{
			func(c *samsa.Consumer) error { return c.Close() },
			func(*samsa.Consumer) error { return k.Close() },
		} {
			c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}})
			ended := make(chan error, 1)
			go func() {
				_, err := c.Poll(k.ctx)
				ended <- err
			}()
			synctest.Wait()
			if err := closeIt(c); err != nil {
				t.Fatal(err)
			}
			if err := <-ended; !errors.Is(err, samsa.ErrClosed) {
				t.Errorf("poll got %v", err)
			}
			if err := c.Close(); err != nil {
				t.Error("second close:", err)
			}
			if _, err := c.Poll(k.ctx); !errors.Is(err, samsa.ErrClosed) {
				t.Errorf("poll after close got %v", err)
			}
		}
	})
}

// The bytes of a poll stay what they were, whatever is polled afterwards.
func TestConsumerBytesStayValid(t *testing.T) {
	k := open(t, t.TempDir(), samsa.Options{})
	k.create("t", 1)
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"t"}, MaxPollRecords: 7})
	var kept []samsa.Record
	for i := range 500 {
		k.write("t", fmt.Sprintf("value %d %s", i, strings.Repeat("y", i)))
		kept = append(kept, k.poll(c)...)
	}
	for len(kept) < 500 {
		kept = append(kept, k.poll(c)...)
	}
	for i, r := range kept {
		if want := fmt.Sprintf("value %d %s", i, strings.Repeat("y", i)); string(r.Value) != want {
			t.Fatalf("record %d is %q", i, r.Value)
		}
	}
}

func TestListOffsets(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("t", 2)
	for i, v := range []string{"a", "b", "c"} {
		k.produce(samsa.Record{Topic: "t", Key: []byte("same"), Value: []byte(v), Timestamp: time.UnixMilli(int64(1000 * (i + 1)))})
	}
	first, err := k.ListOffsets(k.ctx, "t", samsa.Latest())
	if err != nil {
		t.Fatal(err)
	}
	full := slices.IndexFunc(first, func(o samsa.PartitionOffset) bool { return o.Offset == 3 })
	if full < 0 || first[1-full].Offset != 0 {
		t.Fatalf("latest: %v", first)
	}
	for _, tc := range []struct {
		at   samsa.Start
		want int64
	}{
		{samsa.Earliest(), 0}, {samsa.Latest(), 3}, {samsa.AtOffset(0), 0},
		{samsa.AtTime(time.UnixMilli(1000)), 0}, {samsa.AtTime(time.UnixMilli(1001)), 1},
		{samsa.AtTime(time.UnixMilli(3000)), 2}, {samsa.AtTime(time.UnixMilli(3001)), 3},
	} {
		got, err := k.ListOffsets(k.ctx, "t", tc.at)
		if err != nil || got[full].Offset != tc.want || got[1-full].Offset != 0 {
			t.Errorf("%s: %v, %v, want %d", tc.at, got, err, tc.want)
		}
	}
	if _, err := k.ListOffsets(k.ctx, "t", samsa.AtOffset(2)); !errors.Is(err, samsa.ErrOffsetOutOfRange) {
		t.Errorf("offset 2 of an empty partition: %v", err)
	}
	if _, err := k.ListOffsets(k.ctx, "no", samsa.Latest()); !errors.Is(err, samsa.ErrUnknownTopic) {
		t.Errorf("unknown topic: %v", err)
	}
}

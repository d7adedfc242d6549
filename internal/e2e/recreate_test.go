package e2e

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/samsatest"
)

// A topic that is deleted and created again under its name is another topic: what was known of
// the old one says nothing about it.

// recreate deletes t and creates it again, with other records.
func recreate(t *testing.T, b *samsa.Broker, config samsa.TopicConfig, values ...string) {
	t.Helper()
	if err := b.Topics().Delete(ctx, "t"); err != nil {
		t.Fatal(err)
	}
	if err := b.Topics().Create(ctx, "t", config); err != nil {
		t.Fatal(err)
	}
	if len(values) > 0 {
		samsatest.Produce(t, b, "t", values...)
	}
}

// numbered returns name0, name1, ...
func numbered(name string, n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprint(name, i)
	}
	return values
}

// A consumer that holds nine records of the deleted topic cannot commit them for the new one,
// neither before it has heard of that, nor when it reads the new one.
func TestRecordsOfADeletedTopicAreNotCommitted(t *testing.T) {
	for name, commit := range map[string]func(b *samsa.Broker, c *samsa.Consumer, held []samsa.Record) error{
		"CommitRecords": func(_ *samsa.Broker, c *samsa.Consumer, held []samsa.Record) error {
			return c.CommitRecords(ctx, held...)
		},
		"CommitOffsets": func(_ *samsa.Broker, c *samsa.Consumer, held []samsa.Record) error {
			return c.CommitOffsets(ctx, map[samsa.TopicPartition]samsa.CommittedOffset{inT: {Offset: held[8].Offset + 1}})
		},
		"Update": func(b *samsa.Broker, c *samsa.Consumer, held []samsa.Record) error {
			return b.Update(ctx, func(tx *samsa.Tx) error { return tx.CommitRecords(c, held...) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := samsatest.New(t, samsatest.Topic("t", 1))
				samsatest.Produce(t, b, "t", numbered("old", 9)...)
				c := newConsumer(t, b, samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}, MaxPollRecords: 9, Member: samsa.MemberOptions{ManualCommit: true}})
				held, err := c.Poll(ctx)
				if err != nil || len(held) != 9 {
					t.Fatalf("%d records, %v", len(held), err)
				}
				recreate(t, b, samsa.TopicConfig{})
				refused := func(when string) {
					t.Helper()
					if err := commit(b, c, held); !errors.Is(err, samsa.ErrIllegalGeneration) {
						t.Errorf("%s: got %v, want ErrIllegalGeneration", when, err)
					}
				}
				refused("at once")
				synctest.Wait()
				refused("when the reader has heard of it")
				if _, err := c.Poll(ctx); !errors.Is(err, samsa.ErrUnknownTopic) {
					t.Fatalf("poll: %v", err)
				}
				refused("when the program has heard of it")
				read := make(chan []samsa.Record)
				go func() {
					records, err := c.Poll(ctx)
					if err != nil {
						t.Error(err)
					}
					read <- records
				}()
				synctest.Wait()
				if got := fmt.Sprint(c.Assigned()); got != "[t/0]" {
					t.Fatalf("assigned %s", got)
				}
				refused("when the new topic is assigned")
				samsatest.Produce(t, b, "t", numbered("new", 5)...)
				if got := samsatest.Texts(<-read); !slices.Equal(got, numbered("new", 5)) {
					t.Fatalf("got %v", got)
				}
				refused("when less is read of the new one")
				samsatest.Produce(t, b, "t", numbered("newer", 4)...)
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
				if at := next(t, b); at != 0 {
					t.Errorf("the successor begins at %d, want 0", at)
				}
			})
		})
	}
}

// Auto-commit does not take offsets over either, and neither does Commit.
func TestPositionsOfADeletedTopicAreNotCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := samsatest.New(t, samsatest.Topic("t", 1))
		samsatest.Produce(t, b, "t", numbered("old", 9)...)
		c := program(t, b, samsa.MemberOptions{})
		if _, err := c.Poll(ctx); err != nil {
			t.Fatal(err)
		}
		recreate(t, b, samsa.TopicConfig{}, numbered("new", 9)...)
		if err := c.Commit(ctx); err != nil {
			t.Error(err)
		}
		if _, err := c.Poll(ctx); !errors.Is(err, samsa.ErrUnknownTopic) {
			t.Errorf("poll: %v", err)
		}
		time.Sleep(time.Minute)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if at := next(t, b); at != 0 {
			t.Errorf("the successor begins at %d, want 0", at)
		}
	})
}

func TestTimeQueriesOfATopicCreatedAnew(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	start := time.Now().Add(-time.Minute).Truncate(time.Millisecond)
	stamped := func(n int, step time.Duration) {
		var records []samsa.Record
		for i := range n {
			records = append(records, samsa.Record{Topic: "t", Timestamp: start.Add(time.Duration(i) * step)})
		}
		if _, err := b.Produce(ctx, records...); err != nil {
			t.Fatal(err)
		}
	}
	at := func() int64 {
		offsets, err := b.ListOffsets(ctx, "t", samsa.AtTime(start.Add(4*time.Second)))
		if err != nil {
			t.Fatal(err)
		}
		return offsets[0].Offset
	}
	stamped(10, time.Second)
	if got := at(); got != 4 {
		t.Errorf("offset %d, want 4", got)
	}
	recreate(t, b, samsa.TopicConfig{})
	if got := at(); got != 0 {
		t.Errorf("offset %d in the empty new topic, want 0", got)
	}
	stamped(10, 2*time.Second)
	if got := at(); got != 2 {
		t.Errorf("offset %d in the new topic, want 2", got)
	}
}

// How far the old topic was compacted does not count for the new one, and neither does what was
// removed of it.
func TestCompactionAndStatisticsOfATopicCreatedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		compacted := samsa.TopicConfig{CleanupPolicy: samsa.CleanupCompact}
		b := samsatest.New(t, samsatest.TopicWith("t", compacted))
		write := func(values int) {
			for i := range values {
				samsatest.Produce(t, b, "t", "k="+fmt.Sprint(i))
			}
			samsatest.Produce(t, b, "t", "end=") // the newest batch stays as it is
			if _, err := b.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
		}
		write(100)
		old, err := b.RetentionStats(ctx)
		if err != nil || len(old.Partitions) != 1 || old.Partitions[0].Removed.Records == 0 {
			t.Fatalf("statistics %+v, %v", old, err)
		}
		recreate(t, b, compacted)
		now, err := b.RetentionStats(ctx)
		if err != nil || len(now.Partitions) != 1 || now.Partitions[0].Removed != (samsa.Removed{}) || now.Partitions[0].BytesLive != 0 {
			t.Errorf("statistics of the new topic %+v, %v", now.Partitions, err)
		}
		write(20)
		if got := samsatest.Texts(samsatest.Drain(t, b, "t")); !slices.Equal(got, []string{"k=19", "end="}) {
			t.Errorf("after compaction the new topic has %v", got)
		}
		now, err = b.RetentionStats(ctx)
		if err != nil || now.Partitions[0].Removed.Records != 19 {
			t.Errorf("statistics of the new topic %+v, %v", now.Partitions, err)
		}
	})
}

// A producer's number of records in the old topic is not that of the new one.
func TestProducerOfATopicCreatedAnew(t *testing.T) {
	b := samsatest.New(t, samsatest.Topic("t", 1))
	p := newProducer(t, b, samsa.ProducerOptions{ID: "p"})
	for i, want := range []int64{3, 2} {
		for range want {
			if _, err := p.ProduceSync(ctx, samsatest.Record("t", "x")); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := p.Stored(ctx, inT); err != nil || n != want {
			t.Errorf("topic %d: %d records stored, %v, want %d", i, n, err, want)
		}
		if i == 0 {
			recreate(t, b, samsa.TopicConfig{})
		}
	}
	if got := len(samsatest.Drain(t, b, "t")); got != 2 {
		t.Errorf("%d records in the new topic, want 2", got)
	}
}

package samsa

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// wantLines checks how many partitions stand in the lines of a consumer that has nothing to do.
func wantLines(t *testing.T, c *Consumer, when string, hungry, sated, filled int) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hungry.n != hungry || c.sated.n != sated || c.filled.n != filled {
		t.Errorf("%s: %d partitions may have something to be read, %d more when there is room, %d have records; want %d, %d, %d",
			when, c.hungry.n, c.sated.n, c.filled.n, hungry, sated, filled)
	}
}

// wantNothing polls when there is nothing to come.
func (k *kit) wantNothing(c *Consumer) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.ctx, time.Second)
	defer cancel()
	if records, err := c.Poll(ctx); !errors.Is(err, context.DeadlineExceeded) {
		k.t.Errorf("%d records came, %v", len(records), err)
	}
}

// A consumer looks at the partitions where something has happened, however many others it has:
// neither the fetcher nor Poll goes through all of them.
func TestConsumerLooksWhereSomethingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, Options{})
		const topics = 200
		for i := range topics {
			k.create(fmt.Sprintf("t%03d", i), 2)
		}
		c := k.consumer(ConsumerOptions{TopicPattern: regexp.MustCompile("^t")})
		if n := len(c.Assignment()); n != 2*topics {
			t.Fatalf("reads %d partitions", n)
		}
		wantLines(t, c, "at first", 0, 0, 0)
		k.put("t007", 1, "a")
		k.put("t150", 0, "b", "c")
		wantLines(t, c, "after writes", 0, 0, 2)
		k.read(c, 3)
		k.wantNothing(c)
		wantLines(t, c, "when they were read", 0, 0, 0)

		places := c.changes
		k.create("other", 1)
		k.create("t-new", 1)
		k.put("t-new", 0, "d")
		wantLines(t, c, "after a topic was created", 0, 0, 1)
		if tp, _ := places.Next(); tp.Name() != "other" {
			t.Errorf("the first change is %s", tp.Name())
		}
		k.read(c, 1)
		k.wantNothing(c)

		tp := TopicPartition{Topic: "t150"}
		for what, call := range map[string]func() error{
			"Seek": func() error { return c.Seek(tp, 1) }, "Pause": func() error { return c.Pause(tp) },
		} {
			if err := call(); err != nil {
				t.Fatal(what, err)
			}
		}
		wantLines(t, c, "while it is paused", 0, 0, 0)
		if err := c.Resume(tp); err != nil {
			t.Fatal(err)
		}
		wantLines(t, c, "when it goes on", 0, 0, 1)
		if got := k.read(c, 1); string(got[0].Value) != "c" {
			t.Errorf("got %s", got[0].Value)
		}
	})
}

// With little room to read ahead those partitions come first of which nothing was, and all
// records come.
func TestConsumerReadsHungryPartitionsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, Options{Produce: ProducerOptions{Partitioner: ManualPartition()}})
		k.create("t", 20)
		c := k.consumer(ConsumerOptions{Topics: []string{"t"}, MaxPollBytes: 1000, MaxPollRecords: 1})
		for range 5 {
			for i := range int32(20) {
				k.produce(Record{Topic: "t", Partition: i, Value: make([]byte, 100)})
			}
		}
		synctest.Wait()
		c.mu.Lock()
		if c.fetched < 1000 || c.fetched > 3000 || c.hungry.n+c.sated.n == 0 {
			t.Errorf("%d bytes were read ahead, of %d partitions, %d and %d wait", c.fetched, c.filled.n, c.hungry.n, c.sated.n)
		}
		c.mu.Unlock()
		count := make(map[int32]int)
		for range 100 {
			r := k.read(c, 1)[0]
			count[r.Partition]++
		}
		for i := range int32(20) {
			if count[i] != 5 {
				t.Errorf("%d records of partition %d", count[i], i)
			}
		}
		k.wantNothing(c)
		wantLines(t, c, "in the end", 0, 0, 0)
	})
}

// The room that the records of a revoked partition took is for those that stay.
func TestRevocationMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, Options{})
		k.create("a", 1)
		k.create("b", 1)
		k.write("b", make([]string, 100)...)
		opts := ConsumerOptions{Topics: []string{"a", "b"}, MaxPollRecords: 1, MaxPollBytes: 1}
		w := k.worker("g", opts)
		k.read(w.Consumer, 1)
		k.write("a", "waits for room")
		synctest.Wait()
		k.started("g", opts)
		w.start()
		synctest.Wait()
		w.wantOwns("a/0")
		if got := w.took(); !strings.Contains(got, "waits for room") {
			t.Errorf("got %q", got)
		}
	})
}

// BenchmarkPollOneOf is a record produced to one of so many topics and polled.
func BenchmarkPollOneOf(b *testing.B) {
	for _, topics := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			broker := openBench(b, "", Options{InMemory: true})
			defer closeBench(b, broker)
			for i := range topics {
				if err := broker.Topics().Create(b.Context(), fmt.Sprint("t", i), TopicConfig{Partitions: 1}); err != nil {
					b.Fatal(err)
				}
			}
			c, err := broker.NewConsumer(ConsumerOptions{TopicPattern: regexp.MustCompile("^t")})
			if err != nil {
				b.Fatal(err)
			}
			defer closeBench(b, c)
			for i := 0; b.Loop(); i++ {
				_, err := broker.Produce(b.Context(), Record{Topic: fmt.Sprint("t", i%100), Value: []byte("v")})
				if err == nil {
					_, err = c.Poll(b.Context())
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkConsumerTopics is a consumer without a group that is made for so many topics and
// reads the record that each has.
func BenchmarkConsumerTopics(b *testing.B) {
	for _, topics := range []int{2500, 10_000} {
		b.Run(fmt.Sprintf("topics=%d", topics), func(b *testing.B) {
			broker := openBench(b, "", Options{InMemory: true})
			defer closeBench(b, broker)
			names := make([]string, topics)
			for i := range names {
				names[i] = fmt.Sprint("t", i)
				if err := broker.Topics().Create(b.Context(), names[i], TopicConfig{Partitions: 1}); err != nil {
					b.Fatal(err)
				}
				if _, err := broker.Produce(b.Context(), Record{Topic: names[i], Value: []byte("v")}); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				c, err := broker.NewConsumer(ConsumerOptions{Topics: names, Start: Earliest})
				if err != nil {
					b.Fatal(err)
				}
				for n := 0; n < topics; {
					records, err := c.Poll(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					n += len(records)
				}
				closeBench(b, c)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*topics), "µs/topic")
		})
	}
}

// A subscription by pattern looks at the topics that have come and gone since, and is made anew
// only if it wants them.
func TestSubscriptionFollowsTheCatalogue(t *testing.T) {
	k := inMemory(t, Options{})
	for i := range 100 {
		k.create(fmt.Sprintf("t%02d", i), 1)
	}
	s := newSubscription(k.catalogue, ConsumerOptions{Topics: []string{"t05", "named"}, TopicPattern: regexp.MustCompile("^t")})
	before := s.names()
	if len(before) != 101 || before[0] != "named" {
		t.Fatalf("%d topics: %v", len(before), before)
	}
	places := s.changes
	k.create("other", 1)
	k.drop("other")
	if after := s.names(); &after[0] != &before[0] {
		t.Error("made anew because of a topic that it does not want")
	}
	if n := testing.AllocsPerRun(10, func() { s.names() }); n > 0 {
		t.Errorf("%.0f allocations when nothing has changed", n)
	}
	if tp, _ := places.Next(); tp.Name() != "other" {
		t.Errorf("looked at %s", tp.Name())
	}
	k.create("t-new", 1)
	k.drop("t07")
	k.drop("t05") // named, too
	k.drop("t08")
	k.create("t08", 1)
	got := fmt.Sprint(s.names())
	if len(s.names()) != 101 || !strings.Contains(got, "t-new") || strings.Contains(got, "t07") || !strings.Contains(got, "t05 t06 t08") {
		t.Errorf("got %s", got)
	}
	if len(before) != 101 || before[0] != "named" {
		t.Error("what was told before has changed")
	}
}

func (k *kit) drop(topic string) {
	k.t.Helper()
	if err := k.Topics().Delete(k.ctx, topic); err != nil {
		k.t.Fatal(err)
	}
}

package consumer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa/log"
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
		k := inMemory(t)
		const topics = 200
		for i := range topics {
			k.create(fmt.Sprintf("t%03d", i), 2)
		}
		c := k.consumer(Options{TopicPattern: regexp.MustCompile("^t")})
		if n := len(c.Assigned()); n != 2*topics {
			t.Fatalf("reads %d partitions", n)
		}
		wantLines(t, c, "at first", 0, 0, 0)
		k.put("t007", 1, "a")
		k.put("t150", 0, "b", "c")
		wantLines(t, c, "after writes", 0, 0, 2)
		k.read(c, 3)
		k.wantNothing(c)
		wantLines(t, c, "when they were read", 0, 0, 0)

		k.create("other", 1)
		k.create("t-new", 1)
		k.put("t-new", 0, "d")
		wantLines(t, c, "after a topic was created", 0, 0, 1)
		c.mu.Lock()
		if tp, _ := c.changes.Next(); tp != nil {
			t.Errorf("has not looked at %s", tp.Name())
		}
		c.mu.Unlock()
		k.read(c, 1)
		k.wantNothing(c)

		tp := log.TopicPartition{Topic: "t150"}
		for what, call := range map[string]func() error{
			"Seek": func() error { return c.Seek(t.Context(), tp, 1) }, "Pause": func() error { return c.Pause(tp) },
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
		k := inMemory(t)
		k.create("t", 20)
		c := k.consumer(Options{Topics: []string{"t"}, MaxPollBytes: 1000, MaxPollRecords: 1})
		for range 5 {
			for i := range int32(20) {
				k.put("t", i, strings.Repeat("v", 100))
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

// A subscription by pattern looks at the topics that have come and gone since, and is made anew
// only if it wants them.
func TestSubscriptionFollowsTheCatalogue(t *testing.T) {
	k := inMemory(t)
	for i := range 100 {
		k.create(fmt.Sprintf("t%02d", i), 1)
	}
	s := newSubscription(k.Topics, Options{Topics: []string{"t05", "named"}, TopicPattern: regexp.MustCompile("^t")})
	before := s.names()
	if len(before) != 101 || before[0] != "named" {
		t.Fatalf("%d topics: %v", len(before), before)
	}
	k.create("other", 1)
	k.drop("other")
	if after := s.names(); &after[0] != &before[0] {
		t.Error("made anew because of a topic that it does not want")
	}
	if n := testing.AllocsPerRun(10, func() { s.names() }); n > 0 {
		t.Errorf("%.0f allocations when nothing has changed", n)
	}
	if tp, _ := s.changes.Next(); tp != nil {
		t.Errorf("has not looked at %s", tp.Name())
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

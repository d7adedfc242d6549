package samsa

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestGroupIsListedOnceItIsJoined: a consumer that has not polled yet makes no group.
func TestGroupIsListedOnceItIsJoined(t *testing.T) {
	k := inMemory(t, Options{})
	k.create("a", 1)
	k.write("a", "1")
	c := k.consumer(ConsumerOptions{Topics: []string{"a"}, Group: "g"})
	if names, err := k.Groups().List(k.ctx); err != nil || len(names) > 0 {
		t.Errorf("listed before anybody has joined: %v, %v", names, err)
	}
	if _, err := k.Groups().Describe(k.ctx, "g"); !errors.Is(err, ErrUnknownGroup) {
		t.Errorf("described before anybody has joined: %v", err)
	}
	if err := k.Groups().Delete(k.ctx, "g"); !errors.Is(err, ErrUnknownGroup) {
		t.Errorf("deleted before anybody has joined: %v", err)
	}
	k.read(c, 1)
	if names, err := k.Groups().List(k.ctx); err != nil || len(names) != 1 {
		t.Errorf("listed when it is joined: %v, %v", names, err)
	}
}

// TestAssignorPanics: Poll of the leader says so, the consumer stays usable, and a later Poll
// may succeed.
func TestAssignorPanics(t *testing.T) {
	k := inMemory(t, Options{})
	k.create("a", 1)
	k.write("a", "1")
	faults := 2
	cause := errors.New("no members today")
	c := k.consumer(ConsumerOptions{Topics: []string{"a"}, Group: "g", Member: MemberOptions{Assignors: []Assignor{
		AssignFunc("mine", false, func(members []AssignMember, _ map[string]int32) map[string]Assignment {
			if faults--; faults >= 0 {
				panic(cause)
			}
			return map[string]Assignment{members[0].ID: {"a": {0}}}
		}),
	}}})
	for range 2 {
		if _, err := c.Poll(k.ctx); err == nil || !strings.Contains(err.Error(), "assignor mine: Assign panicked: no members today") {
			t.Errorf("poll: %v", err)
		}
	}
	k.read(c, 1)
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// member returns a consumer of the topic a whose callback of that name is fn.
func (k *kit) member(name string, fn func(c *Consumer)) *Consumer {
	k.t.Helper()
	callback := func(_ context.Context, c *Consumer, _ []TopicPartition) { fn(c) }
	opts := ConsumerOptions{Topics: []string{"a"}, Group: "g"}
	switch name {
	case "OnAssigned":
		opts.Member.OnAssigned = callback
	case "OnRevoked":
		opts.Member.OnRevoked = callback
	case "OnLost":
		opts.Member.OnLost = callback
	}
	c, err := k.NewConsumer(opts)
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

// lose takes the partitions of c, which hears of it in OnLost.
func lose(c *Consumer) {
	c.member.mu.Lock()
	defer c.member.mu.Unlock()
	c.member.loseLocked()
}

// TestCallbackWaitsForItself: Close and Poll of the consumer and Close of the broker are errors
// at once in each callback, inside Poll and inside Close; another consumer can be closed.
func TestCallbackWaitsForItself(t *testing.T) {
	for _, name := range []string{"OnAssigned", "OnRevoked", "OnLost"} {
		t.Run(name, func(t *testing.T) {
			k := inMemory(t, Options{})
			k.create("a", 1)
			k.write("a", "1")
			called := 0
			c := k.member(name, func(c *Consumer) {
				called++
				_, polled := c.Poll(k.ctx)
				for what, err := range map[string]error{"Close": c.Close(), "Poll": polled, "Broker.Close": k.Close()} {
					if !errors.Is(err, ErrInCallback) {
						t.Errorf("%s: got error %v", what, err)
					}
				}
				if err := k.consumer(ConsumerOptions{Topics: []string{"a"}}).Close(); err != nil {
					t.Errorf("another consumer: %v", err)
				}
			})
			k.read(c, 1)
			if name == "OnLost" {
				lose(c)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if called != 1 {
				t.Errorf("called %d times", called)
			}
		})
	}
}

// TestCallbackPanics: it comes out of Poll, or of Close, after which the consumer is closed.
func TestCallbackPanics(t *testing.T) {
	const fault = "a fault in the callback"
	k := inMemory(t, Options{})
	k.create("a", 1)
	k.write("a", "1")
	armed := true
	c := k.member("OnAssigned", func(*Consumer) {
		if armed {
			armed = false
			panic(fault)
		}
	})
	if got := recovered(func() { _, _ = c.Poll(k.ctx) }); got != fault {
		t.Errorf("recovered %v from Poll", got)
	}
	k.read(c, 1)
	if err := c.Close(); err != nil {
		t.Error(err)
	}

	c = k.member("OnRevoked", func(*Consumer) { panic(fault) })
	k.read(c, 1) // it was not committed
	if got := recovered(func() { _ = c.Close() }); got != fault {
		t.Errorf("recovered %v from Close", got)
	}
	if _, err := c.Poll(k.ctx); !errors.Is(err, ErrClosed) {
		t.Errorf("poll afterwards: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}

	c = k.member("OnRevoked", func(*Consumer) { panic(fault) })
	k.read(c, 1) // nor this time
	if got := recovered(func() { _ = k.Close() }); got != fault {
		t.Errorf("recovered %v from Broker.Close", got)
	}
	if err := k.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

// TestCloseWhileACallbackIsStuck: Close of the consumer waits for it, but not for ever, and
// then others get the partitions; Close of the broker says who keeps it.
func TestCloseWhileACallbackIsStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, Options{})
		k.create("a", 1)
		k.write("a", "1")
		release := make(chan struct{})
		c := k.member("OnAssigned", func(*Consumer) { <-release })
		polled := make(chan error, 1)
		go func() {
			_, err := c.Poll(k.ctx)
			polled <- err
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if err := c.Close(); !errors.Is(err, ErrCutOff) || !strings.Contains(err.Error(), "a consumer of group g") {
			t.Errorf("close of the consumer: %v", err)
		}
		other := k.consumer(ConsumerOptions{Topics: []string{"a"}, Group: "g"})
		k.read(other, 1)
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		if err := k.Close(); !errors.Is(err, ErrCutOff) || !strings.Contains(err.Error(), "a consumer of group g") {
			t.Errorf("close of the broker: %v", err)
		}
		close(release)
		if err := <-polled; !errors.Is(err, ErrClosed) {
			t.Errorf("the Poll of the callback: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("close when the callback has returned: %v", err)
		}
		k.Broker = inMemory(t, Options{}).Broker
	})
}

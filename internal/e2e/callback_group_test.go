package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
	"github.com/samsa-go/samsa/group"
)

// TestGroupIsListedOnceItIsJoined: a consumer that has not polled yet makes no group.
func TestGroupIsListedOnceItIsJoined(t *testing.T) {
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	k.write("a", "1")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g"})
	if names, err := k.Groups().List(k.ctx); err != nil || len(names) > 0 {
		t.Errorf("listed before anybody has joined: %v, %v", names, err)
	}
	if _, err := k.Groups().Describe(k.ctx, "g"); !errors.Is(err, samsa.ErrUnknownGroup) {
		t.Errorf("described before anybody has joined: %v", err)
	}
	if err := k.Groups().Delete(k.ctx, "g"); !errors.Is(err, samsa.ErrUnknownGroup) {
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
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	k.write("a", "1")
	faults := 2
	cause := errors.New("no members today")
	c := k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g", Member: samsa.MemberOptions{Assignors: []samsa.Assignor{
		samsa.AssignorFunc("mine", false, func(members []samsa.AssignMember, _ map[string]int32) map[string]samsa.Assignment {
			if faults--; faults >= 0 {
				panic(cause)
			}
			return map[string]samsa.Assignment{members[0].ID: {"a": {0}}}
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
func (k *kit) member(name string, fn func(c *samsa.Consumer)) *samsa.Consumer {
	k.t.Helper()
	callback := func(_ context.Context, c *samsa.Consumer, _ []samsa.TopicPartition) { fn(c) }
	opts := samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g"}
	switch name {
	case "OnAssigned":
		opts.Member.OnAssigned = callback
	case "OnRevoked":
		opts.Member.OnRevoked = callback
	case "OnLost":
		opts.Member.OnLost = callback
	}
	c, err := k.NewConsumer(k.ctx, opts)
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

// TestCallbackWaitsForItself: Close and Poll of the consumer and Close of the broker are errors
// at once in each callback, inside Poll and inside Close; another consumer can be closed.
func TestCallbackWaitsForItself(t *testing.T) {
	for _, name := range []string{"OnAssigned", "OnRevoked", "OnLost"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := inMemory(t, samsa.Options{})
				k.create("a", 1)
				k.write("a", "1")
				called := 0
				c := k.member(name, func(c *samsa.Consumer) {
					called++
					_, polled := c.Poll(k.ctx)
					for what, err := range map[string]error{"Close": c.Close(), "Poll": polled, "Broker.Close": k.Close()} {
						if !errors.Is(err, samsa.ErrInCallback) {
							t.Errorf("%s: got error %v", what, err)
						}
					}
					if err := k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}}).Close(); err != nil {
						t.Errorf("another consumer: %v", err)
					}
				})
				k.read(c, 1)
				if name == "OnLost" {
					_ = k.inside().Groups.Leave("g", []group.LeaveMember{{MemberID: k.describe("g").Members[0].ID}})
					time.Sleep(3 * time.Second) // until the next heartbeat
				}
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				if called != 1 {
					t.Errorf("called %d times", called)
				}
			})
		})
	}
}

// TestCallbackPanics: it comes out of Poll, or of Close, after which the consumer is closed.
func TestCallbackPanics(t *testing.T) {
	const fault = "a fault in the callback"
	k := inMemory(t, samsa.Options{})
	k.create("a", 1)
	k.write("a", "1")
	armed := true
	c := k.member("OnAssigned", func(*samsa.Consumer) {
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

	c = k.member("OnRevoked", func(*samsa.Consumer) { panic(fault) })
	k.read(c, 1) // it was not committed
	if got := recovered(func() { _ = c.Close() }); got != fault {
		t.Errorf("recovered %v from Close", got)
	}
	if _, err := c.Poll(k.ctx); !errors.Is(err, samsa.ErrClosed) {
		t.Errorf("poll afterwards: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}

	c = k.member("OnRevoked", func(*samsa.Consumer) { panic(fault) })
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
		k := inMemory(t, samsa.Options{})
		k.create("a", 1)
		k.write("a", "1")
		release := make(chan struct{})
		c := k.member("OnAssigned", func(*samsa.Consumer) { <-release })
		polled := make(chan error, 1)
		go func() {
			_, err := c.Poll(k.ctx)
			polled <- err
		}()
		time.Sleep(time.Second)
		synctest.Wait()
		if err := c.Close(); !errors.Is(err, samsa.ErrCutOff) || !strings.Contains(err.Error(), "a consumer of group g") {
			t.Errorf("close of the consumer: %v", err)
		}
		other := k.consumer(samsa.ConsumerOptions{Topics: []string{"a"}, Group: "g"})
		k.read(other, 1)
		if err := other.Close(); err != nil {
			t.Error(err)
		}
		if err := k.Close(); !errors.Is(err, samsa.ErrCutOff) || !strings.Contains(err.Error(), "a consumer of group g") {
			t.Errorf("close of the broker: %v", err)
		}
		close(release)
		if err := <-polled; !errors.Is(err, samsa.ErrClosed) {
			t.Errorf("the Poll of the callback: %v", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("close when the callback has returned: %v", err)
		}
		k.Broker = inMemory(t, samsa.Options{}).Broker
	})
}

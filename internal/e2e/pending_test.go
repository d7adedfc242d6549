package e2e

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/samsa-go/samsa"
)

// consumedInTransaction returns a transaction that is open, and commits that group g has consumed so many of partition 0
// of t.
func (k *kit) consumedInTransaction(n int64) *wire {
	k.t.Helper()
	w := k.transactional("tx")
	w.commitTo("g", samsa.TopicPartition{Topic: "t"}, n)
	return w
}

// pollWithin returns the values that Poll returns within that time, one after the other.
func (k *kit) pollWithin(c *samsa.Consumer, within time.Duration) string {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.ctx, within)
	defer cancel()
	text := ""
	for {
		recs, err := c.Poll(ctx)
		if errors.Is(err, context.DeadlineExceeded) {
			return text
		}
		if err != nil {
			k.t.Fatal(err)
		}
		for _, r := range recs {
			text += string(r.Value)
		}
	}
}

// Who is given a partition of which a transaction that is open commits an offset waits for the end of that, and goes on
// where it says. Other partitions do not wait.
func TestMemberWaitsForPendingOffsets(t *testing.T) {
	for _, commit := range []bool{true, false} {
		t.Run(fmt.Sprintf("commit=%t", commit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := inMemory(t, samsa.Options{})
				k.create("t", 2)
				k.put("t", 0, "a", "b", "c")
				k.put("t", 1, "x")
				w := k.consumedInTransaction(2)
				c := k.consumer(samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}})
				if got := k.pollWithin(c, 10*time.Second); got != "x" {
					t.Errorf("while the transaction is open the member gets %q, want x alone", got)
				}
				tp := samsa.TopicPartition{Topic: "t"}
				_, err := c.Position(tp)
				k.wantError("position", err, samsa.ErrNoOffset, "a transaction is open")
				_, err = c.TotalLag(k.ctx)
				k.wantError("lag", err, samsa.ErrNoOffset, "a transaction is open")
				if err := c.Commit(k.ctx); err != nil {
					t.Error(err)
				}
				began := time.Now()
				w.end(commit)
				if commit {
					k.wantOffsets("g", "t/0@2 t/1@1")
				} else {
					k.wantOffsets("g", "t/1@1")
				}
				want := map[bool]string{true: "c", false: "abc"}[commit]
				ctx, cancel := context.WithTimeout(k.ctx, time.Minute)
				defer cancel()
				recs, err := c.Poll(ctx)
				got := ""
				for _, r := range recs {
					got += string(r.Value)
				}
				if err != nil || got != want {
					t.Errorf("then it gets %q, %v, want %q", got, err, want)
				}
				if took := time.Since(began); took > 0 {
					t.Errorf("it heard of the end %s later", took)
				}
			})
		})
	}
}

// A seek ends the waiting, and so does the end of the consumer.
func TestSeekWhileATransactionIsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := inMemory(t, samsa.Options{})
		k.create("t", 1)
		k.put("t", 0, "a", "b", "c")
		w := k.consumedInTransaction(3)
		opts := samsa.ConsumerOptions{Group: "g", Topics: []string{"t"}}
		c := k.consumer(opts)
		if got := k.pollWithin(c, 5*time.Second); got != "" {
			t.Errorf("got %q", got)
		}
		if err := c.Seek(k.ctx, samsa.TopicPartition{Topic: "t"}, 1); err != nil {
			t.Fatal(err)
		}
		if got := k.pollWithin(c, 5*time.Second); got != "bc" {
			t.Errorf("after the seek it gets %q", got)
		}
		w.end(true)
		if got := k.pollWithin(c, 5*time.Second); got != "" {
			t.Errorf("after the end it gets %q", got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		k.consumedInTransaction(3)
		c = k.consumer(opts)
		if got := k.pollWithin(c, 5*time.Second); got != "" {
			t.Errorf("got %q", got)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

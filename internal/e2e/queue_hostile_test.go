package e2e

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/samsa-go/samsa"
)

// Waits of any length are waits.
func TestQueueReleasesForAnyTime(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.write("mails", "a", "b")
		k.produce(samsa.Record{Topic: "mails", Value: []byte("never"), Headers: []samsa.Header{{Key: samsa.NotBeforeHeader, Value: []byte("9223372036854775807")}}})
		for _, v := range []string{"-9223372036854775808", "9223372036854775808", "", "soon", "1e3", "\x00"} { // says nothing
			k.produce(samsa.Record{Topic: "mails", Value: []byte("now"), Headers: []samsa.Header{{Key: samsa.NotBeforeHeader, Value: []byte(v)}}})
		}
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}})
		ds, got := receive(t, q, 8)
		if want := "a#1 b#1 now#1 now#1 now#1 now#1 now#1 now#1"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		for i := range ds[2:] {
			k.wantError("ack", ds[2+i].Ack(), nil)
		}
		k.wantError("release", ds[0].Release(math.MaxInt64), nil)
		k.wantError("release", ds[1].Release(math.MinInt64), nil)
		again, got := receive(t, q, 1)
		if got != "b#2" {
			t.Errorf("got %s", got)
		}
		k.wantError("ack", again[0].Ack(), nil)
		none(t, q)
		time.Sleep(100 * time.Hour)
		none(t, q)
		if s, err := q.Stats(k.ctx); err != nil || s.Waiting != 2 {
			t.Errorf("got %+v, %v", s, err)
		}
	})
}

// A delivery becomes one thing with a transaction.
func TestQueueDecidesOnceInAnUpdate(t *testing.T) {
	queueBubble(t, func(t *testing.T, k *kit) {
		k.create("mails", 1)
		k.create("dead", 1)
		k.write("mails", "a")
		q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails"}, DeadLetter: "dead"})
		ds, _ := receive(t, q, 1)
		for what, second := range map[string]func(tx *samsa.Tx) error{
			"reject":  func(tx *samsa.Tx) error { return tx.Reject(ds[0], "no") },
			"release": func(tx *samsa.Tx) error { return tx.Release(ds[0], 0) },
		} {
			err := k.Update(k.ctx, func(tx *samsa.Tx) error {
				k.wantError("ack", tx.Ack(ds[0]), nil)
				k.wantError(what, second(tx), samsa.ErrInvalidRecordState, "already")
				return nil
			})
			k.wantError("update", err, samsa.ErrInvalidRecordState)
		}
		k.wantError("twice the same", k.Update(k.ctx, func(tx *samsa.Tx) error { return errors.Join(tx.Ack(ds...), tx.Ack(ds...)) }), nil)
		if n := k.letters("dead"); n != 0 {
			t.Errorf("%d dead letters", n)
		}
	})
}

// A queue reads a topic that takes the place of another one from its first record on, however fast that comes.
func TestQueueReadsAnotherTopicFromTheStart(t *testing.T) {
	for range 30 {
		queueBubble(t, func(t *testing.T, k *kit) {
			k.create("mails", 1)
			k.create("others", 1)
			q := k.queue(samsa.QueueOptions{Group: "mailer", Topics: []string{"mails", "others"}, Start: samsa.Latest()})
			got := make(chan string)
			go func() {
				defer close(got)
				for {
					ds, err := q.Receive(context.Background(), 10)
					if errors.Is(err, samsa.ErrClosed) {
						return
					}
					for _, d := range ds {
						_ = d.Ack()
						got <- string(d.Record.Value)
					}
				}
			}()
			for i := range 20 {
				if err := k.Topics().Delete(k.ctx, "mails"); err != nil {
					t.Fatal(err)
				}
				k.create("mails", 1)
				k.write("mails", fmt.Sprint(i))
				select {
				case v := <-got:
					if v != fmt.Sprint(i) {
						t.Errorf("got %s, want %d", v, i)
					}
				case <-time.After(time.Hour):
					t.Fatalf("record %d is lost", i)
				}
			}
			k.wantError("close", q.Close(), nil)
			for range got {
			}
		})
	}
}
